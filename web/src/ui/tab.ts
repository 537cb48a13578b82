/**
 * What was asked for in this tab, until it is closed: after a reload, or where a phone dropped the page, that is asked
 * for again, a film goes on where it was with the edits made in it, and a camera is opened that was open. Knows no
 * elements.
 */
import { effect } from "@preact/signals";
import { client } from "./live";
import { recall, remember } from "./memory";
import { filmNow, store } from "./store";
import {
  NOTHING,
  readTab,
  readTimeline,
  type TabRecord,
  takesUp,
  writeTab,
  writeTimeline,
} from "./tabrecord";
import type { TimelineEntry } from "./timeline";

const KEY = "tab";
const TIMELINE = "tab.timeline";

let kept = NOTHING;
let timeline: unknown = null; // as it lay there

const arrival = (): string =>
  (performance.getEntriesByType("navigation")[0] as PerformanceNavigationTiming | undefined)?.type ?? "";

/** Only where that asks nobody: there was no press. */
async function mayOpenCamera(): Promise<boolean> {
  const { source } = (history.state ?? {}) as { source?: unknown };
  if (source !== "camera" || arrival() !== "reload") return false;
  try {
    return (await navigator.permissions.query({ name: "camera" as PermissionName })).state === "granted";
  } catch {
    return false; // a browser that does not say
  }
}

/** What this tab had before the page was loaded again. */
export async function recallTab(address: URLSearchParams): Promise<TabRecord & { camera: boolean }> {
  if (takesUp(arrival(), address)) {
    kept = readTab(recall<unknown>(KEY, null, "tab"));
    timeline = recall<unknown>(TIMELINE, null, "tab");
  }
  return { ...kept, camera: await mayOpenCamera() };
}

/** The edits that were made in this film before the page was loaded again. Once: from then on the page has them. */
export function takeTimeline(film: string): TimelineEntry[] {
  const found = readTimeline(timeline, film);
  timeline = null;
  return found;
}

/** Where what is edited is in a film; of one that has not come yet, where that was. */
function place(): { film: string; at: number } {
  const film = store.film.peek();
  if (film) return { film: film.id, at: Math.round(filmNow() * 10) / 10 };
  return isAwaited() ? { film: kept.film, at: kept.at } : { film: "", at: 0 };
}

/** The film of before is not there yet: the server may have none for now, and somebody may load the page once more. */
const isAwaited = (): boolean => timeline !== null && store.source.peek() === "video";

/** From now on, until the page ends. */
export function keepTab(): void {
  const keep = (): void => {
    const { wanted } = client;
    kept = {
      prompt: wanted?.prompt ?? kept.prompt,
      strength: wanted?.strength ?? kept.strength,
      model: store.modelName.peek(),
      ...place(),
    };
    remember(KEY, writeTab(kept), "tab");
  };
  effect(() => {
    void [store.pending.value, store.applied.value, store.modelName.value, store.film.value];
    keep();
  });
  effect(() => {
    const film = store.film.value;
    if (!film && isAwaited()) return;
    remember(TIMELINE, film && writeTimeline(film.id, store.timeline.value), "tab");
  });
  // A phone says no more than that the page goes out of sight; where a film is then is worth keeping.
  document.addEventListener("visibilitychange", keep);
  addEventListener("pagehide", keep);
}
