/**
 * One peer connection to one server session: offer, candidates, tracks, channel, ICE restart, end.
 * Knows nothing of edits, nor of what to do when it is lost: `RelensClient` does.
 */
import { connectionFlags, passThrough, type SeenFrame, watchSender } from "./clock";
import { keepResolution, playAtOnce, preferH264 } from "./codecs";
import { Refusal } from "./refusal";
import type { FilmSource, SessionAddress, Signalling } from "./signalling";

const GATHER_MS = 150; // host candidates are there by then; the others follow by PATCH
const OPEN_MS = 15_000;
const RESTART_MS = 5_000;
const DISCONNECTED_MS = 1_500; // a lost Wi-Fi frame or two heals itself
const MAX_BITRATE_BPS = 4_000_000;

export interface ConnectionConfig {
  /** What is sent to be edited; a film is on the server already. */
  source: MediaStream | FilmSource;
  iceServers: RTCIceServer[];
  model: string;
  prompt: string;
  strength: number;
  clockWorkerUrl: string;
}

export interface ConnectionListener {
  onMessage(data: unknown): void;
  onTrack(stream: MediaStream): void;
  onSent: SeenFrame;
  /** Once: the connection is beyond repair. */
  onLost(reason: string): void;
}

export class Connection {
  readonly #pc: RTCPeerConnection;
  readonly #channel: RTCDataChannel;
  readonly #remote = new MediaStream();
  #session: SessionAddress | null = null;
  #video: RTCRtpSender | null = null;
  #stopClock: (() => void) | null = null;
  #repairTimer: ReturnType<typeof setTimeout> | undefined;
  #candidates: RTCIceCandidate[] = [];
  #offered = false;
  #closed = false;
  #serverGone = false;

