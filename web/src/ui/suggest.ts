/** Which presets fit what is being typed: by the model's own reading of it, and by words. Pure. */
import type { Preset, Reading } from "../client";

export const UNSURE = 0.75; // below this a reading is shown with its alternatives, where the model names some
const MAX_SUGGESTIONS = 10;
const WORTH = 0.45; // of the best one's score: what fits less is in the way
const MIN_LETTERS = 2;
const MIN_LETTERS_MISSPELT = 5; // shorter words one letter apart are mostly other words

// Words that say nothing of which edit is meant.
const EMPTY_WORDS = new Set(
  "a all an and as at be but by can do for from give i in into is it like look looks make me my of on please some style that the this to turn us want with you your".split(
    " ",
  ),
);

function wordsOf(text: string): string[] {
  const plain = text.toLowerCase().normalize("NFD").replace(/\p{M}/gu, "");
  return plain.match(/[\p{L}\p{N}]+/gu) ?? [];
}

/** One letter too many, too few, or another: "watercolor". */
function isMisspelt(a: string, b: string): boolean {
  if (Math.min(a.length, b.length) < MIN_LETTERS_MISSPELT || Math.abs(a.length - b.length) > 1) return false;
  let at = 0;
  while (at < a.length && a[at] === b[at]) at += 1;
  const [restA, restB] = [a.slice(at), b.slice(at)];
  return restA.slice(1) === restB || restA === restB.slice(1) || restA.slice(1) === restB.slice(1);
}

function fit(word: string, candidates: string[]): number {
  let best = 0;
  for (const candidate of candidates) {
    if (candidate === word) return 1;
    if (candidate.startsWith(word)) best = Math.max(best, 0.8);
    else if (isMisspelt(word, candidate)) best = Math.max(best, 0.6);
  }
  return best;
}

/** 0 where no word fits; each fitting word counts more than any quality of one fit. */
function scoreOf(preset: Preset, words: string[], groupName: string): number {
  const label = wordsOf(preset.label);
  const prompt = wordsOf(preset.prompt).filter((word) => !EMPTY_WORDS.has(word));
  const group = wordsOf(groupName);
  let score = 0;
  let covered = 0; // words of the label that were typed: "night" means Night before Starry night
  for (const word of words) {
    const inLabel = fit(word, label);
    const best = Math.max(inLabel, fit(word, prompt) * 0.7, fit(word, group) * 0.4);
    if (best > 0) score += 1 + best;
    if (inLabel > 0) covered += 1;
  }
  return score + (covered / Math.max(1, label.length)) * 0.5;
}

/** Best first. Empty while the words fit nothing: then nothing is to be hidden either. */
export function suggest(
  draft: string,
  presets: Preset[],
  reading: Reading | null,
  groupName: (group: string) => string = (group) => group,
): Preset[] {
  const words = wordsOf(draft).filter((word) => word.length >= MIN_LETTERS && !EMPTY_WORDS.has(word));
  if (!draft.trim() || (words.length === 0 && !reading)) return [];
  const understood = reading?.understood ? reading : null;
  const meant = new Set(understood?.parts.map(({ name }) => name));
  const near = new Map(
    understood && understood.confidence >= UNSURE ? [] : reading?.nearest.map((label, rank) => [label, rank]),
  );
  const scored = presets.map((preset, order) => {
    const rank = near.get(preset.label);
    const score =
      scoreOf(preset, words, groupName(preset.group)) +
      (meant.has(preset.name) ? 3 : 0) +
      (preset.prompt === draft.trim() ? 9 : 0) +
      (rank === undefined ? 0 : Math.max(0.5, 1 - rank / 10));
    return { preset, score, order };
  });
  const best = Math.max(0, ...scored.map(({ score }) => score));
  return scored
    .filter(({ score }) => score > 0 && score >= WORTH * best)
    .sort((a, b) => b.score - a.score || a.order - b.order)
    .slice(0, MAX_SUGGESTIONS)
    .map(({ preset }) => preset);
}
