import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig, parseModels, parseReading } from "../src/client/catalogue";

test("models as the server lists them", () => {
  const [model] = parseModels({
    models: [
      {
        name: "nano",
        title: "Nano",
        maxSize: [1280, 720],
        why: "it was measured",
        framesPerChunk: 4,
        note: "random weights",
        presets: [{ name: "night", label: "Night", prompt: "make it night", group: "weather" }],
      },
    ],
  });
  assert.equal(model?.maxHeight, 720);
  assert.equal(model?.why, "it was measured");
  assert.equal(model?.framesPerChunk, 4);
  assert.equal(model?.note, "random weights");
  assert.deepEqual(model?.presets, [
    { name: "night", label: "Night", prompt: "make it night", group: "weather" },
  ]);
});

test("nonsense becomes nothing, not an exception", () => {
  for (const nonsense of [null, 3, "x", [], {}, { models: "no" }]) {
    assert.deepEqual(parseModels(nonsense), []);
    assert.equal(parseConfig(nonsense).model, "");
    assert.equal(parseReading(nonsense).understood, true);
  }
});

test("a reading, of GET /understand and of `received`", () => {
  const reading = parseReading({
    label: "night",
    parts: [
      { name: "night", amount: 0.5 },
      { name: "recolour", amount: 1, region: "person", colours: ["red", "blue"] },
      { name: "fog", region: "nowhere", colours: ["", 3] },
      "nonsense",
    ],
    confidence: 0.9,
    nearest: ["dusk"],
    leftOut: ["fog"],
    note: "already at its strongest",
    understood: false,
  });
  assert.deepEqual(reading, {
    label: "night",
    parts: [
      { name: "night", amount: 0.5, region: "everywhere", colours: [] },
      { name: "recolour", amount: 1, region: "person", colours: ["red", "blue"] },
      { name: "fog", amount: 1, region: "everywhere", colours: [] },
      { name: "", amount: 1, region: "everywhere", colours: [] },
    ],
    confidence: 0.9,
    nearest: ["dusk"],
    leftOut: ["fog"],
    note: "already at its strongest",
    understood: false,
  });
});
