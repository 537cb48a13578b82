/** The line under the picture: where the film is, what lies elsewhere in it, and what of it is rendered. */
import { useEffect, useState } from "preact/hooks";
import { client } from "../live";
import { filmNow, pressed, store } from "../store";
import { clock, filmStrings as words } from "../strings.film";
import { throttle } from "../throttle";
import { filled, moved, shareAt, thumbnailAt } from "./scrub";
import { shown } from "./state";

const DRAG_MS = 250; // as often as a seek brings a picture
const TICK_MS = 250;

const send = throttle<number>(DRAG_MS, (at) => client.seek(at));

function seek(at: number): void {
  const position = store.position.value;
  if (!position) return;
  pressed.atMs = performance.now();
  store.position.value = { ...position, at, heardMs: pressed.atMs };
  send(at);
}

/** Between two messages the film goes on. */
function useFilmNow(): number {
  const [, setTick] = useState(0);
  const playing = store.position.value?.playing ?? false;
  useEffect(() => {
    if (!playing) return;
    const timer = setInterval(() => setTick((tick) => tick + 1), TICK_MS);
    return () => clearInterval(timer);
  }, [playing]);
  return filmNow();
}

/** What is at the pointer: its picture where there is one, and its time. */
function Preview({ share, at }: { share: number; at: number }) {
  const sheet = shown.thumbnails.value;
  const place = sheet && thumbnailAt(sheet, at);
  const width = place ? sheet.width : 56;
  return (
    <span class="scrub-preview" style={{ "--share": share, "--w": `${width}px` }} aria-hidden="true">
      {place && (
        <span
          class="scrub-picture"
          data-testid="scrub-picture"
          style={{
            width: `${sheet.width}px`,
            height: `${sheet.height}px`,
            backgroundImage: `url("${sheet.image}")`,
            backgroundPosition: `-${place.x}px -${place.y}px`,
          }}
        />
      )}
      <span class="scrub-time">{clock(at)}</span>
    </span>
  );
}

export function Scrubber({ ranges }: { ranges: readonly [number, number][] }) {
  const [over, setOver] = useState<number | null>(null);
  const [dragging, setDragging] = useState<number | null>(null);
  const duration = store.position.value?.duration || store.film.value?.duration || 0;
  const now = useFilmNow();
  const at = dragging === null ? now : dragging * duration;
  const share = duration > 0 ? Math.min(1, at / duration) : 0;
  const shareOf = (event: PointerEvent & { currentTarget: HTMLElement }): number => {
    const box = event.currentTarget.getBoundingClientRect();
    return shareAt(event.clientX, box.left, box.width);
  };
  const looked = dragging ?? over;
  return (
    <div
      class="scrubber"
      data-testid="scrubber"
      role="slider"
      tabIndex={duration > 0 ? 0 : -1}
      aria-label={words.scrubber}
      aria-disabled={duration <= 0}
      aria-valuemin={0}
      aria-valuemax={Math.round(duration)}
      aria-valuenow={Math.round(at)}
      aria-valuetext={words.place(at, duration)}
      onPointerDown={(event) => {
        if (event.button !== 0 || duration <= 0) return;
        event.currentTarget.setPointerCapture(event.pointerId);
        event.currentTarget.focus({ preventScroll: true });
        event.preventDefault();
        const pressed = shareOf(event);
        setDragging(pressed);
        seek(pressed * duration);
      }}
      onPointerMove={(event) => {
        const pointed = shareOf(event);
        if (event.pointerType === "mouse") setOver(pointed);
        if (dragging === null) return;
        setDragging(pointed);
        seek(pointed * duration);
      }}
      onPointerUp={(event) => {
        if (dragging === null) return;
        setDragging(null);
        seek(shareOf(event) * duration);
      }}
      onPointerCancel={() => setDragging(null)}
      onPointerLeave={() => setOver(null)}
      onKeyDown={(event) => {
        if (event.ctrlKey || event.metaKey || event.altKey) return;
        const next = moved(event.key, event.shiftKey, now, duration);
        if (next === null || duration <= 0) return;
        event.preventDefault();
        seek(next);
      }}
    >
      <span class="scrub-line">
        {filled(ranges, duration).map(([left, width]) => (
          <span
            key={left}
            class="scrub-rendered"
            data-testid="rendered-range"
            style={{ left: `${left}%`, width: `${width}%` }}
          />
        ))}
        <span class="scrub-played" style={{ width: `${share * 100}%` }} />
        {store.timeline.value.map(({ revision, atS }) => (
          <span key={revision} class="scrub-edit" style={{ left: `${(atS / (duration || 1)) * 100}%` }} />
        ))}
      </span>
      <span class="scrub-thumb" style={{ left: `${share * 100}%` }} />
      {looked !== null && duration > 0 && <Preview share={looked} at={looked * duration} />}
    </div>
  );
}
