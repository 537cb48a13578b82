/**
 * Watches one WHEP address and stays: asks again with growing pauses, after 409 and 503 when the server says so, and
 * notices by itself when pictures stop coming. Has no user interface and knows no server in particular.
 */
import { ask } from "./ask";
import { Backoff } from "./backoff";
import { bearer } from "./bearer";
import { playAtOnce, preferH264 } from "./codecs";
import { Emitter } from "./emitter";
import { Refusal, unreachable } from "./refusal";

/** `away`: nothing to watch now, and asked for again. */
export type WhepState = "idle" | "connecting" | "open" | "away" | "closed";

export interface WhepStateEvent {
  state: WhepState;
  /** Why it is away. */
  refusal: Refusal | null;
  /** When it is asked for again, in ms from now; null when it is not. */
  retryInMs: number | null;
}

export interface WhepEvents {
  state: WhepStateEvent;
  /** A new connection's picture and sound; the earlier one's go no further. */
  track: MediaStream;
}

export interface WhepOptions {
  url: URL | string;
  /** The view key, where the stream has one. */
  token?: string;
  iceServers?: RTCIceServer[];
}

const GATHER_MS = 150; // host candidates are there by then
const GATHER_SERVERS_MS = 1_500; // those that STUN and TURN servers find take longer
const OPEN_MS = 15_000;
const LOOK_MS = 1_000;
const SILENT_MS = 3_000; // then the server is asked whether the session is still there, as often
const GIVE_UP_MS = 15_000; // longer than a server keeps viewers for a publisher that broke off
const LOST_MS = 2_500;
const KEY_WAIT_MS = 15_000; // wrong keys are counted by servers: asked for at leisure
const NOT_LIVE_S = 2;

/** The server's session and the connection to it. */
interface Session {
  pc: RTCPeerConnection;
  url: string;
}

export class WhepReader extends Emitter<WhepEvents> {
  readonly #options: WhepOptions;
  readonly #backoff = new Backoff(400, 5_000);
  #session: Session | null = null;
  #generation = 0;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #lookTimer: ReturnType<typeof setInterval> | undefined;
  #lostTimer: ReturnType<typeof setTimeout> | undefined;
  #state: WhepStateEvent = { state: "idle", refusal: null, retryInMs: null };
  #bytes = 0;
  #heardMs = 0;
  #askedMs = 0;

  constructor(options: WhepOptions) {
    super();
    this.#options = options;
  }

  get state(): WhepState {
    return this.#state.state;
  }

  /** Begins to watch, or asks again at once. */
  start(): void {
    this.#backoff.reset();
    void this.#open();
  }

  /** Ends it, on the server too. start() begins anew. */
  close(): void {
    this.#drop();
    this.#enter("closed");
  }

