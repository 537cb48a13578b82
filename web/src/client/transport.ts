/** What the browser measured of the connection since the last look: getStats() read into one flat record. */

export interface TransportStats {
  sourceFps: number;
  sendFps: number;
  sendWidth: number;
  sendHeight: number;
  sendBps: number;
  receiveFps: number;
  receiveWidth: number;
  receiveHeight: number;
  receiveBps: number;
  rttMs: number;
  /** Share of packets lost on the way here, and on the way there, 0..1. */
  lossIn: number;
  lossOut: number;
  encodeMs: number;
  decodeMs: number;
  jitterBufferMs: number;
  /** What holds the browser's encoder back. */
  limitedBy: "none" | "cpu" | "bandwidth" | "other";
  /** Seconds of frozen picture in the interval. */
  frozenS: number;
  codec: string;
}

type Report = Record<string, unknown> & { id: string; type: string; timestamp: number };

/** Turns successive getStats() reports into rates over the time between them. */
export class TransportReader {
  #last = new Map<string, Report>();

  read(reports: Iterable<unknown>): TransportStats {
    const all = new Map<string, Report>();
    for (const report of reports as Iterable<Report>) all.set(report.id, report);
    const pick = (type: string, kind?: string): Report | undefined =>
      [...all.values()].find((report) => report.type === type && (!kind || report.kind === kind));
    const out = pick("outbound-rtp", "video");
    const inbound = pick("inbound-rtp", "video");
    const remote = pick("remote-inbound-rtp", "video");
    const source = pick("media-source", "video");
    const pair = [...all.values()].find(
      (report) =>
        report.type === "candidate-pair" && report.nominated === true && report.state === "succeeded",
    );
    const codec = all.get(String(inbound?.codecId ?? out?.codecId ?? ""));

    const delta = (report: Report | undefined, field: string): number =>
      report ? Math.max(0, amount(report[field]) - amount(this.#last.get(report.id)?.[field])) : 0;
    const seconds = (report: Report | undefined): number => {
      const before = report && this.#last.get(report.id);
      return before ? (report.timestamp - before.timestamp) / 1000 : 0;
    };
    const rate = (report: Report | undefined, field: string): number => {
      const span = seconds(report);
      return span > 0 ? delta(report, field) / span : 0;
    };
    const each = (report: Report | undefined, total: string, count: string): number => {
      const n = delta(report, count);
      return n > 0 ? (delta(report, total) / n) * 1000 : 0;
    };
    const lost = delta(inbound, "packetsLost");
    const arrived = delta(inbound, "packetsReceived");

    const stats: TransportStats = {
      sourceFps: amount(source?.framesPerSecond),
      sendFps: rate(out, "framesSent"),
      sendWidth: amount(out?.frameWidth),
      sendHeight: amount(out?.frameHeight),
      sendBps: rate(out, "bytesSent") * 8,
      receiveFps: rate(inbound, "framesDecoded"),
      receiveWidth: amount(inbound?.frameWidth),
      receiveHeight: amount(inbound?.frameHeight),
      receiveBps: rate(inbound, "bytesReceived") * 8,
      rttMs: amount(pair?.currentRoundTripTime) * 1000,
      lossIn: lost + arrived > 0 ? lost / (lost + arrived) : 0,
      lossOut: amount(remote?.fractionLost),
      encodeMs: each(out, "totalEncodeTime", "framesEncoded"),
      decodeMs: each(inbound, "totalDecodeTime", "framesDecoded"),
      jitterBufferMs: each(inbound, "jitterBufferDelay", "jitterBufferEmittedCount"),
      limitedBy: limit(out?.qualityLimitationReason),
      frozenS: delta(inbound, "totalFreezesDuration"),
      codec: String(codec?.mimeType ?? "").replace("video/", ""),
    };
    this.#last = all;
    return stats;
  }
}

const amount = (value: unknown): number => (typeof value === "number" && Number.isFinite(value) ? value : 0);

function limit(value: unknown): TransportStats["limitedBy"] {
  return value === "cpu" || value === "bandwidth" || value === "other" ? value : "none";
}
