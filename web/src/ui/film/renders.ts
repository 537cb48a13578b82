/** Whole films rendered: started, followed, cancelled, tried again. */
import { effect } from "@preact/signals";
import { isOver, type JobDetails, type Render } from "../../client/films";
import { client } from "../live";
import { runningModel, store } from "../store";
import { filmEdits } from "../timeline";
import { explain, films, shown } from "./state";

const MOST_ASKED = 64; // remembered
const MOST_FOLLOWED = 4; // each is a connection, and browsers have six

const followed = new Map<string, () => void>();
/** By what was asked for: its key, and its job's id once the server answered. */
const asked = new Map<string, { key: string; id: string | null }>();

/** What "this edit" is: the one in force, or being asked for. */
export const editNow = (): { prompt: string; strength: number } | null => {
  const prompt = store.pending.value?.prompt ?? store.applied.value?.prompt ?? "";
  return prompt ? { prompt, strength: client.wanted?.strength ?? store.strength.value } : null;
};

export async function renderAll(what: "now" | "timeline"): Promise<void> {
  const film = store.film.value;
  const now = editNow();
  if (!film || (what === "now" && !now)) return;
  const render: Render =
    what === "now" && now
      ? { instruction: now.prompt, strength: now.strength, seed: client.wanted?.seed ?? 0 }
      : { edits: filmEdits(store.timeline.value) };
  const model = runningModel.value?.name ?? store.modelName.value;
  // The same asked again, because no answer came or while it waits or runs, is the same job; after that another.
  forgetOver();
  const text = JSON.stringify([film.id, render, model]);
  const mine = asked.get(text) ?? { key: newKey(), id: null };
  asked.set(text, mine);
  try {
    shown.problem.value = "";
    mine.id = await films.render(film.id, render, model, mine.key);
    await refreshJobs();
  } catch (error) {
    shown.problem.value = explain(error);
  }
}

function forgetOver(): void {
  const going = new Set(shown.jobs.value.filter((job) => !isOver(job)).map(({ id }) => id));
  for (const [text, { id }] of asked) {
    if (id !== null && !going.has(id)) asked.delete(text);
  }
  while (asked.size >= MOST_ASKED) asked.delete(asked.keys().next().value ?? "");
}

/** The list as the server has it. Raises Refusal. */
export async function refreshJobs(): Promise<void> {
  shown.jobs.value = await films.jobs();
}

async function act(id: string, doing: Promise<void>): Promise<void> {
  try {
    shown.problem.value = "";
    await doing;
    followed.get(id)?.();
    followed.delete(id);
    const { [id]: _, ...others } = shown.details.value;
    shown.details.value = others;
    await refreshJobs();
  } catch (error) {
    shown.problem.value = explain(error);
  }
}

export const cancelJob = (id: string): Promise<void> => act(id, films.cancel(id));
export const retryJob = (id: string): Promise<void> => act(id, films.retry(id));
export const forgetJob = (id: string): Promise<void> => act(id, films.forget(id));

function note(job: JobDetails): void {
  shown.details.value = { ...shown.details.value, [job.id]: job };
  shown.jobs.value = shown.jobs.value.map((each) => (each.id === job.id ? job : each));
  if (!isOver(job)) return;
  followed.get(job.id)?.();
  followed.delete(job.id);
}

/** Follows the jobs that go on, as many as may be, and looks once at the film's others. Until the page ends. */
export function followJobs(): void {
  effect(() => {
    const here = store.source.value === "video";
    const film = store.film.value?.id;
    const jobs = shown.jobs.value;
    const going = here ? jobs.filter((job) => !isOver(job)) : [];
    const wanted = [...going.filter((job) => job.videoId === film), ...going].slice(0, MOST_FOLLOWED);
    for (const [id, stop] of followed) {
      if (wanted.some((job) => job.id === id)) continue;
      stop();
      followed.delete(id);
    }
    for (const { id } of wanted) if (!followed.has(id)) followed.set(id, films.follow(id, note));
    if (!here) return;
    for (const { id } of jobs.filter((job) => job.videoId === film && isOver(job))) {
      if (shown.details.peek()[id]) continue;
      void films.job(id).then(
        (job) => {
          shown.details.value = { ...shown.details.value, [id]: job };
        },
        () => {}, // without its ranges and edits
      );
    }
  });
}

function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
