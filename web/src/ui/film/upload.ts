/** One upload at a time, by tus: paused and gone on with, after a lost network and after the page was closed. */
import type { DetailedError, HttpResponse, Upload } from "tus-js-client";
import { part } from "../later";
import { store } from "../store";
import { filmStrings } from "../strings.film";
import { open, refreshQuietly, whenReady } from "./library";
import { Pace } from "./pace";
import { explain, files, films, shown, type UploadShown } from "./state";

const words = filmStrings.upload;
const RETRY_MS = [500, 2_000, 5_000];
const AWAY_MS = 5_000; // after those: asked again as often, until the network is back
const STALL_MS = 20_000; // without a byte: the connection is gone and did not say so
const WATCH_MS = 1_000;

let upload: Upload | null = null;
let current: File | null = null;
let videoId = "";
let generation = 0;
let movedMs = 0;
let away: ReturnType<typeof setTimeout> | undefined;
let watch: ReturnType<typeof setInterval> | undefined;
const pace = new Pace();

function show(change: Partial<UploadShown>): void {
  if (shown.upload.value) shown.upload.value = { ...shown.upload.value, ...change };
}

/** Sends a file, or what of it is missing on the server. */
export async function send(file: File): Promise<void> {
  const busy = shown.upload.value && shown.upload.value.state !== "refused";
  if (busy) {
    shown.problem.value = words.oneAtATime;
    return;
  }
  generation += 1;
  const mine = generation;
  shown.problem.value = "";
  current = file;
  videoId = "";
  pace.reset();
  shown.upload.value = {
    ...{ id: "", name: file.name, bytes: file.size, sent: 0, bps: 0, leftS: null },
    ...{ state: "preparing", problem: "" },
  };
  if (file.size === 0) return refuse(words.empty);
  try {
    const [tus, most] = await Promise.all([part(() => import("tus-js-client")), films.mostBytes()]);
    if (mine !== generation) return;
    if (most !== null && file.size > most) return refuse(words.tooLarge(file.size, most));
    const made = new tus.Upload(file, {
      endpoint: films.url("files").href,
      metadata: { filename: file.name, filetype: file.type },
      retryDelays: RETRY_MS,
      removeFingerprintOnSuccess: true,
      onAfterResponse: (_, response) => noteVideo(response),
      onProgress: (sent) => mine === generation && onProgress(sent),
      onSuccess: () => mine === generation && void onWhole(mine),
      onError: (error) => mine === generation && onError(error),
    });
    const [before] = await made.findPreviousUploads();
    if (mine !== generation) return;
    if (before) made.resumeFromPreviousUpload(before);
    upload = made;
    start();
  } catch (error) {
    if (mine === generation) refuse(upload ? explain(error) : words.notLoaded);
  }
}

function noteVideo(response: HttpResponse): void {
  const id = response.getHeader("X-Video-Id");
  if (!id || id === videoId) return;
  videoId = id;
  show({ id });
  if (current) files.set(id, current);
  void refreshQuietly();
}

function start(): void {
  clearTimeout(away);
  clearInterval(watch);
  pace.reset();
  movedMs = performance.now();
  show({ state: "running", problem: "" });
  upload?.start();
  watch = setInterval(() => {
    if (performance.now() - movedMs < STALL_MS || shown.upload.value?.state !== "running") return;
    void upload?.abort().then(start, start);
  }, WATCH_MS);
}

function onProgress(sent: number): void {
  const nowMs = performance.now();
  movedMs = nowMs;
  pace.add(nowMs, sent);
  const total = shown.upload.value?.bytes ?? 0;
  if (shown.upload.value?.state === "running") show({ sent, bps: pace.bps, leftS: pace.left(total) });
}

function onError(error: Error | DetailedError): void {
  const response = "originalResponse" in error ? error.originalResponse : null;
  const status = response?.getStatus() ?? 0;
  // No answer, a server that starts, another request that still holds the upload: the same again, later.
  if (status === 0 || status === 423 || (status >= 500 && status !== 507)) {
    show({ state: "waiting" });
    clearInterval(watch);
    away = setTimeout(start, AWAY_MS);
    return;
  }
  refuse(problemOf(response));
}

function problemOf(response: HttpResponse | null): string {
  try {
    const problem = JSON.parse(response?.getBody() ?? "") as { detail?: string; remedy?: string };
    return words.refused([problem.detail, problem.remedy].filter(Boolean).join(". "));
  } catch {
    return words.refused(String(response?.getStatus() ?? ""));
  }
}

async function onWhole(mine: number): Promise<void> {
  clearInterval(watch);
  const before = store.film.value;
  show({ state: "checking", sent: shown.upload.value?.bytes ?? 0 });
  const film = await whenReady(videoId, () => mine !== generation);
  if (mine !== generation) return;
  if (film?.state === "refused") return refuse(words.refused(film.problem));
  end();
  await refreshQuietly();
  const wanted = film && store.source.value === "video" && store.film.value === before;
  if (wanted) open(film);
}

function refuse(problem: string): void {
  clearInterval(watch);
  clearTimeout(away);
  if (videoId) void refreshQuietly();
  show({ state: "refused", problem });
}

function end(): void {
  generation += 1;
  clearInterval(watch);
  clearTimeout(away);
  upload = null;
  current = null;
  shown.upload.value = null;
}

export function pauseUpload(): void {
  clearInterval(watch);
  clearTimeout(away);
  show({ state: "paused" });
  void upload?.abort();
}

export const resumeUpload = (): void => start();

export function retryUpload(): void {
  const file = current;
  void forgetRefused();
  end();
  if (file) void send(file);
}

/** Nobody can do anything with a film that was refused: it goes with its line. */
async function forgetRefused(): Promise<void> {
  const { id = "", state } = shown.upload.value ?? {};
  if (!id || state !== "refused") return;
  files.delete(id);
  await films.delete(id).catch(() => {}); // unreachable: it stays on the shelf, with its reason
}

/** What came of it is deleted on the server too. */
export async function giveUp(): Promise<void> {
  const given = upload;
  const refused = shown.upload.value?.state === "refused";
  const forgotten = forgetRefused();
  end();
  await forgotten;
  if (!refused) await given?.abort(true).catch(() => {}); // unreachable: the server gives it up by itself
  await refreshQuietly();
}

addEventListener("online", () => {
  if (shown.upload.value?.state === "waiting") start();
});
