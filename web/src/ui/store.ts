/** What the page shows, as signals. Holds state; decides nothing. */
import { computed, effect, signal } from "@preact/signals";
import type {
  EditReceipt,
  Film,
  FilmPosition,
  Model,
  Preset,
  Reading,
  StateEvent,
  StatsEvent,
} from "../client";
import { recall, remember, type Span } from "./memory";
import type { Notice } from "./notices";
import type { CameraChoice, SourceKind } from "./sources";
import { strings } from "./strings";
import type { suggest } from "./suggest";
import type { TimelineEntry } from "./timeline";

export type View = "split" | "side" | "edit";

export interface AppliedEdit {
  revision: number;
  prompt: string;
  reading: Reading | null;
  tookMs: number | null;
}

/** What the model takes a text for. */
export interface TextReading {
  text: string;
  reading: Reading;
}

export interface PendingShown {
  revision: number;
  prompt: string;
}

function remembered<T>(key: string, otherwise: T, span?: Span) {
  const held = signal<T>(recall(key, otherwise, span));
  effect(() => remember(key, held.value, span));
  return held;
}

export const store = {
  connection: signal<StateEvent>({ state: "idle", attempt: 0, retryInMs: null, refusal: null }),
  stats: signal<StatsEvent | null>(null),
  lastReceipt: signal<EditReceipt | null>(null),
  applied: signal<AppliedEdit | null>(null),
  pending: signal<PendingShown | null>(null),
  notice: signal<Notice | null>(null),
  degraded: signal<string>(""),

  models: signal<Model[]>([]),
  modelName: signal(""),
  /** What the number keys play instead of the presets in their order: sentences. */
  hotkeys: signal<string[] | null>(null),
  /** The model of the stream on the stage, while one is. */
  streamModel: signal(""),
  /** What is typed, letter by letter; suggestions are made from it. */
  draft: remembered("draft", "", "tab"),
  draftReading: signal<TextReading | null>(null),
  /** What makes them; null until it is loaded. */
  suggest: signal<typeof suggest | null>(null),
  /** The suggestion the arrows have reached; -1 for none. */
  chosen: signal(-1),
  /** Of what is in the box, which may be a suggestion's sentence. */
  reading: signal<TextReading | null>(null),
  /** What is in the box is being read: `reading` is of other words. */
  beingRead: signal(false),

  source: signal<SourceKind>("sample"),
  sourceStream: signal<MediaStream | null>(null),
  /** The video that is edited, while that is the source. */
  film: signal<Film | null>(null),
  /** The stream on the stage, while one is; "" for none. */
  streamName: signal(""),
  /** Where the browser itself has that video; null where it is on the server only. */
  sourceUrl: signal<string | null>(null),
  /** Where it is, as it was heard at `heardMs` (performance.now()). */
  position: signal<(FilmPosition & { heardMs: number }) | null>(null),
  picture: signal<{ width: number; height: number }>({ width: 16, height: 9 }),
  /** Nothing was begun: the address asked for that, or there was nothing to begin with. */
  resting: signal(false),
  playing: signal(false),
  paused: signal(false),
  peeking: signal(false),
  recording: signal(false),
  fullscreen: signal(false),
  keysOpen: signal(false),
  thumbnails: signal<Record<string, string>>({}),
  sourceThumbnail: signal<string | null>(null),
  timeline: signal<TimelineEntry[]>([]),

  view: remembered<View>("view", "split"),
  divider: remembered("divider", 0.42),
  strength: remembered("strength", 1),
  transitionMs: remembered("transitionMs", 400),
  recordWhat: remembered<"edited" | "both">("recordWhat", "edited"),
  recent: remembered<string[]>("recent", []),
  camera: remembered<CameraChoice>("camera", { height: 480, microphone: false }),
};

/** Of the model that is chosen here, or else of the stream's own. */
export const modelInUse = computed(() => store.streamModel.value || store.modelName.value);

export const currentModel = computed<Model | null>(
  () => store.models.value.find((model) => model.name === modelInUse.value) ?? store.models.value[0] ?? null,
);

/** The model that edits this stream, or else the one that will. */
export const runningModel = computed<Model | null>(
  () =>
    store.models.value.find((model) => model.name === store.stats.value?.server?.model) ?? currentModel.value,
);

/** In the order they are shown, which is the order of the number keys. */
export const presetGroups = computed<[string, Preset[]][]>(() => {
  const groups = new Map<string, Preset[]>();
  for (const preset of currentModel.value?.presets ?? []) {
    groups.set(preset.group, [...(groups.get(preset.group) ?? []), preset]);
  }
  return [...groups];
});

export const presetsInOrder = computed<Preset[]>(() => presetGroups.value.flatMap(([, presets]) => presets));

export const presetNamed = computed(
  () => new Map(presetsInOrder.value.map((preset) => [preset.name, preset])),
);

/** What to send for an edit the model names by its label: a sentence it surely understands, where there is one. */
export const promptFor = (label: string): string =>
  presetsInOrder.value.find((preset) => preset.label === label)?.prompt ?? label;

export const groupName = (group: string): string => strings.groups[group] ?? group;

/** What fits the text being typed; empty while nothing does. */
export const suggestions = computed<Preset[]>(() => {
  const { draft, draftReading } = store;
  const known = draftReading.value?.text === draft.value.trim() ? draftReading.value.reading : null;
  return store.suggest.value?.(draft.value, presetsInOrder.value, known, groupName) ?? [];
});

/** What is in the box and will be sent: the suggestion the arrows have reached, or what is typed. */
export const sentence = computed(() => suggestions.value[store.chosen.value]?.prompt ?? store.draft.value);

/** What is in the box is taken for; null while that is not known. */
export const boxReading = computed<Reading | null>(() => {
  const known = store.reading.value;
  return known && known.text === sentence.value.trim() ? known.reading : null;
});

/** Of a stream, and of a video that only the server has, the edit is all there is to see. */
export const hasSource = computed(() => {
  const { value } = store.source;
  return value !== "streams" && (value !== "video" || store.sourceUrl.value !== null);
});

/** When a person last moved or stopped the film (performance.now()): what the server said before is no news. */
export const pressed = { atMs: Number.NEGATIVE_INFINITY };

/** Seconds of the film at this moment; 0 where none plays. Looking makes nobody follow it. */
export function filmNow(): number {
  const position = store.position.peek();
  if (!position) return 0;
  const since = position.playing ? (performance.now() - position.heardMs) / 1000 : 0;
  return Math.min(position.duration, position.at + since);
}

/** Nothing is edited, and nothing is about to be. */
export const atRest = computed(
  () => store.resting.value || ["closed", "refused"].includes(store.connection.value.state),
);

// Whoever left with the divider at the edge comes back to a picture with both sides in it.
store.divider.value = Math.min(0.85, Math.max(0.15, store.divider.value));

export function clearNotice(about: Notice["about"]): void {
  if (store.notice.value?.about === about) store.notice.value = null;
}
