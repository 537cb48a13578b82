/** Which camera, how large, and whether with sound. */
import { useEffect, useState } from "preact/hooks";
import { listCameras } from "./capture";
import { useSource } from "./session";
import type { CameraChoice } from "./sources";
import { store } from "./store";
import { lateStrings } from "./strings.late";

const words = lateStrings.camera;
const HEIGHTS = [360, 480, 720];

function choose(change: Partial<CameraChoice>): void {
  store.camera.value = { ...store.camera.value, ...change };
  void useSource("camera");
}

function useCameras(): MediaDeviceInfo[] {
  const [cameras, setCameras] = useState<MediaDeviceInfo[]>([]);
  const stream = store.sourceStream.value;
  useEffect(() => {
    const look = (): void => void listCameras().then(setCameras, () => setCameras([]));
    look();
    navigator.mediaDevices?.addEventListener("devicechange", look);
    return () => navigator.mediaDevices?.removeEventListener("devicechange", look);
  }, [stream]);
  return cameras;
}

/** On phones the two sides say more than the devices' names. */
function DeviceChoice() {
  const cameras = useCameras();
  const { facing, deviceId } = store.camera.value;
  const phone = matchMedia("(pointer: coarse)").matches;
  if (phone) {
    return (
      <select
        data-testid="camera-device"
        aria-label={words.device}
        value={facing ?? "user"}
        onChange={({ currentTarget }) =>
          choose({ facing: currentTarget.value === "environment" ? "environment" : "user" })
        }
      >
        <option value="user">{words.front}</option>
        <option value="environment">{words.back}</option>
      </select>
    );
  }
  if (cameras.length < 2) return null;
  return (
    <select
      data-testid="camera-device"
      aria-label={words.device}
      value={deviceId ?? cameras[0]?.deviceId ?? ""}
      onChange={({ currentTarget }) => choose({ deviceId: currentTarget.value })}
    >
      {cameras.map((camera, index) => (
        <option key={camera.deviceId} value={camera.deviceId}>
          {camera.label || words.nameless(index + 1)}
        </option>
      ))}
    </select>
  );
}

export function CameraChoices() {
  const { height, microphone } = store.camera.value;
  return (
    <span class="choices">
      <DeviceChoice />
      <select
        data-testid="camera-resolution"
        aria-label={words.resolution}
        value={height}
        onChange={({ currentTarget }) => choose({ height: Number(currentTarget.value) })}
      >
        {HEIGHTS.map((lines) => (
          <option key={lines} value={lines}>
            {lines}p
          </option>
        ))}
      </select>
      <label class="check">
        <input
          type="checkbox"
          data-testid="microphone"
          checked={microphone}
          onChange={({ currentTarget }) => choose({ microphone: currentTarget.checked })}
        />
        {words.microphone}
      </label>
    </span>
  );
}
