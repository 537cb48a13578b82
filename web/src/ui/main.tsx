/** Puts the page up, then starts it. */
import "./style.css";
import { render } from "preact";
import { App } from "./app";
import { late, loadLate } from "./later";
import { client } from "./live";
import { start } from "./session";

declare global {
  interface Window {
    /** For end-to-end tests. */
    relens: { client: typeof client };
  }
}

window.relens = { client };
const root = document.getElementById("app");
if (root) render(<App />, root);
addEventListener("pagehide", () => client.close());
addEventListener("pageshow", ({ persisted }) => {
  if (persisted) client.retry(); // back from the browser's cache: the session ended when the page was left
});
loadLate().then(
  ({ listenToKeys }) => listenToKeys(),
  () => {},
); // asked for again where it is needed
void start().then(() =>
  late.subscribe((parts) => {
    parts?.followAddress();
    parts?.keepTab();
  }),
);
