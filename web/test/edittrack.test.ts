import assert from "node:assert/strict";
import { test } from "node:test";
import { EditTrack } from "../src/client/edittrack";
import { type EditAnswer, parseAnswer } from "../src/client/streamfacts";

const answer = (revision: number, prompt: string, understood = true): EditAnswer =>
  parseAnswer({ revision, prompt, label: prompt, understood });

test("an edit is pending until the server says it was applied, and took that long", () => {
  const track = new EditTrack();
  assert.equal(track.answered(answer(4, "snow"), 1_000, 1_020).pending?.prompt, "snow");
  const after = track.appliedUpTo(4, 1_150);
  assert.deepEqual([after.pending, after.applied?.prompt, after.tookMs], [null, "snow", 150]);
});

test("applied may be heard before the answer is", () => {
  const track = new EditTrack();
  track.appliedUpTo(4, 1_100);
  const after = track.answered(answer(4, "snow"), 1_000, 1_200);
  assert.deepEqual([after.pending, after.applied?.prompt, after.tookMs], [null, "snow", 200]);
});

test("edits from elsewhere are shown, without a time that nobody measured", () => {
  const track = new EditTrack();
  const first = track.look({ revision: 2, applied: 1, received: answer(2, "rain") }, 0);
  assert.deepEqual([first.applied, first.pending?.prompt], [null, "rain"]);
  const then = track.look({ revision: 2, applied: 2, received: answer(2, "rain") }, 9);
  assert.deepEqual([then.applied?.prompt, then.pending, then.tookMs], ["rain", null, null]);
});

test("what is not understood changes nothing", () => {
  const track = new EditTrack();
  track.look({ revision: 1, applied: 1, received: answer(1, "rain") }, 0);
  const after = track.look({ revision: 2, applied: 1, received: answer(2, "a hat", false) }, 1);
  assert.deepEqual([after.applied?.prompt, after.pending], ["rain", null]);
});

test("a restarted server counts anew", () => {
  const track = new EditTrack();
  track.look({ revision: 40, applied: 40, received: answer(40, "rain") }, 0);
  const after = track.look({ revision: 1, applied: 0, received: answer(1, "fog") }, 1);
  assert.equal(after.pending?.prompt, "fog");
});
