/** Joins the client library, the sources and the store: everything a person can do is a function here. */
import { type Reading, RelensClient, type StateEvent } from "../client";
import { download, fileName } from "./download";
import { type Notice, type NoticeActions, refusalNotice, sourceNotice } from "./notices";
import { Recorder } from "./recorder";
import { pngOf, thumbnailOf } from "./snapshot";
import { openCamera, openSample, openScreen, type Source, type SourceKind } from "./sources";
import { currentModel, presetsInOrder, promptFor, store, type View } from "./store";
import { strings } from "./strings";
import { appendEntry, markShown, timelineJson } from "./timeline";

declare const CLOCK_WORKER: string;

export const client = new RelensClient({ clockWorkerUrl: CLOCK_WORKER });

/** The two pictures on the stage; set by it when it is mounted. */
export const videos: { edited: HTMLVideoElement | null; source: HTMLVideoElement | null } = {
  edited: null,
  source: null,
};

const MAX_RECENT = 8;
const MAX_REMEMBERED_EDITS = 256;
const THUMBNAIL_SETTLE_MS = 350; // after the transition: the model's cache has then filled with the new look
const NO_FULL_WAIT_MS = 1_200; // a hiccup shorter than this is not worth a sentence

const ENDINGS = new Set(["going-away", "idle", "max-time"]);

interface SentEdit {
  prompt: string;
  strength: number;
  transitionMs: number;
  seed: number;
  atMs: number;
  /** null until the server said what it took it for. */
  reading: Reading | null;
  /** False where a pause fell between asking and seeing: its time would be the pause's. */
  timed: boolean;
}

let source: Source | null = null;
let opening = 0;
let recorder: Recorder | null = null;
let stopAsked = false;
let held: Notice | null = null; // what became of a recording, while the connection's trouble is told instead
let firstEditMs: number | null = null;
let goneTimer: ReturnType<typeof setTimeout> | undefined;
const sent = new Map<number, SentEdit>();

const actions: NoticeActions = {
  useSample: () => void useSource("sample"),
  retrySource: (kind) => void useSource(kind),
  retryConnection: () => client.retry(),
  useModel: (name) => useModel(name),
};

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
  const [config, models] = await Promise.all([
    client.signalling.config().catch(() => null),
    client.signalling.models().catch(() => []),
  ]);
  client.iceServers = config?.iceServers ?? [];
  store.models.value = models;
  store.modelName.value = query.get("model") ?? config?.model ?? models[0]?.name ?? "";
  const prompt = query.get("prompt") ?? presetsInOrder.value[0]?.prompt ?? "";
  if (prompt) await apply(prompt, { recent: false });
  if (query.get("autostart") !== "0") await useSource("sample");
}

/** The model list may have been out of reach at first; asked again when a session opens. */
async function refreshModels(): Promise<void> {
  if (store.models.value.length > 0) return;
  store.models.value = await client.signalling.models().catch(() => []);
}

// -- sources ------------------------------------------------------------------------------------------------------

/** A press on a source's button: the one that runs stays as it is. */
export function chooseSource(kind: SourceKind): void {
  const runs = source?.kind === kind && source.stream.getVideoTracks()[0]?.readyState === "live";
  if (runs)
    opening += 1; // another that is just being opened is no longer wanted
  else void useSource(kind);
}

