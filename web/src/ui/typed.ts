/** The sentence that was typed and sent: where the server refuses it, it is back in the box to be mended. */
import { store } from "./store";

let waiting = ""; // until it is known what became of it

export function sent(prompt: string): void {
  waiting = prompt;
}

export function taken(prompt: string): void {
  if (prompt === waiting) waiting = "";
}

/** What has been typed since is worth more. */
export function refused(prompt: string): void {
  if (!prompt || prompt !== waiting) return;
  waiting = "";
  if (!store.draft.value.trim()) store.draft.value = prompt;
}
