/** Video mode: a film of one's own on the stage, its scrubber, the films on the server, and their renders. */
import { useEffect, useState } from "preact/hooks";
import { togglePause } from "../edits";
import { Facts as Measured, VerdictPill } from "../facts";
import { Icon } from "../icons";
import { client } from "../live";
import { useFilm } from "../session";
import { hasSource, pressed, store } from "../store";
import { StreamIcon } from "../streams/icons";
import { clock, filmStrings as words } from "../strings.film";
import { takeTimeline } from "../tab";
import { isAway, open, refresh } from "./library";
import { WatchedRender } from "./player";
import { editNow, followJobs, refreshJobs, renderAll } from "./renders";
import { JobRow, UploadRow } from "./rows";
import { Scrubber } from "./scrubber";
import { ChooseButton, onShelf, Shelf } from "./shelf";
import { followSound, toggleSound } from "./sound";
import { dropUnplayable, followSource } from "./sourceside";
import { shown } from "./state";
import { send } from "./upload";

const PRESSED_MS = 700; // what the server said before it heard of a press is not news
const MOST_JOBS = 200; // of one film; they scroll
const HAND_HELD = matchMedia("(hover: none)").matches; // nothing is dropped there

let began = false;

/** Goes over to films, with `id` on the stage from `at` seconds on where it can be. Raises Refusal where this server has none. */
export async function enter(id: string, wanted: () => boolean, at = 0): Promise<void> {
  const [found] = await Promise.all([refresh(), refreshJobs().catch(() => {})]);
  if (!wanted()) return;
  if (!began) {
    began = true;
    followJobs();
    followSource();
    followSound();
    dropUnplayable();
  }
  const film = found.find((each) => each.id === id && each.state === "ready");
  if (film) {
    open(film, at < film.duration - 1 ? at : 0);
    store.timeline.value = takeTimeline(film.id);
    return;
  }
  shown.shelf.value = true;
  useFilm(null);
  const wantedStill = (): boolean => store.source.value === "video" && !store.film.value;
  if (isAway(() => void enter(id, wantedStill, at).catch(() => {}))) return;
  if (id && !found.some((each) => each.id === id)) shown.problem.value = words.gone;
}

client.on("position", (position) => {
  const heardMs = performance.now();
  if (heardMs - pressed.atMs < PRESSED_MS) return;
  store.position.value = { ...position, heardMs };
  if (store.film.value) store.paused.value = !position.playing;
});

function playOrPause(): void {
  shown.watched.value = null;
  togglePause();
}

function SoundButton() {
  const { sound, silent } = shown;
  const label = silent.value || (sound.value ? words.sound.off : words.sound.on);
  return (
    <button
      type="button"
      class="tool film-sound"
      data-testid="film-sound"
      aria-pressed={sound.value}
      aria-label={label}
      aria-keyshortcuts="m"
      title={label}
      disabled={silent.value !== ""}
      onClick={toggleSound}
    >
      <StreamIcon name={sound.value ? "sound" : "mute"} />
    </button>
  );
}

function Transport() {
  const position = store.position.value;
  const duration = position?.duration || store.film.value?.duration || 0;
  const { paused } = store;
  return (
    <>
      <button
        type="button"
        class="tool"
        data-testid="film-play"
        aria-label={paused.value ? words.play : words.pause}
        title={paused.value ? words.play : words.pause}
        onClick={playOrPause}
      >
        <Icon name={paused.value ? "play" : "pause"} filled={paused.value} />
      </button>
      <SoundButton />
      <output class="scrub-now" data-testid="film-time" aria-live="off">
        {clock(position?.at ?? 0)}
        <span class="soft"> / {clock(duration)}</span>
      </output>
    </>
  );
}

function RenderButton() {
  const [what, setWhat] = useState<"now" | "timeline">("now");
  const [asking, setAsking] = useState(false);
  const count = store.timeline.value.length;
  const chosen = count > 1 ? what : "now";
  const none = chosen === "now" && !editNow();
  return (
    <span class="render">
      {count > 1 && (
        <select
          data-testid="render-what"
          title={words.render.whatTitle}
          aria-label={words.render.what}
          value={chosen}
          onChange={({ currentTarget }) => setWhat(currentTarget.value === "timeline" ? "timeline" : "now")}
        >
          <option value="now">{words.render.now}</option>
          <option value="timeline">{words.render.timeline(count)}</option>
        </select>
      )}
      <button
        type="button"
        class="primary"
        data-testid="render-all"
        disabled={none || asking}
        title={none ? words.render.nothing : ""}
        onClick={() => {
          setAsking(true);
          void renderAll(chosen).finally(() => setAsking(false));
        }}
      >
        {words.render.all}
      </button>
    </span>
  );
}

