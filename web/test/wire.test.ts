import assert from "node:assert/strict";
import { test } from "node:test";
import { Emitter } from "../src/client/emitter";
import { decodeServer, encodeClient } from "../src/client/wire";
import { throttle } from "../src/ui/throttle";

test("known messages are read, all else is nothing", () => {
  assert.deepEqual(decodeServer('{"type":"applied","revision":7,"pts":90}'), {
    type: "applied",
    revision: 7,
    pts: 90,
  });
  for (const other of ["", "null", "[]", "{", '{"type":"future"}', '{"type":1}', new ArrayBuffer(2)]) {
    assert.equal(decodeServer(other), null);
  }
  assert.equal(encodeClient({ type: "pause" }), '{"type":"pause"}');
});

test("a listener that throws does not keep the news from the others", (context) => {
  class Source extends Emitter<{ news: number }> {
    tell(value: number): void {
      this.emit("news", value);
    }
  }
  const error = context.mock.method(console, "error", () => {});
  const source = new Source();
  const heard: number[] = [];
  source.on("news", () => {
    throw new Error("a listener's own fault");
  });
  const off = source.on("news", (value) => heard.push(value));
  source.tell(1);
  off();
  source.tell(2);
  assert.deepEqual(heard, [1]);
  assert.equal(error.mock.callCount(), 2);
});

test("throttle lets the first and the last through", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const seen: number[] = [];
  const send = throttle<number>(66, (value) => seen.push(value));
  for (let i = 1; i <= 10; i += 1) send(i);
  assert.deepEqual(seen, [1]);
  context.mock.timers.tick(66);
  assert.deepEqual(seen, [1, 10]);
  context.mock.timers.tick(200);
  assert.deepEqual(seen, [1, 10]);
});
