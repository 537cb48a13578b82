/**
 * A live edit session that stays: connects, sends edits, says what became of them, measures, and comes back by
 * itself after a lost network or a restarted server, with the last edit. Has no user interface.
 */
import { Backoff } from "./backoff";
import { parseReading } from "./catalogue";
import type {
  ClientEvents,
  ClientOptions,
  ConnectionState,
  ConnectOptions,
  EditOptions,
  StateEvent,
} from "./clientevents";
import { nextAttempt } from "./comeback";
import { Connection } from "./connection";
import { Emitter } from "./emitter";
import type { ClientMessage } from "./protocol.gen";
import { type PendingEdit, Receipts } from "./receipts";
import { Refusal } from "./refusal";
import { Screens } from "./screens";
import { SessionMeter } from "./sessionmeter";
import { type FilmSource, Signalling } from "./signalling";
import { Silence } from "./silence";
import { type Wanted, WantedEdit } from "./wantededit";
import { decodeServer, encodeClient } from "./wire";

const STATS_MS = 1_000;

export class RelensClient extends Emitter<ClientEvents> {
  readonly signalling: Signalling;
  iceServers: RTCIceServer[];
  readonly #clockWorkerUrl: string;
  readonly #backoff = new Backoff();
  readonly #receipts = new Receipts();
  #connection: Connection | null = null;
  #source: MediaStream | FilmSource | null = null;
  #model = "";
  readonly #wanted = new WantedEdit();
  #paused = false;
  #state: StateEvent = { state: "idle", attempt: 0, retryInMs: null, refusal: null };
  #generation = 0;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #statsTimer: ReturnType<typeof setInterval> | undefined;
  #meter = new SessionMeter();
  readonly #silence = new Silence();
  /** The server ended the session because no picture came. */
  #idled = false;
  /** It did because nothing was done in a pause. */
  #putOut: Refusal | null = null;
  /** A film is at its end. */
  #filmEnded = false;
  readonly #screens = new Screens((rtp, atMs) => {
    this.#meter.presented(rtp, atMs);
    this.#receipts.presented(rtp, atMs);
  });

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
    return this.#wanted.now;
  }

  /**
   * Opens a session that edits `source`, and keeps it: a stream to send, or a film that the server has
   * (`{ film: id, at: seconds }`). Follow `state` for how it goes; an earlier session ends.
   */
  connect(source: MediaStream | FilmSource, options: ConnectOptions = {}): void {
    this.#source = source;
    this.#model = options.model ?? this.#model;
    if (options.prompt !== undefined) {
      this.#wanted.ask(options.prompt, options.strength === undefined ? {} : { strength: options.strength });
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
    const wanted = this.#wanted.ask(prompt, options);
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
    // On a new session it would stand there again.
    if (this.#putOut && this.#filmEnded) this.seek(0);
    else this.#send({ type: "resume" });
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
    return this.#screens.attach(video);
  }

  #send(message: ClientMessage): void {
    // Not open: what is wanted is sent when it opens.
    if (this.state === "open") this.#connection?.send(encodeClient(message));
    else if (this.#state.refusal?.kind === "paused") this.retry(); // somebody is there again
  }

  async #open(state: "connecting" | "reconnecting"): Promise<void> {
    const source = this.#source;
    if (!source) return;
    this.#drop();
    this.#putOut = null;
    const generation = this.#generation;
    this.#enter(state);
    const wanted = this.#wanted.now;
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
        onSent: (rtp, atMs) => generation === this.#generation && this.#meter.sent(rtp, atMs),
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
    this.#silence.heard(performance.now());
    this.#enter("open");
    const wanted = this.#wanted.now;
    if (wanted) {
      this.#receipts.resent(wanted.revision, performance.now());
      this.#send({ type: "edit", ...wanted });
    }
    if (this.#paused) this.#send({ type: "pause" });
    void this.#connection?.getStats().then((reports) => this.#meter.begin(reports));
    this.#statsTimer = setInterval(() => void this.#measure(), STATS_MS);
  }

  #again(lost: Refusal | null): void {
    this.#drop();
    const refusal = lost ?? this.#putOut;
    const film = this.#source !== null && !(this.#source instanceof MediaStream);
    const ended = { refusal, film, unseen: this.#idled && document.hidden };
    const { state, retryInMs } = nextAttempt(ended, () => this.#backoff.next());
    this.#enter(state, refusal, retryInMs);
    if (retryInMs !== null) this.#retryTimer = setTimeout(() => void this.#open("reconnecting"), retryInMs);
    else if (state === "waiting" && !this.#putOut) document.addEventListener("visibilitychange", this.#seen);
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
    this.#meter = new SessionMeter();
  }

  #enter(state: ConnectionState, refusal: Refusal | null = null, retryInMs: number | null = null): void {
    this.#state = { state, attempt: this.#backoff.attempt, retryInMs, refusal };
    this.emit("state", this.#state);
  }

  #onTrack(remote: MediaStream): void {
    this.#screens.show(remote);
    this.emit("track", remote);
  }

  #onMessage(data: unknown): void {
    const message = decodeServer(data);
    const nowMs = performance.now();
    this.#silence.heard(nowMs);
    switch (message?.type) {
      case "received": {
        const reading = parseReading(message);
        const { prompt, strength = 1, seed = 0 } = message;
        const inForce = prompt === undefined ? null : { prompt, strength, seed };
        this.#receipts.received(message.revision, reading, nowMs);
        this.#wanted.received(message.revision, reading.understood, inForce);
        this.emit("received", { revision: message.revision, reading, inForce });
        break;
      }
      case "applied":
        this.#receipts.applied(message.revision, message.pts, nowMs);
        this.emit("applied", { revision: message.revision, pts: message.pts });
        break;
      case "stats":
        this.#meter.server = message;
        break;
      case "degraded":
        this.emit("degraded", message);
        break;
      case "position": {
        const { at, duration, playing } = message;
        this.#filmEnded = !playing && at >= duration;
        // Where a new session would go on.
        if (this.#source && !(this.#source instanceof MediaStream)) this.#source = { ...this.#source, at };
        this.emit("position", { at, duration, playing });
        break;
      }
      case "error": {
        if (message.code === "idle") this.#idled = true;
        if (message.code === "paused") this.#putOut = new Refusal("paused", message.message);
        const revision = message.revision ?? null;
        if (revision !== null) this.#receipts.failed(revision, new Error(message.message));
        this.emit("error", { code: message.code, message: message.message, revision });
        break;
      }
    }
  }

  async #measure(): Promise<void> {
    const connection = this.#connection;
    if (!connection) return;
    this.#receipts.tick(performance.now());
    void this.#lookAfter(connection);
    const reports = await connection.getStats();
    if (connection === this.#connection) this.emit("stats", this.#meter.read(reports));
  }

  async #lookAfter(connection: Connection): Promise<void> {
    const found = await this.#silence.look(performance.now(), () => this.signalling.alive());
    if (!found || connection !== this.#connection) return;
    if (found === "cut off") await connection.restartIce();
    else this.#again(new Refusal("unreachable", "the server does not answer"));
  }
}
