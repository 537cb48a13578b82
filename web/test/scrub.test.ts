import assert from "node:assert/strict";
import { test } from "node:test";
import { Pace } from "../src/ui/film/pace";
import { filled, moved, shareAt, thumbnailAt } from "../src/ui/film/scrub";
import { clock, filmStrings } from "../src/ui/strings.film";
import { filmEdits, placeEntry, type TimelineEntry } from "../src/ui/timeline";

const entry = (revision: number, prompt: string, atS: number, strength = 1): TimelineEntry => ({
  ...{ revision, prompt, label: "", strength, transitionMs: 400, seed: 0, atS, pts: 0, appliedMs: null },
});

test("keys move by five and thirty seconds and stay inside", () => {
  assert.equal(moved("ArrowRight", false, 10, 100), 15);
  assert.equal(moved("ArrowLeft", true, 10, 100), 0);
  assert.equal(moved("ArrowRight", true, 90, 100), 100);
  assert.equal(moved("Home", false, 90, 100), 0);
  assert.equal(moved("End", false, 0, 100), 100);
  assert.equal(moved("a", false, 0, 100), null);
});

test("a pointer outside the line is at its end", () => {
  assert.deepEqual(
    [shareAt(50, 0, 100), shareAt(-9, 0, 100), shareAt(300, 0, 100), shareAt(1, 0, 0)],
    [0.5, 0, 1, 0],
  );
});

test("the thumbnail is the last one before the place", () => {
  const sheet = { columns: 2, width: 160, height: 90, at: [0, 10, 20], image: "" };
  assert.deepEqual(thumbnailAt(sheet, 9.9), { x: 0, y: 0 });
  assert.deepEqual(thumbnailAt(sheet, 10), { x: 160, y: 0 });
  assert.deepEqual(thumbnailAt(sheet, 500), { x: 0, y: 90 });
  assert.equal(thumbnailAt({ ...sheet, at: [] }, 1), null);
});

test("rendered ranges are shares of the film, and none before its length is known", () => {
  assert.deepEqual(
    filled(
      [
        [0, 5],
        [8, 12],
      ],
      10,
    ),
    [
      [0, 50],
      [80, 20],
    ],
  );
  assert.deepEqual(filled([[0, 5]], 0), []);
});

test("edits lie where they were made; one in the place of another replaces it", () => {
  let entries = placeEntry([], entry(1, "snow", 0));
  entries = placeEntry(entries, entry(2, "rain", 30));
  entries = placeEntry(entries, entry(3, "night", 10));
  assert.deepEqual(
    entries.map(({ prompt }) => prompt),
    ["snow", "night", "rain"],
  );
  entries = placeEntry(entries, entry(4, "fog", 30.2));
  assert.deepEqual(
    entries.map(({ prompt }) => prompt),
    ["snow", "night", "fog"],
  );
});

test("a strength that is dragged stays one edit, at its first place", () => {
  let entries = placeEntry([], entry(1, "snow", 0));
  entries = placeEntry(entries, entry(2, "rain", 10));
  entries = placeEntry(entries, entry(3, "rain", 12, 0.4));
  entries = placeEntry(entries, entry(4, "rain", 13, 0.3));
  assert.deepEqual(
    entries.map(({ prompt, atS, strength }) => [prompt, atS, strength]),
    [
      ["snow", 0, 1],
      ["rain", 10, 0.3],
    ],
  );
});

test("what is rendered begins at the start, without a transition", () => {
  const edits = filmEdits([entry(1, "snow", 0.2), entry(2, "rain", 10.12345)]);
  assert.deepEqual(
    edits.map(({ at, transitionMs }) => [at, transitionMs]),
    [
      [0, 0],
      [10.123, 400],
    ],
  );
});

test("an upload's pace is that of the last seconds", () => {
  const pace = new Pace();
  assert.deepEqual([pace.bps, pace.left(100)], [0, null]);
  for (let s = 0; s <= 20; s += 1) pace.add(s * 1000, s < 10 ? s * 1000 : 10_000 + (s - 10) * 5000);
  assert.equal(pace.bps, 5000);
  assert.equal(pace.left(65_000), 1);
  pace.add(21_000, 100); // the server had less than was sent
  assert.equal(pace.bps, 0);
});

test("times and sizes are said in words", () => {
  assert.deepEqual([clock(75), clock(3675), clock(-1)], ["1:15", "1:01:15", "0:00"]);
  assert.equal(filmStrings.upload.running(0.348, 12_340_000, 80), "34 % · 12.3 MB/s · 1 min left");
  assert.equal(filmStrings.render.running(null, 0, null), "");
  assert.match(filmStrings.upload.tooLarge(3e9, 2e9), /3\.0 GB.*2\.0 GB/);
});
