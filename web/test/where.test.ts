import assert from "node:assert/strict";
import { test } from "node:test";
import type { Reading, Region } from "../src/client";
import { canMove, inOneRegion, inRegion, isMixed, REGIONS, writtenRegion } from "../src/ui/where";

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

test("edits in different places go to one", () => {
  assert.equal(isMixed(reading("everywhere", "person")), true);
  assert.equal(isMixed(reading("background", "background")), false);
  assert.equal(isMixed({ ...reading("everywhere", "person"), understood: false }), false);
  const parts = [
    { name: "snow", amount: 0.5, region: "everywhere" as const, colours: [] },
    { name: "black_and_white", amount: 1, region: "person" as const, colours: [] },
    { name: "recolour", amount: 1, region: "background" as const, colours: ["red", "blue"] },
  ];
  const named = (name: string): string => name.replaceAll("_", " ");
  const bare = "50% snow, black and white, turn the red things blue";
  assert.equal(inOneRegion(parts, "everywhere", named), bare);
  assert.equal(inOneRegion(parts, "person", named), `${bare}, only on me`);
});
