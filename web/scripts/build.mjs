// Builds the page into dist/: script, style and preset tiles under names that carry a hash of their content,
// index.html that points at them, the two small pages for OBS beside it, the rest of public/ copied as it is, and the
// client library alone as relens-client.js for other pages.
import { createHash } from "node:crypto";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  watch,
  writeFileSync,
} from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const kilo = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = `${root}dist`;
// It takes dist's place when it is whole: a server goes on with the page it has, also where a build fails.
const made = `node_modules/.dist.${process.pid}`; // two builds at once would make one page of two halves
const madePath = `${root}${made}`;
const besidePath = `${root}.dist.${process.pid}`;
process.on("exit", () => {
  for (const path of [madePath, besidePath]) rmSync(path, { recursive: true, force: true });
});
const FIRST_PAINT_LIMIT_BYTES = 82_000;
const WATCH_LIMIT_BYTES = 12_000; // in every scene of OBS that shows a stream
const DOCK_LIMIT_BYTES = 50_000;

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

/** Builds one entry; what it loads later becomes files of their own. Tells the name of its file by extension. */
async function hashed(entryPoint, define = {}) {
  const { metafile } = await build({
    ...common,
    entryPoints: [entryPoint],
    define,
    splitting: true,
    outdir: `${made}/assets`,
    entryNames: "[name].[hash]",
    chunkNames: "[name].[hash]",
    sourcemap: "linked",
  });
  const entry = Object.entries(metafile.outputs).find(([, output]) => output.entryPoint === entryPoint);
  if (!entry) throw new Error(`the build wrote nothing for ${entryPoint}`);
  const [script, { cssBundle }] = entry;
  return { script, style: cssBundle, outputs: metafile.outputs };
}

/** The scripts that `file` cannot begin without, itself the first. */
function needed(outputs, file, seen = new Set()) {
  if (seen.has(file)) return seen;
  seen.add(file);
  for (const { path, kind } of outputs[file].imports) {
    if (kind === "import-statement") needed(outputs, path, seen);
  }
  return seen;
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
      copyFileSync(path, `${madePath}/assets/${model}-${preset}.${hash}.webp`);
      copied[model][preset] = hash;
    }
  }
  return copied;
}

async function buildPage() {
  rmSync(madePath, { recursive: true, force: true });
  mkdirSync(`${madePath}/assets`, { recursive: true });
  cpSync(`${root}public`, madePath, { recursive: true, filter: (path) => basename(path) !== "presets" });

  const worker = await hashed("src/client/clock.worker.ts");
  const page = await hashed("src/ui/main.tsx", {
    CLOCK_WORKER: JSON.stringify(`assets/${basename(worker.script)}`),
    THUMBNAILS: JSON.stringify(copyThumbnails()),
  });
  // The library's worker has a fixed name beside it: other pages know neither hash.
  await build({
    ...common,
    entryPoints: ["src/client/clock.worker.ts"],
    outfile: `${made}/relens-clock.worker.js`,
  });
  await build({ ...common, entryPoints: ["src/client/index.ts"], outfile: `${made}/relens-client.js` });

  const first = writeHtml("ui/index.html", page, FIRST_PAINT_LIMIT_BYTES);
  writeHtml("watch/watch.html", await hashed("src/watch/watch.ts"), WATCH_LIMIT_BYTES);
  writeHtml("dock/dock.html", await hashed("src/dock/main.tsx"), DOCK_LIMIT_BYTES);
  for (const [file, output] of Object.entries(page.outputs)) {
    if (file.endsWith(".js") && !first.includes(file)) {
      console.log(`  later: ${kilo(output.bytes)} ${basename(file)}`);
    }
  }
  takePlace();
}

/** What was made becomes dist; where node_modules lies on another file system, by way of a copy on dist's own. */
function takePlace() {
  rmSync(besidePath, { recursive: true, force: true });
  try {
    renameSync(madePath, besidePath);
  } catch (error) {
    if (error.code !== "EXDEV") throw error;
    cpSync(madePath, besidePath, { recursive: true });
  }
  rmSync(dist, { recursive: true, force: true });
  renameSync(besidePath, dist);
}

/** What the page asks for as soon as it is painted, all of it at once and behind what paints it. */
function soonAfter(outputs, first, up) {
  const [late] = Object.entries(outputs).find(([, { entryPoint }]) => entryPoint === "src/ui/late.ts") ?? [];
  if (!late) return "";
  return [...needed(outputs, late)]
    .filter((file) => !first.includes(file))
    .map(
      (file) => `\n    <link rel="modulepreload" fetchpriority="low" href="${up}assets/${basename(file)}">`,
    )
    .join("");
}

/** Writes a page that points at what was built for it. Returns its scripts; raises where they are over `limit` bytes. */
function writeHtml(source, { script, style, outputs }, limit) {
  const first = [...needed(outputs, script)];
  const text = readFileSync(`${root}src/${source}`, "utf8");
  const up = text.includes("../%SCRIPT%") ? "../" : "";
  // What the script is made of is asked for along with it, not after it was read.
  const preloads = first
    .slice(1)
    .map((file) => `<link rel="modulepreload" href="${up}assets/${basename(file)}">\n    `)
    .join("");
  const html = text
    .replace("<script", `${preloads}<script`)
    .replace("</script>", `</script>${soonAfter(outputs, first, up)}`)
    .replace("%SCRIPT%", `assets/${basename(script)}`)
    .replace("%STYLE%", `assets/${basename(style ?? "")}`);
  writeFileSync(`${madePath}/${basename(source)}`, html);
  const bytes = first.reduce((sum, file) => sum + outputs[file].bytes, 0);
  console.log(`dist/${basename(source)}: ${kilo(bytes)} of script for the first paint`);
  if (bytes > limit) {
    throw new Error(`the script of ${source} is ${bytes} bytes, over ${limit}: take something out`);
  }
  return first;
}

await buildPage();
if (process.argv.includes("--watch")) {
  let timer;
  watch(`${root}src`, { recursive: true }, () => {
    clearTimeout(timer);
    timer = setTimeout(() => buildPage().catch(console.error), 150);
  });
}