  constructor(
    private readonly signalling: Signalling,
    private readonly config: ConnectionConfig,
    private readonly listener: ConnectionListener,
  ) {
    const flags = connectionFlags();
    this.#pc = new RTCPeerConnection({
      iceServers: config.iceServers,
      bundlePolicy: "max-bundle",
      ...flags,
    } as RTCConfiguration);
    this.#channel = this.#pc.createDataChannel("edits", { ordered: true });
    this.#channel.onmessage = ({ data }) => listener.onMessage(data);
    this.#pc.ontrack = ({ track, receiver }) => {
      playAtOnce(receiver);
      if (flags.encodedInsertableStreams) passThrough(receiver);
      this.#remote.addTrack(track);
      listener.onTrack(this.#remote);
    };
    this.#pc.onicecandidate = ({ candidate }) => {
      if (candidate?.candidate && this.#offered) void this.#trickle(candidate);
    };
    this.#pc.onconnectionstatechange = () => this.#stateChanged();
  }

  /** True where each frame's way can be measured. */
  get measuresFrames(): boolean {
    return this.#stopClock !== null;
  }

  /** Resolves when the channel is open. Raises Refusal; the connection is then closed. */
  async open(): Promise<void> {
    try {
      this.#addTracks();
      await this.#pc.setLocalDescription();
      await this.#gather();
      const offer = this.#pc.localDescription?.sdp ?? "";
      this.#offered = true;
      const { source, model, prompt, strength } = this.config;
      const film = source instanceof MediaStream ? null : source;
      const { answer, session } = await this.signalling.open(offer, { model, prompt, strength }, film);
      this.#session = session;
      if (this.#closed) {
        void this.signalling.end(session);
        throw new Refusal("unreachable", "closed while connecting");
      }
      await this.#accept(answer);
      for (const candidate of this.#candidates.splice(0)) void this.#trickle(candidate);
      await this.#opened();
      this.#channel.onclose = () => {
        this.#serverGone = true;
        this.#lost("the server ended the session");
      };
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** False when the channel cannot take it now. */
  send(text: string): boolean {
    if (this.#channel.readyState !== "open") return false;
    this.#channel.send(text);
    return true;
  }

  /** Sends another picture or sound on the same session, without a new offer. */
  async replace(stream: MediaStream): Promise<void> {
    const track = stream.getVideoTracks()[0];
    if (track) await this.#video?.replaceTrack(track);
  }

  getStats(): Promise<RTCStatsReport> {
    return this.#pc.getStats();
  }

  /** New ICE credentials and candidates for the same session; gives it up for lost when that does not help. */
  async restartIce(): Promise<void> {
    const session = this.#session;
    if (!session || this.#closed) return;
    try {
      this.#offered = false;
      this.#candidates = [];
      this.#pc.restartIce();
      await this.#pc.setLocalDescription();
      await this.#gather();
      this.#offered = true;
      await this.#accept(await this.signalling.reoffer(session, this.#pc.localDescription?.sdp ?? ""));
      this.#repairTimer = setTimeout(() => {
        if (this.#pc.connectionState !== "connected") this.#lost("the network did not come back");
      }, RESTART_MS);
    } catch (error) {
      this.#lost(error instanceof Error ? error.message : String(error));
    }
  }

  /** Ends the session on the server too. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#repairTimer);
    this.#stopClock?.();
    this.#channel.onclose = null;
    this.#channel.onmessage = null;
    this.#pc.onconnectionstatechange = null;
    // The server is told first: a peer that vanishes is a fault to it, and its session then no longer there to end.
    const told = this.#session && !this.#serverGone ? this.signalling.end(this.#session) : Promise.resolve();
    void told.then(() => this.#pc.close());
  }

  #addTracks(): void {
    const { source: stream, clockWorkerUrl } = this.config;
    if (!(stream instanceof MediaStream)) {
      preferH264(this.#pc.addTransceiver("video", { direction: "recvonly" }));
      this.#pc.addTransceiver("audio", { direction: "recvonly" });
      return;
    }
    const video = stream.getVideoTracks()[0];
    if (!video) throw new Refusal("refused", "the source has no picture");
    const transceiver = this.#pc.addTransceiver(video, { direction: "sendrecv", streams: [stream] });
    this.#video = transceiver.sender;
    preferH264(transceiver);
    void keepResolution(transceiver.sender, MAX_BITRATE_BPS);
    this.#stopClock = watchSender(transceiver.sender, clockWorkerUrl, (rtp, atMs) =>
      this.listener.onSent(rtp, atMs),
    );
    const audio = stream.getAudioTracks()[0];
    if (audio) {
      const { sender } = this.#pc.addTransceiver(audio, { direction: "sendrecv", streams: [stream] });
      if ("encodedInsertableStreams" in connectionFlags()) passThrough(sender);
    }
  }

  async #accept(answer: string): Promise<void> {
    try {
      await this.#pc.setRemoteDescription({ type: "answer", sdp: answer });
    } catch (error) {
      throw new Refusal("codec", error instanceof Error ? error.message : String(error));
    }
  }

  #gather(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, GATHER_MS);
      const look = (): void => {
        if (this.#pc.iceGatheringState !== "complete") return;
        clearTimeout(timer);
        resolve();
      };
      this.#pc.onicegatheringstatechange = look;
      look();
    });
  }

  async #trickle(candidate: RTCIceCandidate): Promise<void> {
    if (!this.#session) {
      this.#candidates.push(candidate); // the answer, and with it the address, is not here yet
      return;
    }
    const ufrag = candidate.usernameFragment ?? "";
    const fragment =
      `${ufrag ? `a=ice-ufrag:${ufrag}\r\n` : ""}m=video 9 UDP/TLS/RTP/SAVPF 0\r\n` +
      `a=mid:${candidate.sdpMid ?? "0"}\r\na=${candidate.candidate}\r\n`;
    await this.signalling.trickle(this.#session, fragment).catch(() => {
      // One candidate less; the pair that works may be another, and the opening has its own timeout.
    });
  }

  #opened(): Promise<void> {
    if (this.#channel.readyState === "open") return Promise.resolve();
    return new Promise((resolve, reject) => {
      const fail = (reason: string): void => {
        clearTimeout(timer);
        reject(new Refusal("unreachable", reason));
      };
      const timer = setTimeout(() => fail("no media path to the server within 15 seconds"), OPEN_MS);
      this.#channel.onopen = () => {
        clearTimeout(timer);
        resolve();
      };
      this.#channel.onclose = () => fail("the server closed the connection while it opened");
      this.#pc.addEventListener("connectionstatechange", () => {
        if (this.#pc.connectionState === "failed") fail("no media path to the server was found");
      });
    });
  }

  #stateChanged(): void {
    if (this.#closed || this.#channel.readyState === "connecting") return;
    clearTimeout(this.#repairTimer);
    const state = this.#pc.connectionState;
    if (state === "failed") void this.restartIce();
    if (state === "disconnected")
      this.#repairTimer = setTimeout(() => void this.restartIce(), DISCONNECTED_MS);
    if (state === "closed") this.#lost("the connection closed");
  }

  #lost(reason: string): void {
    if (this.#closed) return;
    this.close();
    this.listener.onLost(reason);
  }
}
