/** The presets that fit what is being typed, each with the sentence that asks for it. Focus stays in the box. */
import { useEffect, useRef } from "preact/hooks";
import type { Preset } from "../client";
import { submit } from "./bar";
import { store } from "./store";
import { lateStrings } from "./strings.late";
import { pictureOf, Thumb } from "./tile";

const words = lateStrings.presets;

function Match({ preset, chosen }: { preset: Preset; chosen: boolean }) {
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (chosen) element.current?.scrollIntoView({ block: "nearest" });
  }, [chosen]);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the box's own keys work the list
    // biome-ignore lint/a11y/useFocusableInteractive: the box keeps the focus (aria-activedescendant)
    <div
      ref={element}
      id={`suggestion-${preset.name}`}
      class="match"
      role="option"
      aria-selected={chosen}
      data-testid={`preset-${preset.name}`}
      onPointerDown={(event) => event.preventDefault()}
      onClick={() => submit(preset.prompt)}
    >
      <Thumb picture={pictureOf(preset)} />
      <span class="words">
        <b>{preset.label}</b>
        <span class="soft">{preset.prompt}</span>
      </span>
    </div>
  );
}

export function Matches({ presets }: { presets: Preset[] }) {
  const reading = store.draftReading.value?.reading;
  const beyond = reading?.understood === false && reading.nearest.includes(presets[0]?.label ?? "");
  return (
    <div class="group">
      <h2 id="suggestions-title">{beyond ? words.nearest : words.fitting}</h2>
      <div id="suggestions" class="matches" role="listbox" aria-labelledby="suggestions-title">
        {presets.map((preset, index) => (
          <Match key={preset.name} preset={preset} chosen={index === store.chosen.value} />
        ))}
      </div>
    </div>
  );
}
