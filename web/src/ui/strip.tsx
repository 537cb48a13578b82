/** The session's edits as a strip: how long each held, what it was, and back to it with one press. */
import { useEffect, useRef, useState } from "preact/hooks";
import { apply } from "./edits";
import { Icon } from "./icons";
import { withLate } from "./later";
import { store } from "./store";
import { strings } from "./strings";
import { clockTime, mergeStrengths, type TimelineEntry } from "./timeline";

const words = strings.timeline;
const GROW_MS = 1_000;
const SHOWN = 40;

/** Seconds since the first edit, on the same clock as the entries. */
function useElapsed(started: boolean): number {
  const begun = useRef<number | null>(null);
  const [nowS, setNow] = useState(0);
  useEffect(() => {
    if (!started) {
      begun.current = null;
      return;
    }
    begun.current ??= performance.now();
    const timer = setInterval(() => setNow((performance.now() - (begun.current ?? 0)) / 1000), GROW_MS);
    return () => clearInterval(timer);
  }, [started]);
  return nowS;
}

function Entry({ entry, heldS }: { entry: TimelineEntry; heldS: number }) {
  const name = entry.prompt || strings.presets.original;
  const took = entry.appliedMs === null ? "" : strings.bar.took(entry.appliedMs);
  return (
    <li style={{ flexGrow: Math.max(1, heldS) }}>
      <button
        type="button"
        data-current={store.applied.value?.revision === entry.revision}
        title={words.entry(name, clockTime(entry.atS), took)}
        aria-label={words.entry(name, clockTime(entry.atS), took)}
        onClick={() => void apply(entry.prompt, { recent: false })}
      >
        <span class="time">{clockTime(entry.atS)}</span> {name}
      </button>
    </li>
  );
}

export function Strip() {
  const entries = mergeStrengths(store.timeline.value);
  const nowS = useElapsed(entries.length > 0);
  const list = useRef<HTMLOListElement>(null);
  useEffect(() => {
    list.current?.scrollTo({ left: list.current.scrollWidth });
  }, [entries.length]);
  const shown = entries.slice(-SHOWN);
  const endS = store.film.value ? store.film.value.duration : nowS;
  return (
    <section class="strip" data-testid="timeline" aria-label={words.label}>
      <ol ref={list}>
        {shown.length === 0 && <li class="soft">{words.empty}</li>}
        {shown.map((entry, index) => (
          <Entry
            key={entry.revision}
            entry={entry}
            heldS={(shown[index + 1]?.atS ?? Math.max(endS, entry.atS)) - entry.atS}
          />
        ))}
      </ol>
      <button
        type="button"
        class="tool"
        data-testid="timeline-download"
        aria-label={words.download}
        title={words.download}
        disabled={entries.length === 0}
        onClick={() => withLate(({ saveTimeline }) => saveTimeline())}
      >
        <Icon name="download" />
      </button>
    </section>
  );
}
