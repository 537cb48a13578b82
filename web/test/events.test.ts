import assert from "node:assert/strict";
import { test } from "node:test";
import { EventParser } from "../src/client/events";

const TEXT = ': a comment\nevent: facts\ndata: {"a":\ndata: 1}\nid: 4\n\ndata:plain\r\n\r\nevent: empty\n\n';
const EVENTS = [
  { name: "facts", data: '{"a":\n1}' },
  { name: "message", data: "plain" },
];

test("events are cut out wherever the network cuts the text", () => {
  assert.deepEqual(new EventParser().feed(TEXT), EVENTS);
  for (let size = 1; size < 9; size += 1) {
    const parser = new EventParser();
    const found = [];
    for (let at = 0; at < TEXT.length; at += size) found.push(...parser.feed(TEXT.slice(at, at + size)));
    assert.deepEqual(found, EVENTS, `in pieces of ${size}`);
  }
});

test("a line without an end is not kept for ever", () => {
  const parser = new EventParser();
  for (let n = 0; n < 40; n += 1) parser.feed("x".repeat(100_000));
  assert.deepEqual(parser.feed("\n\ndata: after\n\n"), [{ name: "message", data: "after" }]);
});
