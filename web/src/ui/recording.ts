/** Recording what is on the stage, and saying what became of it. */
import { download, fileName } from "./download";
import { togglePause } from "./edits";
import { videos } from "./live";
import type { Notice } from "./notices";
import type { Recorder } from "./recorder";
import { hasSource, store } from "./store";
import { strings } from "./strings";

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
  const { messages, tools } = strings;
  if (store.paused.value) {
    noteRecording(messages.recorderPaused, { label: tools.resume, run: togglePause });
    return;
  }
  starting = true;
  try {
    const { Recorder } = await import("./recorder");
    start(Recorder);
  } catch {
    noteRecording(messages.recorderAbsent, null, "problem");
  }
  starting = false;
}

function start(Made: typeof Recorder): void {
  if (!videos.edited || !videos.source) return;
  const { messages } = strings;
  stopAsked = false;
  const what = hasSource.value ? store.recordWhat.value : "edited";
  recorder = new Made(what, videos.edited, videos.source, ({ blob, extension }) => {
    recorder = null;
    store.recording.value = false;
    if (blob.size > 0) download(blob, fileName(extension));
    else noteRecording(messages.recorderEmpty, null, "problem");
    if (blob.size > 0 && !stopAsked) noteRecording(messages.recorderEnded);
  });
  store.recording.value = true;
}
