import assert from "node:assert/strict";
import { test } from "node:test";
import { GlassMeter } from "../src/client/glass";

const TICKS = 90 * 40; // 25 fps

test("latency is what lies between capture and presentation, whatever the encoder's jitter", () => {
  const meter = new GlassMeter();
  meter.encodeMs = 5;
  for (let i = 0; i < 50; i += 1) {
    const capturedMs = 1_000 + i * 40;
    meter.sent(777 + i * TICKS, capturedMs + 5 + (i % 3) * 4); // encoded 5, 9 or 13 ms after capture
    assert.equal(meter.presented(777 + i * TICKS, capturedMs + 80), 80);
  }
  const spread = meter.read(3_000);
  assert.equal(spread?.p50Ms, 80);
  assert.equal(spread?.p95Ms, 80);
});

test("follows the timestamp across its 32-bit wrap", () => {
  const meter = new GlassMeter();
  const start = 0xffff_ffff - 2 * TICKS;
  for (let i = 0; i < 6; i += 1) {
    const rtp = (start + i * TICKS) >>> 0;
    meter.sent(rtp, 100 + i * 40);
    assert.equal(meter.presented(rtp, 100 + i * 40 + 60), 60);
  }
});

test("a frame that was not seen sent has no latency", () => {
  const meter = new GlassMeter();
  meter.sent(90_000, 10);
  assert.equal(meter.presented(93_600, 100), null);
  assert.equal(meter.read(100), null);
});

test("forgets frames beyond its bound", () => {
  const meter = new GlassMeter();
  for (let i = 0; i < 2_000; i += 1) meter.sent(i * TICKS, i * 40);
  assert.equal(meter.capturedAt(0), null);
  assert.equal(meter.capturedAt(1_999 * TICKS), 1_999 * 40);
});
