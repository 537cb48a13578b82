/** The address names what is on the stage: a reload finds it, and Back and Forward go through what was there. */
import { computed, effect } from "@preact/signals";
import { openMode, useSource } from "./session";
import { store } from "./store";

const NAMES = { video: "video", streams: "stream" } as const;

/** As the address says it; both null: what is edited is sent from here. */
interface Place {
  video: string | null;
  stream: string | null;
}

const place = computed<Place>(() => {
  const { source, film, streamName } = store;
  return {
    video: source.value === "video" ? (film.value?.id ?? "") : null,
    stream: source.value === "streams" ? streamName.value : null,
  };
});

const same = (one: Place, other: Place): boolean => one.video === other.video && one.stream === other.stream;

let going = 0; // on the way to where somebody went back or forward to
let due = false;

function placeIn({ searchParams }: URL): Place {
  return { video: searchParams.get(NAMES.video), stream: searchParams.get(NAMES.streams) };
}

function settle(replace: boolean): void {
  due = false;
  const address = new URL(location.href);
  const now = place.peek();
  const stays = same(placeIn(address), now);
  for (const name of [NAMES.video, NAMES.streams]) {
    const value = now[name];
    if (value === null) address.searchParams.delete(name);
    else if (!stays) address.searchParams.set(name, value);
  }
  const state = { source: store.source.peek() };
  if (stays) history.replaceState(state, "", location.href);
  else if (replace) history.replaceState(state, "", address);
  else history.pushState(state, "", address);
}

async function go(source: unknown): Promise<void> {
  const wanted = placeIn(new URL(location.href));
  if (same(wanted, place.peek())) return; // only the place in the page changed
  going += 1;
  try {
    if (wanted.stream !== null) await openMode("streams", wanted.stream);
    else if (wanted.video !== null) await openMode("video", wanted.video);
    else await useSource(source === "camera" ? "camera" : "sample"); // a screen is given to a press only
  } finally {
    going -= 1;
    if (going === 0) settle(true); // where that is not there any more
  }
}

/** From now on, until the page ends: what was opened by the address is there. */
export function followAddress(): void {
  settle(true);
  effect(() => {
    void [place.value, store.source.value];
    if (due) return;
    due = true; // one source is left and another begun in one go: that is one step
    queueMicrotask(() => settle(going > 0));
  });
  addEventListener("popstate", ({ state }) => void go((state as { source?: unknown } | null)?.source));
}
