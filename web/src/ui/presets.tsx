/** What a model can do: its presets by groups, those that fit while something is typed, and what was asked for lately. */
import { useRef } from "preact/hooks";
import type { Preset } from "../client";
import { isOriginal } from "../client/catalogue";
import { apply } from "./edits";
import { useCurrentGroup } from "./groups";
import { late } from "./later";
import { groupName, presetGroups, store, suggestions } from "./store";
import { lateStrings } from "./strings.late";
import { keyOf, pictureOf, Tile } from "./tile";
import { onTileKey } from "./tilekeys";

const words = lateStrings.presets;
const RECENT = "recent"; // the group of what was asked for lately; no model has a group of that name

const play = (prompt: string): void => void apply(prompt, { recent: false });

function Group({ name, children }: { name: string; children: preact.ComponentChildren }) {
  return (
    <section class="group" data-group={name} aria-label={groupName(name)}>
      <h2>{groupName(name)}</h2>
      {children}
    </section>
  );
}

function Tiles({ presets, withOriginal }: { presets: Preset[]; withOriginal: boolean }) {
  const wanted = store.pending.value?.prompt ?? store.applied.value?.prompt ?? "";
  // "undo", "back to normal"
  const original = wanted === "" || (!store.pending.value && isOriginal(store.applied.value?.reading));
  return (
    <div class="tiles">
      {withOriginal && (
        <Tile
          name="original"
          label={words.original}
          picture={store.sourceThumbnail.value}
          keyName="0"
          active={original}
          run={() => play("")}
        />
      )}
      {presets.map((preset) => (
        <Tile
          key={preset.name}
          name={preset.name}
          label={preset.label}
          picture={pictureOf(preset)}
          keyName={keyOf(preset)}
          active={wanted === preset.prompt}
          run={() => play(preset.prompt)}
        />
      ))}
    </div>
  );
}

function Recent() {
  return (
    <div class="chips">
      {store.recent.value.map((prompt) => (
        <button key={prompt} type="button" class="chip" title={prompt} onClick={() => void apply(prompt)}>
          {prompt}
        </button>
      ))}
    </div>
  );
}

function Gallery() {
  const nav = useRef<HTMLElement>(null);
  const groups = presetGroups.value;
  const names = groups.map(([group]) => group);
  if (store.recent.value.length > 0) names.push(RECENT);
  const [current, jump] = useCurrentGroup(nav, names);
  return (
    <>
      {names.length > 1 && (
        <nav ref={nav} class="groups" aria-label={words.groupsLabel}>
          {names.map((name) => (
            <button
              key={name}
              type="button"
              data-testid={`group-${name}`}
              aria-current={current === name}
              onClick={(event) => jump(name, event.detail === 0)}
            >
              {groupName(name)}
              {name !== RECENT && (
                <span class="count" aria-hidden="true">
                  {groups.find(([group]) => group === name)?.[1].length}
                </span>
              )}
            </button>
          ))}
        </nav>
      )}
      {groups.length === 0 && store.models.value.length > 0 && <p class="soft">{words.none}</p>}
      {groups.map(([group, presets], index) => (
        <Group key={group} name={group}>
          <Tiles presets={presets} withOriginal={index === 0} />
        </Group>
      ))}
      {store.recent.value.length > 0 && (
        <Group name={RECENT}>
          <Recent />
        </Group>
      )}
    </>
  );
}

export function Presets() {
  const { Matches } = late.value ?? {};
  const fitting = suggestions.value;
  return (
    <section class="presets" aria-label={words.title} data-testid="presets" onKeyDown={onTileKey}>
      {Matches && fitting.length > 0 ? <Matches presets={fitting} /> : <Gallery />}
    </section>
  );
}
