/** The icons of Streams mode, drawn on a 20 by 20 grid as the page's own. */
import { Drawing } from "../icons";

const paths = {
  copy: "M7 7h9.5v9.5H7zM13 7V3.5H3.5V13H7",
  done: "M4 10.5l4 4 8-9",
  open: "M8 4H4v12h12v-4M11.5 3.5h5v5M16.5 3.5L9.5 10.5",
  plus: "M10 4v12M4 10h12",
  sound: "M3.5 7.8v4.4h3l4 3.3v-11l-4 3.3zM13.5 7.2a4 4 0 0 1 0 5.6M15.8 4.8a7.4 7.4 0 0 1 0 10.4",
  mute: "M3.5 7.8v4.4h3l4 3.3v-11l-4 3.3zM13.5 7.8l4 4.4M17.5 7.8l-4 4.4",
};

export function StreamIcon({ name }: { name: keyof typeof paths }) {
  return <Drawing path={paths[name]} />;
}
