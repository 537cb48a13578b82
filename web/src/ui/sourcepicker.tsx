/** Sample, camera, screen, video or streams; and what there is to choose of the camera. */
import { late } from "./later";
import { chooseSource } from "./session";
import type { SourceKind } from "./sources";
import { store } from "./store";
import { strings } from "./strings";

const words = strings.sources;
const KINDS: [SourceKind, string][] = [
  ["sample", words.sample],
  ["camera", words.camera],
  ["screen", words.screen],
  ["video", words.video],
  ["streams", words.streams],
];
export function SourcePicker() {
  const { CameraChoices } = late.value ?? {};
  return (
    <>
      <fieldset class="segmented">
        <legend class="hidden">{words.legend}</legend>
        {KINDS.map(([kind, label]) => (
          <button
            key={kind}
            type="button"
            data-testid={kind === "video" ? "source-file" : `source-${kind}`}
            aria-pressed={store.source.value === kind && !store.resting.value}
            onClick={() => chooseSource(kind)}
          >
            {label}
          </button>
        ))}
      </fieldset>
      {CameraChoices && store.source.value === "camera" && <CameraChoices />}
    </>
  );
}
