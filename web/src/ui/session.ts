/** Starts the page and joins sources, model and connection: what a person does to them is a function here. */
import type { Film, StateEvent } from "../client";
import { apply, forgetTimeline, leavePause, togglePause } from "./edits";
import { loadLate, PartMissing } from "./later";
import { client, videos } from "./live";
import { loadStreamsMode, loadVideoMode, streamsMode } from "./modes";
import type { Notice, NoticeActions } from "./notices";
import { type OwnKind, openSample, type Source, type SourceKind } from "./sources";
import { clearNotice, filmNow, presetsInOrder, store, type View } from "./store";
import { strings } from "./strings";
import { sent } from "./typed";

const MEMORY_MS = 3_000; // what a tab kept is not worth a longer wait
const NO_FULL_WAIT_MS = 1_200; // a hiccup shorter than this is not worth a sentence

type ModeKind = Exclude<SourceKind, OwnKind>;

const isOwn = (kind: SourceKind): kind is OwnKind => kind !== "video" && kind !== "streams";

let source: Source | null = null;
let opening = 0;
let held: Notice | null = null; // what became of a recording, while the connection's trouble is told instead
let goneTimer: ReturnType<typeof setTimeout> | undefined;

const actions: NoticeActions = {
  useSample: () => void useSource("sample"),
  retrySource: (kind) => void useSource(kind),
  retryConnection: () => client.retry(),
  goOn: () => (store.paused.value ? togglePause() : client.retry()),
  useModel: (name) => useModel(name),
};

const after = (ms: number): Promise<null> => new Promise((resolve) => setTimeout(resolve, ms, null));

// -- starting -----------------------------------------------------------------------------------------------------

/** Loads what the server offers, then plays the sample through it, unless the address says autostart=0. */
export async function start(): Promise<void> {
  if (typeof RTCPeerConnection === "undefined") {
    store.notice.value = {
      about: "connection",
      text: strings.messages.noWebRtc,
      action: { label: strings.messages.reload, run: () => location.reload() },
      tone: "problem",
    };
    return;
  }
  const query = new URLSearchParams(location.search);
  const [config, models, kept] = await Promise.all([
    client.signalling.config().catch(() => null),
    client.signalling.models().catch(() => []),
    Promise.race([loadLate().then(({ recallTab }) => recallTab(query)), after(MEMORY_MS)]).catch(() => null),
  ]);
  client.iceServers = config?.iceServers ?? [];
  store.models.value = models;
  const before = models.find(({ name }) => name === kept?.model)?.name;
  store.modelName.value = before ?? query.get("model") ?? config?.model ?? models[0]?.name ?? "";
  const prompt = kept?.prompt ?? query.get("prompt") ?? presetsInOrder.value[0]?.prompt ?? "";
  if (kept?.prompt) {
    store.strength.value = kept.strength;
    sent(prompt);
  }
  if (prompt) await apply(prompt, { recent: false, again: prompt === kept?.prompt });
  const video = query.get("video");
  const stream = query.get("stream");
  if (stream !== null) await openMode("streams", stream);
  else if (video !== null) await openMode("video", video, kept?.film === video ? kept.at : 0);
  else if (kept?.camera) await useSource("camera");
  else if (query.get("autostart") === "0") store.resting.value = opening === 0;
  else await useSource("sample");
}

/** The model list may have been out of reach at first; asked again when a session opens. */
async function refreshModels(): Promise<void> {
  if (store.models.value.length > 0) return;
  store.models.value = await client.signalling.models().catch(() => []);
}

// -- sources ------------------------------------------------------------------------------------------------------

/** A press on a source's button: the one that runs stays as it is. */
export function chooseSource(kind: SourceKind): void {
  if (!isOwn(kind)) {
    if (store.source.value !== kind) void openMode(kind);
    return;
  }
  const runs = source?.kind === kind && source.stream.getVideoTracks()[0]?.readyState === "live";
  if (runs)
    opening += 1; // another that is just being opened is no longer wanted
  else void useSource(kind);
}

/**
 * A mode, where this server has it; `id` to begin with, a film `at` seconds of it. Else one sentence, and the source
 * stays as it is.
 */
export async function openMode(kind: ModeKind, id = "", at = 0): Promise<void> {
  opening += 1;
  const mine = opening;
  try {
    const wanted = (): boolean => mine === opening;
    if (kind === "video") await (await loadVideoMode()).enter(id, wanted, at);
    else await (await loadStreamsMode()).enter(id, wanted);
  } catch (error) {
    if (mine !== opening || error instanceof PartMissing) return;
    const { videoFailed, streamsFailed } = strings.messages;
    const say = kind === "video" ? videoFailed : streamsFailed;
    store.notice.value = {
      about: "source",
      text: say(error instanceof Error ? error.message : String(error)),
      action: { label: strings.messages.useSample, run: actions.useSample },
      tone: "problem",
    };
  }
}

/** Nothing is sent any more: what is edited is a film of the server's, or with null none until one is chosen. */
export function useFilm(film: Film | null, at = 0): void {
  leaveSource("video");
  store.film.value = film;
  store.position.value = film && { at, duration: film.duration, playing: true, heardMs: performance.now() };
  if (film) client.connect({ film: film.id, at }, { model: store.modelName.value });
  else {
    client.close();
    store.pending.value = null; // it is asked for with the next film
  }
}

