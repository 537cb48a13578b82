/** The picture: edit, source over it up to the divider, and what covers them while nothing plays. */
import { useEffect, useRef } from "preact/hooks";
import { Divider } from "./divider";
import { Icon } from "./icons";
import { late } from "./later";
import { client, videos } from "./live";
import { mode } from "./modes";
import { DegradedTag, ModelNote, PlainNotice } from "./notice";
import { thumbnailOf } from "./snapshot";
import { hasSource, store, type View } from "./store";
import { strings } from "./strings";

const words = strings.stage;
const VIEWS: [View, "split" | "side" | "only", string][] = [
  ["split", "split", words.split],
  ["side", "side", words.side],
  ["edit", "only", words.only],
];

function EditedVideo() {
  const element = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const video = element.current;
    if (!video) return;
    videos.edited = video;
    return client.attach(video);
  }, []);
  const sized = (): void => {
    const { videoWidth: width, videoHeight: height } = element.current ?? { videoWidth: 0, videoHeight: 0 };
    if (width && height) store.picture.value = { width, height };
  };
  return (
    <video
      ref={element}
      class="edited"
      data-testid="edited-video"
      aria-label={words.edited}
      autoplay
      muted
      playsInline
      onResize={sized}
      onPlaying={() => {
        store.playing.value = true;
        sized();
      }}
    />
  );
}

function SourceVideo() {
  const element = useRef<HTMLVideoElement>(null);
  const stream = store.sourceStream.value;
  const url = store.sourceUrl.value;
  useEffect(() => {
    const video = element.current;
    if (!video) return;
    videos.source = video;
    video.srcObject = stream;
    if (url) video.src = url;
    else video.removeAttribute("src");
    store.sourceThumbnail.value = null;
  }, [stream, url]);
  return (
    <video
      ref={element}
      class="source"
      data-testid="source-video"
      aria-label={words.source}
      autoplay
      muted
      playsInline
      onTimeUpdate={() => {
        if (!store.sourceThumbnail.value && element.current)
          store.sourceThumbnail.value = thumbnailOf(element.current);
      }}
    />
  );
}

function ViewSwitch() {
  return (
    <fieldset class="views">
      <legend class="hidden">{words.view}</legend>
      {VIEWS.map(([view, icon, label]) => (
        <button
          key={view}
          type="button"
          class="tool"
          data-testid={`view-${view}`}
          aria-pressed={hasSource.value ? store.view.value === view : view === "edit"}
          disabled={!hasSource.value && view !== "edit"}
          aria-label={label}
          title={label}
          onClick={() => {
            store.view.value = view;
          }}
        >
          <Icon name={icon} />
        </button>
      ))}
      <button
        type="button"
        class="tool"
        data-testid="peek"
        aria-label={words.peek}
        title={words.peek}
        disabled={!hasSource.value}
        aria-pressed={store.peeking.value}
        onPointerDown={() => {
          store.peeking.value = true;
        }}
        onPointerUp={() => {
          store.peeking.value = false;
        }}
        onPointerLeave={() => {
          store.peeking.value = false;
        }}
        onKeyDown={({ key }) => {
          if (key === "Enter") store.peeking.value = !store.peeking.value;
        }}
      >
        <Icon name="eye" />
      </button>
    </fieldset>
  );
}

function Cover() {
  if (store.source.value === "streams") return null; // it has a cover of its own
  const { state, refusal } = store.connection.value;
  const isLetGo = refusal?.kind === "paused"; // the notice says so, and how to go on
  if (
    !isLetGo &&
    (state === "reconnecting" || state === "waiting" || (state === "connecting" && store.playing.value))
  ) {
    return (
      <div class="cover" data-testid="reconnecting">
        <span class="spinner" />
        {state === "waiting" ? words.queued : strings.messages.reconnecting}
      </div>
    );
  }
  if (store.resting.value) return <div class="cover">{words.resting}</div>;
  if (!store.playing.value && state !== "refused") {
    return (
      <div class="cover">
        <span class="spinner" />
        {words.waiting}
      </div>
    );
  }
  return store.paused.value && store.source.value !== "video" ? (
    <div class="cover still">
      <Icon name="pause" />
      {words.paused}
    </div>
  ) : null;
}

/** What Video and Streams mode lay over the picture. */
function ModeCover() {
  const current = mode.value;
  return current && <current.StageCover />;
}

export function Stage() {
  const { NoticeBar } = late.value ?? {};
  const { width, height } = store.picture.value;
  const view = !hasSource.value ? "edit" : store.peeking.value ? "peek" : store.view.value;
  const resting = store.resting.value; // there is nothing to compare
  const share = view === "split" ? store.divider.value : view === "peek" ? 1 : 0;
  return (
    <section class="stage" data-testid="stage" data-view={view} aria-label={words.label}>
      <div class="picture" style={{ "--ratio": width / height, "--divider": share }}>
        <EditedVideo />
        <SourceVideo />
        {view === "split" && <Divider />}
        {view !== "edit" && !resting && <span class="tag left">{words.tagSource}</span>}
        {view !== "peek" && !resting && <span class="tag right">{words.tagEdit}</span>}
        <Cover />
      </div>
      {!resting && <ViewSwitch />}
      <ModeCover />
      <ModelNote />
      <DegradedTag />
      {NoticeBar ? <NoticeBar /> : <PlainNotice />}
    </section>
  );
}
