/** The door to Video mode: nothing of it is loaded before somebody wants it. */
import { signal } from "@preact/signals";

type VideoMode = typeof import("./mode");

export const videoMode = signal<VideoMode | null>(null);

/** Raises where it cannot be loaded. */
export async function loadVideoMode(): Promise<VideoMode> {
  videoMode.value ??= await import("./mode");
  return videoMode.value;
}
