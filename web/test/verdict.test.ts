import assert from "node:assert/strict";
import { test } from "node:test";
import type { StatsEvent } from "../src/client";
import { judge, limitIn } from "../src/ui/verdict";

interface Scene {
  in: number;
  out: number;
  shown: number;
  sent?: number;
  glassMs?: number;
  serverMs?: number;
  loss?: number;
  limitedBy?: StatsEvent["transport"]["limitedBy"];
  rttMs?: number;
}

function scene({
  in: fpsIn,
  out: fpsOut,
  shown,
  sent = 25,
  glassMs = 80,
  serverMs = 30,
  loss = 0,
  limitedBy = "none",
  rttMs = 5,
}: Scene): StatsEvent {
  const latency = { p50Ms: serverMs, p95Ms: serverMs * 2 };
  return {
    server: { fpsIn, fpsOut, latency, edit: latency } as StatsEvent["server"],
    transport: {
      sendFps: sent,
      receiveFps: shown,
      rttMs,
      lossIn: loss,
      lossOut: 0,
      frozenS: 0,
      limitedBy,
    } as StatsEvent["transport"],
    glass: { p50Ms: glassMs, p95Ms: glassMs * 2, measured: true },
  };
}

test("good needs no reason", () => {
  assert.deepEqual(judge(scene({ in: 25, out: 25, shown: 25 })), { word: "good", limit: null });
});

test("frames that go in and do not come out are the model's", () => {
  assert.deepEqual(judge(scene({ in: 25, out: 14, shown: 14 })), { word: "fair", limit: "model" });
  assert.deepEqual(judge(scene({ in: 25, out: 6, shown: 6 })), { word: "poor", limit: "model" });
});

test("a camera that gives ten frames is the camera's", () => {
  assert.deepEqual(judge(scene({ in: 10, out: 10, shown: 10, sent: 10 })), { word: "poor", limit: "camera" });
});

test("loss and a narrow way are the network's", () => {
  assert.deepEqual(judge(scene({ in: 25, out: 25, shown: 25, loss: 0.05 })), {
    word: "fair",
    limit: "network",
  });
  const narrow = scene({ in: 14, out: 14, shown: 14, sent: 14, limitedBy: "bandwidth" });
  assert.deepEqual(judge(narrow), { word: "fair", limit: "network" });
});

test("over a sound network, frames the server does not take in are the model's, frames not shown the browser's", () => {
  assert.equal(judge(scene({ in: 14, out: 14, shown: 14, sent: 25 }))?.limit, "model");
  assert.equal(judge(scene({ in: 25, out: 25, shown: 14 }))?.limit, "browser");
  assert.equal(judge(scene({ in: 14, out: 14, shown: 14, sent: 14, limitedBy: "cpu" }))?.limit, "browser");
});

test("a late picture is put where the time goes", () => {
  const late = { in: 25, out: 25, shown: 25, glassMs: 400 };
  assert.equal(judge(scene({ ...late, serverMs: 350 }))?.limit, "model");
  assert.equal(judge(scene({ ...late }))?.limit, "browser");
  assert.equal(judge(scene({ ...late, rttMs: 290 }))?.limit, "network");
});

test("what holds back is called by what plays", () => {
  assert.equal(limitIn("camera", "sample"), "sample");
  assert.equal(limitIn("camera", "camera"), "camera");
  assert.equal(limitIn("network", "video"), "network");
});

test("nothing measured, nothing said", () => {
  const empty = { ...scene({ in: 0, out: 0, shown: 0 }), server: null, glass: null };
  assert.equal(judge(empty), null);
});
