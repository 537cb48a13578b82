/**
 * A live edit session that stays: connects, sends edits, says what became of them, measures, and comes back by
 * itself after a lost network or a restarted server, with the last edit. Has no user interface.
 */
import { Backoff } from "./backoff";
import { parseReading, type Reading } from "./catalogue";
import { Connection } from "./connection";
import { Emitter } from "./emitter";
import { GlassMeter } from "./glass";
import type { ClientMessage, Degraded, Position, Stats } from "./protocol.gen";
import { type EditReceipt, type PendingEdit, Receipts } from "./receipts";
import { Refusal, type RefusalKind } from "./refusal";
import { type FilmSource, Signalling } from "./signalling";
import { TransportReader, type TransportStats } from "./transport";
import { decodeServer, encodeClient } from "./wire";

/** `waiting`: the server is full and will be asked again, or nobody looks at the page; `refused`: it said no, and asking again is no use. */
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

interface Wanted extends InForce {
  revision: number;
  transitionMs: number;
}

const STATS_MS = 1_000;
const SILENCE_MS = 3_500; // the server speaks once a second; three missed is a reason to ask after it

export class RelensClient extends Emitter<ClientEvents> {
  readonly signalling: Signalling;
  iceServers: RTCIceServer[];
  readonly #clockWorkerUrl: string;
  readonly #backoff = new Backoff();
  readonly #receipts = new Receipts();
  #connection: Connection | null = null;
  #source: MediaStream | FilmSource | null = null;
  #model = "";
  #wanted: Wanted | null = null;
  #understood: Wanted | null = null;
  #paused = false;
  #revision = 0;
  #state: StateEvent = { state: "idle", attempt: 0, retryInMs: null, refusal: null };
  #generation = 0;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #statsTimer: ReturnType<typeof setInterval> | undefined;
  #glass = new GlassMeter();
  #transport = new TransportReader();
  #serverStats: Stats | null = null;
  #heardMs = 0;
  #probing = false;
  /** The server ended the session because no picture came. */
  #idled = false;
  #videos = new Set<HTMLVideoElement>();
  #remote: MediaStream | null = null;

  constructor(options: ClientOptions = {}) {
    super();
    this.signalling = new Signalling(new URL(options.base ?? ".", document.baseURI).href);
    this.iceServers = options.iceServers ?? [];
    this.#clockWorkerUrl = options.clockWorkerUrl ?? "relens-clock.worker.js";
    this.#receipts.onShown = (receipt) => this.emit("shown", receipt);
  }

