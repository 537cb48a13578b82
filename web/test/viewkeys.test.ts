import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { viewKeyWords } from "../src/strings.viewkey";
import { keepViewKey, tryViewKey, viewKeyOf } from "../src/viewkeys";
import { json, served } from "./served";

beforeEach(() => {
  const kept = new Map<string, string>();
  Object.defineProperty(globalThis, "sessionStorage", {
    configurable: true,
    value: {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, to: string) => kept.set(key, to),
    },
  });
});

test("a right key is kept for its stream, a wrong one is not", async () => {
  const shown: unknown[] = [];
  await served(
    (request, response) => {
      const key = Buffer.from(request.headers.authorization ?? "", "latin1").toString(); // as the bytes on the wire
      shown.push(key);
      json(response, { name: "live", needsKey: !["Bearer for-friends", "Bearer für Ёжик 🎬"].includes(key) });
    },
    async (base) => {
      assert.deepEqual(await tryViewKey(base, "live", "a-guess"), {
        right: false,
        said: viewKeyWords.wrong,
        waitS: 0,
      });
      assert.equal(viewKeyOf("live"), "");
      assert.equal((await tryViewKey(base, "live", "for-friends")).right, true);
      assert.equal((await tryViewKey(base, "other", "für Ёжик 🎬")).right, true);
    },
  );
  assert.deepEqual(shown, ["Bearer a-guess", "Bearer for-friends", "Bearer für Ёжик 🎬"]);
  assert.equal(viewKeyOf("live"), "for-friends");
  assert.equal(viewKeyOf("another"), "");
});

test("after several wrong ones it is said how long to wait", async () => {
  await served(
    (_, response) => {
      response.writeHead(429, { "Retry-After": "42", "Content-Type": "application/problem+json" });
      response.end('{"title":"Too many"}');
    },
    async (base) => {
      assert.deepEqual(await tryViewKey(base, "live", "a-guess"), { right: false, said: "", waitS: 42 });
    },
  );
});

test("a stream that is gone and a server that is away are not called a wrong key", async () => {
  let base = "";
  await served(
    (_, response) => json(response, { title: "Not found" }, 404),
    async (its) => {
      base = its;
      assert.equal((await tryViewKey(base, "live", "a-guess")).said, viewKeyWords.gone);
    },
  );
  assert.equal((await tryViewKey(base, "live", "a-guess")).said, viewKeyWords.away);
});

test("the keys of so many streams are kept, the latest ones", () => {
  for (let n = 0; n < 40; n += 1) keepViewKey(`stream-${n}`, `key-${n}`);
  assert.equal(viewKeyOf("stream-0"), "");
  assert.equal(viewKeyOf("stream-39"), "key-39");
  keepViewKey("stream-39", "");
  assert.equal(viewKeyOf("stream-39"), "");
});
