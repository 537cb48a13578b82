// Generated from server/protocol.schema.json by `npm run gen`. Do not edit.

/** When the first frame under the edit leaves; `pts` is that frame's RTP timestamp (90 kHz, 32 bit). */
export interface Applied {
  pts: number;
  revision: number;
  type: "applied";
}

export type ClientMessage = EditMessage | Pause | Resume | Ping | Seek;

/** The stream stepped down or up its ladder. `level` 0 is full quality; `message` is for people. */
export interface Degraded {
  level: number;
  message: string;
  type: "degraded";
}

export interface EditMessage {
  prompt: string;
  revision: number;
  seed?: number;
  strength?: number;
  transitionMs?: number;
  type: "edit";
}

export interface Error {
  code: string;
  message: string;
  revision?: number | null;
  type: "error";
}

export interface Latency {
  p50Ms: number;
  p95Ms: number;
}

/** One edit that a model found in a prompt; `colours`: what is found, then what it becomes. */
export interface Part {
  amount: number;
  colours?: string[];
  name: string;
  region?: "background" | "everywhere" | "person";
}

/** The edited stream stops until `resume`; the source is not processed meanwhile. */
export interface Pause {
  type: "pause";
}

export interface Ping {
  t: number;
  type: "ping";
}

export interface Pong {
  t: number;
  type: "pong";
}

/** Of a film's preview, a few times a second: where it is, in seconds. */
export interface Position {
  at: number;
  duration: number;
  playing: boolean;
  type: "position";
}

/** At once: the edit was taken, and what the model took it for. */
export interface Received {
  confidence?: number;
  label?: string;
  leftOut?: string[];
  nearest?: string[];
  note?: string;
  parts?: Part[];
  prompt?: string;
  revision: number;
  seed?: number;
  strength?: number;
  type: "received";
  understood?: boolean;
}

export interface Resume {
  type: "resume";
}

/** Of a film's preview: go on from there, in seconds; outside the film means its nearest end. */
export interface Seek {
  at: number;
  type: "seek";
}

export type ServerMessage = Received | Applied | Stats | Degraded | Error | Position | Pong;

/** Each second, measured on this stream over the last second. Latency is what the server adds. */
export interface Stats {
  bitrateBps: number;
  codec: string;
  decode: Latency;
  decoder: string;
  device: string;
  dropped: number;
  edit: Latency;
  encode: Latency;
  encoder: string;
  fpsIn: number;
  fpsOut: number;
  height: number;
  latency: Latency;
  model: string;
  revision: number;
  type: "stats";
  uptimeS: number;
  width: number;
}
