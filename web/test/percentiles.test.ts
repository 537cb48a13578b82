import assert from "node:assert/strict";
import { test } from "node:test";
import { Percentiles } from "../src/client/percentiles";

test("median and 95th of the window, older samples gone", () => {
  const percentiles = new Percentiles(1_000);
  percentiles.add(0, 9_999);
  for (let value = 1; value <= 100; value += 1) percentiles.add(1_500, value);
  assert.deepEqual(percentiles.read(2_000), { p50Ms: 51, p95Ms: 96, samples: 100 });
  assert.equal(percentiles.read(9_000), null);
});

test("holds a bounded number of samples", () => {
  const percentiles = new Percentiles();
  for (let i = 0; i < 5_000; i += 1) percentiles.add(0, i);
  assert.ok((percentiles.read(0)?.samples ?? 0) <= 512);
});
