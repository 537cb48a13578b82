import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff } from "../src/client/backoff";

test("doubles up to its bound, never less than half of the step, and starts over", () => {
  const most = new Backoff(400, 5_000, () => 1);
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6].map(() => most.next()),
    [400, 800, 1600, 3200, 5000, 5000],
  );
  assert.equal(most.attempt, 6);
  most.reset();
  assert.equal(most.next(), 400);
  assert.equal(new Backoff(400, 5_000, () => 0).next(), 200);
});
