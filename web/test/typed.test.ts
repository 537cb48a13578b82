import assert from "node:assert/strict";
import { test } from "node:test";
import { store } from "../src/ui/store";
import { refused, sent, taken } from "../src/ui/typed";

test("what is refused is back in the box, once", () => {
  store.draft.value = "";
  sent("give the dog a hat");
  refused("give the dog a hat");
  assert.equal(store.draft.value, "give the dog a hat");
  store.draft.value = "";
  refused("give the dog a hat");
  assert.equal(store.draft.value, "");
});

test("what was typed since stays", () => {
  sent("give the dog a hat");
  store.draft.value = "make it n";
  refused("give the dog a hat");
  assert.equal(store.draft.value, "make it n");
});

test("what was not typed, and what was taken, does not come into the box", () => {
  store.draft.value = "";
  refused("of a tile");
  sent("make it night");
  refused("of a tile");
  taken("make it night");
  refused("make it night"); // asked for again by a slider
  assert.equal(store.draft.value, "");
});
