import assert from "node:assert/strict";
import { test } from "node:test";
import { Films, isOver, parseFilm, parseJob, parseJobDetails, shareOf } from "../src/client/films";
import { Refusal } from "../src/client/refusal";
import { Signalling } from "../src/client/signalling";
import { served } from "./served";

test("a film's session is opened at its place, a job's under the job", async () => {
  const seen: (string | undefined)[] = [];
  await served(
    (request, response) => {
      seen.push(request.url);
      response.writeHead(201, { Location: "/sessions/s", ETag: '"1"' }).end("v=0");
    },
    async (base) => {
      const query = { model: "nano", prompt: "", strength: 1 };
      await new Signalling(base).open("v=0", query, { film: "a b", at: 12.5 });
      await new Signalling(base).open("v=0", query, { job: "j" });
    },
  );
  assert.deepEqual(seen, ["/videos/a%20b/preview?at=12.500&model=nano", "/jobs/j/preview?model=nano"]);
});

test("a render is asked for with its key, as an instruction or as a timeline", async () => {
  const seen: unknown[] = [];
  const edit = { at: 0, prompt: "snow", strength: 0.5, transitionMs: 0, seed: 0 };
  await served(
    (request, response, body) => {
      seen.push(request.headers["idempotency-key"], JSON.parse(body));
      response.writeHead(202, { "Content-Type": "application/json" });
      response.end('{"job_id":"j1","status":"QUEUED"}');
    },
    async (base) => {
      const films = new Films(base);
      assert.equal(await films.render("v", { instruction: "snow", strength: 0.5 }, "nano", "k1"), "j1");
      assert.equal(await films.render("v", { edits: [edit] }, "nano", "k2"), "j1");
    },
  );
  assert.deepEqual(seen, [
    "k1",
    { videoId: "v", model: "nano", instruction: "snow", strength: 0.5 },
    "k2",
    { videoId: "v", timeline: { version: 1, model: "nano", edits: [edit] } },
  ]);
});

test("a server without films refuses in its own words", async () => {
  await served(
    (_, response) => {
      response.writeHead(503, { "Content-Type": "application/problem+json" });
      response.end('{"title":"Not reachable now","detail":"this server keeps no films"}');
    },
    async (base) => {
      await assert.rejects(
        new Films(base).list(),
        (error) => error instanceof Refusal && error.message === "this server keeps no films",
      );
    },
  );
});

test("an older server's page in the place of the list is a refusal, not an empty list", async () => {
  await served(
    (_, response) => response.writeHead(200, { "Content-Type": "text/html" }).end("<p>"),
    (base) => assert.rejects(new Films(base).list(), Refusal),
  );
});

test("films and jobs are read whatever is missing of them", () => {
  assert.equal(parseFilm({ id: "a", state: "of tomorrow" }).state, "checking");
  assert.equal(parseFilm({ id: "a", audio: "aac" }).audio, "aac");
  assert.equal(parseFilm({ id: "a" }).audio, ""); // of an older server: nothing to turn on
  const job = parseJob({ id: "a", status: "RUNNING", frames: 200, framesDone: 50, etaS: 3 });
  assert.deepEqual([job.etaS, shareOf(job), isOver(job)], [3, 0.25, false]);
  assert.equal(shareOf(parseJob({ status: "QUEUED" })), null);
  assert.equal(shareOf(parseJob({ status: "DONE" })), 1);
  const details = parseJobDetails({ done: [[0, 2.5], "x"], edits: [{ prompt: "snow" }] });
  assert.deepEqual(details.done, [
    [0, 2.5],
    [0, 0],
  ]);
  assert.equal(details.edits[0]?.transitionMs, 400);
});
