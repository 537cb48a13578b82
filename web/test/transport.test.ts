import assert from "node:assert/strict";
import { test } from "node:test";
import { TransportReader } from "../src/client/transport";

const reports = (timestamp: number, n: number) => [
  {
    id: "o",
    type: "outbound-rtp",
    kind: "video",
    timestamp,
    framesSent: 25 * n,
    bytesSent: 125_000 * n,
    framesEncoded: 25 * n,
    totalEncodeTime: 0.1 * n,
    frameWidth: 640,
    frameHeight: 360,
    qualityLimitationReason: "cpu",
  },
  {
    id: "i",
    type: "inbound-rtp",
    kind: "video",
    timestamp,
    framesDecoded: 20 * n,
    bytesReceived: 250_000 * n,
    totalDecodeTime: 0.04 * n,
    jitterBufferDelay: 0.2 * n,
    jitterBufferEmittedCount: 20 * n,
    packetsReceived: 95 * n,
    packetsLost: 5 * n,
    codecId: "c",
    frameWidth: 640,
    frameHeight: 360,
  },
  { id: "c", type: "codec", timestamp, mimeType: "video/H264" },
  {
    id: "p",
    type: "candidate-pair",
    timestamp,
    nominated: true,
    state: "succeeded",
    currentRoundTripTime: 0.03,
  },
];

test("rates are over the time between two reports", () => {
  const reader = new TransportReader();
  assert.equal(reader.read(reports(1_000, 1)).receiveFps, 0); // one look is no rate
  const stats = reader.read(reports(3_000, 3));
  assert.equal(stats.sendFps, 25);
  assert.equal(stats.receiveFps, 20);
  assert.equal(stats.sendBps, 1_000_000);
  assert.equal(stats.receiveBps, 2_000_000);
  assert.equal(stats.lossIn, 0.05);
  assert.equal(stats.rttMs, 30);
  assert.ok(Math.abs(stats.encodeMs - 4) < 1e-9);
  assert.ok(Math.abs(stats.decodeMs - 2) < 1e-9);
  assert.ok(Math.abs(stats.jitterBufferMs - 10) < 1e-9);
  assert.equal(stats.limitedBy, "cpu");
  assert.equal(stats.codec, "H264");
});

test("a browser that reports nothing gives zeros, not NaN", () => {
  const stats = new TransportReader().read([]);
  for (const value of Object.values(stats)) assert.ok(typeof value === "string" || value === 0);
});