  /** null while nothing is connected. */
  async getStats(): Promise<RTCStatsReport | null> {
    return (await this.#session?.pc.getStats()) ?? null;
  }

  async #open(): Promise<void> {
    this.#drop();
    const generation = this.#generation;
    const current = (): boolean => generation === this.#generation;
    if (this.state !== "away") this.#enter("connecting");
    const pc = new RTCPeerConnection({
      iceServers: this.#options.iceServers ?? [],
      bundlePolicy: "max-bundle",
    });
    const session: Session = { pc, url: "" };
    this.#session = session;
    let told = false;
    pc.ontrack = ({ track, receiver, streams }) => {
      if (track.kind === "video") playAtOnce(receiver);
      const [stream] = streams;
      if (told || !current()) return;
      told = true; // one stream holds both: the browser keeps what is in one stream in step
      this.emit("track", stream ?? new MediaStream(pc.getReceivers().map((each) => each.track)));
    };
    try {
      await this.#connect(session);
    } catch (error) {
      end(session, this.#headers());
      if (current()) this.#again(error instanceof Refusal ? error : unreachable(error));
      return;
    }
    if (!current()) {
      end(session, this.#headers());
      return;
    }
    this.#opened(session);
  }

  async #connect(session: Session): Promise<void> {
    const { pc } = session;
    preferH264(pc.addTransceiver("video", { direction: "recvonly" }));
    pc.addTransceiver("audio", { direction: "recvonly" });
    await pc.setLocalDescription();
    await gathered(pc, this.#options.iceServers?.length ? GATHER_SERVERS_MS : GATHER_MS);
    const { url } = this.#options;
    const response = await ask(url, {
      method: "POST",
      headers: { "Content-Type": "application/sdp", ...this.#headers() },
      body: pc.localDescription?.sdp ?? "",
    });
    const location = response.headers.get("Location");
    if (!location) throw new Refusal("refused", "the server's answer names no session (no Location header)");
    session.url = new URL(location, response.url || url).href;
    try {
      await pc.setRemoteDescription({ type: "answer", sdp: await response.text() });
    } catch (error) {
      throw new Refusal("codec", error instanceof Error ? error.message : String(error));
    }
    await connected(pc);
  }

  #opened(session: Session): void {
    this.#bytes = 0;
    this.#heardMs = performance.now();
    const { pc } = session;
    const look = (): void => {
      clearTimeout(this.#lostTimer);
      const transport = pc.getReceivers()[0]?.transport;
      const over = ["failed", "closed"].includes(pc.connectionState) || transport?.state === "closed";
      if (over) this.#lost(session);
      else if (pc.connectionState === "disconnected") {
        this.#lostTimer = setTimeout(() => this.#lost(session), LOST_MS); // a lost Wi-Fi frame or two heals itself
      }
    };
    pc.onconnectionstatechange = look;
    const transport = pc.getReceivers()[0]?.transport;
    if (transport) transport.onstatechange = look;
    this.#lookTimer = setInterval(() => void this.#look(session), LOOK_MS);
    this.#enter("open");
    look();
  }

  /** Pictures still come? Else: is the session still there, waiting for a publisher? */
  async #look(session: Session): Promise<void> {
    let bytes = 0;
    const reports = await session.pc.getStats().catch(() => null); // closed meanwhile
    for (const report of reports?.values() ?? []) {
      if (report.type === "inbound-rtp" && report.kind === "video") bytes += report.bytesReceived ?? 0;
    }
    if (session !== this.#session) return;
    const nowMs = performance.now();
    if (bytes !== this.#bytes) {
      this.#bytes = bytes;
      this.#heardMs = nowMs;
      this.#backoff.reset();
      return;
    }
    const silentMs = nowMs - this.#heardMs;
    if (silentMs > GIVE_UP_MS) this.#lost(session);
    else if (silentMs > SILENT_MS && nowMs - this.#askedMs > SILENT_MS) {
      this.#askedMs = nowMs;
      if (await isGone(session.url, this.#headers())) this.#lost(session);
    }
  }

  #lost(session: Session): void {
    if (session === this.#session) this.#again(null);
  }

  #again(refusal: Refusal | null): void {
    const session = this.#release();
    const { status = 0, retryAfterS = null } = refusal ?? {};
    let waitMs = this.#backoff.next();
    if (status === 401 || status === 403) waitMs = KEY_WAIT_MS;
    else if (retryAfterS !== null) waitMs = retryAfterS * 1000;
    else if (status === 409) waitMs = NOT_LIVE_S * 1000;
    this.#retryTimer = setTimeout(() => void this.#open(), waitMs);
    this.#enter("away", refusal, waitMs); // its last picture can still be kept: once it is closed it is black
    if (session) end(session, this.#headers());
  }

  #drop(): void {
    const session = this.#release();
    if (session) end(session, this.#headers());
  }

  #release(): Session | null {
    this.#generation += 1;
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#lostTimer);
    clearInterval(this.#lookTimer);
    const session = this.#session;
    this.#session = null;
    return session;
  }

  #enter(state: WhepState, refusal: Refusal | null = null, retryInMs: number | null = null): void {
    this.#state = { state, refusal, retryInMs };
    this.emit("state", this.#state);
  }

  #headers(): Record<string, string> {
    return bearer(this.#options.token ?? "");
  }
}

/** Ends the session on the server, best effort and allowed to outlive the page. Idempotent. */
function end({ pc, url }: Session, headers: Record<string, string>): void {
  const open = pc.signalingState !== "closed";
  pc.onconnectionstatechange = null;
  pc.close();
  if (!url || !open) return;
  void fetch(url, { method: "DELETE", headers, keepalive: true }).catch(() => {
    // The server is gone, and its session with it.
  });
}

/**
 * Whether the server has let go of the session. Asked by candidates for no ICE generation, which a session that is
 * there refuses (428); a server that answers anything but that it is gone may still hold it.
 */
async function isGone(url: string, headers: Record<string, string>): Promise<boolean> {
  const type = { "Content-Type": "application/trickle-ice-sdpfrag" };
  const signal = AbortSignal.timeout(2_000);
  try {
    const { status } = await fetch(url, { method: "PATCH", headers: { ...headers, ...type }, signal });
    return status === 404 || status === 410;
  } catch {
    return false;
  }
}

function gathered(pc: RTCPeerConnection, waitMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, waitMs);
    const look = (): void => {
      if (pc.iceGatheringState !== "complete") return;
      clearTimeout(timer);
      resolve();
    };
    pc.onicegatheringstatechange = look;
    look();
  });
}

function connected(pc: RTCPeerConnection): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Refusal("unreachable", "no media path to the server within 15 seconds")),
      OPEN_MS,
    );
    const look = (): void => {
      if (pc.connectionState === "connected") {
        clearTimeout(timer);
        resolve();
      } else if (pc.connectionState === "failed" || pc.connectionState === "closed") {
        clearTimeout(timer);
        reject(new Refusal("unreachable", "no media path to the server was found"));
      }
    };
    pc.onconnectionstatechange = look;
    look();
  });
}
