/** Notices that a server says nothing any more, and asks whether it is gone or only the way to a session. Knows no session. */

const SILENCE_MS = 3_500; // the server speaks once a second; three missed is a reason to ask after it

export class Silence {
  #heardMs = 0;
  #asking = false;

  /** Something came, at `nowMs` (performance.now()). */
  heard(nowMs: number): void {
    this.#heardMs = nowMs;
  }

  /**
   * Asks `alive` where nothing was heard for a while, and one question at a time. "cut off": the server is there;
   * null: nothing is amiss, or is known yet.
   */
  async look(nowMs: number, alive: () => Promise<boolean>): Promise<"gone" | "cut off" | null> {
    if (this.#asking || nowMs - this.#heardMs <= SILENCE_MS) return null;
    this.#asking = true;
    try {
      const found = (await alive()) ? "cut off" : "gone";
      this.heard(performance.now()); // asked again only after another silence
      return found;
    } finally {
      this.#asking = false;
    }
  }
}
