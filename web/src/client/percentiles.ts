/** Samples of the last moments and their percentiles. Times in ms; bounded. */
export interface Spread {
  p50Ms: number;
  p95Ms: number;
  samples: number;
}

const MAX_SAMPLES = 512;

export class Percentiles {
  #samples: { atMs: number; value: number }[] = [];

  constructor(private readonly windowMs = 2_000) {}

  add(atMs: number, value: number): void {
    this.#samples.push({ atMs, value });
    if (this.#samples.length > MAX_SAMPLES) this.#samples.shift();
  }

  /** Over the window that ends now; null without a sample in it. */
  read(nowMs: number): Spread | null {
    this.#samples = this.#samples.filter((sample) => nowMs - sample.atMs <= this.windowMs);
    if (this.#samples.length === 0) return null;
    const values = this.#samples.map((sample) => sample.value).sort((a, b) => a - b);
    const at = (share: number): number =>
      values[Math.min(values.length - 1, Math.floor(share * values.length))] ?? 0;
    return { p50Ms: at(0.5), p95Ms: at(0.95), samples: values.length };
  }
}
