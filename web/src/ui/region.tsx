/** Where the edit applies: writes it into the sentence being typed, or asks again for the edit in force. */
import type { Region } from "../client";
import { apply } from "./edits";
import { Icon } from "./icons";
import { presetGroups, sentence, store } from "./store";
import { lateStrings } from "./strings.late";
import { canMove, inRegion, REGIONS, writtenRegion } from "./where";

const words = lateStrings.region;

interface Movable {
  text: string;
  write: (text: string) => void;
}

/** The sentence the switch is about; null while it has nothing to move. */
function movable(): Movable | null {
  // A model that knows a person from a room offers edits of the room.
  if (!presetGroups.value.some(([group]) => group === "room")) return null;
  const typed = sentence.value.trim();
  if (typed) {
    const { reading } = store;
    const known = reading.value?.text === typed ? reading.value.reading : null;
    if (!canMove(typed, known)) return null;
    const write = (text: string): void => {
      store.chosen.value = -1;
      store.draft.value = text;
    };
    return { text: typed, write };
  }
  const applied = store.applied.value;
  if (!applied || store.pending.value || !canMove(applied.prompt, applied.reading)) return null;
  return { text: applied.prompt, write: (text) => void apply(text) };
}

export function RegionSwitch() {
  const about = movable();
  if (!about) return null;
  const now = writtenRegion(about.text);
  const press = (region: Region): void => {
    if (region !== now) about.write(inRegion(about.text, region));
  };
  return (
    <fieldset class="segmented where">
      <legend class="hidden">{words.label}</legend>
      {REGIONS.map((region) => (
        <button
          key={region}
          type="button"
          data-testid={`region-${region}`}
          aria-pressed={now === region}
          aria-label={words.names[region]}
          title={words.names[region]}
          onPointerDown={(event) => event.preventDefault()}
          onClick={() => press(region)}
        >
          <Icon name={region} />
          <span>{words.names[region]}</span>
        </button>
      ))}
    </fieldset>
  );
}
