import assert from "node:assert/strict";
import { test } from "node:test";
import { NOTHING, readTab, readTimeline, takesUp, writeTab, writeTimeline } from "../src/ui/tabrecord";

const overStorage = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

test("what a tab kept is what it reads", () => {
  const tab = { prompt: "snow, only on me", strength: 0.35, model: "nano", film: "f1", at: 12.5 };
  assert.deepEqual(readTab(overStorage(writeTab(tab))), tab);
  const original = { ...tab, prompt: "" }; // the source as it is was asked for, which is not nothing
  assert.deepEqual(readTab(overStorage(writeTab(original))), original);
  assert.deepEqual(readTab(overStorage(writeTab(NOTHING))), NOTHING);
});

test("of anything else only what can be asked for is read", () => {
  for (const other of [null, "snow", 7, [], {}, { version: 2, prompt: "snow" }]) {
    assert.deepEqual(readTab(other), NOTHING);
  }
  const bent = { version: 1, prompt: "x".repeat(9_000), strength: 7, model: 3, film: null, at: -4 };
  const read = readTab(bent);
  assert.equal(read.prompt?.length, 2_000);
  assert.deepEqual({ ...read, prompt: "" }, { prompt: "", strength: 1, model: "", film: "", at: 0 });
});

test("a link with wishes of its own begins anew, a reload does not", () => {
  const asks = new URLSearchParams("prompt=night");
  assert.equal(takesUp("navigate", asks), false);
  assert.equal(takesUp("navigate", new URLSearchParams("model=nano")), false);
  assert.equal(takesUp("navigate", new URLSearchParams("autostart=0")), true);
  assert.equal(takesUp("reload", asks), true);
  assert.equal(takesUp("back_forward", asks), true);
});

test("a film's edits are counted anew, the latest as -1; another film has none of them", () => {
  const edit = { label: "", strength: 1, transitionMs: 400, seed: 0, pts: 0, appliedMs: null };
  const edits = [
    { ...edit, revision: 7, prompt: "snow", atS: 0 },
    { ...edit, revision: 4, prompt: "fog", atS: 9.5 },
  ];
  const kept = overStorage(writeTimeline("f1", edits));
  assert.deepEqual(readTimeline(kept, "f1"), [
    { ...edits[0], revision: -1 },
    { ...edits[1], revision: -2 },
  ]);
  assert.deepEqual(readTimeline(kept, "f2"), []);
  assert.deepEqual(readTimeline(null, "f1"), []);
  const many = Array.from({ length: 500 }, (_, revision) => ({
    ...edit,
    revision,
    prompt: "x",
    atS: revision,
  }));
  assert.equal(readTimeline(overStorage(writeTimeline("f1", many)), "f1").length, 200);
});
