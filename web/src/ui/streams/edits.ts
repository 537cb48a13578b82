/** Edits of the chosen stream: asked for over HTTP, their receipts shown as a session's are. */
import { type EditStanding, EditTrack } from "../../client/edittrack";
import { Refusal } from "../../client/refusal";
import type { EditAnswer, StreamEdit } from "../../client/streamfacts";
import { elsewhere, follow, noteChange, noteNotUnderstood } from "../edits";
import { clearNotice, store } from "../store";
import { streamStrings } from "../strings.streams";
import { appendEntry } from "../timeline";
import { refused, taken } from "../typed";
import { explain, goTo, shown, streams } from "./state";

let track = new EditTrack();
let firstMs: number | null = null;
let asked = ""; // what was asked for last from here, until the server took it

/** From now on the instruction, the presets and the number keys edit the chosen stream. */
export function takeEdits(): void {
  elsewhere.door = { apply, wanted, preset };
}

export function leaveEdits(): void {
  elsewhere.door = null;
  forgetEdits();
}

/** Another stream begins. */
export function forgetEdits(): void {
  track = new EditTrack();
  firstMs = null;
  asked = "";
  store.applied.value = null;
  store.pending.value = null;
  store.timeline.value = [];
}

export function lookAt(edit: StreamEdit): void {
  show(track.look(edit, performance.now()));
}

export function noteApplied(revision: number): void {
  show(track.appliedUpTo(revision, performance.now()));
}

function wanted(): string {
  const { pending, applied } = track.standing;
  return asked || (pending?.prompt ?? applied?.prompt ?? "");
}

function preset(index: number): boolean {
  const found = shown.presets.value[index];
  if (!found) return false;
  store.strength.value = found.strength;
  apply(found.prompt, found.strength, found.transitionMs);
  return true;
}

function apply(prompt: string, strength: number, transitionMs: number): void {
  const name = shown.name.value;
  if (!name) return;
  asked = prompt;
  const askedMs = performance.now();
  store.pending.value = { revision: -1, prompt }; // until the server has numbered it
  void streams.edit(name, { prompt, strength, transitionMs }).then(
    (answer) => name === shown.name.value && took(answer, prompt, strength, askedMs),
    (error: unknown) => {
      if (name !== shown.name.value) return;
      asked = "";
      show(track.standing);
      refused(prompt);
      noteRefused(error);
    },
  );
}

function noteRefused(error: unknown): void {
  const words = streamStrings.operator;
  const keyless = error instanceof Refusal && (error.status === 401 || error.status === 403);
  const toConnect = (): void => {
    goTo("connect");
    clearNotice("edit");
  };
  store.notice.value = {
    about: "edit",
    text: keyless ? words.edit : explain(error),
    action: keyless ? { label: words.toConnect, run: toConnect } : null,
    tone: "problem",
  };
}

function took(answer: EditAnswer, prompt: string, strength: number, askedMs: number): void {
  if (asked === prompt) asked = "";
  const { reading } = answer;
  if (reading.understood) {
    taken(prompt);
    follow({ prompt, strength }, answer);
    noteChange(reading);
    show(track.answered(answer, askedMs, performance.now()));
    return;
  }
  show(track.standing);
  if (prompt) noteNotUnderstood(prompt, reading);
}

/** As the bar, the strip and the tiles show it. */
function show({ applied, pending, tookMs }: EditStanding): void {
  const before = store.applied.value;
  store.applied.value = applied && {
    revision: applied.revision,
    prompt: applied.prompt,
    reading: applied.reading,
    tookMs,
  };
  if (!asked) store.pending.value = pending && { revision: pending.revision, prompt: pending.prompt };
  if (!applied || applied.revision === before?.revision) return;
  // Asked for elsewhere, or before: what a slider would change from.
  if (tookMs === null && applied.prompt) store.strength.value = applied.strength;
  note(applied);
}

/** Those of others too: a dock's, a hotkey's. */
function note({ revision, prompt, strength, reading }: EditAnswer): void {
  const nowMs = performance.now();
  firstMs ??= nowMs;
  store.timeline.value = appendEntry(store.timeline.value, {
    revision,
    prompt,
    label: reading.label,
    strength,
    transitionMs: store.transitionMs.value,
    seed: 0,
    atS: (nowMs - firstMs) / 1000,
    pts: 0,
    appliedMs: null,
  });
}
