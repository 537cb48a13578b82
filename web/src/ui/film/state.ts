/** What Video mode shows beside the film itself, as signals. Holds state; decides nothing. */
import { signal } from "@preact/signals";
import { type Film, Films, type Job, type JobDetails, type Thumbnails } from "../../client/films";
import { Refusal } from "../../client/refusal";
import { client } from "../live";
import { filmStrings as words } from "../strings.film";

export interface UploadShown {
  /** Of the film it becomes; "" until the server gave it one. */
  id: string;
  name: string;
  bytes: number;
  sent: number;
  bps: number;
  leftS: number | null;
  /** `waiting`: the network is away; `checking`: all is there, and being looked into; `refused`: `problem` says why. */
  state: "preparing" | "running" | "paused" | "waiting" | "checking" | "refused";
  problem: string;
}

export const films = new Films(client.signalling.base);

export const shown = {
  films: signal<Film[]>([]),
  /** Open where there is a choice to be made. */
  shelf: signal(true),
  upload: signal<UploadShown | null>(null),
  /** One sentence on what the server would not do. */
  problem: signal(""),
  thumbnails: signal<Thumbnails | null>(null),
  jobs: signal<Job[]>([]),
  /** What is known of those that are followed, by their id. */
  details: signal<Record<string, JobDetails>>({}),
  /** The job whose render is on the stage in the place of the live preview. */
  watched: signal<string | null>(null),
  /** The film is heard. */
  sound: signal(false),
  /** Why it cannot be; "": it can. */
  silent: signal(""),
  /** A file is held over the page. */
  dragging: signal(false),
};

/** The files that were chosen in this visit, by the film they became: what the divider's source side shows. */
export const files = new Map<string, File>();

export function explain(error: unknown): string {
  if (error instanceof Refusal) return words.failed(error.message, error.remedy);
  return words.failed(error instanceof Error ? error.message : String(error), "");
}
