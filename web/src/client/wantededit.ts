/** The edit that is asked for, and asked for again on a new connection. */
import type { EditOptions, InForce } from "./clientevents";

export interface Wanted extends InForce {
  revision: number;
  transitionMs: number;
}

export class WantedEdit {
  /** Asked for last, applied or not; null: the source as it is. */
  now: Wanted | null = null;
  #understood: Wanted | null = null;
  #revision = 0;

  /** What is left out of `options` is as in the edit before. */
  ask(prompt: string, options: EditOptions): Wanted {
    this.#revision += 1;
    this.now = {
      revision: this.#revision,
      prompt,
      strength: options.strength ?? this.now?.strength ?? 1,
      transitionMs: options.transitionMs ?? this.now?.transitionMs ?? 400,
      seed: options.seed ?? this.now?.seed ?? 0,
    };
    return this.now;
  }

  /**
   * What is not understood is not applied: after a reconnect the edit before it is asked for again. After "undo
   * that" the edit in force is the one before: that is what is asked for again.
   */
  received(revision: number, understood: boolean, inForce: InForce | null): void {
    if (revision !== this.now?.revision) return;
    if (understood) this.#understood = { ...this.now, ...inForce };
    this.now = this.#understood;
  }
}
