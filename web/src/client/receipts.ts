/** What became of each edit: sent, received, applied, seen. Times in ms; knows no transport. */
import type { Reading } from "./catalogue";
import { atOrAfter } from "./rtptime";

/** The end of an edit's way. `appliedMs`: from the call to the first edited frame on the screen. */
export interface EditReceipt {
  revision: number;
  /** From the call to the server's `received`; null where it was overtaken before. */
  receivedMs: number | null;
  appliedMs: number | null;
  /** RTP timestamp of the first frame under the edit. */
  pts: number | null;
  /** "frame": measured at the presented frame; "message": when the server's message came, frames not observable. */
  measured: "frame" | "message";
  /** "superseded": a later edit was applied instead; "not-understood": the edit before it stays in force. */
  outcome: "applied" | "superseded" | "not-understood";
}

export interface PendingEdit {
  revision: number;
  received: Promise<Reading>;
  applied: Promise<EditReceipt>;
}

interface Entry {
  revision: number;
  sentMs: number;
  receivedMs: number | null;
  appliedMessageMs: number | null;
  pts: number | null;
  gotReading: (reading: Reading) => void;
  gotReceipt: (receipt: EditReceipt) => void;
  fail: (error: Error) => void;
}

const MAX_PENDING = 128;
const FRAME_WAIT_MS = 1_500; // after `applied`, how long a presented frame may take before the message's time stands

export class Receipts {
  #entries: Entry[] = [];

  /** Called with each receipt of an edit that was applied (of no other). */
  onShown: (receipt: EditReceipt) => void = () => {};

  start(revision: number, nowMs: number): PendingEdit {
    let gotReading!: Entry["gotReading"];
    let gotReceipt!: Entry["gotReceipt"];
    let failReading!: (error: Error) => void;
    let failReceipt!: (error: Error) => void;
    const received = new Promise<Reading>((resolve, reject) => {
      gotReading = resolve;
      failReading = reject;
    });
    const applied = new Promise<EditReceipt>((resolve, reject) => {
      gotReceipt = resolve;
      failReceipt = reject;
    });
    // A caller may look at one of the two only; the other's failure is no unhandled rejection.
    received.catch(() => {});
    applied.catch(() => {});
    this.#entries.push({
      revision,
      sentMs: nowMs,
      receivedMs: null,
      appliedMessageMs: null,
      pts: null,
      gotReading,
      gotReceipt,
      fail: (error) => {
        failReading(error);
        failReceipt(error);
      },
    });
    while (this.#entries.length > MAX_PENDING) this.#end(this.#entries.shift(), "superseded");
    return { revision, received, applied };
  }

  /** The edit is sent, or sent again, on a new connection: how long that took to come about is not its time. */
  resent(revision: number, nowMs: number): void {
    const entry = this.#entries.find((candidate) => candidate.revision === revision);
    if (entry) Object.assign(entry, { sentMs: nowMs, receivedMs: null, appliedMessageMs: null, pts: null });
  }

  received(revision: number, reading: Reading, nowMs: number): void {
    const entry = this.#entries.find((candidate) => candidate.revision === revision);
    if (!entry) return;
    entry.receivedMs ??= nowMs - entry.sentMs;
    entry.gotReading(reading);
    if (reading.understood) return;
    for (const refused of this.#take((candidate) => candidate === entry)) {
      this.#end(refused, "not-understood");
    }
  }

  applied(revision: number, pts: number, nowMs: number): void {
    for (const entry of this.#take((candidate) => candidate.revision < revision))
      this.#end(entry, "superseded");
    const entry = this.#entries.find((candidate) => candidate.revision === revision);
    if (!entry) return;
    entry.pts = pts >>> 0;
    entry.appliedMessageMs = nowMs;
  }

  /** A frame with this RTP timestamp is on the screen at `atMs`. */
  presented(rtp: number, atMs: number): void {
    for (const entry of this.#take(({ pts }) => pts !== null && atOrAfter(rtp, pts))) {
      this.#shown(entry, atMs, "frame");
    }
  }

  /** Closes entries whose frame cannot be observed. Call about once a second. */
  tick(nowMs: number): void {
    const late = ({ appliedMessageMs }: Entry): boolean =>
      appliedMessageMs !== null && nowMs - appliedMessageMs > FRAME_WAIT_MS;
    for (const entry of this.#take(late)) this.#shown(entry, entry.appliedMessageMs ?? nowMs, "message");
  }

  failed(revision: number, error: Error): void {
    for (const entry of this.#take((candidate) => candidate.revision === revision)) entry.fail(error);
  }

  clear(error: Error): void {
    for (const entry of this.#take(() => true)) entry.fail(error);
  }

  #take(wanted: (entry: Entry) => boolean): Entry[] {
    const taken = this.#entries.filter(wanted);
    if (taken.length > 0) this.#entries = this.#entries.filter((entry) => !taken.includes(entry));
    return taken;
  }

  #shown(entry: Entry, atMs: number, measured: EditReceipt["measured"]): void {
    const receipt: EditReceipt = {
      revision: entry.revision,
      receivedMs: entry.receivedMs,
      appliedMs: Math.max(0, atMs - entry.sentMs),
      pts: entry.pts,
      measured,
      outcome: "applied",
    };
    entry.gotReceipt(receipt);
    this.onShown(receipt);
  }

  #end(entry: Entry | undefined, outcome: EditReceipt["outcome"]): void {
    entry?.gotReceipt({
      revision: entry.revision,
      receivedMs: entry.receivedMs,
      appliedMs: null,
      pts: null,
      measured: "message",
      outcome,
    });
  }
}
