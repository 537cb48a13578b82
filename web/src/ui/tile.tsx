/** One preset as a picture of what it does: of this very source once it was used, of the sample until then. */
import { useState } from "preact/hooks";
import type { Preset } from "../client";
import { currentModel, presetsInOrder, store } from "./store";
import { lateStrings } from "./strings.late";

const words = lateStrings.presets;
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

/** null where there is none: then the tile is its name. */
export const pictureOf = (preset: Preset): string | null =>
  store.thumbnails.value[preset.name] ?? renderedThumbnail(preset.name) ?? null;

/** Empty without a picture, and where it did not load. */
export function Thumb({ picture }: { picture: string | null }) {
  const [broken, setBroken] = useState<string | null>(null);
  return (
    <span class="thumb">
      {picture && picture !== broken && (
        <img
          src={picture}
          alt=""
          width={WIDTH}
          height={HEIGHT}
          loading="lazy"
          decoding="async"
          onError={() => setBroken(picture)}
        />
      )}
    </span>
  );
}

/** The number key that plays a preset; "" beyond the ninth. */
export function keyOf(preset: Preset): string {
  const keys = store.hotkeys.value ?? presetsInOrder.value.map(({ prompt }) => prompt);
  const place = keys.indexOf(preset.prompt) + 1;
  return place >= 1 && place <= 9 ? String(place) : "";
}

interface TileProps {
  name: string;
  label: string;
  picture: string | null;
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
