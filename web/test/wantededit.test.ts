import assert from "node:assert/strict";
import { test } from "node:test";
import { WantedEdit } from "../src/client/wantededit";

test("what an edit leaves out is as in the one before", () => {
  const wanted = new WantedEdit();
  wanted.ask("make it night", { strength: 0.5, transitionMs: 0, seed: 3 });
  const next = wanted.ask("pencil sketch", { strength: 0.8 });
  assert.deepEqual(next, {
    revision: 2,
    prompt: "pencil sketch",
    strength: 0.8,
    transitionMs: 0,
    seed: 3,
  });
});

test("after a reconnect the last edit that was understood is asked for again", () => {
  const wanted = new WantedEdit();
  const night = wanted.ask("make it night", {});
  wanted.received(night.revision, true, null);
  const hat = wanted.ask("give the dog a hat", {});
  wanted.received(hat.revision, false, null);
  assert.equal(wanted.now?.prompt, "make it night");
});

test("the answer to an edit that was overtaken changes nothing", () => {
  const wanted = new WantedEdit();
  const first = wanted.ask("make it night", {});
  wanted.ask("pencil sketch", {});
  wanted.received(first.revision, false, null);
  assert.equal(wanted.now?.prompt, "pencil sketch");
});

test("after undo the edit before is what is asked for again", () => {
  const wanted = new WantedEdit();
  wanted.ask("make it night", {});
  const undo = wanted.ask("undo that", {});
  wanted.received(undo.revision, true, { prompt: "make it night", strength: 0.4, seed: 1 });
  assert.deepEqual([wanted.now?.prompt, wanted.now?.strength], ["make it night", 0.4]);
});
