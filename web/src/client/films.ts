/** Films and their renders over HTTP: lists, thumbnails, a whole film rendered, and how that goes. Knows no page. */
import { ask } from "./ask";
import { fields, list, number, text } from "./json";
import { refusalFrom } from "./refusal";

/** `uploading` and `checking` become `ready` or `refused`; `problem` says why. Sizes are 0 while it is not ready. */
export interface Film {
  id: string;
  name: string;
  bytes: number;
  state: "uploading" | "checking" | "ready" | "refused";
  problem: string;
  width: number;
  height: number;
  fps: number;
  /** Seconds. */
  duration: number;
  /** The sound's codec; "" without sound. */
  audio: string;
}

/** Small pictures in rows of `columns` in one image; `at`: their times in seconds. */
export interface Thumbnails {
  columns: number;
  width: number;
  height: number;
  at: number[];
  image: string;
}

/** An instruction of a timeline; `at` in seconds of the film. */
export interface FilmEdit {
  at: number;
  prompt: string;
  strength: number;
  transitionMs: number;
  seed: number;
}

export type JobStatus = "QUEUED" | "RUNNING" | "DONE" | "FAILED" | "CANCELLED";

export interface Job {
  id: string;
  videoId: string;
  model: string;
  status: JobStatus;
  /** While it runs: cutting, rendering or assembling. */
  stage: string;
  /** Why it failed, was cancelled, or waits. */
  reason: string;
  frames: number;
  framesDone: number;
  fps: number;
  /** null: not known. */
  etaS: number | null;
  /** Of the result; 0 while there is none. */
  bytes: number;
  createdAt: number;
}

export interface JobDetails extends Job {
  edits: FilmEdit[];
  /** From and to in seconds of what is rendered. */
  done: [number, number][];
}

/** One instruction for the whole film, or a timeline of them. */
export type Render = { instruction: string; strength?: number; seed?: number } | { edits: FilmEdit[] };

const FILM_STATES = new Set(["uploading", "checking", "ready", "refused"]);
const JOB_STATES = new Set(["QUEUED", "RUNNING", "DONE", "FAILED", "CANCELLED"]);
const RENDER_MS = 60_000; // a model may have to be loaded before the instruction is understood

export class Films {
  /** `base`: the server's root, with a slash at the end. */
  constructor(readonly base: string) {}

