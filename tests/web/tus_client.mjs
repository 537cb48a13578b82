// Sends a film by tus-js-client, breaks off in the middle, goes on from what was noted; prints JSON.
// node tus_client.mjs <where tus-js-client lies> <endpoint> <film> <bytes of a request>
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [modules, endpoint, film, chunk] = process.argv.slice(2);
const tus = createRequire(modules)("tus-js-client");
const data = readFileSync(film);
const told = { progress: [], chunks: [] };
const common = {
  endpoint,
  chunkSize: Number(chunk),
  retryDelays: [0, 200, 500],
  metadata: { filename: "node.mp4" },
};

function send(options, stopAfter) {
  return new Promise((done, failed) => {
    const upload = new tus.Upload(data, {
      ...common,
      ...options,
      onError: failed,
      onSuccess: () => done(upload),
      onChunkComplete: (_size, sent) => {
        told.chunks.push(sent);
        if (stopAfter !== undefined && sent >= stopAfter) upload.abort(false).then(() => done(upload), failed);
      },
    });
    upload.start();
  });
}

const first = await send({}, 1);
told.broken = told.chunks.at(-1);
const where = await fetch(first.url, { method: "HEAD", headers: { "Tus-Resumable": "1.0.0" } });
told.offset = Number(where.headers.get("Upload-Offset"));
told.expires = where.headers.get("Upload-Expires");
told.video = where.headers.get("X-Video-Id");
told.chunks = [];
const second = await send({ uploadUrl: first.url });
told.same = second.url === first.url;
const again = await send({ uploadUrl: first.url }); // as if the answer to the last byte had been lost
told.again = again.url === first.url;
console.log(JSON.stringify(told));