export async function useSource(kind: SourceKind): Promise<void> {
  opening += 1;
  const mine = opening;
  let next: Source;
  // A camera that is open gives a second stream only in the size it has.
  if (kind === "camera" && source?.kind === "camera") source.stop();
  try {
    next = await openSource(kind);
  } catch (error) {
    if (mine === opening) store.notice.value = sourceNotice(error, actions);
    return;
  }
  if (mine !== opening) {
    next.stop();
    return;
  }
  clearNotice("source");
  const before = source;
  source = next;
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

function openSource(kind: SourceKind): Promise<Source> {
  if (kind === "camera") return openCamera(store.camera.value);
  return kind === "screen" ? openScreen() : openSample("sample.mp4");
}

export function useModel(name: string): void {
  store.modelName.value = name;
  store.thumbnails.value = {};
  store.applied.value = null;
  clearNotice("edit");
  if (!source) return;
  const { wanted } = client; // sent again on the new session
  store.pending.value = wanted?.prompt ? { revision: wanted.revision, prompt: wanted.prompt } : null;
  client.connect(source.stream, { model: name });
}

// -- edits --------------------------------------------------------------------------------------------------------

export async function apply(
  prompt: string,
  options: { strength?: number; transitionMs?: number; recent?: boolean } = {},
): Promise<void> {
  const strength = options.strength ?? store.strength.value;
  const transitionMs = options.transitionMs ?? store.transitionMs.value;
  const atMs = performance.now();
  const { revision } = client.edit(prompt, { strength, transitionMs });
  firstEditMs ??= atMs;
  sent.set(revision, {
    prompt,
    strength,
    transitionMs,
    seed: 0,
    atMs,
    reading: null,
    timed: !store.paused.value,
  });
  if (sent.size > MAX_REMEMBERED_EDITS) sent.delete(sent.keys().next().value ?? 0);
  store.pending.value = { revision, prompt };
  clearNotice("edit");
  if (prompt && options.recent !== false) {
    const others = store.recent.value.filter((entry) => entry !== prompt);
    store.recent.value = [prompt, ...others].slice(0, MAX_RECENT);
  }
}

/** The edit in force again at another strength: while a slider is dragged. */
export function restrength(strength: number): void {
  store.strength.value = strength;
  const prompt = client.wanted?.prompt;
  if (prompt)
    void apply(prompt, { strength, transitionMs: Math.min(120, store.transitionMs.value), recent: false });
}

export function applyPreset(index: number): void {
  const preset = presetsInOrder.value[index];
  if (preset) void apply(preset.prompt, { recent: false });
}

/** Also for an edit sent again on a new session, whose model may read it otherwise. */
function noteReading(revision: number, reading: Reading): void {
  const edit = sent.get(revision);
  if (!edit) return;
  const { prompt } = edit;
  const again = edit.reading !== null;
  edit.reading = reading;
  const applied = store.applied.value;
  if (applied?.revision === revision) {
    store.applied.value = reading.understood ? { ...applied, reading } : null;
  }
  if (reading.understood || !prompt) return;
  if (store.pending.value?.revision === revision) store.pending.value = null;
  if (again && store.notice.value?.about === "recording") return; // which nobody would be told again
  const [nearest] = reading.nearest;
  store.notice.value = {
    about: "edit",
    text: strings.messages.notUnderstood(prompt),
    action: nearest
      ? { label: strings.messages.applyNearest(nearest), run: () => void apply(promptFor(nearest)) }
      : null,
    tone: "info",
  };
}

// -- pictures and files -------------------------------------------------------------------------------------------

export function togglePause(): void {
  store.paused.value = !store.paused.value;
  clearNotice("recording");
  if (store.paused.value) {
    for (const edit of sent.values()) edit.timed = false; // those not seen yet wait for the pause's end
    client.pause();
  } else client.resume();
}

export async function snapshot(): Promise<void> {
  const blob = videos.edited && (await pngOf(videos.edited));
  if (blob) download(blob, fileName("png"));
}

function noteRecording(text: string, action: Notice["action"] = null, tone: Notice["tone"] = "info"): void {
  store.notice.value = { about: "recording", text, action, tone };
}

export function toggleRecording(): void {
  if (recorder) {
    stopAsked = true;
    recorder.stop();
    return;
  }
  if (!videos.edited || !videos.source) return;
  const { messages, tools } = strings;
  if (store.paused.value) {
    noteRecording(messages.recorderPaused, { label: tools.resume, run: togglePause });
    return;
  }
  stopAsked = false;
  try {
    recorder = new Recorder(store.recordWhat.value, videos.edited, videos.source, ({ blob, extension }) => {
      recorder = null;
      store.recording.value = false;
      if (blob.size > 0) download(blob, fileName(extension));
      else noteRecording(messages.recorderEmpty, null, "problem");
      if (blob.size > 0 && !stopAsked) noteRecording(messages.recorderEnded);
    });
    store.recording.value = true;
  } catch {
    noteRecording(messages.recorderAbsent, null, "problem");
  }
}

export function downloadTimeline(): void {
  const json = timelineJson(store.timeline.value, store.modelName.value);
  download(new Blob([json], { type: "application/json" }), fileName("json"));
}

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

export function clearNotice(about: string): void {
  if (store.notice.value?.about === about) store.notice.value = null;
}

client.on("state", onState);
client.on("stats", (stats) => {
  store.stats.value = stats;
});
client.on("degraded", ({ level, message }) => {
  store.degraded.value = level > 0 ? message : "";
});
client.on("received", ({ revision, reading }) => noteReading(revision, reading));
client.on("applied", ({ revision, pts }) => {
  const edit = sent.get(revision);
  if (!edit) return;
  const { prompt, reading, strength, transitionMs, seed, atMs } = edit;
  const label = reading?.label ?? "";
  store.applied.value = { revision, prompt, reading, tookMs: null };
  const atS = (atMs - (firstEditMs ?? atMs)) / 1000;
  store.timeline.value = appendEntry(store.timeline.value, {
    ...{ revision, prompt, label, strength, transitionMs, seed, atS, pts },
    appliedMs: null,
  });
  if ((store.pending.value?.revision ?? 0) <= revision) store.pending.value = null;
});
client.on("shown", (receipt) => {
  store.lastReceipt.value = receipt;
  const applied = store.applied.value;
  const tookMs = sent.get(receipt.revision)?.timed ? receipt.appliedMs : null;
  if (applied?.revision === receipt.revision) store.applied.value = { ...applied, tookMs };
  store.timeline.value = markShown(store.timeline.value, receipt.revision, tookMs);
  keepThumbnail(receipt.revision);
});
client.on("error", ({ code, message, revision }) => {
  if (ENDINGS.has(code)) return; // the connection's own state tells what comes of it
  if (revision !== null && store.pending.value?.revision === revision) store.pending.value = null;
  const { editRefused, said } = strings.messages;
  const text = revision === null ? said(message) : editRefused(message);
  store.notice.value = { about: "edit", text, action: null, tone: "problem" };
});

function onState(event: StateEvent): void {
  store.connection.value = event;
  clearTimeout(goneTimer);
  if (event.state === "open") {
    clearNotice("connection");
    store.notice.value ??= held;
    held = null;
    void refreshModels();
    return;
  }
  store.degraded.value = "";
  if (event.state === "connecting" || event.state === "reconnecting") store.stats.value = null;
  if (event.retryInMs === null && event.state !== "refused") return;
  const other = store.models.value.find((model) => model.name !== store.modelName.value)?.name ?? null;
  const notice = refusalNotice(event.refusal, event.retryInMs, other, actions);
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

/** A preset's tile shows what it made of this very picture, once it was used. */
function keepThumbnail(revision: number): void {
  const edit = sent.get(revision);
  const preset = presetsInOrder.value.find(({ prompt }) => prompt === edit?.prompt);
  if (!edit || !preset || edit.strength < 0.8) return;
  setTimeout(() => {
    if (store.applied.value?.revision !== revision || store.paused.value || !videos.edited) return;
    const picture = thumbnailOf(videos.edited);
    if (picture) store.thumbnails.value = { ...store.thumbnails.value, [preset.name]: picture };
  }, edit.transitionMs + THUMBNAIL_SETTLE_MS);
}

export const modelTitle = (): string => currentModel.value?.title ?? store.modelName.value;
