/** The one stream of this dock: followed, edited with its key, which is kept in this browser. Knows no elements. */
import { computed, signal } from "@preact/signals";
import { parseReading, type Reading } from "../client/catalogue";
import { type EditStanding, EditTrack } from "../client/edittrack";
import { Refusal } from "../client/refusal";
import type { StreamFacts, StreamPreset } from "../client/streamfacts";
import { Streams } from "../client/streams";
import { recall, remember } from "../ui/memory";
import { words } from "./strings";

const DEBOUNCE_MS = 140;

export const name = decodeURIComponent(location.pathname.replace(/\/+$/, "").split("/").pop() ?? "");
const base = new URL("..", document.baseURI).href;
const streams = new Streams(base);
const KEPT = `relens.dock.${name}`;
const DRAFT = `dock.draft.${name}`;
const track = new EditTrack();

export const facts = signal<StreamFacts | null>(null);
export const standing = signal<EditStanding>(track.standing);
export const presets = signal<StreamPreset[]>([]);
export const strength = signal(1);
export const draft = signal("");
export const reading = signal<{ text: string; reading: Reading } | null>(null);
/** One sentence on what did not go as asked. */
export const said = signal("");
/** The key is missing or wrong. */
export const keyWanted = signal<"" | "missing" | "wrong">("");
export const reachable = signal(true);
export const gone = signal(false);

export const wanted = computed(
  () =>
    standing.value.pending?.prompt ?? standing.value.applied?.prompt ?? facts.value?.edit.received?.prompt,
);

// -- the key ------------------------------------------------------------------------------------------------------

/** From the address, given once; it then leaves the address, where a shared screen would show it. */
function takeKey(): string {
  const query = new URLSearchParams(location.search);
  const given = query.get("key");
  try {
    if (given === null) return localStorage.getItem(KEPT) ?? "";
    localStorage.setItem(KEPT, given);
  } catch {
    return given ?? ""; // no storage: it then stays in the address
  }
  query.delete("key");
  const rest = query.toString();
  history.replaceState(null, "", `${location.pathname}${rest && `?${rest}`}`);
  return given;
}

export function useKey(key: string): void {
  streams.key = key.trim();
  keyWanted.value = "";
  said.value = "";
  try {
    localStorage.setItem(KEPT, streams.key);
  } catch {
    // It is used for as long as this dock is open.
  }
  begin(); // it may show more than was seen without
}

// -- following ----------------------------------------------------------------------------------------------------

let stop = (): void => {};

export function begin(): void {
  stop();
  gone.value = false;
  stop = streams.follow(name, {
    onFacts: (next) => {
      reachable.value = true;
      const before = facts.value;
      const opened = before?.needsKey && !next.needsKey;
      if (next.needsKey) keyWanted.value = streams.key ? "wrong" : "missing";
      else if (!before || opened || before.state !== next.state) void findPresets();
      if ((!before || opened) && next.edit.received) strength.value = next.edit.received.strength;
      facts.value = next;
      standing.value = track.look(next.edit, performance.now());
    },
    onApplied: (revision) => {
      standing.value = track.appliedUpTo(revision, performance.now());
    },
    onTrouble: (refusal, again) => {
      if (again) reachable.value = false;
      else gone.value = refusal.status === 404;
    },
  });
}

async function findPresets(): Promise<void> {
  try {
    presets.value = await streams.presets(name);
  } catch {
    // The dock works without; looked for again at the next change.
  }
}

// -- edits --------------------------------------------------------------------------------------------------------

/** Whether the server took it; where it did not, what it said of it is shown. */
export async function apply(prompt: string, transitionMs = 400): Promise<boolean> {
  const askedMs = performance.now();
  said.value = "";
  try {
    const answer = await streams.edit(name, { prompt, strength: strength.value, transitionMs });
    keyWanted.value = "";
    if (!answer.reading.understood) {
      said.value = `${words.notUnderstood(prompt)} ${answer.reading.note}`.trim();
      return false;
    }
    standing.value = track.answered(answer, askedMs, performance.now());
    return true;
  } catch (error) {
    const refusal = error instanceof Refusal ? error : new Refusal("refused", String(error));
    if (refusal.status === 401 || refusal.status === 403) {
      keyWanted.value = streams.key ? "wrong" : "missing";
    } else said.value = words.failed(refusal.message, refusal.remedy);
    return false;
  }
}

/** What is in the box: where it is refused it is there again, unless something else was typed since. */
export async function send(): Promise<void> {
  const prompt = draft.value.trim();
  if (!prompt) return;
  typed("");
  if (!(await apply(prompt)) && !draft.value.trim()) typed(prompt);
}

export function play(preset: StreamPreset): void {
  strength.value = preset.strength;
  void apply(preset.prompt, preset.transitionMs);
}

let asking = new AbortController();
let timer: ReturnType<typeof setTimeout> | undefined;

/** What the model would take the words for, asked when nothing was typed for a moment. */
export function typed(text: string): void {
  draft.value = text;
  remember(DRAFT, text, "tab");
  clearTimeout(timer);
  asking.abort();
  const prompt = text.trim();
  if (!prompt) {
    reading.value = null;
    return;
  }
  asking = new AbortController();
  const { signal: aborted } = asking;
  timer = setTimeout(async () => {
    const url = new URL("understand", base);
    url.searchParams.set("prompt", prompt);
    if (facts.value?.model) url.searchParams.set("model", facts.value.model);
    const running = standing.value.pending ?? standing.value.applied;
    if (running) {
      url.searchParams.set("running", running.prompt);
      url.searchParams.set("strength", String(running.strength));
    }
    try {
      const response = await fetch(url, { signal: aborted });
      if (response.ok) reading.value = { text: prompt, reading: parseReading(await response.json()) };
    } catch {
      // Overtaken by the next letter, or the server is away.
    }
  }, DEBOUNCE_MS);
}

streams.key = takeKey();
const before = recall(DRAFT, "", "tab"); // what was typed and not sent, before the dock was loaded again
if (before) typed(before);
