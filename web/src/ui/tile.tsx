/** One preset as a picture of what it does: of this very source once it was used, of the sample until then. */
import type { Preset } from "../client";
import { currentModel, presetsInOrder, store } from "./store";
import { strings } from "./strings";

const words = strings.presets;
// As scripts/thumbnails.py renders them; told to the browser so that nothing moves when they arrive.
const WIDTH = 208;
const HEIGHT = 117;

/** Tiles rendered from the sample, shown until there is one of the own picture: by model and preset, their hash. */
declare const THUMBNAILS: Record<string, Record<string, string>>;

function renderedThumbnail(name: string): string | undefined {
  const model = currentModel.value?.name ?? "";
  const hash = THUMBNAILS[model]?.[name];
  return hash && `assets/${model}-${name}.${hash}.webp`;
}

export interface Picture {
  url: string | null;
  /** False for the bare source, which must not pass for the edit. */
  edited: boolean;
}

export function pictureOf(preset: Preset): Picture {
  const own = store.thumbnails.value[preset.name] ?? renderedThumbnail(preset.name);
  return { url: own ?? store.sourceThumbnail.value, edited: own !== undefined };
}

export function Thumb({ picture }: { picture: Picture }) {
  return (
    <span class="thumb" data-edited={picture.edited}>
      {picture.url && (
        <img src={picture.url} alt="" width={WIDTH} height={HEIGHT} loading="lazy" decoding="async" />
      )}
    </span>
  );
}

/** The number key that plays a preset; "" beyond the ninth. */
export function keyOf(preset: Preset): string {
  const place = presetsInOrder.value.indexOf(preset) + 1;
  return place >= 1 && place <= 9 ? String(place) : "";
}

interface TileProps {
  name: string;
  label: string;
  picture: Picture;
  keyName: string;
  active: boolean;
  run: () => void;
}

export function Tile({ name, label, picture, keyName, active, run }: TileProps) {
  return (
    <button
      type="button"
      class="tile"
      data-testid={`preset-${name}`}
      aria-pressed={active}
      {...(keyName ? { "aria-keyshortcuts": keyName } : {})}
      title={keyName ? `${label} (${words.key(keyName)})` : label}
      onClick={run}
    >
      <Thumb picture={picture} />
      <span class="name">{label}</span>
      {keyName && (
        <span class="key" aria-hidden="true">
          {keyName}
        </span>
      )}
    </button>
  );
}
