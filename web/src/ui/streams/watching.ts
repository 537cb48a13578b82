/** The chosen stream: followed by its events, its edited picture on the stage by WHEP. */
import type { StreamFacts } from "../../client/streamfacts";
import { TransportReader } from "../../client/transport";
import { WhepReader } from "../../client/whep";
import { keepViewKey, viewKeyOf } from "../../viewkeys";
import { client, videos } from "../live";
import { store } from "../store";
import { forgetEdits, lookAt, noteApplied } from "./edits";
import { asViewer, shown, streams } from "./state";

const MEASURE_MS = 1_000;

let stopFollowing = (): void => {};
let reader: WhepReader | null = null;
let timer: ReturnType<typeof setInterval> | undefined;

/** Shows a stream; "" for none. */
export function watch(name: string): void {
  unwatch();
  shown.name.value = name;
  const known = shown.list.value.find((each) => each.name === name) ?? null;
  shown.facts.value = known;
  if (!name) return;
  shown.viewKey.value = viewKeyOf(name);
  if (known) hear(known);
  follow(name);
  watchPicture(name, shown.viewKey.value);
}

/** Hears of the stream what the key shows that there is now. */
export function follow(name: string): void {
  stopFollowing();
  const viewer = asViewer();
  stopFollowing = viewer.follow(name, {
    onFacts: (facts) => {
      hear(facts);
      if (facts.needsKey && viewer !== streams) forgetViewKey(name);
    },
    onApplied: noteApplied,
    onTrouble: (refusal, again) => {
      if (again) shown.reachable.value = false;
      else if (refusal.status === 404) shown.facts.value = null;
    },
  });
}

/** The one that was given opens the stream no more: it is asked for again, and not shown once more. */
function forgetViewKey(name: string): void {
  keepViewKey(name, "");
  shown.viewKey.value = "";
  shown.viewKeyChanged.value = true;
  follow(name);
  watchPicture(name, "");
}

/** `token`: the view key, where the stream has one and it is known. */
export function watchPicture(name: string, token: string): void {
  reader?.close();
  clearInterval(timer);
  const url = streams.url(`whep/${encodeURIComponent(name)}`);
  const mine = new WhepReader({ url, token, iceServers: client.iceServers });
  reader = mine;
  mine.on("track", (stream) => {
    if (reader !== mine || !videos.edited) return;
    videos.edited.srcObject = stream;
    videos.edited.muted = !shown.sound.value;
    void videos.edited.play().catch(() => {
      // Replaced by a newer one while it began.
    });
  });
  mine.on("state", (event) => {
    if (reader !== mine) return;
    shown.watching.value = event;
    if (event.refusal?.status === 401 && token && token === shown.viewKey.value) return forgetViewKey(name);
    if (event.state === "away" || event.state === "closed") blank();
  });
  let stats = new TransportReader();
  timer = setInterval(async () => {
    const reports = await mine.getStats().catch(() => null); // closed meanwhile
    if (reader !== mine) return;
    if (reports === null) stats = new TransportReader();
    shown.transport.value = reports && mine.state === "open" ? stats.read(reports.values()) : null;
  }, MEASURE_MS);
  if (isShown(shown.facts.value)) mine.start(); // else once it is
}

/** There is a picture of it, and this page may see it as far as is known. */
const isShown = (facts: StreamFacts | null): boolean =>
  facts?.state === "live" && (!facts.needsKey || shown.viewKey.value !== "");

export function unwatch(): void {
  stopFollowing();
  stopFollowing = () => {};
  reader?.close();
  reader = null;
  clearInterval(timer);
  shown.watching.value = { state: "idle", refusal: null, retryInMs: null };
  shown.transport.value = null;
  shown.facts.value = null;
  shown.name.value = "";
  shown.viewKey.value = "";
  shown.viewKeyChanged.value = false;
  store.degraded.value = "";
  blank();
  forgetEdits();
}

export function toggleSound(): void {
  shown.sound.value = !shown.sound.value;
  if (videos.edited) videos.edited.muted = !shown.sound.value;
}

function blank(): void {
  if (videos.edited) videos.edited.srcObject = null;
  store.playing.value = false;
}

function hear(facts: StreamFacts): void {
  shown.reachable.value = true;
  const before = shown.facts.value;
  shown.facts.value = facts;
  // Only what is live is asked for, and at once; what waits for its publisher is kept.
  if (isShown(facts) && !isShown(before) && reader?.state !== "open") reader?.start();
  if (facts.state === "idle" && before?.state !== "idle") reader?.close();
  shown.list.value = shown.list.value.map((each) => (each.name === facts.name ? facts : each));
  store.degraded.value = facts.degraded;
  store.streamModel.value = facts.model;
  lookAt(facts.edit);
}
