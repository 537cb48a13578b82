/** How fast an upload goes and how long it will take, from what was sent when. Pure. */

const WINDOW_MS = 6_000; // long enough to be calm, short enough to follow a network that changes

export class Pace {
  #seen: { atMs: number; bytes: number }[] = [];

  add(atMs: number, bytes: number): void {
    const last = this.#seen.at(-1);
    if (last && bytes < last.bytes) this.#seen = []; // it went back to what the server really has
    this.#seen.push({ atMs, bytes });
    while (this.#seen.length > 2 && atMs - (this.#seen[0]?.atMs ?? atMs) > WINDOW_MS) this.#seen.shift();
  }

  /** After a pause: the time it took is not the network's. */
  reset(): void {
    this.#seen = [];
  }

  /** Bytes a second; 0 while there is nothing to tell by. */
  get bps(): number {
    const [first, last] = [this.#seen[0], this.#seen.at(-1)];
    if (!first || !last || last.atMs <= first.atMs) return 0;
    return ((last.bytes - first.bytes) / (last.atMs - first.atMs)) * 1000;
  }

  /** Seconds; null while that cannot be told. */
  left(total: number): number | null {
    const bps = this.bps;
    const sent = this.#seen.at(-1)?.bytes;
    return bps > 0 && sent !== undefined ? Math.max(0, total - sent) / bps : null;
  }
}
