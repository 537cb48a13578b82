/** One word for the stream's quality, and what holds it back. Pure. */
import type { StatsEvent } from "../client";
import type { SourceKind } from "./sources";

/**
 * "model" stands for it and the machine it runs on; "browser" for the device this page runs on; "camera" for
 * whatever is edited, see `limitIn`.
 */
export type Limit = "camera" | "network" | "model" | "browser";

export interface Verdict {
  word: "good" | "fair" | "poor";
  /** What to look at; null when good. */
  limit: Limit | null;
}

/** What holds back, by the name of what plays. */
export const limitIn = (limit: Limit, source: SourceKind): Exclude<Limit, "camera"> | SourceKind =>
  limit === "camera" ? source : limit;

// Where people stop calling moving pictures smooth, and conversation with one's own picture direct.
const GOOD = { fps: 20, glassMs: 250, loss: 0.02, rttMs: 120 };
const FAIR = { fps: 12, glassMs: 500, loss: 0.06, rttMs: 300 };

const fallsShort = (value: number, good: number, fair: number): 0 | 1 | 2 =>
  value <= good ? 0 : value <= fair ? 1 : 2;

/** null while there is nothing to judge by. */
export function judge({ server, transport, glass }: StatsEvent): Verdict | null {
  const fps = transport.receiveFps;
  if (fps <= 0 && !server) return null;
  const loss = Math.max(transport.lossIn, transport.lossOut);
  const grades = {
    fps: fallsShort(-fps, -GOOD.fps, -FAIR.fps),
    glass: glass ? fallsShort(glass.p50Ms, GOOD.glassMs, FAIR.glassMs) : 0,
    network: Math.max(
      fallsShort(loss, GOOD.loss, FAIR.loss),
      fallsShort(transport.rttMs, GOOD.rttMs, FAIR.rttMs),
      transport.frozenS > 0.4 ? 1 : 0,
    ),
  };
  const worst = Math.max(grades.fps, grades.glass, grades.network);
  if (worst === 0) return { word: "good", limit: null };
  return {
    word: worst === 1 ? "fair" : "poor",
    limit: limiting({ server, transport, glass }, grades.network),
  };
}

function limiting({ server, transport, glass }: StatsEvent, network: number): Limit {
  const { sendFps, receiveFps, limitedBy, rttMs } = transport;
  if (network > 0 || limitedBy === "bandwidth") return "network";
  if (server) {
    // Frames that left the browser, met a sound network and were not taken in or did not come out.
    if (server.fpsIn < sendFps * 0.8 || server.fpsOut < server.fpsIn * 0.85) return "model";
    if (receiveFps < server.fpsOut * 0.8) return "browser";
    if (receiveFps >= GOOD.fps && glass) {
      if (server.latency.p50Ms > glass.p50Ms / 2) return "model";
      return rttMs > glass.p50Ms / 2 ? "network" : "browser";
    }
  }
  return limitedBy === "cpu" ? "browser" : "camera";
}
