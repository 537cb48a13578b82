/** Where pictures come from: the sample clip, a camera, a screen. Videos and streams the server has. Knows no session. */

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

const TROUBLES: Record<string, SourceTrouble> = {
  NotAllowedError: "denied",
  SecurityError: "insecure",
  NotFoundError: "absent",
  OverconstrainedError: "absent",
  NotReadableError: "busy",
  AbortError: "busy",
};

function troubleFrom(kind: OwnKind, error: unknown): SourceError {
  const { name, message } = error as DOMException;
  return new SourceError(kind, TROUBLES[name] ?? "failed", message);
}

function devices(kind: OwnKind): MediaDevices {
  if (!window.isSecureContext) throw new SourceError(kind, "insecure");
  if (!navigator.mediaDevices) throw new SourceError(kind, "unsupported");
  return navigator.mediaDevices;
}

function fromStream(kind: OwnKind, stream: MediaStream): Source {
  return {
    kind,
    stream,
    stop: () => {
      for (const track of stream.getTracks()) track.stop();
    },
  };
}

/** Raises SourceError. */
export async function openCamera({ deviceId, facing, height, microphone }: CameraChoice): Promise<Source> {
  const media = devices("camera");
  const width = Math.round((height * 4) / 3);
  const video: MediaTrackConstraints = {
    // 4:3 below 720 lines is what cameras natively give; asking for another shape makes them scale or crop.
    width: { ideal: height >= 720 ? 1280 : width },
    height: { ideal: height },
    frameRate: { ideal: 30, max: 30 },
    ...(deviceId ? { deviceId: { exact: deviceId } } : {}),
    ...(!deviceId && facing ? { facingMode: facing } : {}),
  };
  try {
    return fromStream("camera", await media.getUserMedia({ video, audio: microphone }));
  } catch (error) {
    throw troubleFrom("camera", error);
  }
}

/** Raises SourceError. */
export async function openScreen(): Promise<Source> {
  const media = devices("screen");
  if (!media.getDisplayMedia) throw new SourceError("screen", "unsupported");
  try {
    const stream = await media.getDisplayMedia({
      video: { width: { max: 1280 }, height: { max: 720 }, frameRate: { ideal: 24, max: 30 } },
    });
    return fromStream("screen", stream);
  } catch (error) {
    throw troubleFrom("screen", error);
  }
}

export async function listCameras(): Promise<MediaDeviceInfo[]> {
  const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return all.filter((device) => device.kind === "videoinput");
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
