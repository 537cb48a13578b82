/** How long to wait before the next attempt: doubling with jitter, so that a restarted server is not stormed. */
export class Backoff {
  #attempt = 0;

  constructor(
    private readonly firstMs = 400,
    private readonly maxMs = 5_000,
    private readonly random: () => number = Math.random,
  ) {}

  get attempt(): number {
    return this.#attempt;
  }

  /** The wait before the next attempt, in ms: between half of the step and all of it. */
  next(): number {
    const step = Math.min(this.maxMs, this.firstMs * 2 ** this.#attempt);
    this.#attempt += 1;
    return Math.round(step * (0.5 + this.random() / 2));
  }

  reset(): void {
    this.#attempt = 0;
  }
}
