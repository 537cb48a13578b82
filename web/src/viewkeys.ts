/** View keys that were given in this tab, by stream, and whether one is right. What the page and /watch share; knows neither. */
import { ask } from "./client/ask";
import { bearer } from "./client/bearer";
import { fields, text } from "./client/json";
import type { Refusal } from "./client/refusal";
import { viewKeyWords as words } from "./strings.viewkey";
import { recall, remember } from "./ui/memory";

const KEPT = "viewKeys"; // for as long as the tab is open
const MOST = 32; // streams: the one whose key was given longest ago is forgotten first

const keptKeys = (): Record<string, unknown> => fields(recall<unknown>(KEPT, null, "tab"));

/** "" where none was given. */
export const viewKeyOf = (name: string): string => text(keptKeys()[name]);

/** "" forgets it. */
export function keepViewKey(name: string, key: string): void {
  const others = Object.entries(keptKeys()).filter(([each]) => each !== name);
  const all = key ? [...others, [name, key]] : others;
  remember(KEPT, Object.fromEntries(all.slice(-MOST)), "tab");
}

/** What became of a key: it is right and kept, or one sentence; with `waitS` no other is heard for so long. */
export interface Tried {
  right: boolean;
  said: string;
  waitS: number;
}

/** Shows the server a key once, as it counts wrong ones. `base`: its root, with a slash at the end. */
export async function tryViewKey(base: string, name: string, key: string): Promise<Tried> {
  const wrong = { right: false, said: words.wrong, waitS: 0 };
  try {
    const response = await ask(new URL(`streams/${encodeURIComponent(name)}`, base), {
      headers: bearer(key),
    });
    if (fields(await response.json()).needsKey === true) return wrong;
  } catch (error) {
    const { status = 0, retryAfterS = null } = error as Partial<Refusal>;
    if (status === 429) return { ...wrong, said: "", waitS: retryAfterS ?? 60 };
    return { ...wrong, said: status === 404 ? words.gone : words.away };
  }
  keepViewKey(name, key);
  return { right: true, said: "", waitS: 0 };
}
