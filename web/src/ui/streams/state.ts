/** What Streams mode shows, as signals. Holds state; decides nothing. */
import { computed, signal } from "@preact/signals";
import { Refusal } from "../../client/refusal";
import type { StreamFacts, StreamPreset, StreamSettings, StreamSetup } from "../../client/streamfacts";
import { Streams } from "../../client/streams";
import type { TransportStats } from "../../client/transport";
import type { WhepStateEvent } from "../../client/whep";
import { client } from "../live";
import { store } from "../store";
import { streamStrings as words } from "../strings.streams";

export type Tab = "edit" | "connect" | "push" | "hotkeys" | "more";

export const streams = new Streams(client.signalling.base);

export const shown = {
  list: signal<StreamFacts[]>([]),
  /** The chosen stream's name; "" while there is none. */
  name: store.streamName,
  /** The chosen stream, as it was heard last. */
  facts: signal<StreamFacts | null>(null),
  /** False while the server does not answer. */
  reachable: signal(true),
  /** What is at the number keys: the stream's own, or the first of its model's. */
  presets: signal<StreamPreset[]>([]),
  /** The operator's alone; null while they are not known. */
  settings: signal<StreamSettings | null>(null),
  setup: signal<StreamSetup | null>(null),
  /** Whether this page may set streams; `unset`: the server has no operator_key that could be given. */
  operator: signal<"unknown" | "yes" | "no" | "unset">("unknown"),
  /** Of the chosen stream, where one was given in this tab; "" else. */
  viewKey: signal(""),
  /** The one that was given is right no more. */
  viewKeyChanged: signal(false),
  tab: signal<Tab>("edit"),
  /** What lay in the box when that tab was asked for: it does not cover it, what is typed then does. */
  laid: signal(""),
  /** One sentence on what the server would not do. */
  problem: signal(""),
  watching: signal<WhepStateEvent>({ state: "idle", refusal: null, retryInMs: null }),
  transport: signal<TransportStats | null>(null),
  sound: signal(false),
};

/** Asks with what opens the chosen stream: the operator's key, else the view key that was given for it. */
export function asViewer(): Streams {
  if (streams.key || !shown.viewKey.value) return streams;
  const viewer = new Streams(streams.base);
  viewer.key = shown.viewKey.value;
  return viewer;
}

export const isOperator = computed(() => shown.operator.value === "yes");

/** Not known to be somebody else: the server has the last word. */
export const mayCreate = computed(() => shown.operator.value === "yes" || shown.operator.value === "unknown");

/** `idle` before anything was heard. */
export const streamState = computed(() => shown.facts.value?.state ?? "idle");

export function goTo(tab: Tab): void {
  shown.laid.value = store.draft.value;
  shown.tab.value = tab;
}

export function explain(error: unknown): string {
  if (error instanceof Refusal) return words.failed(error.message, error.remedy);
  return words.failed(error instanceof Error ? error.message : String(error), "");
}
