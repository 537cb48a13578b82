/** What was asked for and what becomes of it: edits out, receipts in, the page's record of both. */
import type { InForce, Reading } from "../client";
import { client, videos } from "./live";
import type { Notice } from "./notices";
import { thumbnailOf } from "./snapshot";
import { atRest, clearNotice, filmNow, presetsInOrder, pressed, promptFor, store } from "./store";
import { strings } from "./strings";
import { appendEntry, markShown, placeEntry } from "./timeline";
import { refused, taken } from "./typed";

const MAX_RECENT = 8;
const MAX_REMEMBERED_EDITS = 256;
const CHANGE_SAID_MS = 8000;
const THUMBNAIL_SETTLE_MS = 350; // after the transition: the model's cache has then filled with the new look

const ENDINGS = new Set(["going-away", "idle", "max-time", "paused"]);

interface SentEdit {
  prompt: string;
  strength: number;
  transitionMs: number;
  seed: number;
  atMs: number;
  /** Where the film was, in seconds. */
  filmAt: number;
  /** null until the server said what it took it for. */
  reading: Reading | null;
  /** False where a pause fell between asking and seeing: its time would be the pause's. */
  timed: boolean;
  /** It was in force before the page was loaded again. */
  again: boolean;
}

/** Where edits go that are not the session's own: to a stream. */
interface Elsewhere {
  apply(prompt: string, strength: number, transitionMs: number): void;
  /** What is in force there, or asked for. */
  wanted(): string;
  /** Plays what is at a number key, counted from 0; false where nothing is. */
  preset(index: number): boolean;
}

export const elsewhere: { door: Elsewhere | null } = { door: null };

/** A strength that "less" brought about, and the one chosen by hand before it. */
let lent: { strength: number; chosen: number } | null = null;
let firstEditMs: number | null = null;
const sent = new Map<number, SentEdit>();

/** What the next sentence is asked for at: "less" was of the one before it. */
function chosenStrength(): number {
  if (lent?.strength !== store.strength.value) lent = null; // a hand was at the slider
  return lent?.chosen ?? store.strength.value;
}

/** The slider goes along with what is in force, where that is not as it was asked for. */
export function follow(
  asked: { prompt: string; strength: number },
  inForce: { prompt: string; strength: number },
): void {
  const chosen = chosenStrength();
  if (asked.prompt === inForce.prompt) {
    if (!lent || asked.strength !== chosen) return;
    lent = null;
  } else if (inForce.prompt) lent = { strength: inForce.strength, chosen };
  else return;
  store.strength.value = inForce.strength;
}

export async function apply(
  prompt: string,
  options: { strength?: number; transitionMs?: number; recent?: boolean; again?: boolean } = {},
): Promise<void> {
  const strength = options.strength ?? chosenStrength();
  const transitionMs = options.transitionMs ?? store.transitionMs.value;
  clearNotice("edit");
  if (prompt && options.recent !== false) {
    const others = store.recent.value.filter((entry) => entry !== prompt);
    store.recent.value = [prompt, ...others].slice(0, MAX_RECENT);
  }
  if (elsewhere.door) {
    elsewhere.door.apply(prompt, strength, transitionMs);
    return;
  }
  const atMs = performance.now();
  const { revision } = client.edit(prompt, { strength, transitionMs });
  firstEditMs ??= atMs;
  sent.set(revision, {
    prompt,
    strength,
    transitionMs,
    seed: 0,
    atMs,
    filmAt: filmNow(),
    reading: null,
    timed: !store.paused.value,
    again: options.again ?? false,
  });
  if (sent.size > MAX_REMEMBERED_EDITS) sent.delete(sent.keys().next().value ?? 0);
  store.pending.value = { revision, prompt };
}

/** What is in force, or asked for. */
export function running(): { prompt: string; strength: number } {
  const prompt = (elsewhere.door ? elsewhere.door.wanted() : client.wanted?.prompt) ?? "";
  return { prompt, strength: store.strength.value };
}

/** The edit in force again at another strength: while a slider is dragged. */
export function restrength(strength: number): void {
  store.strength.value = strength;
  const { prompt } = running();
  if (prompt)
    void apply(prompt, { strength, transitionMs: Math.min(120, store.transitionMs.value), recent: false });
}

export function applyPreset(index: number): void {
  const preset = presetsInOrder.value[index];
  if (elsewhere.door?.preset(index)) return;
  if (preset) void apply(preset.prompt, { recent: false });
}

/** Also for an edit sent again on a new session, whose model may read it otherwise. */
function noteReading(revision: number, reading: Reading): void {
  const edit = sent.get(revision);
  if (!edit) return;
  const { prompt } = edit;
  const again = edit.reading !== null;
  edit.reading = reading;
  const applied = store.applied.value;
  if (applied?.revision === revision) {
    store.applied.value = reading.understood ? { ...applied, reading } : null;
  }
  if (reading.understood) {
    taken(prompt);
    if (!again) noteChange(reading);
  }
  if (reading.understood || !prompt) return;
  if (store.pending.value?.revision === revision) store.pending.value = null;
  if (again && store.notice.value?.about === "recording") return; // which nobody would be told again
  noteNotUnderstood(prompt, reading);
}

/** The server's own words, as a sentence. */
const sentenceOf = (note: string): string => note && `${note.charAt(0).toUpperCase()}${note.slice(1)}.`;