function ShelfSwitch() {
  return (
    <button
      type="button"
      class="chip"
      data-testid="shelf-switch"
      aria-expanded={shown.shelf.value}
      aria-controls="shelf"
      onClick={() => {
        shown.shelf.value = !shown.shelf.value;
      }}
    >
      {words.films}
    </button>
  );
}

export function Deck() {
  useDrop();
  const film = store.film.value;
  const jobs = shown.jobs.value.filter((job) => job.videoId === film?.id).slice(0, MOST_JOBS);
  const current = jobs.find((job) => job.id === shown.watched.value) ?? jobs[0];
  const ranges = current ? (shown.details.value[current.id]?.done ?? []) : [];
  return (
    <section class="deck" data-testid="deck" aria-label={words.deck}>
      {film && (
        <div class="scrub">
          <Transport />
          <Scrubber ranges={ranges} />
          <span class="deck-tools">
            <ShelfSwitch />
            <RenderButton />
          </span>
        </div>
      )}
      {(shown.upload.value || shown.problem.value || jobs.length > 0 || shown.shelf.value) && (
        <div class="deck-more">
          {shown.problem.value && (
            <p class="deck-problem" role="alert" data-testid="video-problem">
              {shown.problem.value}
            </p>
          )}
          <UploadRow />
          {jobs.map((job) => (
            <JobRow key={job.id} job={job} />
          ))}
          {shown.shelf.value && film && (
            <div class="shelf-head">
              <ChooseButton id="choose-another" quiet />
            </div>
          )}
          {shown.shelf.value && <Shelf />}
        </div>
      )}
    </section>
  );
}

/** A render that is watched is a file: nothing of it is measured. */
export const Pill = () => (shown.watched.value ? null : <VerdictPill />);
export const Facts = () => <Measured unmeasured={shown.watched.value !== null} />;

/** Files are dropped anywhere on the page. */
function useDrop(): void {
  useEffect(() => {
    let depth = 0;
    const holdsFile = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") ?? false;
    const enterPage = (event: DragEvent): void => {
      if (!holdsFile(event)) return;
      depth += 1;
      shown.dragging.value = true;
    };
    const leavePage = (): void => {
      depth = Math.max(0, depth - 1);
      shown.dragging.value = depth > 0;
    };
    const over = (event: DragEvent): void => {
      if (holdsFile(event)) event.preventDefault();
    };
    const drop = (event: DragEvent): void => {
      depth = 0;
      shown.dragging.value = false;
      const [file] = event.dataTransfer?.files ?? [];
      if (!file) return;
      event.preventDefault();
      void send(file);
    };
    const handlers: [string, (event: DragEvent) => void][] = [
      ["dragenter", enterPage],
      ["dragleave", leavePage],
      ["dragover", over],
      ["drop", drop],
    ];
    for (const [name, handler] of handlers) document.addEventListener(name, handler as EventListener);
    return () => {
      for (const [name, handler] of handlers) document.removeEventListener(name, handler as EventListener);
    };
  }, []);
}

/** Over the picture: where to drop a film while there is none, a render that is watched, and what is missing. */
export function StageCover() {
  if (shown.dragging.value) {
    return (
      <div class="drop held" data-testid="drop">
        <p class="drop-title">{words.dropHere}</p>
      </div>
    );
  }
  if (!store.film.value) {
    const ready = onShelf().filter(({ state }) => state === "ready").length;
    return (
      <div class="drop" data-testid="drop">
        <p class="drop-title">{HAND_HELD ? words.bring : words.drop}</p>
        <ChooseButton id="choose" />
        <p class="soft">{ready > 0 ? words.dropOr(ready) : words.dropTitle}</p>
      </div>
    );
  }
  if (shown.watched.value) return <WatchedRender />;
  return hasSource.value ? null : (
    <p class="source-absent" data-testid="source-absent">
      {words.sourceAbsent}
    </p>
  );
}
