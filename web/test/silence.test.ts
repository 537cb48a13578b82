import assert from "node:assert/strict";
import { test } from "node:test";
import { Silence } from "../src/client/silence";

const never = (): Promise<boolean> => Promise.reject(new Error("nobody had to be asked"));

test("whoever speaks is not asked after", async () => {
  const silence = new Silence();
  silence.heard(10_000);
  assert.equal(await silence.look(13_000, never), null);
});

test("after a silence it is asked once whether the server is there", async () => {
  const silence = new Silence();
  silence.heard(performance.now());
  const later = performance.now() + 4_000;
  let answer = (_: boolean): void => {};
  const asked = silence.look(later, () => new Promise((resolve) => (answer = resolve)));
  assert.equal(await silence.look(later, never), null); // one question at a time
  answer(true);
  assert.equal(await asked, "cut off");
  assert.equal(await silence.look(performance.now() + 1_000, never), null); // the answer was heard
  assert.equal(await silence.look(performance.now() + 4_000, () => Promise.resolve(false)), "gone");
});