/** How much "more" came to, for a moment: slider and picture go on telling, and it lies over the picture. */
export function noteChange({ note }: Reading): void {
  if (!note) return;
  const said: Notice = { about: "edit", text: sentenceOf(note), action: null, tone: "info" };
  store.notice.value = said;
  setTimeout(() => {
    if (store.notice.value === said) store.notice.value = null;
  }, CHANGE_SAID_MS);
}

export function noteNotUnderstood(prompt: string, { nearest: [nearest], note }: Reading): void {
  refused(prompt);
  const applyNearest = (label: string): void => {
    if (store.draft.value === prompt) store.draft.value = ""; // this is what they were mended to
    void apply(promptFor(label));
  };
  store.notice.value = {
    about: "edit",
    text: `${strings.messages.notUnderstood(prompt)} ${sentenceOf(note)}`.trim(),
    action: nearest
      ? { label: strings.messages.applyNearest(nearest), run: () => applyNearest(nearest) }
      : null,
    tone: "info",
  };
}

/** "Undo that" is no edit: what it brought back is what the strip shows, a tile marks and a slider changes. */
function nameUndone(revision: number, inForce: InForce): void {
  const edit = sent.get(revision);
  if (!edit) return;
  follow(edit, inForce);
  if (edit.prompt === inForce.prompt) return;
  store.recent.value = store.recent.value.filter((entry) => entry !== edit.prompt);
  Object.assign(edit, inForce);
  if (store.pending.value?.revision === revision) store.pending.value = { revision, prompt: edit.prompt };
}

export function togglePause(): void {
  if (atRest.value) return;
  const at = filmNow();
  store.paused.value = !store.paused.value;
  const heardMs = performance.now();
  const position = store.position.value;
  if (position) store.position.value = { ...position, at, playing: !store.paused.value, heardMs };
  pressed.atMs = heardMs;
  clearNotice("recording");
  if (store.paused.value) {
    for (const edit of sent.values()) edit.timed = false; // those not seen yet wait for the pause's end
    client.pause();
  } else client.resume();
}

/** Another source begins: it is not paused. */
export function leavePause(): void {
  if (!store.paused.value) return;
  store.paused.value = false;
  client.resume();
}

/** The edits so far were of another source, on another clock. */
export function forgetTimeline(): void {
  store.timeline.value = [];
  firstEditMs = performance.now(); // when what is in force is asked for again
}

/** A preset's tile shows what it made of this very picture, once it was used. */
function keepThumbnail(revision: number): void {
  const edit = sent.get(revision);
  const preset = presetsInOrder.value.find(({ prompt }) => prompt === edit?.prompt);
  if (!edit || !preset || edit.strength < 0.8) return;
  setTimeout(() => {
    if (store.applied.value?.revision !== revision || store.paused.value || !videos.edited) return;
    const picture = thumbnailOf(videos.edited);
    if (picture) store.thumbnails.value = { ...store.thumbnails.value, [preset.name]: picture };
  }, edit.transitionMs + THUMBNAIL_SETTLE_MS);
}

client.on("received", ({ revision, reading, inForce }) => {
  if (reading.understood && inForce !== null) nameUndone(revision, inForce);
  noteReading(revision, reading);
});
client.on("applied", ({ revision, pts }) => {
  const edit = sent.get(revision);
  if (!edit) return;
  const { prompt, reading, strength, transitionMs, seed, atMs, filmAt } = edit;
  const label = reading?.label ?? "";
  store.applied.value = { revision, prompt, reading, tookMs: null };
  const before = store.timeline.value;
  const entry = { revision, prompt, label, strength, transitionMs, seed, pts, appliedMs: null };
  // What was in force before the page was loaded again stays where it was made.
  const made = edit.again && before.find((each) => each.revision === -1 && each.prompt === prompt);
  if (made) store.timeline.value = before.map((each) => (each === made ? { ...each, revision } : each));
  else if (store.film.value) {
    // What it began with is from its start on.
    store.timeline.value = placeEntry(before, { ...entry, atS: before.length === 0 ? 0 : filmAt });
  } else {
    const atS = Math.max(0, atMs - (firstEditMs ?? atMs)) / 1000;
    store.timeline.value = appendEntry(before, { ...entry, atS });
  }
  if ((store.pending.value?.revision ?? 0) <= revision) store.pending.value = null;
});
client.on("shown", (receipt) => {
  store.lastReceipt.value = receipt;
  const applied = store.applied.value;
  const tookMs = sent.get(receipt.revision)?.timed ? receipt.appliedMs : null;
  if (applied?.revision === receipt.revision) store.applied.value = { ...applied, tookMs };
  store.timeline.value = markShown(store.timeline.value, receipt.revision, tookMs);
  keepThumbnail(receipt.revision);
});
client.on("error", ({ code, message, revision }) => {
  if (ENDINGS.has(code)) return; // the connection's own state tells what comes of it
  if (revision !== null && store.pending.value?.revision === revision) store.pending.value = null;
  if (revision !== null) refused(sent.get(revision)?.prompt ?? "");
  if (code === "rate-limited") {
    // What was dropped is not said: the edit that waits for its answer may be among it.
    refused(store.pending.value?.prompt ?? "");
    store.pending.value = null;
  }
  const { editRefused, said } = strings.messages;
  const text = revision === null ? said(message) : editRefused(message);
  store.notice.value = { about: "edit", text, action: null, tone: "problem" };
});
