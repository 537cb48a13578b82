/** What is kept of a tab, as it lies in its storage. Pure. */
import { fields, number, text } from "../client/json";

const VERSION = 1; // what another page wrote is not read
const MOST_CHARS = 2_000; // of an instruction: as its box takes

export interface TabRecord {
  /** null: none was asked for; "": the source as it is. */
  prompt: string | null;
  strength: number;
  model: string;
  film: string;
  /** Seconds of that film. */
  at: number;
}

export const NOTHING: TabRecord = { prompt: null, strength: 1, model: "", film: "", at: 0 };

export const writeTab = (tab: TabRecord): object => ({ version: VERSION, ...tab });

/** Whatever lies there, what is returned can be asked for. */
export function readTab(value: unknown): TabRecord {
  const tab = fields(value);
  if (tab.version !== VERSION) return NOTHING;
  return {
    prompt: typeof tab.prompt === "string" ? tab.prompt.slice(0, MOST_CHARS) : null,
    strength: Math.min(1, Math.max(0, number(tab.strength, 1))),
    model: text(tab.model),
    film: text(tab.film),
    at: Math.max(0, number(tab.at, 0)),
  };
}

/** By what `type` of navigation the page was reached: a link with wishes of its own is not a reload. */
export const takesUp = (type: string, address: URLSearchParams): boolean =>
  type !== "navigate" || !(address.has("prompt") || address.has("model"));
