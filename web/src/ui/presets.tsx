/** What a model can do, as tiles that show it on this very picture once used; and what was asked for lately. */
import type { Preset } from "../client";
import { apply } from "./session";
import { currentModel, presetGroups, presetsInOrder, store } from "./store";
import { strings } from "./strings";

const words = strings.presets;

/** Which tiles were rendered from the sample, by model: shown until there is one of the own picture. */
declare const THUMBNAILS: Record<string, string[]>;

function renderedThumbnail(name: string): string | undefined {
  const model = currentModel.value?.name ?? "";
  return THUMBNAILS[model]?.includes(name) ? `presets/${model}/${name}.jpg` : undefined;
}

interface TileProps {
  name: string;
  label: string;
  picture: string | null;
  used: boolean;
  keyName: string;
  active: boolean;
  run: () => void;
}

function Tile({ name, label, picture, used, keyName, active, run }: TileProps) {
  return (
    <button
      type="button"
      class="tile"
      data-testid={`preset-${name}`}
      data-used={used}
      aria-pressed={active}
      aria-keyshortcuts={keyName}
      title={keyName ? `${label} (${words.key(keyName)})` : label}
      onClick={run}
    >
      <span class="thumb">{picture && <img src={picture} alt="" />}</span>
      <span class="name">{label}</span>
      {keyName && (
        <span class="key" aria-hidden="true">
          {keyName}
        </span>
      )}
    </button>
  );
}

function PresetTile({ preset, wanted }: { preset: Preset; wanted: string | undefined }) {
  const place = presetsInOrder.value.indexOf(preset) + 1;
  const own = store.thumbnails.value[preset.name] ?? renderedThumbnail(preset.name);
  return (
    <Tile
      name={preset.name}
      label={preset.label}
      picture={own ?? store.sourceThumbnail.value}
      used={own !== undefined}
      keyName={place <= 9 ? String(place) : ""}
      active={wanted === preset.prompt}
      run={() => void apply(preset.prompt, { recent: false })}
    />
  );
}

export function Presets() {
  const wanted = store.pending.value?.prompt ?? store.applied.value?.prompt;
  const groups = presetGroups.value;
  return (
    <section class="presets" aria-label={words.title}>
      {groups.length === 0 && store.models.value.length > 0 && <p class="soft">{words.none}</p>}
      {groups.map(([group, presets], index) => (
        <div class="group" key={group}>
          <h2>{words.groups[group] ?? group}</h2>
          <div class="tiles">
            {index === 0 && (
              <Tile
                name="original"
                label={words.original}
                picture={store.sourceThumbnail.value}
                used
                keyName="0"
                active={wanted === undefined || wanted === ""}
                run={() => void apply("", { recent: false })}
              />
            )}
            {presets.map((preset) => (
              <PresetTile key={preset.name} preset={preset} wanted={wanted} />
            ))}
          </div>
        </div>
      ))}
      {store.recent.value.length > 0 && (
        <div class="group">
          <h2>{words.recent}</h2>
          <div class="chips">
            {store.recent.value.map((prompt) => (
              <button key={prompt} type="button" class="chip" onClick={() => void apply(prompt)}>
                {prompt}
              </button>
            ))}
          </div>
        </div>
      )}
    </section>
  );
}
