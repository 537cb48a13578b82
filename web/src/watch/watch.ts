/**
 * One stream and nothing else: what OBS's browser source shows. `?sound=1` plays its sound, `?hold=1` keeps the last
 * picture while the stream is away (else nothing is there, and what lies under it is seen), `?key=` is the view key,
 * which a person who came without it is asked for. A person is told why there is no picture, too, unless by
 * `?words=0`; OBS never. It comes back for ever.
 */
import type { Refusal } from "../client/refusal";
import { WhepReader, type WhepStateEvent } from "../client/whep";
import { viewKeyWords } from "../strings.viewkey";
import { watchWords as words } from "../strings.watch";
import { keepViewKey, viewKeyOf } from "../viewkeys";
import { say } from "./said";

declare global {
  interface Window {
    /** For end-to-end tests. */
    watch: { reader: WhepReader };
    /** OBS tells its browser sources that they are such. */
    obsstudio?: unknown;
  }
}

const query = new URLSearchParams(location.search);
const base = new URL("..", document.baseURI);
const name = decodeURIComponent(location.pathname.replace(/\/+$/, "").split("/").pop() ?? "");
const sound = query.get("sound") === "1";
const hold = query.get("hold") === "1";
/** In a scene of OBS words would be on air. */
const toPerson = window.obsstudio === undefined;
const tells = toPerson && query.get("words") !== "0";

const LOOK_MS = 1_000;
const NOT_LIVE = 409;
const STILL_S = 3; // a picture that stands for so long is told to be interrupted

let shown: HTMLVideoElement | null = null;
let coming: HTMLVideoElement | null = null;

function drop(video: HTMLVideoElement | null): void {
  if (!video) return;
  video.srcObject = null;
  video.remove();
}

const still = document.createElement("canvas");

/** The last picture as a still: a video whose stream has ended is black. */
function holdPicture(): void {
  if (!shown?.videoWidth) return;
  still.width = shown.videoWidth;
  still.height = shown.videoHeight;
  still.getContext("2d")?.drawImage(shown, 0, 0);
  still.className = "shown";
  document.body.append(still);
}

/** The new picture takes the old one's place once it is there: nothing blinks. */
function show(stream: MediaStream): void {
  drop(coming);
  const video = document.createElement("video");
  coming = video;
  video.autoplay = true;
  video.playsInline = true;
  video.muted = !sound;
  video.disableRemotePlayback = true;
  video.onplaying = () => {
    if (coming !== video) return;
    drop(shown);
    still.remove();
    [shown, coming] = [video, null];
    video.className = "shown";
    seen = true;
    tell([]);
  };
  document.body.append(video);
  video.srcObject = stream;
  video.play().catch(() => {
    // Sound without a gesture: OBS allows it, browsers do not. The picture comes anyway, the sound with a click.
    video.muted = true;
    void video.play().catch(() => {});
    addEventListener("pointerdown", () => (video.muted = false), { once: true });
  });
}

async function iceServers(): Promise<RTCIceServer[]> {
  try {
    const response = await fetch(new URL("config.json", base));
    return ((await response.json()) as { iceServers?: RTCIceServer[] }).iceServers ?? [];
  } catch {
    return []; // the server is away: those on its own network need none
  }
}

const servers = await iceServers();
let reader: WhepReader | null = null;
/** There was a picture of it once. */
let seen = false;
let asker: typeof import("./viewkey") | null = null;

/** Watches with this view key; "" for none. */
function begin(key: string): void {
  const begun = new WhepReader({
    url: new URL(`whep/${encodeURIComponent(name)}`, base),
    token: key,
    iceServers: servers,
  });
  reader?.close();
  reader = begun;
  window.watch = { reader: begun };
  begun.on("track", show);
  begun.on("state", (event) => begun === reader && onState(event, key));
  begun.start();
}

function onState({ state, refusal }: WhepStateEvent, key: string): void {
  if (state === "open") {
    asker?.putAway();
    tell([]);
  }
  if (state !== "away") return;
  drop(coming);
  coming = null;
  if (hold) holdPicture();
  drop(shown);
  shown = null;
  if (refusal?.status === 401 || refusal?.status === 429) {
    tell([]);
    void ask(key, refusal.retryAfterS ?? 0);
  } else tell(why(refusal));
}

function tell(lines: string[]): void {
  if (tells) say(lines, shown !== null || still.isConnected);
}

/** Why there is nothing to see, and what comes of it. */
function why(refusal: Refusal | null): string[] {
  const status = refusal?.status ?? NOT_LIVE;
  if (status === NOT_LIVE) return seen ? [words.ended(name), words.goesOn] : [words.idle(name), words.starts];
  if (status === 404) return [words.absent(name), words.starts];
  return [refusal && status > 0 ? words.refused(refusal.message) : words.unreachable, words.again];
}

/** While its viewers are kept for a publisher that broke off, the last picture stands. */
function noticeStill(): void {
  let frames = -1;
  let stillS = 0;
  setInterval(() => {
    if (reader?.state !== "open" || !shown || document.hidden) return;
    const now = shown.getVideoPlaybackQuality().totalVideoFrames;
    stillS = now === frames ? stillS + LOOK_MS / 1000 : 0;
    frames = now;
    tell(stillS >= STILL_S ? [words.broken(name)] : []);
  }, LOOK_MS);
}

/** `waitS`: no key is heard for so long. */
async function ask(wrong: string, waitS: number): Promise<void> {
  if (!toPerson) return;
  if (waitS === 0) {
    const kept = viewKeyOf(name);
    if (kept && kept !== wrong) return begin(kept); // given here, where a link has an older one
    keepViewKey(name, ""); // it is wrong by now
  }
  asker ??= await import("./viewkey").catch(() => null); // asked for again with the next refusal
  asker?.askForKey(base.href, name, { said: wrong && viewKeyWords.wrong, waitS }, begin);
}

addEventListener("pagehide", () => reader?.close());
addEventListener("pageshow", ({ persisted }) => {
  if (persisted) reader?.start();
});
document.title = words.title(name);
noticeStill();
begin(query.get("key") ?? viewKeyOf(name));
