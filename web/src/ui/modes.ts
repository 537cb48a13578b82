/** The doors to Video and Streams mode: nothing of them is loaded before somebody wants it. */
import { computed, signal } from "@preact/signals";
import type { FunctionComponent } from "preact";
import { part } from "./later";
import { store } from "./store";

type VideoMode = typeof import("./film/mode");
type StreamsMode = typeof import("./streams/mode");

/** What a mode puts in its places on the one screen. */
interface Mode {
  /** Under the picture. */
  Deck: FunctionComponent;
  /** Over it. */
  StageCover: FunctionComponent;
  /** In the places of the measurements, the verdict and the presets. */
  Facts?: FunctionComponent;
  Pill?: FunctionComponent;
  Panel?: FunctionComponent;
}

export const videoMode = signal<VideoMode | null>(null);
export const streamsMode = signal<StreamsMode | null>(null);

/** The one that is on; null while what is edited is sent from here. */
export const mode = computed<Mode | null>(() => {
  const { value } = store.source;
  return value === "video" ? videoMode.value : value === "streams" ? streamsMode.value : null;
});

/** Raises PartMissing. */
export async function loadVideoMode(): Promise<VideoMode> {
  videoMode.value ??= await part(() => import("./film/mode"));
  return videoMode.value;
}

/** As loadVideoMode. */
export async function loadStreamsMode(): Promise<StreamsMode> {
  streamsMode.value ??= await part(() => import("./streams/mode"));
  return streamsMode.value;
}
