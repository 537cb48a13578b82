/** The session's edits in the order they were applied. Pure; what is downloaded is what a server can render again. */
import type { FilmEdit } from "../client";

export interface TimelineEntry {
  revision: number;
  prompt: string;
  label: string;
  strength: number;
  transitionMs: number;
  seed: number;
  /** Seconds since the session's first edit was asked for; of a film, where it was. */
  atS: number;
  /** RTP timestamp of the first frame under it, 90 kHz. */
  pts: number;
  /** From asked to seen, ms; null until measured. */
  appliedMs: number | null;
}

const MAX_ENTRIES = 2_000;
const DRAGGED_S = 5; // a slider is not dragged for longer

/** Adds an entry; the oldest go when there are too many. */
export function appendEntry(entries: readonly TimelineEntry[], entry: TimelineEntry): TimelineEntry[] {
  return [...entries, entry].slice(-MAX_ENTRIES);
}

const NEAR_S = 0.5; // two edits nearer than that were meant for one place

/** Puts an entry of a film where it belongs; it takes the place of those around it, and a dragged strength is one. */
export function placeEntry(entries: readonly TimelineEntry[], entry: TimelineEntry): TimelineEntry[] {
  const newest = entries.reduce<TimelineEntry | null>(
    (last, each) => (each.revision > (last?.revision ?? -1) ? each : last),
    null,
  );
  const dragged = newest?.prompt === entry.prompt && Math.abs(entry.atS - newest.atS) < DRAGGED_S;
  const placed = dragged && newest ? { ...entry, atS: newest.atS } : entry;
  const others = entries.filter(({ atS }) => Math.abs(atS - placed.atS) >= NEAR_S);
  return [...others, placed].sort((a, b) => a.atS - b.atS).slice(-MAX_ENTRIES);
}

/** For the strip: a strength dragged under the same words is one entry, at its first moment, with its last strength. */
export function mergeStrengths(entries: readonly TimelineEntry[]): TimelineEntry[] {
  const merged: TimelineEntry[] = [];
  for (const entry of entries) {
    const last = merged.at(-1);
    if (last?.prompt !== entry.prompt) merged.push(entry);
    else merged[merged.length - 1] = { ...last, revision: entry.revision, strength: entry.strength };
  }
  return merged;
}

export function markShown(
  entries: readonly TimelineEntry[],
  revision: number,
  appliedMs: number | null,
): TimelineEntry[] {
  return entries.map((entry) =>
    entry.revision === revision ? { ...entry, appliedMs: entry.appliedMs ?? appliedMs } : entry,
  );
}

/** What a server renders: the edits where they were made, the first from the start on and without a transition. */
export function filmEdits(entries: readonly TimelineEntry[]): FilmEdit[] {
  return entries.map(({ atS, prompt, strength, transitionMs, seed }, index) => ({
    at: index === 0 ? 0 : Math.round(atS * 1000) / 1000,
    prompt,
    strength,
    transitionMs: index === 0 ? 0 : transitionMs,
    seed,
  }));
}

/** As `relens edit --timeline` and a job read it: they refuse any other field. */
export function timelineJson(entries: readonly TimelineEntry[], model: string): string {
  return `${JSON.stringify({ version: 1, model, edits: filmEdits(entries) }, null, 2)}\n`;
}

/** 75 -> "1:15". */
export function clockTime(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
