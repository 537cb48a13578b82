/** One connection's figures: the server's, the browser's, and from glass to glass. Knows no connection. */
import type { GlassToGlass, StatsEvent } from "./clientevents";
import { GlassMeter } from "./glass";
import type { Stats } from "./protocol.gen";
import { TransportReader, type TransportStats } from "./transport";

export class SessionMeter {
  /** What the server said last. */
  server: Stats | null = null;
  readonly #glass = new GlassMeter();
  readonly #transport = new TransportReader();

  /** A frame with this RTP timestamp left at `atMs` (performance.now()). */
  sent(rtp: number, atMs: number): void {
    this.#glass.sent(rtp, atMs);
  }

  /** It came back and is on the screen. */
  presented(rtp: number, atMs: number): void {
    this.#glass.presented(rtp, atMs);
  }

  /** Rates are differences: the first look gives only what the next is compared with. */
  begin(reports: RTCStatsReport): void {
    this.#transport.read(reports.values());
  }

  read(reports: RTCStatsReport): StatsEvent {
    const transport = this.#transport.read(reports.values());
    if (transport.encodeMs > 0) this.#glass.encodeMs = transport.encodeMs;
    return { server: this.server, transport, glass: this.#glassToGlass(transport) };
  }

  #glassToGlass(transport: TransportStats): GlassToGlass | null {
    const spread = this.#glass.read(performance.now());
    if (spread) return { p50Ms: spread.p50Ms, p95Ms: spread.p95Ms, measured: true };
    if (!this.server || transport.receiveFps === 0) return null;
    const { encodeMs, rttMs, jitterBufferMs, decodeMs } = transport;
    const around = encodeMs + rttMs + jitterBufferMs + decodeMs;
    const { p50Ms, p95Ms } = this.server.latency;
    return { p50Ms: p50Ms + around, p95Ms: p95Ms + around, measured: false };
  }
}
