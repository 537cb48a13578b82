/** Records the edited stream, or source and edit side by side through a canvas. Knows no page. */

const TYPES = [
  "video/mp4;codecs=avc1.42E01F",
  "video/webm;codecs=vp9",
  "video/webm;codecs=vp8",
  "video/webm",
];
const BITRATE_BPS = 6_000_000;
const CHUNK_MS = 1_000;

export interface Recording {
  blob: Blob;
  extension: string;
}

export class Recorder {
  #recorder: MediaRecorder;
  #chunks: Blob[] = [];
  #dispose: () => void;

  /** `onDone` comes once, after stop() or when the stream ends by itself. Raises where the browser cannot record. */
  constructor(
    what: "edited" | "both",
    edited: HTMLVideoElement,
    source: HTMLVideoElement,
    onDone: (recording: Recording) => void,
  ) {
    const mimeType = TYPES.find((type) => MediaRecorder.isTypeSupported(type));
    if (!mimeType) throw new Error("no container this browser can write");
    const [stream, dispose] = what === "both" ? sideBySide(source, edited) : [clone(edited), () => {}];
    this.#dispose = dispose;
    this.#recorder = new MediaRecorder(stream, { mimeType, videoBitsPerSecond: BITRATE_BPS });
    this.#recorder.ondataavailable = ({ data }) => {
      if (data.size > 0) this.#chunks.push(data);
    };
    this.#recorder.onstop = () => {
      this.#dispose();
      const extension = mimeType.startsWith("video/mp4") ? "mp4" : "webm";
      onDone({ blob: new Blob(this.#chunks, { type: mimeType.split(";")[0] ?? mimeType }), extension });
    };
    this.#recorder.start(CHUNK_MS);
  }

  stop(): void {
    if (this.#recorder.state !== "inactive") this.#recorder.stop();
  }
}

function clone(edited: HTMLVideoElement): MediaStream {
  if (!(edited.srcObject instanceof MediaStream)) throw new Error("nothing plays");
  return new MediaStream(edited.srcObject.getTracks());
}

function sideBySide(source: HTMLVideoElement, edited: HTMLVideoElement): [MediaStream, () => void] {
  const canvas = document.createElement("canvas");
  const [width, height] = [edited.videoWidth, edited.videoHeight];
  if (!width) throw new Error("nothing plays");
  canvas.width = width * 2;
  canvas.height = height;
  const context = canvas.getContext("2d", { alpha: false });
  let running = true;
  const paint = (): void => {
    if (!running) return;
    context?.drawImage(source, 0, 0, width, height);
    context?.drawImage(edited, width, 0, width, height);
    if ("requestVideoFrameCallback" in edited) edited.requestVideoFrameCallback(paint);
    else requestAnimationFrame(paint);
  };
  paint();
  const stream = canvas.captureStream();
  if (edited.srcObject instanceof MediaStream) {
    for (const track of edited.srcObject.getAudioTracks()) stream.addTrack(track);
  }
  return [
    stream,
    () => {
      running = false;
      for (const track of stream.getVideoTracks()) track.stop();
    },
  ];
}
