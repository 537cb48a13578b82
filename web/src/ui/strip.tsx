/** The session's edits as a strip: how long each held, what it was, and back to it with one press. */
import type { RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { apply } from "./edits";
import { Icon } from "./icons";
import { withLate } from "./later";
import { store } from "./store";
import { strings } from "./strings";
import { lateStrings } from "./strings.late";
import { clockTime, mergeStrengths, type TimelineEntry } from "./timeline";

const words = lateStrings.timeline;
const GROW_MS = 1_000;
const SHOWN = 500; // older ones are in the download
const PAGE = 0.8; // of what is in sight: how far a press on an arrow goes
const GLIDES_MS = 800; // browsers take less
const KEYS: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, Home: -SHOWN, End: SHOWN };

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

/** Whether entries lie beyond either end. */
function useBeyond(list: RefObject<HTMLElement | null>, count: number) {
  const [beyond, setBeyond] = useState({ before: false, after: false });
  useEffect(() => {
    const { current } = list;
    if (!current) return;
    const look = (): void => {
      const left = current.scrollWidth - current.clientWidth - current.scrollLeft;
      setBeyond({ before: current.scrollLeft > 1, after: left > 1 });
    };
    const observer = new ResizeObserver(look);
    observer.observe(current);
    current.addEventListener("scroll", look, { passive: true });
    return () => {
      observer.disconnect();
      current.removeEventListener("scroll", look);
    };
  }, [list]);
  useEffect(() => {
    if (count > 0) list.current?.scrollTo({ left: list.current.scrollWidth }); // the newest is in sight
  }, [list, count]);
  return beyond;
}

function Entry({ entry, heldS, inTabOrder }: { entry: TimelineEntry; heldS: number; inTabOrder: boolean }) {
  const name = entry.prompt || lateStrings.presets.original;
  const took = entry.appliedMs === null ? "" : strings.bar.took(entry.appliedMs);
  return (
    <li style={{ flexGrow: Math.max(1, heldS) }}>
      <button
        type="button"
        tabIndex={inTabOrder ? 0 : -1}
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

/** One stop of the Tab key for all of them, then the arrows: a long session has hundreds. */
function onKey(event: KeyboardEvent): void {
  const list = event.currentTarget as HTMLElement;
  const step = KEYS[event.key];
  if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const entries = [...list.querySelectorAll("button")];
  const at = entries.indexOf(event.target as HTMLButtonElement) + step;
  entries[Math.min(entries.length - 1, Math.max(0, at))]?.focus();
}

/** A wheel that turns up and down moves it, too, as long as there is something to move. */
function onWheel(event: WheelEvent): void {
  const list = event.currentTarget as HTMLElement;
  if (event.ctrlKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) return;
  const before = list.scrollLeft;
  list.scrollLeft += event.deltaY;
  if (list.scrollLeft !== before) event.preventDefault();
}

interface ArrowProps {
  list: RefObject<HTMLElement | null>;
  later: boolean;
  disabled: boolean;
}

/** It stays where it is at the end of its way: the next press would else be on an entry. */
function Arrow({ list, later, disabled }: ArrowProps) {
  const label = later ? words.later : words.earlier;
  const last = useRef({ to: 0, atMs: Number.NEGATIVE_INFINITY });
  const press = (): void => {
    const { current } = list;
    if (!current) return;
    const nowMs = performance.now();
    // A press while it glides counts from where it will be: two make two ways.
    const from = nowMs - last.current.atMs < GLIDES_MS ? last.current.to : current.scrollLeft;
    const step = PAGE * current.clientWidth;
    const most = current.scrollWidth - current.clientWidth;
    const to = Math.min(most, Math.max(0, from + (later ? step : -step)));
    last.current = { to, atMs: nowMs };
    current.scrollTo({ left: to, behavior: "smooth" });
  };
  return (
    <button
      type="button"
      class="tool"
      tabIndex={-1} // keys reach the entries themselves
      data-testid={later ? "timeline-later" : "timeline-earlier"}
      aria-label={label}
      title={label}
      disabled={disabled}
      onClick={press}
    >
      <Icon name={later ? "later" : "earlier"} />
    </button>
  );
}

export function Strip() {
  const entries = mergeStrengths(store.timeline.value);
  const nowS = useElapsed(entries.length > 0);
  const list = useRef<HTMLOListElement>(null);
  const beyond = useBeyond(list, entries.length);
  const scrolls = beyond.before || beyond.after;
  const shown = entries.slice(-SHOWN);
  const current = shown.findLastIndex(({ revision }) => revision === store.applied.value?.revision);
  const endS = store.film.value ? store.film.value.duration : nowS;
  return (
    <section class="strip" data-testid="timeline" aria-label={words.label}>
      {scrolls && <Arrow list={list} later={false} disabled={!beyond.before} />}
      <ol ref={list} onKeyDown={onKey} onWheel={onWheel}>
        {shown.length === 0 && <li class="soft">{words.empty}</li>}
        {shown.map((entry, index) => (
          <Entry
            key={entry.revision}
            entry={entry}
            heldS={(shown[index + 1]?.atS ?? Math.max(endS, entry.atS)) - entry.atS}
            inTabOrder={index === (current < 0 ? shown.length - 1 : current)}
          />
        ))}
      </ol>
      {scrolls && <Arrow list={list} later disabled={!beyond.after} />}
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
