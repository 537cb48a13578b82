/** The keyboard as an instrument. */
import { apply, applyPreset, togglePause } from "./edits";
import { withLate } from "./later";
import { nextView, toggleFullscreen } from "./session";
import { store } from "./store";

const isDigit = (key: string): boolean => /^[0-9]$/.test(key);

function fire(digit: string): void {
  if (digit === "0") void apply("", { recent: false });
  else applyPreset(Number(digit) - 1);
}

/** By key; a mode adds its own. */
export const commands: Record<string, () => void> = {
  "/": () => document.getElementById("instruction")?.focus(),
  " ": togglePause,
  f: () => toggleFullscreen(document.querySelector<HTMLElement>(".live")),
  r: () => withLate(({ toggleRecording }) => toggleRecording()),
  p: () => withLate(({ saveSnapshot }) => saveSnapshot()),
  v: nextView,
  s: () => {
    store.peeking.value = true;
  },
  "?": () => {
    store.keysOpen.value = true;
  },
};

function onKeyDown(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || store.keysOpen.value) return;
  const target = event.target as HTMLElement;
  const instruction = target.id === "instruction";
  if (event.key === "`") {
    event.preventDefault();
    store.peeking.value = true;
    return;
  }
  if (instruction) {
    if (event.key === "Escape") target.blur(); // a digit is typed here: "1920s film" is an instruction
    return;
  }
  if (target.matches("select, textarea, input:not([type=range]):not([type=checkbox])")) return;
  if (event.key === " " && target.matches("button, a, input, summary")) return;
  if (isDigit(event.key)) fire(event.key);
  else {
    const command = commands[event.key.toLowerCase()];
    if (!command) return;
    event.preventDefault();
    command();
  }
}

function onKeyUp(event: KeyboardEvent): void {
  if (event.key === "`" || event.key.toLowerCase() === "s") store.peeking.value = false;
}

/** A button pressed by pointer keeps no focus: Space and the letters stay shortcuts. Keyboard presses have detail 0. */
function onClick(event: MouseEvent): void {
  if (event.detail > 0) (event.target as Element).closest("button")?.blur();
}

const endPeek = (): void => {
  store.peeking.value = false;
};

export function listenToKeys(): void {
  addEventListener("keydown", onKeyDown);
  addEventListener("keyup", onKeyUp);
  addEventListener("click", onClick);
  addEventListener("blur", endPeek); // the key's release may go to another window
  document.addEventListener("fullscreenchange", () => {
    store.fullscreen.value = document.fullscreenElement !== null;
  });
}
