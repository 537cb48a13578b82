/** The session's edits in the order they were applied. Pure; what is downloaded is what a server can render again. */

export interface TimelineEntry {
  revision: number;
  prompt: string;
  label: string;
  strength: number;
  transitionMs: number;
  seed: number;
  /** Seconds since the session's first edit was asked for. */
  atS: number;
  /** RTP timestamp of the first frame under it, 90 kHz. */
  pts: number;
  /** From asked to seen, ms; null until measured. */
  appliedMs: number | null;
}

const MAX_ENTRIES = 500;

/** Adds an entry; a strength dragged under the same words changes the last entry instead. */
export function appendEntry(entries: readonly TimelineEntry[], entry: TimelineEntry): TimelineEntry[] {
  const last = entries.at(-1);
  if (last && last.prompt === entry.prompt) {
    return [
      ...entries.slice(0, -1),
      { ...last, revision: entry.revision, strength: entry.strength, label: entry.label || last.label },
    ];
  }
  return [...entries, entry].slice(-MAX_ENTRIES);
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

export function timelineJson(entries: readonly TimelineEntry[], model: string): string {
  return `${JSON.stringify({ version: 1, clockHz: 90_000, model, edits: entries }, null, 2)}\n`;
}

/** 75 -> "1:15". */
export function clockTime(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
