/** Where an instruction applies, as words at its end: what the region switch writes and takes back. Pure. */
import type { Reading, Region } from "../client";

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
