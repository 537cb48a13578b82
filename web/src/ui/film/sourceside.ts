/** The divider's source side: the chosen file, kept where the film on the server is. */
import { effect } from "@preact/signals";
import { videos } from "../live";
import { filmNow, store } from "../store";

const DRIFT_S = 0.25; // less is not seen beside an edit that is on its way for as long

/** Follows until the page ends; does nothing while no file is at hand. */
export function followSource(): void {
  effect(() => {
    const position = store.position.value;
    const video = videos.source;
    if (!position || !store.sourceUrl.value || !video || video.readyState === 0) return;
    const glassMs = store.stats.peek()?.glass?.p50Ms ?? 0;
    const at = Math.max(0, position.playing ? filmNow() - glassMs / 1000 : position.at);
    if (Math.abs(video.currentTime - at) > (position.playing ? DRIFT_S : 0.04)) video.currentTime = at;
    if (position.playing && video.paused) {
      void video.play().catch(() => {
        // Another place was asked for while it began to play.
      });
    } else if (!position.playing && !video.paused) video.pause();
  });
}

/** A file that this browser cannot show is no source side. */
export function dropUnplayable(): void {
  videos.source?.addEventListener("error", () => {
    if (store.sourceUrl.value) store.sourceUrl.value = null;
  });
}
