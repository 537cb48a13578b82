/** Recording what is on the stage, and saying what became of it. */
import { download, fileName } from "./download";
import { togglePause } from "./edits";
import { PartMissing, part } from "./later";
import { videos } from "./live";
import type { Notice } from "./notices";
import type { Recorder } from "./recorder";
import { hasSource, store } from "./store";
import { strings } from "./strings";
import { lateStrings } from "./strings.late";

const words = lateStrings.recording;

let recorder: Recorder | null = null;
let starting = false;
let stopAsked = false;

function noteRecording(text: string, action: Notice["action"] = null, tone: Notice["tone"] = "info"): void {
  store.notice.value = { about: "recording", text, action, tone };
}

/** What records is loaded with the first recording. */
export async function toggleRecording(): Promise<void> {
  if (recorder) {
    stopAsked = true;
    recorder.stop();
    return;
  }
  if (starting) return;
  if (store.paused.value) {
    noteRecording(words.paused, { label: strings.tools.resume, run: togglePause });
    return;
  }
  starting = true;
  try {
    const { Recorder } = await part(() => import("./recorder"));
    start(Recorder);
  } catch (error) {
    if (!(error instanceof PartMissing)) noteRecording(words.absent, null, "problem");
  }
  starting = false;
}

function start(Made: typeof Recorder): void {
  if (!videos.edited || !videos.source) return;
  stopAsked = false;
  const what = hasSource.value ? store.recordWhat.value : "edited";
  recorder = new Made(what, videos.edited, videos.source, ({ blob, extension }) => {
    recorder = null;
    store.recording.value = false;
    if (blob.size > 0) download(blob, fileName(extension));
    else noteRecording(words.empty, null, "problem");
    if (blob.size > 0 && !stopAsked) noteRecording(words.ended);
  });
  store.recording.value = true;
}
