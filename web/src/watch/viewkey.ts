/** A small form for the view key, where a person opened /watch without the right one. Loaded when it is needed. */
import { viewKeyWords as words } from "../strings.viewkey";
import { tryViewKey } from "../viewkeys";

const STYLE = `
.ask { position: absolute; inset: 0; display: grid; place-content: center; padding: 16px; font: 16px/1.4 system-ui, sans-serif; }
.ask form { display: grid; gap: 10px; max-width: 400px; padding: 20px; border-radius: 12px; background: #191b1e; color: #f1f2f3; }
.ask p { margin: 0; overflow-wrap: anywhere; }
.ask p:first-child { font-weight: 600; }
.ask .soft { color: #a9afb7; font-size: 14px; }
.ask div { display: flex; gap: 8px; }
.ask input { flex: 1; min-width: 0; height: 44px; box-sizing: border-box; padding: 0 12px; border: 1px solid #7b828b; border-radius: 8px; background: #0a0b0c; color: inherit; font: inherit; }
.ask input::placeholder { color: #a9afb7; opacity: 1; }
.ask button { height: 44px; padding: 0 18px; border: 0; border-radius: 8px; background: #f1f2f3; color: #101113; font: 600 16px system-ui, sans-serif; cursor: pointer; }
.ask button:disabled { background: #24272b; color: #a9afb7; cursor: default; }
.ask :focus-visible { outline: 2px solid #8ec7ff; outline-offset: 2px; }
`;

let asked: HTMLElement | null = null;

function element<K extends keyof HTMLElementTagNameMap>(
  kind: K,
  properties: Partial<HTMLElementTagNameMap[K]> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = Object.assign(document.createElement(kind), properties);
  made.append(...children);
  return made;
}

/** Takes the form away: there is something to see. */
export function putAway(): void {
  asked?.remove();
  asked = null;
}

/** `said`: what is wrong already; `waitS`: no key is heard for so long. `onRight` gets the key that opens the stream. */
export function askForKey(
  base: string,
  name: string,
  { said, waitS }: { said: string; waitS: number },
  onRight: (key: string) => void,
): void {
  if (asked) return;
  const input = element("input", {
    type: "password",
    placeholder: words.key,
    autocomplete: "off",
    maxLength: 128,
  });
  input.setAttribute("aria-label", words.key);
  const button = element("button", { type: "submit", textContent: words.use });
  const problem = element("p", { role: "alert" });
  const wait = (seconds: number): void => {
    button.disabled = seconds > 0;
    if (seconds <= 0) problem.textContent = "";
    else {
      problem.textContent = words.wait(seconds);
      setTimeout(() => wait(seconds - 1), 1_000);
    }
  };
  const form = element(
    "form",
    {},
    element("p", { textContent: words.title(name) }),
    element("p", { className: "soft", textContent: words.how }),
    element("div", {}, input, button),
    problem,
  );
  form.onsubmit = async (event) => {
    event.preventDefault();
    const key = input.value.trim();
    if (!key) return;
    button.disabled = true;
    const tried = await tryViewKey(base, name, key);
    button.disabled = false;
    problem.textContent = tried.said;
    if (tried.waitS > 0) wait(tried.waitS);
    if (!tried.right) return;
    putAway();
    onRight(key);
  };
  problem.textContent = said;
  if (waitS > 0) wait(waitS);
  asked = element("div", { className: "ask" }, element("style", { textContent: STYLE }), form);
  document.body.append(asked);
  input.focus();
}