  /** Newest first. Raises Refusal, as all of these do. */
  async list(): Promise<Film[]> {
    const found = fields(await this.#json("videos"));
    return list(found.videos).map(parseFilm);
  }

  async get(id: string): Promise<Film> {
    return parseFilm(await this.#json(`videos/${encodeURIComponent(id)}`));
  }

  async delete(id: string): Promise<void> {
    await ask(this.url(`videos/${encodeURIComponent(id)}`), { method: "DELETE" });
  }

  async thumbnails(id: string): Promise<Thumbnails> {
    const found = fields(await this.#json(`videos/${encodeURIComponent(id)}/thumbnails`));
    return {
      columns: Math.max(1, number(found.columns, 1)),
      width: number(found.width, 0),
      height: number(found.height, 0),
      at: list(found.at).map((at) => number(at, 0)),
      image: new URL(text(found.image), this.base).href,
    };
  }

  /** The largest film the server takes, in bytes; null where it does not say. */
  async mostBytes(): Promise<number | null> {
    const response = await ask(this.url("files"), { method: "OPTIONS" });
    return Number(response.headers.get("Tus-Max-Size")) || null;
  }

  /** Starts to render a whole film. The same `key` again gives the same job. Returns its id. */
  async render(film: string, render: Render, model: string, key: string): Promise<string> {
    const asked =
      "edits" in render ? { timeline: { version: 1, model, edits: render.edits } } : { model, ...render };
    const response = await ask(
      this.url("edit-video"),
      {
        method: "POST",
        headers: { "Content-Type": "application/json", "Idempotency-Key": key },
        body: JSON.stringify({ videoId: film, ...asked }),
      },
      RENDER_MS,
    );
    const answer = fields(await response.json());
    return text(answer.job_id, text(answer.jobId));
  }

  async jobs(): Promise<Job[]> {
    return list(fields(await this.#json("jobs")).jobs).map(parseJob);
  }

  async job(id: string): Promise<JobDetails> {
    return parseJobDetails(await this.#json(this.#jobPath(id)));
  }

  async cancel(id: string): Promise<void> {
    await ask(this.url(this.#jobPath(id)), { method: "DELETE" });
  }

  /** One that is over goes for good, with its result. */
  async forget(id: string): Promise<void> {
    const url = this.url(this.#jobPath(id));
    url.searchParams.set("forget", "true");
    await ask(url, { method: "DELETE" });
  }

  async retry(id: string): Promise<void> {
    await ask(this.url(`${this.#jobPath(id)}/retry`), { method: "POST" });
  }

  /** What can be played while it grows: HLS. */
  playlistUrl(id: string): string {
    return this.url(`${this.#jobPath(id)}/preview.m3u8`).href;
  }

  resultUrl(id: string): string {
    return this.url(`${this.#jobPath(id)}/result`).href;
  }

  /**
   * Tells of a job whenever something of it changes, until it is over; comes back by itself after a lost network.
   * Returns what ends it.
   */
  follow(id: string, onJob: (job: JobDetails) => void): () => void {
    let source: EventSource;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = ({ data }: MessageEvent<string>): void => {
      const job = readJob(data);
      if (!job) return;
      if (isOver(job)) source.close();
      onJob(job);
    };
    const listen = (): void => {
      source = new EventSource(this.url(`${this.#jobPath(id)}/events`));
      for (const name of JOB_EVENTS) source.addEventListener(name, look);
      source.onerror = () => {
        // After an answer other than 200 (a proxy, a server that starts) browsers do not ask again.
        if (source.readyState === EventSource.CLOSED) timer = setTimeout(listen, AGAIN_MS);
      };
    };
    listen();
    return () => {
      clearTimeout(timer);
      source.close();
    };
  }

  url(path: string): URL {
    return new URL(path, this.base);
  }

  #jobPath(id: string): string {
    return `jobs/${encodeURIComponent(id)}`;
  }

  async #json(path: string): Promise<unknown> {
    const response = await ask(this.url(path));
    if (!response.headers.get("Content-Type")?.includes("json")) throw await refusalFrom(response);
    return response.json();
  }
}

const JOB_EVENTS = ["progress", "end"];
const AGAIN_MS = 5_000;

export const isOver = ({ status }: Job): boolean =>
  status === "DONE" || status === "FAILED" || status === "CANCELLED";

/** 0..1; null while the number of frames is not known. */
export const shareOf = ({ status, frames, framesDone }: Job): number | null =>
  status === "DONE" ? 1 : frames > 0 ? Math.min(1, framesDone / frames) : null;

export function parseFilm(value: unknown): Film {
  const film = fields(value);
  const state = text(film.state);
  return {
    id: text(film.id),
    name: text(film.name),
    bytes: number(film.bytes, 0),
    state: (FILM_STATES.has(state) ? state : "checking") as Film["state"],
    problem: text(film.problem),
    width: number(film.width, 0),
    height: number(film.height, 0),
    fps: number(film.fps, 0),
    duration: number(film.duration, 0),
    audio: text(film.audio),
  };
}

export function parseJob(value: unknown): Job {
  const job = fields(value);
  const status = text(job.status);
  return {
    id: text(job.id),
    videoId: text(job.videoId),
    model: text(job.model),
    status: (JOB_STATES.has(status) ? status : "QUEUED") as JobStatus,
    stage: text(job.stage),
    reason: text(job.reason),
    frames: number(job.frames, 0),
    framesDone: number(job.framesDone, 0),
    fps: number(job.fps, 0),
    etaS: typeof job.etaS === "number" ? job.etaS : null,
    bytes: number(job.bytes, 0),
    createdAt: number(job.createdAt, 0),
  };
}

export function parseJobDetails(value: unknown): JobDetails {
  const job = fields(value);
  return {
    ...parseJob(value),
    edits: list(job.edits).map((each) => {
      const edit = fields(each);
      return {
        at: number(edit.at, 0),
        prompt: text(edit.prompt),
        strength: number(edit.strength, 1),
        transitionMs: number(edit.transitionMs, 400),
        seed: number(edit.seed, 0),
      };
    }),
    done: list(job.done).map((range) => {
      const [from, to] = list(range);
      return [number(from, 0), number(to, 0)];
    }),
  };
}

/** null for an event that is no job: a newer server may say more. */
function readJob(data: string): JobDetails | null {
  try {
    const value: unknown = JSON.parse(data);
    return fields(value).status === undefined ? null : parseJobDetails(value);
  } catch {
    return null;
  }
}
