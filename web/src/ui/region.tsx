/** Where the edit applies: writes it into the sentence being typed, or asks again for the edit in force. */
import type { Reading, Region } from "../client";
import { apply } from "./edits";
import { Icon } from "./icons";
import { partName } from "./reading";
import { presetGroups, sentence, store } from "./store";
import { lateStrings } from "./strings.late";
import { canMove, inOneRegion, inRegion, isMixed, REGIONS, writtenRegion } from "./where";

const words = lateStrings.region;

interface Movable {
  /** Where it applies now. */
  now: Region | "mixed";
  /** It is being read: there is nothing to press yet. */
  busy: boolean;
  /** The same edits, in that place. */
  move: (region: Region) => string;
  write: (text: string) => void;
}

/** null where it has nothing to move. */
function moved(text: string, reading: Reading | null): Pick<Movable, "now" | "move"> | null {
  if (canMove(text, reading)) return { now: writtenRegion(text), move: (region) => inRegion(text, region) };
  if (!reading || !isMixed(reading)) return null;
  return { now: "mixed", move: (region) => inOneRegion(reading.parts, region, partName) };
}

/** What the switch is about; null while it has nothing to move. */
function movable(): Movable | null {
  // A model that knows a person from a room offers edits of the room.
  if (!presetGroups.value.some(([group]) => group === "room")) return null;
  const typed = sentence.value.trim();
  if (typed) {
    // While the words are being read it stays where it was, of the words before: nothing jumps letter by letter.
    const known = store.reading.value;
    const found = known && moved(known.text, known.reading);
    const write = (text: string): void => {
      store.chosen.value = -1;
      store.draft.value = text;
    };
    return found && { ...found, busy: known?.text !== typed, write };
  }
  const applied = store.applied.value;
  if (!applied || store.pending.value) return null;
  const found = moved(applied.prompt, applied.reading);
  return found && { ...found, busy: false, write: (text) => void apply(text) };
}

export function RegionSwitch() {
  const about = movable();
  if (!about) return null;
  const { now, busy } = about;
  const press = (region: Region): void => {
    if (region !== now) about.write(about.move(region));
  };
  return (
    <fieldset class="segmented where" disabled={busy}>
      <legend class="hidden">{words.label}</legend>
      {now === "mixed" && (
        <span class="soft mixed" data-testid="region-mixed" title={words.mixedHow}>
          {words.mixed}
        </span>
      )}
      {REGIONS.map((region) => (
        <button
          key={region}
          type="button"
          data-testid={`region-${region}`}
          aria-pressed={!busy && now === region}
          aria-label={now === "mixed" ? words.allTo(words.names[region]) : words.names[region]}
          title={now === "mixed" ? words.allTo(words.names[region]) : words.names[region]}
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
