/** Where an instruction applies, as words at its end: what the region switch writes and takes back. Pure. */
import type { Part, Reading, Region } from "../client";

export const REGIONS: Region[] = ["everywhere", "background", "person"];

const ENDINGS: Record<Exclude<Region, "everywhere">, string> = {
  background: ", only in the background",
  person: ", only on me",
};

function ending(sentence: string): { bare: string; region: Region } {
  for (const region of ["background", "person"] as const) {
    if (sentence.endsWith(ENDINGS[region]))
      return { bare: sentence.slice(0, -ENDINGS[region].length), region };
  }
  return { bare: sentence, region: "everywhere" };
}

/** The region the switch has written into it. */
export const writtenRegion = (sentence: string): Region => ending(sentence.trim()).region;

/** The same sentence for another region. */
export function inRegion(sentence: string, region: Region): string {
  const { bare } = ending(sentence.trim());
  return region === "everywhere" ? bare : bare + ENDINGS[region];
}

/** Not where the sentence says already in its own words where it applies, nor where nothing was understood. */
export function canMove(sentence: string, reading: Reading | null): boolean {
  if (!reading?.understood || reading.parts.length === 0) return false;
  return (
    writtenRegion(sentence) !== "everywhere" || reading.parts.every((part) => part.region === "everywhere")
  );
}

/** Its edits lie in different places: the sentence says of each where. */
export const isMixed = (reading: Reading | null): boolean =>
  reading?.understood === true && new Set(reading.parts.map(({ region }) => region)).size > 1;

const colouredPart = (name: string, [found, becomes]: string[]): string =>
  becomes ? `turn the ${found} things ${becomes}` : `${found} ${name}`;

/** The same edits, all of them in one place: said anew, as a sentence's own words of places outweigh its end. */
export function inOneRegion(parts: Part[], region: Region, nameOf: (part: string) => string): string {
  const said = parts.map(({ name, amount, colours }) => {
    const called = nameOf(name).toLowerCase();
    if (colours.length > 0) return colouredPart(called, colours);
    return amount < 0.995 ? `${Math.round(amount * 100)}% ${called}` : called;
  });
  return inRegion(said.join(", "), region);
}