  get state(): ConnectionState {
    return this.#state.state;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** The edit last asked for, applied or not. */
  get wanted(): Readonly<Wanted> | null {
    return this.#wanted;
  }

  /**
   * Opens a session that edits `source`, and keeps it: a stream to send, or a film that the server has
   * (`{ film: id, at: seconds }`). Follow `state` for how it goes; an earlier session ends.
   */
  connect(source: MediaStream | FilmSource, options: ConnectOptions = {}): void {
    this.#source = source;
    this.#model = options.model ?? this.#model;
    if (options.prompt !== undefined) {
      this.#want(options.prompt, options.strength === undefined ? {} : { strength: options.strength });
    }
    this.#backoff.reset();
    void this.#open("connecting");
  }

  /** Sends another source; on the running session where the tracks are alike, else on a new one. */
  async replaceStream(stream: MediaStream): Promise<void> {
    const before = this.#source;
    this.#source = stream;
    const alike =
      before instanceof MediaStream && before.getAudioTracks().length === stream.getAudioTracks().length;
    if (!this.#connection || this.state !== "open" || !alike) {
      this.connect(stream);
      return;
    }
    await this.#connection.replace(stream);
  }

  /** Asks for an edit. Both promises reject only when the server refuses it or the client is closed. */
  edit(prompt: string, options: EditOptions = {}): PendingEdit {
    const wanted = this.#want(prompt, options);
    const pending = this.#receipts.start(wanted.revision, performance.now());
    this.#send({ type: "edit", ...wanted });
    return pending;
  }

  /** Goes on from there, in seconds of the film. Only where a film is edited. */
  seek(at: number): void {
    if (!this.#source || this.#source instanceof MediaStream) return;
    this.#source = { ...this.#source, at };
    this.#send({ type: "seek", at });
  }

  /** The edited stream stops, and the server stops working on it; a film stands still, and is edited on. */
  pause(): void {
    this.#paused = true;
    this.#send({ type: "pause" });
  }

  resume(): void {
    this.#paused = false;
    this.#send({ type: "resume" });
  }

  /** Tries again at once instead of when it is due. */
  retry(): void {
    if (!this.#source) return;
    this.#backoff.reset();
    void this.#open("connecting");
  }

  /** Ends the session. connect() starts another. */
  close(): void {
    this.#drop();
    this.#receipts.clear(new Error("the session was closed"));
    this.#enter("closed");
  }

  /** Shows the edited stream in `video` and measures at its frames. Returns what undoes it. */
  attach(video: HTMLVideoElement): () => void {
    this.#videos.add(video);
    if (this.#remote) play(video, this.#remote);
    this.#watch(video);
    return () => this.#videos.delete(video);
  }

  #want(prompt: string, options: EditOptions): Wanted {
    this.#revision += 1;
    this.#wanted = {
      revision: this.#revision,
      prompt,
      strength: options.strength ?? this.#wanted?.strength ?? 1,
      transitionMs: options.transitionMs ?? this.#wanted?.transitionMs ?? 400,
      seed: options.seed ?? this.#wanted?.seed ?? 0,
    };
    return this.#wanted;
  }

  #send(message: ClientMessage): void {
    // Not open: what is wanted is sent when it opens.
    if (this.state === "open") this.#connection?.send(encodeClient(message));
  }

  async #open(state: "connecting" | "reconnecting"): Promise<void> {
    const source = this.#source;
    if (!source) return;
    this.#drop();
    const generation = this.#generation;
    this.#enter(state);
    const wanted = this.#wanted;
    const connection = new Connection(
      this.signalling,
      {
        source,
        iceServers: this.iceServers,
        model: this.#model,
        prompt: wanted?.prompt ?? "",
        strength: wanted?.strength ?? 1,
        clockWorkerUrl: this.#clockWorkerUrl,
      },
      {
        onMessage: (data) => generation === this.#generation && this.#onMessage(data),
        onTrack: (remote) => generation === this.#generation && this.#onTrack(remote),
        onSent: (rtp, atMs) => generation === this.#generation && this.#glass.sent(rtp, atMs),
        onLost: () => generation === this.#generation && this.#again(null),
      },
    );
    this.#connection = connection;
    try {
      await connection.open();
    } catch (error) {
      if (generation !== this.#generation) return;
      this.#connection = null;
      this.#again(error instanceof Refusal ? error : new Refusal("refused", String(error)));
      return;
    }
    if (generation !== this.#generation) {
      connection.close();
      return;
    }
    this.#opened();
  }

  #opened(): void {
    this.#backoff.reset();
    this.#idled = false;
    this.#heardMs = performance.now();
    this.#enter("open");
    if (this.#wanted) {
      this.#receipts.resent(this.#wanted.revision, performance.now());
      this.#send({ type: "edit", ...this.#wanted });
    }
    if (this.#paused) this.#send({ type: "pause" });
    void this.#baseline();
    this.#statsTimer = setInterval(() => void this.#measure(), STATS_MS);
  }

  #again(refusal: Refusal | null): void {
    this.#drop();
    const film = this.#source !== null && !(this.#source instanceof MediaStream);
    const never: RefusalKind[] = film ? ["codec", "model", "refused", "gone"] : ["codec", "model", "refused"];
    if (refusal && never.includes(refusal.kind)) {
      this.#enter("refused", refusal);
      return;
    }
    if (this.#idled && document.hidden) {
      // Browsers stop the pictures of a page nobody sees: a new session would only idle again.
      this.#enter("waiting");
      document.addEventListener("visibilitychange", this.#seen);
      return;
    }
    const full = refusal?.kind === "full";
    const retryInMs = full ? (refusal.retryAfterS ?? 5) * 1000 : this.#backoff.next();
    this.#enter(full ? "waiting" : "reconnecting", refusal, retryInMs);
    this.#retryTimer = setTimeout(() => void this.#open("reconnecting"), retryInMs);
  }

  readonly #seen = (): void => {
    if (!document.hidden) this.retry();
  };

