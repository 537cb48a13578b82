/** A render on the stage while it grows: HLS, by the browser itself or by hls.js, which is loaded for it. */
import type Hls from "hls.js";
import { useEffect, useRef, useState } from "preact/hooks";
import { togglePause } from "../edits";
import { Icon } from "../icons";
import { part } from "../later";
import { filmNow, store } from "../store";
import { filmStrings } from "../strings.film";
import { films, shown } from "./state";

const words = filmStrings.render;
const HLS_TYPE = "application/vnd.apple.mpegurl";
// A part that is asked for is rendered before others, and waited for as long as that takes.
const PATIENCE = {
  maxTimeToFirstByteMs: 90_000,
  maxLoadTimeMs: 180_000,
  timeoutRetry: { maxNumRetry: 20, retryDelayMs: 1_000, maxRetryDelayMs: 4_000 },
  errorRetry: { maxNumRetry: 200, retryDelayMs: 1_000, maxRetryDelayMs: 4_000 },
};

/** Plays a job's pictures in `video` from `at` seconds on. Returns what ends it. */
async function play(
  video: HTMLVideoElement,
  id: string,
  at: number,
  onTrouble: (said: string) => void,
): Promise<() => void> {
  const url = films.playlistUrl(id);
  if (video.canPlayType(HLS_TYPE) && !("MediaSource" in window && !("ManagedMediaSource" in window))) {
    video.src = `${url}#t=${at.toFixed(2)}`;
    return () => video.removeAttribute("src");
  }
  const { default: HlsPlayer } = await part(() => import("hls.js"));
  if (!HlsPlayer.isSupported()) {
    onTrouble(words.unplayable);
    return () => {};
  }
  const hls: Hls = new HlsPlayer({
    startPosition: at,
    maxBufferLength: 12, // what is not seen need not be rendered first
    maxMaxBufferLength: 20,
    fragLoadPolicy: { default: PATIENCE },
  });
  hls.on(HlsPlayer.Events.ERROR, (_, { fatal, type, details }) => {
    if (!fatal) return;
    if (type === HlsPlayer.ErrorTypes.MEDIA_ERROR) hls.recoverMediaError();
    else onTrouble(words.broken(details));
  });
  hls.loadSource(url);
  hls.attachMedia(video);
  return () => hls.destroy();
}

function Rendered({ id }: { id: string }) {
  const element = useRef<HTMLVideoElement>(null);
  const [said, setSaid] = useState("");
  const [waits, setWaits] = useState(true);
  useEffect(() => {
    const video = element.current;
    if (!video) return;
    if (!store.paused.value) togglePause(); // two pictures at once would only slow each other down
    let ended = false;
    let end = (): void => {};
    const from = shown.details.value[id]?.done[0]?.[0] ?? 0;
    const here = filmNow();
    const inside = shown.details.value[id]?.done.some(([start, stop]) => here >= start && here < stop - 0.5);
    play(video, id, inside ? here : from, setSaid).then(
      (stop) => {
        if (ended) stop();
        else end = stop;
      },
      (error: unknown) => setSaid(words.broken(error instanceof Error ? error.message : String(error))),
    );
    return () => {
      ended = true;
      end();
    };
  }, [id]);
  return (
    <div class="rendered">
      <video
        ref={element}
        data-testid="rendered-video"
        aria-label={words.watching}
        controls
        autoplay
        muted
        playsInline
        onWaiting={() => setWaits(true)}
        onPlaying={() => setWaits(false)}
      />
      {waits && !said && (
        <div class="cover" role="status">
          <span class="spinner" />
          {words.waiting}
        </div>
      )}
      {said && (
        <p class="rendered-said" role="status">
          {said}
        </p>
      )}
      <button
        type="button"
        class="tool rendered-back"
        data-testid="rendered-back"
        aria-label={words.back}
        title={words.back}
        onClick={() => {
          shown.watched.value = null;
        }}
      >
        <Icon name="close" />
      </button>
    </div>
  );
}

export function WatchedRender() {
  const id = shown.watched.value;
  return id && <Rendered key={id} id={id} />;
}
