/** One word for the stream's quality, and what holds it back. Pure. */
import type { StatsEvent } from "../client";

export type Limit = "camera" | "network" | "model";

export interface Verdict {
  word: "good" | "fair" | "poor";
  /** What to look at; null when good. */
  limit: Limit | null;
}

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
  if (network > 0) return "network";
  const { sendFps, receiveFps } = transport;
  if (server) {
    // The frames came in and did not come out: it is the model, or the machine under it.
    if (server.fpsOut < server.fpsIn * 0.85) return "model";
    // They left the browser and did not arrive, or came out and did not get here.
    if (server.fpsIn < sendFps * 0.8 || receiveFps < server.fpsOut * 0.8) return "network";
    if (receiveFps >= GOOD.fps && glass) return server.latency.p50Ms > glass.p50Ms / 2 ? "model" : "network";
  }
  if (transport.limitedBy === "bandwidth") return "network";
  return "camera";
}
