/** One sentence to a person, and what comes of it: in the middle where there is no picture, else at its foot. */

const STYLE = `
.said { position: absolute; inset: 0; z-index: 1; display: grid; place-content: center; padding: 16px; pointer-events: none; }
.said.over { align-content: end; }
.said div { max-width: 420px; padding: 14px 20px; border-radius: 12px; background: rgb(25 27 30 / 0.9); color: #f1f2f3; font: 16px/1.4 system-ui, sans-serif; text-align: center; overflow-wrap: anywhere; }
.said p { margin: 0; }
.said p + p { color: #a9afb7; font-size: 14px; }
`;

const box = document.createElement("div");
box.setAttribute("role", "status");
const style = document.createElement("style");
style.textContent = STYLE;
let said = "";

/** `over`: there is a picture. Without lines what was said is taken away. */
export function say(lines: readonly string[], over = false): void {
  box.className = over ? "said over" : "said";
  if (said === lines.join("\n")) return; // a reader of screens is not told twice
  said = lines.join("\n");
  const text = document.createElement("div");
  text.append(...lines.map((line) => Object.assign(document.createElement("p"), { textContent: line })));
  box.replaceChildren(...(lines.length > 0 ? [style, text] : []));
  if (!box.isConnected) document.body.append(box);
}
