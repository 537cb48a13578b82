/** Puts the dock up, then follows its stream. */
import "./dock.css";
import { render } from "preact";
import { Dock, listenToKeys } from "./dock";
import { begin } from "./state";

const root = document.getElementById("dock");
if (root) render(<Dock />, root);
listenToKeys();
begin();