/** Nothing is sent and no session is open: what is shown are streams that others publish. */
export function useStreams(): void {
  leaveSource("streams");
  clearNotice("connection");
  client.close();
  store.playing.value = false;
  store.degraded.value = "";
}

function leaveSource(next: ModeKind): void {
  opening += 1;
  store.resting.value = false;
  source?.stop();
  source = null;
  clearNotice("source");
  clearNotice("edit"); // of words that were for the picture before
  if (next !== store.source.value) leaveMode();
  leavePause();
  forgetTimeline();
  store.source.value = next;
  store.sourceStream.value = null;
  store.thumbnails.value = {};
  store.sourceThumbnail.value = null;
  store.stats.value = null;
}

function leaveMode(): void {
  if (store.source.value === "streams") streamsMode.value?.leave();
  if (store.source.value !== "video") return;
  store.film.value = null;
  store.sourceUrl.value = null;
  store.position.value = null;
  leavePause();
  forgetTimeline();
}

export async function useSource(kind: OwnKind): Promise<void> {
  opening += 1;
  store.resting.value = false;
  const mine = opening;
  let next: Source;
  // A camera that is open gives a second stream only in the size it has.
  if (kind === "camera" && source?.kind === "camera") source.stop();
  try {
    next = await openSource(kind);
  } catch (error) {
    store.resting.value = mine === opening && source === null && isOwn(store.source.value);
    if (error instanceof PartMissing) return;
    const words = await loadLate().catch(() => null);
    if (words && mine === opening)
      store.notice.value = words.sourceNotice(error, actions, source?.kind === "sample");
    return;
  }
  if (mine !== opening) {
    next.stop();
    return;
  }
  clearNotice("source");
  if (store.source.value !== kind) clearNotice("edit");
  const before = source;
  source = next;
  leaveMode();
  if (store.source.value !== kind) store.thumbnails.value = {};
  store.source.value = kind;
  store.sourceStream.value = next.stream;
  const track = next.stream.getVideoTracks()[0];
  if (track) {
    track.contentHint = kind === "screen" ? "detail" : "motion";
    track.onended = () => {
      if (source !== next) return;
      const { messages } = strings;
      store.notice.value = {
        about: "source",
        text: messages.sourceEnded,
        action: { label: messages.useSample, run: actions.useSample },
        tone: "problem",
      };
    };
  }
  if (before) await client.replaceStream(next.stream);
  else client.connect(next.stream, { model: store.modelName.value });
  before?.stop();
}

async function openSource(kind: OwnKind): Promise<Source> {
  if (kind === "sample") return openSample("sample.mp4");
  const { openCamera, openScreen } = await loadLate();
  return kind === "camera" ? openCamera(store.camera.value) : openScreen();
}

export function useModel(name: string): void {
  store.modelName.value = name;
  store.thumbnails.value = {};
  store.applied.value = null;
  clearNotice("edit");
  const film = store.film.value;
  const edited = film ? { film: film.id, at: filmNow() } : source?.stream;
  if (!edited) return;
  const { wanted } = client; // sent again on the new session
  store.pending.value = wanted?.prompt ? { revision: wanted.revision, prompt: wanted.prompt } : null;
  client.connect(edited, { model: name });
}

// -- the view ------------------------------------------------------------------------------------------------------

export function nextView(): void {
  const order: View[] = ["split", "side", "edit"];
  store.view.value = order[(order.indexOf(store.view.value) + 1) % order.length] ?? "split";
}

export function toggleFullscreen(element: HTMLElement | null): void {
  if (document.fullscreenElement) void document.exitFullscreen();
  else if (element?.requestFullscreen) void element.requestFullscreen().catch(() => {});
  else (videos.edited as unknown as { webkitEnterFullscreen?: () => void } | null)?.webkitEnterFullscreen?.();
}

// -- what the client says -----------------------------------------------------------------------------------------

client.on("state", onState);
client.on("stats", (stats) => {
  store.stats.value = stats;
});
client.on("degraded", ({ level, message }) => {
  store.degraded.value = level > 0 ? message : "";
});

function onState(event: StateEvent): void {
  store.connection.value = event;
  clearTimeout(goneTimer);
  if (event.state === "open") {
    clearNotice("connection");
    store.notice.value ??= held;
    held = null;
    void refreshModels();
    if (store.notice.value?.about === "page") void loadLate().catch(() => {}); // it may come by now
    return;
  }
  store.degraded.value = "";
  if (event.state === "connecting" || event.state === "reconnecting") store.stats.value = null;
  const isTold = event.state === "refused" || event.refusal?.kind === "paused";
  if (event.retryInMs !== null || isTold) void noteRefusal(event);
}

async function noteRefusal(event: StateEvent): Promise<void> {
  const words = await loadLate().catch(() => null); // without, the stage says that it connects again
  if (!words || store.connection.value !== event) return;
  const other = store.models.value.find((model) => model.name !== store.modelName.value)?.name ?? null;
  const notice = words.refusalNotice(event.refusal, event.retryInMs, other, actions);
  if (event.attempt > 1 || event.state !== "reconnecting") {
    noteConnection(notice);
    return;
  }
  goneTimer = setTimeout(() => {
    if (store.connection.value.state !== "open") noteConnection(notice);
  }, NO_FULL_WAIT_MS);
}

function noteConnection(notice: Notice): void {
  if (store.notice.value?.about === "recording") held = store.notice.value;
  store.notice.value = notice;
}
