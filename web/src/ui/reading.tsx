/** What a sentence is taken for: each edit with its amount, place and colours; how sure; what lies near. */
import type { Part, Reading } from "../client";
import { isOriginal } from "../client/catalogue";
import { Icon } from "./icons";
import { presetNamed } from "./store";
import { lateStrings } from "./strings.late";
import { UNSURE } from "./suggest";

const words = lateStrings.reading;
const MAX_NEAREST = 3;

export const partName = (name: string): string => presetNamed.value.get(name)?.label ?? words.nameless(name);

/** An open-ended model takes every sentence as it stands: there is nothing it could be sure of. */
const asItStands = ({ understood, parts, label }: Reading): boolean =>
  understood && parts.length === 0 && label !== "" && label !== "original" && label !== "the edit before";

/** What was asked for and does not go with the rest. */
const leftOutOf = ({ leftOut }: Reading): string =>
  leftOut.length > 0 ? words.leftOut(leftOut.join(", ")) : "";

/** The reading as a sentence, for those who hear the page. */
export function spoken(reading: Reading): string {
  const nearest = reading.nearest.slice(0, MAX_NEAREST);
  if (!reading.understood) return reading.note || words.spokenUnknown(nearest);
  if (asItStands(reading)) return words.spokenAsItStands(reading.label);
  const named = reading.label && !isOriginal(reading) ? [reading.label] : [];
  const parts = reading.parts.length
    ? reading.parts.map((part) =>
        words.spokenPart(partName(part.name), part.amount, part.region, part.colours),
      )
    : named;
  return words.spoken(
    parts,
    leftOutOf(reading),
    reading.confidence,
    reading.confidence < UNSURE ? nearest : [],
  );
}

/** A colour's own word is its name in CSS too; what CSS does not know stays a word. */
function Swatches({ colours }: { colours: string[] }) {
  return (
    <span class="swatches">
      {colours.map((colour, index) => (
        <span key={colour}>
          {index > 0 && <span aria-hidden="true">→</span>}
          {CSS.supports("color", colour) ? (
            <span class="swatch" style={{ background: colour }} title={colour} />
          ) : (
            colour
          )}
        </span>
      ))}
    </span>
  );
}

function PartChip({ part }: { part: Part }) {
  const { name, amount, region, colours } = part;
  return (
    <span class="part" data-part={name} data-region={region}>
      {partName(name)}
      {amount < 0.995 && <span class="amount">{words.amount(amount)}</span>}
      {colours.length > 0 && <Swatches colours={colours} />}
      {region !== "everywhere" && (
        <span class="region">
          <Icon name={region} />
          <span>{words.regions[region]}</span>
        </span>
      )}
    </span>
  );
}

export function PartChips({ reading }: { reading: Reading }) {
  const leftOut = leftOutOf(reading);
  return (
    <>
      {reading.parts.map((part, index) => (
        <PartChip key={`${part.name}${index}`} part={part} />
      ))}
      {leftOut && (
        <span class="left-out" data-testid="left-out">
          {leftOut}
        </span>
      )}
    </>
  );
}

/** `run` gets the label of the alternative that was pressed. */
export function ReadingLine({ reading, run }: { reading: Reading; run: (label: string) => void }) {
  const { understood, confidence, parts, nearest, label, note } = reading;
  return (
    <>
      {understood ? (
        <>
          <span class="soft taken-for">{words.takenFor}</span>
          {parts.length > 0 ? <PartChips reading={reading} /> : <b>{label || words.nothing}</b>}
          {!asItStands(reading) && (
            <span class="sure">
              <meter min={0} max={1} low={UNSURE} optimum={1} value={confidence} aria-hidden="true" />
              {words.sure(confidence)}
            </span>
          )}
        </>
      ) : (
        <span class="unsure">{note || words.unknown}</span>
      )}
      {understood && note && <span class="soft">{note}</span>}
      {(!understood || confidence < UNSURE) && nearest.length > 0 && (
        <span class="nearest">
          <span class="soft">{understood ? words.or : words.nearest}</span>
          {nearest.slice(0, MAX_NEAREST).map((name) => (
            <button key={name} type="button" class="chip" data-testid="nearest" onClick={() => run(name)}>
              {name}
            </button>
          ))}
        </span>
      )}
    </>
  );
}
