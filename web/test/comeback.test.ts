import assert from "node:assert/strict";
import { test } from "node:test";
import { type Ended, nextAttempt } from "../src/client/comeback";
import { Refusal } from "../src/client/refusal";

const lost: Ended = { refusal: null, film: false, unseen: false };
const next = (ended: Partial<Ended>) => nextAttempt({ ...lost, ...ended }, () => 400);

test("a lost connection is tried again after a pause, a full server when it says", () => {
  assert.deepEqual(next({}), { state: "reconnecting", retryInMs: 400 });
  assert.deepEqual(next({ refusal: new Refusal("unreachable", "away") }), {
    state: "reconnecting",
    retryInMs: 400,
  });
  assert.deepEqual(next({ refusal: new Refusal("full", "no place", "", 503, 9) }), {
    state: "waiting",
    retryInMs: 9_000,
  });
  assert.equal(next({ refusal: new Refusal("full", "no place") }).retryInMs, 5_000);
});

test("where asking again is no use it is not", () => {
  for (const kind of ["codec", "model", "refused"] as const) {
    assert.deepEqual(next({ refusal: new Refusal(kind, "no") }), { state: "refused", retryInMs: null });
  }
  const gone = new Refusal("gone", "deleted", "", 404);
  assert.equal(next({ refusal: gone, film: true }).state, "refused");
  assert.equal(next({ refusal: gone }).state, "reconnecting"); // the session's own address
});

test("who was put out of a long pause takes no place again until somebody asks for something", () => {
  const refusal = new Refusal("paused", "another visitor wanted this place");
  for (const film of [true, false]) {
    assert.deepEqual(next({ refusal, film }), { state: "waiting", retryInMs: null });
  }
});

test("a page that nobody sees waits until somebody does", () => {
  assert.deepEqual(next({ unseen: true }), { state: "waiting", retryInMs: null });
});
