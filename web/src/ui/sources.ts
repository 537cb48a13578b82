/** Where pictures come from, and the sample clip, which is where they come from first. Knows no session. */

/** What is sent from here. */
export type OwnKind = "sample" | "camera" | "screen";
export type SourceKind = OwnKind | "video" | "streams";

export interface CameraChoice {
  deviceId?: string;
  facing?: "user" | "environment";
  height: number;
  microphone: boolean;
}

export interface Source {
  kind: OwnKind;
  stream: MediaStream;
  /** Lets go of the camera, screen or clip. */
  stop(): void;
}

export type SourceTrouble = "denied" | "absent" | "busy" | "insecure" | "unsupported" | "failed";

/** A source did not start. */
export class SourceError extends Error {
  override readonly name = "SourceError";

  constructor(
    readonly kind: OwnKind,
    readonly trouble: SourceTrouble,
    detail = "",
  ) {
    super(detail || trouble);
  }
}

interface Capturable extends HTMLVideoElement {
  captureStream?(): MediaStream;
}

const SAMPLE_FPS = 25;
const LOAD_MS = 10_000;

/** The clip, looping, as a stream. Raises SourceError. */
export async function openSample(url: string): Promise<Source> {
  const video: Capturable = document.createElement("video");
  video.muted = true;
  video.loop = true;
  video.playsInline = true;
  video.preload = "auto";
  video.src = url;
  try {
    await Promise.race([
      video.play(),
      new Promise((_, reject) => setTimeout(() => reject(new Error("it did not load in time")), LOAD_MS)),
    ]);
  } catch (error) {
    throw new SourceError("sample", "failed", (error as Error).message);
  }
  const [stream, dispose] = video.captureStream ? [video.captureStream(), () => {}] : throughCanvas(video);
  return {
    kind: "sample",
    stream,
    stop: () => {
      dispose();
      for (const track of stream.getTracks()) track.stop();
      video.pause();
      video.removeAttribute("src");
    },
  };
}

/** For browsers whose video elements cannot be captured (Safari). */
function throughCanvas(video: HTMLVideoElement): [MediaStream, () => void] {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  const context = canvas.getContext("2d", { alpha: false });
  const paint = (): void => context?.drawImage(video, 0, 0);
  paint();
  const timer = setInterval(paint, 1000 / SAMPLE_FPS);
  return [canvas.captureStream(SAMPLE_FPS), () => clearInterval(timer)];
}
