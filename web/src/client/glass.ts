/**
 * Glass to glass: from the moment the browser captured a frame to the moment its edited version is presented.
 *
 * The server sends each frame back under the RTP timestamp it came with. The sender's timestamps follow capture
 * times exactly but for a constant; that constant is the least (time seen after encode - timestamp) of the last
 * frames, less the mean encode time. A minimum is never below the true constant by more than the encoder's own
 * unevenness, so that the figure is not flattered.
 */
import { Percentiles, type Spread } from "./percentiles";
import { TICKS_PER_MS, ticksBetween } from "./rtptime";

const REMEMBERED_FRAMES = 600; // 20 s at 30 fps: longer than any latency worth showing
const OFFSET_FRAMES = 120;

export class GlassMeter {
  /** Mean time the browser's encoder takes, ms: from getStats, 0 until known. */
  encodeMs = 0;

  #sent = new Map<number, number>();
  #offsets: number[] = [];
  #origin: number | null = null;
  #latencies: Percentiles;

  constructor(windowMs = 2_000) {
    this.#latencies = new Percentiles(windowMs);
  }

  /** A frame with this RTP timestamp left the encoder at `atMs`. */
  sent(rtp: number, atMs: number): void {
    this.#origin ??= rtp;
    const mediaMs = ticksBetween(rtp, this.#origin) / TICKS_PER_MS;
    this.#sent.set(rtp, mediaMs);
    if (this.#sent.size > REMEMBERED_FRAMES) {
      for (const oldest of this.#sent.keys()) {
        this.#sent.delete(oldest);
        break;
      }
    }
    this.#offsets.push(atMs - mediaMs);
    if (this.#offsets.length > OFFSET_FRAMES) this.#offsets.shift();
  }

  /** When the frame with this RTP timestamp was captured, ms on the page's clock; null if it was not seen sent. */
  capturedAt(rtp: number): number | null {
    const mediaMs = this.#sent.get(rtp);
    if (mediaMs === undefined) return null;
    return mediaMs + Math.min(...this.#offsets) - this.encodeMs;
  }

  /** The edited frame with this RTP timestamp is on the screen at `atMs`. Returns its latency, ms, if known. */
  presented(rtp: number, atMs: number): number | null {
    const capturedMs = this.capturedAt(rtp);
    if (capturedMs === null) return null;
    const latencyMs = Math.max(0, atMs - capturedMs);
    this.#latencies.add(atMs, latencyMs);
    return latencyMs;
  }

  read(nowMs: number): Spread | null {
    return this.#latencies.read(nowMs);
  }
}
