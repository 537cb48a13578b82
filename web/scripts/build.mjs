// Builds the page into dist/: script, style and preset tiles under names that carry a hash of their content,
// index.html that points at them, the rest of public/ copied as it is, and the client library alone as
// relens-client.js for other pages.
import { createHash } from "node:crypto";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  watch,
  writeFileSync,
} from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = `${root}dist`;
const FIRST_PAINT_LIMIT_BYTES = 100_000;

const common = {
  absWorkingDir: root,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022"],
  metafile: true,
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  logLevel: "warning",
};

async function hashed(entryPoints, define = {}) {
  const { metafile } = await build({
    ...common,
    entryPoints,
    define,
    outdir: "dist/assets",
    entryNames: "[name].[hash]",
    sourcemap: "linked",
  });
  const files = Object.keys(metafile.outputs);
  return (extension) => {
    const file = files.find((name) => name.endsWith(extension));
    if (!file) throw new Error(`the build wrote no ${extension} for ${entryPoints}`);
    return basename(file);
  };
}

/**
 * Copies the tiles that scripts/thumbnails.py rendered under names that carry a hash of their content, so that
 * browsers keep all seventy without asking. Returns {model: {preset: hash}}.
 */
function copyThumbnails() {
  const folder = `${root}public/presets`;
  const copied = {};
  for (const model of existsSync(folder) ? readdirSync(folder) : []) {
    copied[model] = {};
    for (const file of readdirSync(`${folder}/${model}`)) {
      const path = `${folder}/${model}/${file}`;
      const hash = createHash("sha256").update(readFileSync(path)).digest("hex").slice(0, 8).toUpperCase();
      const preset = basename(file, ".webp");
      copyFileSync(path, `${dist}/assets/${model}-${preset}.${hash}.webp`);
      copied[model][preset] = hash;
    }
  }
  return copied;
}

async function buildPage() {
  rmSync(dist, { recursive: true, force: true });
  mkdirSync(`${dist}/assets`, { recursive: true });
  cpSync(`${root}public`, dist, { recursive: true, filter: (path) => basename(path) !== "presets" });

  const worker = await hashed(["src/client/clock.worker.ts"]);
  const page = await hashed(["src/ui/main.tsx"], {
    CLOCK_WORKER: JSON.stringify(`assets/${worker(".js")}`),
    THUMBNAILS: JSON.stringify(copyThumbnails()),
  });
  // The library's worker has a fixed name beside it: other pages know neither hash.
  await build({
    ...common,
    entryPoints: ["src/client/clock.worker.ts"],
    outfile: "dist/relens-clock.worker.js",
  });
  await build({ ...common, entryPoints: ["src/client/index.ts"], outfile: "dist/relens-client.js" });

  const html = readFileSync(`${root}src/ui/index.html`, "utf8")
    .replace("%SCRIPT%", `assets/${page(".js")}`)
    .replace("%STYLE%", `assets/${page(".css")}`);
  writeFileSync(`${dist}/index.html`, html);

  const bytes = statSync(`${dist}/assets/${page(".js")}`).size;
  console.log(`dist/ built: ${(bytes / 1000).toFixed(1)} kB of script`);
  if (bytes > FIRST_PAINT_LIMIT_BYTES) {
    throw new Error(
      `the page's script is ${bytes} bytes, over ${FIRST_PAINT_LIMIT_BYTES}: take something out`,
    );
  }
}

await buildPage();
if (process.argv.includes("--watch")) {
  let timer;
  watch(`${root}src`, { recursive: true }, () => {
    clearTimeout(timer);
    timer = setTimeout(() => buildPage().catch(console.error), 150);
  });
}
