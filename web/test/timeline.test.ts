import assert from "node:assert/strict";
import { test } from "node:test";
import {
  appendEntry,
  clockTime,
  markShown,
  mergeStrengths,
  type TimelineEntry,
  timelineJson,
} from "../src/ui/timeline";

const entry = (revision: number, prompt: string, strength = 1): TimelineEntry => ({
  revision,
  prompt,
  label: prompt,
  strength,
  transitionMs: 400,
  seed: 0,
  atS: revision,
  pts: revision * 90_000,
  appliedMs: null,
});

test("a strength dragged under the same words is one entry of the strip, at its first moment", () => {
  const entries = [entry(1, "night"), entry(2, "night", 0.4), entry(3, "rain"), entry(4, "night")];
  const merged = mergeStrengths(entries);
  assert.deepEqual(
    merged.map(({ prompt }) => prompt),
    ["night", "rain", "night"],
  );
  assert.deepEqual([merged[0]?.atS, merged[0]?.strength, merged[0]?.revision], [1, 0.4, 2]);
});

test("the measured time is noted once", () => {
  const entries = markShown([entry(1, "night"), entry(2, "rain")], 2, 90);
  assert.deepEqual(
    entries.map(({ appliedMs }) => appliedMs),
    [null, 90],
  );
  assert.equal(markShown(entries, 2, 500)[1]?.appliedMs, 90);
});

test("is bounded", () => {
  let entries: TimelineEntry[] = [];
  for (let i = 0; i < 2_300; i += 1) entries = appendEntry(entries, entry(i, `edit ${i}`));
  assert.equal(entries.length, 2_000);
  assert.equal(entries.at(-1)?.revision, 2_299);
});

test("downloads as the JSON that is rendered again, with no field beyond", () => {
  const edits = [entry(0, "night"), entry(2, "rain", 0.123)];
  assert.deepEqual(JSON.parse(timelineJson(edits, "nano")), {
    version: 1,
    model: "nano",
    edits: [
      { at: 0, prompt: "night", strength: 1, transitionMs: 0, seed: 0 },
      { at: 2, prompt: "rain", strength: 0.123, transitionMs: 400, seed: 0 },
    ],
  });
  assert.equal(clockTime(75.9), "1:15");
});
