import assert from "node:assert/strict";
import { test } from "node:test";
import type { Preset, Reading } from "../src/client";
import { suggest } from "../src/ui/suggest";

const preset = (name: string, label: string, prompt: string, group: string): Preset => ({
  name,
  label,
  prompt,
  group,
});

const PRESETS = [
  preset("starry_night", "Starry night", "paint it like Van Gogh's Starry Night", "art"),
  preset("watercolour", "Watercolour", "turn it into a watercolour", "art"),
  preset("night", "Night", "make it night", "looks"),
  preset("vintage_film", "Vintage film", "faded vintage film", "looks"),
  preset("snow", "Snow", "make it snow", "weather"),
  preset("fog", "Fog", "add thick fog", "weather"),
];

const reading = (change: Partial<Reading>): Reading => ({
  label: "",
  parts: [],
  confidence: 0.9,
  nearest: [],
  leftOut: [],
  note: "",
  understood: true,
  ...change,
});
const part = (name: string) => ({ name, amount: 1, region: "everywhere" as const, colours: [] });
const named = (draft: string, read: Reading | null = null): string[] =>
  suggest(draft, PRESETS, read, (group) => (group === "weather" ? "Weather" : group)).map(({ name }) => name);

test("by the beginning of a word, labels before sentences", () => {
  assert.deepEqual(named("nig"), ["night", "starry_night"]);
  assert.deepEqual(named("night"), ["night", "starry_night"]);
  assert.deepEqual(named("vint"), ["vintage_film"]);
  assert.deepEqual(named("van gogh"), ["starry_night"]);
});

test("a group's name brings its presets", () => {
  assert.deepEqual(named("weather"), ["snow", "fog"]);
});

test("one letter off, and any accents", () => {
  assert.deepEqual(named("watercolor"), ["watercolour"]);
  assert.deepEqual(named("Wätercolour"), ["watercolour"]);
  assert.deepEqual(named("fig"), []);
});

test("words that say nothing hide nothing", () => {
  for (const draft of ["", "  ", "make it", "a", "please turn this into"])
    assert.deepEqual(named(draft), [], draft);
});

test("what the model understood comes first, whatever the words", () => {
  assert.deepEqual(named("like grandmother's films", reading({ parts: [part("vintage_film")] })), [
    "vintage_film",
  ]);
  assert.equal(named("night", reading({ parts: [part("night")] }))[0], "night");
});

test("the nearest in their order where nothing was understood, and where it is unsure", () => {
  const nearest = ["Fog", "Snow"];
  assert.deepEqual(named("steam", reading({ understood: false, nearest })), ["fog", "snow"]);
  assert.ok(named("steam", reading({ confidence: 0.4, parts: [part("night")], nearest })).includes("night"));
  assert.deepEqual(named("steam", reading({ nearest })), []);
});

test("a preset's own sentence brings that preset first", () => {
  assert.equal(named("make it snow")[0], "snow");
});

test("any text at all", () => {
  for (const draft of ["(", "\\", "🙂", "a".repeat(2_000), "日本", "-- ''"])
    assert.deepEqual(named(draft), [], draft);
});
