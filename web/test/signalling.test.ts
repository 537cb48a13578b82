import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { test } from "node:test";
import { Refusal } from "../src/client/refusal";
import { Signalling } from "../src/client/signalling";
import { type Answer, served } from "./served";

const withServer = (answer: Answer, run: (signalling: Signalling) => Promise<void>): Promise<void> =>
  served(answer, (base) => run(new Signalling(base)));

const problem = (response: ServerResponse, status: number, type: string, headers = {}): void => {
  response.writeHead(status, { "Content-Type": "application/problem+json", ...headers });
  response.end(
    JSON.stringify({ type: `urn:relens:${type}`, title: "No", detail: "a reason", remedy: "a remedy" }),
  );
};

test("an offer opens a session; its candidates go there under the answer's etag", async () => {
  const seen: string[] = [];
  await withServer(
    (request, response, body) => {
      seen.push(
        `${request.method} ${request.url} ${request.headers["content-type"]} ${request.headers["if-match"] ?? ""} ${body}`,
      );
      if (request.method === "POST") {
        response.writeHead(201, {
          Location: "/sessions/abc",
          ETag: '"1"',
          "Content-Type": "application/sdp",
        });
        response.end("v=0 answer");
      } else response.writeHead(204).end();
    },
    async (signalling) => {
      const { answer, session } = await signalling.open("v=0 offer", {
        model: "nano",
        prompt: "night & fog",
        strength: 0.5,
      });
      assert.equal(answer, "v=0 answer");
      assert.equal(new URL(session.url).pathname, "/sessions/abc");
      await signalling.trickle(session, "a=candidate:1");
      assert.deepEqual(seen, [
        "POST /sessions?model=nano&prompt=night+%26+fog&strength=0.5 application/sdp  v=0 offer",
        'PATCH /sessions/abc application/trickle-ice-sdpfrag "1" a=candidate:1',
      ]);
    },
  );
});

const CASES: [number, string, Record<string, string>, string, number | null][] = [
  [503, "capacity", { "Retry-After": "7" }, "full", 7],
  [503, "going-away", { "Retry-After": "2" }, "unreachable", 2],
  [400, "model", {}, "model", null],
  [404, "gone", {}, "gone", null],
  [400, "protocol", {}, "refused", null],
];

for (const [status, type, headers, kind, retryAfterS] of CASES) {
  test(`${status} ${type} is read as "${kind}", with the server's reason and remedy`, () =>
    withServer(
      (_request, response) => problem(response, status, type, headers),
      async (signalling) => {
        await assert.rejects(signalling.open("v=0", { model: "", prompt: "", strength: 1 }), (error) => {
          assert.ok(error instanceof Refusal);
          assert.deepEqual(
            [error.kind, error.message, error.remedy, error.status, error.retryAfterS],
            [kind, "a reason", "a remedy", status, retryAfterS],
          );
          return true;
        });
      },
    ));
}

test("a body that is no problem+json still gives a sentence", () =>
  withServer(
    (_request, response) => response.writeHead(500).end("<html>"),
    async (signalling) => {
      await assert.rejects(signalling.models(), /the server answered 500/);
    },
  ));

test("nobody there is unreachable, and not alive", async () => {
  let dead: Signalling | undefined;
  await withServer(
    () => {},
    async (signalling) => {
      dead = signalling;
    },
  );
  assert.equal(await dead?.alive(), false);
  await assert.rejects(dead?.config() ?? Promise.resolve(), { kind: "unreachable" });
});
