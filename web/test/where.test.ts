import assert from "node:assert/strict";
import { test } from "node:test";
import type { Reading, Region } from "../src/client";
import { canMove, inRegion, REGIONS, writtenRegion } from "../src/ui/where";

const reading = (...regions: Region[]): Reading => ({
  label: "",
  parts: regions.map((region) => ({ name: "night", amount: 1, region, colours: [] })),
  confidence: 1,
  nearest: [],
  leftOut: [],
  note: "",
  understood: true,
});

test("a sentence goes to every region and back", () => {
  for (const region of REGIONS) {
    const moved = inRegion("make it night ", region);
    assert.equal(writtenRegion(moved), region);
    for (const next of REGIONS) assert.equal(inRegion(moved, next), inRegion("make it night", next));
  }
});

test("what says by itself where it applies is left alone", () => {
  assert.equal(canMove("make the background night", reading("background")), false);
  assert.equal(canMove("snow, with me in grey", reading("everywhere", "person")), false);
});

test("what can be moved", () => {
  assert.equal(canMove("make it night", reading("everywhere")), true);
  assert.equal(canMove(inRegion("make it night", "person"), reading("person")), true);
  assert.equal(canMove("back to normal", reading()), false);
  assert.equal(canMove("a fire engine", { ...reading("everywhere"), understood: false }), false);
  assert.equal(canMove("make it night", null), false);
});
