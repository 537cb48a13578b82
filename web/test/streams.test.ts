import assert from "node:assert/strict";
import { test } from "node:test";
import { Refusal } from "../src/client/refusal";
import { parseFacts, parseSettings } from "../src/client/streamfacts";
import { Streams } from "../src/client/streams";
import { type Answer, json, served } from "./served";

const withServer = (answer: Answer, run: (streams: Streams) => Promise<void>): Promise<void> =>
  served(answer, (base) => run(new Streams(base)));

test("an edit goes out with the key and comes back as what it was taken for", async () => {
  const seen: unknown[] = [];
  await withServer(
    (request, response, body) => {
      seen.push(request.method, request.url, request.headers.authorization, JSON.parse(body));
      json(response, { type: "received", revision: 7, label: "snow", confidence: 0.9, prompt: "snow" });
    },
    async (streams) => {
      streams.key = "secret";
      const answer = await streams.edit("live", { prompt: "snow", strength: 0.5 });
      assert.equal(answer.revision, 7);
      assert.equal(answer.reading.label, "snow");
      assert.equal(answer.reading.understood, true);
    },
  );
  assert.deepEqual(seen, ["PUT", "/streams/live/edit", "Bearer secret", { prompt: "snow", strength: 0.5 }]);
});

test("settings this library does not know go back as they came", async () => {
  const sent: Record<string, unknown>[] = [];
  await withServer(
    (request, response, body) => {
      if (request.method === "PUT") sent.push(JSON.parse(body));
      json(response, {
        key: "k-12345678",
        viewKey: "",
        ofTomorrow: 3,
        presets: [{ name: "a", prompt: "b" }],
      });
    },
    async (streams) => {
      const settings = await streams.settings("live");
      await streams.putSettings("live", { ...settings, viewKey: "v" });
    },
  );
  assert.equal(sent[0]?.ofTomorrow, 3);
  assert.equal(sent[0]?.viewKey, "v");
  assert.deepEqual(sent[0]?.presets, [{ name: "a", prompt: "b", strength: 1, transitionMs: 400 }]);
});

test("who is not the operator is told so, with the remedy", async () => {
  await withServer(
    (_, response) => {
      response.writeHead(403, { "Content-Type": "application/problem+json" });
      response.end('{"title":"Forbidden","detail":"only the operator","remedy":"set operator_key"}');
    },
    async (streams) => {
      await assert.rejects(
        streams.setup("live"),
        (error) => error instanceof Refusal && error.status === 403 && error.remedy === "set operator_key",
      );
    },
  );
});

test("a stream is followed with the key, across a broken connection, until nobody wants it", async () => {
  let rounds = 0;
  const keys: unknown[] = [];
  await withServer(
    (request, response) => {
      rounds += 1;
      keys.push(request.headers.authorization);
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.write(`event: facts\ndata: {"name":"live","state":"live","viewers":${rounds}}\n\n`);
      response.write('event: applied\ndata: {"revision":3,"pts":90000}\n\nevent: news\ndata: no json\n\n');
      if (rounds === 1) response.end();
    },
    async (streams) => {
      streams.key = "k";
      const heard: (number | string)[] = [];
      await new Promise<void>((resolve) => {
        const stop = streams.follow("live", {
          onFacts: ({ viewers }) => {
            heard.push(viewers);
          },
          onApplied: (revision, pts) => {
            heard.push(revision * 1_000_000 + pts);
            if (rounds < 2) return;
            stop();
            resolve();
          },
          onTrouble: (_, again) => heard.push(again ? "again" : "never"),
        });
      });
      assert.deepEqual(heard, [1, 3_090_000, "again", 2, 3_090_000]);
    },
  );
  assert.deepEqual(keys, ["Bearer k", "Bearer k"]);
});

test("a stream that is not there, or a wrong key, is not asked for again", async () => {
  let asked = 0;
  await withServer(
    (_, response) => {
      asked += 1;
      json(response, { title: "Not found" }, 404);
    },
    async (streams) => {
      const again = await new Promise<boolean>((resolve) => {
        streams.follow("gone", {
          onFacts: () => assert.fail("there are no facts"),
          onTrouble: (_, more) => resolve(more),
        });
      });
      assert.equal(again, false);
    },
  );
  assert.equal(asked, 1);
});

test("facts and settings are read whatever is missing of them", () => {
  const facts = parseFacts({ name: "a", state: "of tomorrow", publisher: null, targets: [{}] });
  assert.deepEqual([facts.state, facts.publisher, facts.edit.applied], ["idle", null, -1]);
  assert.equal(facts.targets[0]?.state, "connecting");
  assert.deepEqual([facts.needsKey, parseFacts({ needsKey: true }).needsKey], [false, true]);
  const publisher = parseFacts({ publisher: { kind: "rtmp", fps: 24 } }).publisher;
  assert.deepEqual([publisher?.kind, publisher?.fps, publisher?.software], ["rtmp", 24, ""]);
  assert.equal(parseSettings(null).targets.length, 0);
  assert.equal(parseSettings({ targets: [{ url: "rtmp://a/b" }] }).targets[0]?.enabled, true);
});
