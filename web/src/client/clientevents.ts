/** What RelensClient takes and tells: options, states, events. Types alone. */
import type { Reading } from "./catalogue";
import type { Degraded, Position, Stats } from "./protocol.gen";
import type { EditReceipt } from "./receipts";
import type { Refusal } from "./refusal";
import type { TransportStats } from "./transport";

/** `waiting`: the server is full and will be asked again, or nobody was there (a page that is not seen, or long paused); `refused`: it said no, and asking again is no use. */
export type ConnectionState =
  | "idle"
  | "connecting"
  | "open"
  | "reconnecting"
  | "waiting"
  | "refused"
  | "closed";

export interface StateEvent {
  state: ConnectionState;
  /** Attempts since it was last open. */
  attempt: number;
  /** When the next attempt is due, in ms from now; null when none is. */
  retryInMs: number | null;
  refusal: Refusal | null;
}

/** Glass to glass; of a film, from its frame on the server to the screen. `measured`: per frame; otherwise a sum of measured parts, to be called an estimate. */
export interface GlassToGlass {
  p50Ms: number;
  p95Ms: number;
  measured: boolean;
}

export interface StatsEvent {
  server: Stats | null;
  transport: TransportStats;
  glass: GlassToGlass | null;
}

/** An edit as the server has it. */
export interface InForce {
  prompt: string;
  strength: number;
  seed: number;
}

export interface ClientEvents {
  state: StateEvent;
  /** `inForce`: what the reading is of, after "undo that" the edit before; null: an older server. */
  received: { revision: number; reading: Reading; inForce: InForce | null };
  /** The server says that the first frame under the edit left. */
  applied: { revision: number; pts: number };
  /** That frame is on the screen, and how long it all took. */
  shown: EditReceipt;
  stats: StatsEvent;
  degraded: Degraded;
  /** Of a film, a few times a second: where it is. */
  position: FilmPosition;
  error: { code: string; message: string; revision: number | null };
  /** The edited stream; attach() does what is usually wanted with it. */
  track: MediaStream;
}

/** In seconds of the film. `playing` is false while it is paused, and at its end. */
export type FilmPosition = Omit<Position, "type">;

export interface ClientOptions {
  /** The server's root; by default where the page came from. */
  base?: string;
  iceServers?: RTCIceServer[];
  /** relens-clock.worker.js of the same origin as the page. */
  clockWorkerUrl?: string;
}

export interface ConnectOptions {
  model?: string;
  prompt?: string;
  strength?: number;
}

export interface EditOptions {
  strength?: number;
  transitionMs?: number;
  seed?: number;
}
