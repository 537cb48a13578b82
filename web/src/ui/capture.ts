/** A camera or a screen, opened; every trouble of theirs is a SourceError. Knows no session. */
import { type CameraChoice, type OwnKind, type Source, SourceError, type SourceTrouble } from "./sources";

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