  /** Lets go of the connection and everything measured on it. */
  #drop(): void {
    this.#generation += 1;
    document.removeEventListener("visibilitychange", this.#seen);
    clearTimeout(this.#retryTimer);
    clearInterval(this.#statsTimer);
    this.#connection?.close();
    this.#connection = null;
    this.#glass = new GlassMeter();
    this.#transport = new TransportReader();
    this.#serverStats = null;
  }

  #enter(state: ConnectionState, refusal: Refusal | null = null, retryInMs: number | null = null): void {
    this.#state = { state, attempt: this.#backoff.attempt, retryInMs, refusal };
    this.emit("state", this.#state);
  }

  #onTrack(remote: MediaStream): void {
    this.#remote = remote;
    for (const video of this.#videos) play(video, remote);
    this.emit("track", remote);
  }

  #onMessage(data: unknown): void {
    const message = decodeServer(data);
    const nowMs = performance.now();
    this.#heardMs = nowMs;
    switch (message?.type) {
      case "received": {
        const reading = parseReading(message);
        const { prompt, strength = 1, seed = 0 } = message;
        const inForce = prompt === undefined ? null : { prompt, strength, seed };
        this.#receipts.received(message.revision, reading, nowMs);
        if (message.revision === this.#wanted?.revision) {
          // What is not understood is not applied: after a reconnect the edit before it is asked for again.
          // After "undo that" the edit in force is the one before: that is what is asked for again.
          if (reading.understood) this.#understood = { ...this.#wanted, ...inForce };
          this.#wanted = this.#understood;
        }
        this.emit("received", { revision: message.revision, reading, inForce });
        break;
      }
      case "applied":
        this.#receipts.applied(message.revision, message.pts, nowMs);
        this.emit("applied", { revision: message.revision, pts: message.pts });
        break;
      case "stats":
        this.#serverStats = message;
        break;
      case "degraded":
        this.emit("degraded", message);
        break;
      case "position": {
        const { at, duration, playing } = message;
        // Where a new session would go on.
        if (this.#source && !(this.#source instanceof MediaStream)) this.#source = { ...this.#source, at };
        this.emit("position", { at, duration, playing });
        break;
      }
      case "error": {
        if (message.code === "idle") this.#idled = true;
        const revision = message.revision ?? null;
        if (revision !== null) this.#receipts.failed(revision, new Error(message.message));
        this.emit("error", { code: message.code, message: message.message, revision });
        break;
      }
    }
  }

  /** Rates are differences: the first look gives only what the next is compared with. */
  async #baseline(): Promise<void> {
    const reports = await this.#connection?.getStats();
    if (reports) this.#transport.read(reports.values());
  }

  async #measure(): Promise<void> {
    const connection = this.#connection;
    if (!connection) return;
    const nowMs = performance.now();
    this.#receipts.tick(nowMs);
    if (nowMs - this.#heardMs > SILENCE_MS) void this.#probe(connection);
    const transport = this.#transport.read((await connection.getStats()).values());
    if (connection !== this.#connection) return;
    if (transport.encodeMs > 0) this.#glass.encodeMs = transport.encodeMs;
    this.emit("stats", { server: this.#serverStats, transport, glass: this.#glassToGlass(transport) });
  }

  #glassToGlass(transport: TransportStats): GlassToGlass | null {
    const spread = this.#glass.read(performance.now());
    if (spread) return { p50Ms: spread.p50Ms, p95Ms: spread.p95Ms, measured: true };
    if (!this.#serverStats || transport.receiveFps === 0) return null;
    const { encodeMs, rttMs, jitterBufferMs, decodeMs } = transport;
    const around = encodeMs + rttMs + jitterBufferMs + decodeMs;
    const { p50Ms, p95Ms } = this.#serverStats.latency;
    return { p50Ms: p50Ms + around, p95Ms: p95Ms + around, measured: false };
  }

  /** The server fell silent: gone altogether, or only the way to this session? */
  async #probe(connection: Connection): Promise<void> {
    if (this.#probing) return;
    this.#probing = true;
    const alive = await this.signalling.alive();
    this.#probing = false;
    if (connection !== this.#connection) return;
    this.#heardMs = performance.now();
    if (alive) await connection.restartIce();
    else this.#again(new Refusal("unreachable", "the server does not answer"));
  }

  #watch(video: HTMLVideoElement): void {
    if (!("requestVideoFrameCallback" in video)) return;
    const look = (nowMs: number, frame: VideoFrameCallbackMetadata): void => {
      if (!this.#videos.has(video)) return;
      if (frame.rtpTimestamp !== undefined) {
        const atMs = frame.expectedDisplayTime || nowMs;
        this.#glass.presented(frame.rtpTimestamp, atMs);
        this.#receipts.presented(frame.rtpTimestamp, atMs);
      }
      video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
  }
}

function play(video: HTMLVideoElement, stream: MediaStream): void {
  if (video.srcObject !== stream) video.srcObject = stream;
  video.play().catch(() => {
    // Replaced by a newer stream while it started, or the browser waits for a gesture; both are seen by the page.
  });
}
