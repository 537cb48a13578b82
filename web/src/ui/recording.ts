/** Recording what is on the stage, and saying what became of it. */
import { download, fileName } from "./download";
import { togglePause } from "./edits";
import { videos } from "./live";
import type { Notice } from "./notices";
import { Recorder } from "./recorder";
import { store } from "./store";
import { strings } from "./strings";

let recorder: Recorder | null = null;
let stopAsked = false;

function noteRecording(text: string, action: Notice["action"] = null, tone: Notice["tone"] = "info"): void {
  store.notice.value = { about: "recording", text, action, tone };
}

export function toggleRecording(): void {
  if (recorder) {
    stopAsked = true;
    recorder.stop();
    return;
  }
  if (!videos.edited || !videos.source) return;
  const { messages, tools } = strings;
  if (store.paused.value) {
    noteRecording(messages.recorderPaused, { label: tools.resume, run: togglePause });
    return;
  }
  stopAsked = false;
  try {
    recorder = new Recorder(store.recordWhat.value, videos.edited, videos.source, ({ blob, extension }) => {
      recorder = null;
      store.recording.value = false;
      if (blob.size > 0) download(blob, fileName(extension));
      else noteRecording(messages.recorderEmpty, null, "problem");
      if (blob.size > 0 && !stopAsked) noteRecording(messages.recorderEnded);
    });
    store.recording.value = true;
  } catch {
    noteRecording(messages.recorderAbsent, null, "problem");
  }
}
