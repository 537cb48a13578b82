/** What is kept of a tab, as it lies in its storage. Pure. */
import { fields, list, number, text } from "../client/json";
import type { TimelineEntry } from "./timeline";

const VERSION = 1; // what another page wrote is not read
const MOST_CHARS = 2_000; // of an instruction: as its box takes
const MOST_EDITS = 200; // of a film

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

export const writeTimeline = (film: string, edits: readonly TimelineEntry[]): object => ({
  version: VERSION,
  film,
  edits: edits.slice(-MOST_EDITS),
});

/** [] where they are of another film. A new page counts revisions from 1: those of before end at -1. */
export function readTimeline(value: unknown, film: string): TimelineEntry[] {
  const kept = fields(value);
  if (kept.version !== VERSION || kept.film !== film) return [];
  const edits = list(kept.edits).slice(-MOST_EDITS).map(readEdit);
  const asked = [...edits].sort((a, b) => a.revision - b.revision);
  return edits.map((edit) => ({ ...edit, revision: asked.indexOf(edit) - asked.length }));
}

function readEdit(value: unknown): TimelineEntry {
  const edit = fields(value);
  return {
    revision: number(edit.revision, 0),
    prompt: text(edit.prompt).slice(0, MOST_CHARS),
    label: text(edit.label),
    strength: Math.min(1, Math.max(0, number(edit.strength, 1))),
    transitionMs: Math.max(0, number(edit.transitionMs, 400)),
    seed: number(edit.seed, 0),
    atS: Math.max(0, number(edit.atS, 0)),
    pts: number(edit.pts, 0),
    appliedMs: typeof edit.appliedMs === "number" ? edit.appliedMs : null,
  };
}

/** By what `type` of navigation the page was reached: a link with wishes of its own is not a reload. */
export const takesUp = (type: string, address: URLSearchParams): boolean =>
  type !== "navigate" || !(address.has("prompt") || address.has("model"));
