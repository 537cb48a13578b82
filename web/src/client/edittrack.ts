/** Which edit of a stream is in force and which is on its way, from what the server says of it. Knows no HTTP. */
import type { EditAnswer, StreamEdit } from "./streamfacts";

/** `applied`: what viewers see; `pending`: asked for after it. `tookMs` of the applied one, where it was asked from here. */
export interface EditStanding {
  applied: EditAnswer | null;
  pending: EditAnswer | null;
  tookMs: number | null;
}

const MOST = 64; // edits that are remembered: a strength that is dragged makes many

export class EditTrack {
  #answers = new Map<number, EditAnswer>();
  #askedMs = new Map<number, number>();
  #tookMs = new Map<number, number>();
  #newest = -1;
  #applied = -1;
  #inForce: EditAnswer | null = null;

  /** The server took an edit that was asked for here at `askedMs`. */
  answered(answer: EditAnswer, askedMs: number, nowMs: number): EditStanding {
    this.#askedMs.set(answer.revision, askedMs);
    this.#keep(answer);
    return this.appliedUpTo(this.#applied, nowMs); // which may have been heard first
  }

  /** What the server says of the stream, each second and at changes. */
  look(edit: StreamEdit, nowMs: number): EditStanding {
    if (edit.revision < this.#newest && edit.applied < this.#applied) this.#forget(); // counts anew: it was restarted
    if (edit.received) this.#keep(edit.received);
    return this.appliedUpTo(edit.applied, nowMs);
  }

  /** Every edit up to this one was applied or overtaken. */
  appliedUpTo(revision: number, nowMs: number): EditStanding {
    this.#applied = Math.max(this.#applied, revision);
    const answer = this.#answers.get(this.#applied);
    if (answer?.reading.understood) this.#inForce = answer;
    const askedMs = this.#askedMs.get(this.#applied);
    if (askedMs !== undefined) {
      this.#askedMs.delete(this.#applied);
      this.#tookMs.set(this.#applied, Math.max(0, nowMs - askedMs));
    }
    return this.standing;
  }

  get standing(): EditStanding {
    const newest = this.#answers.get(this.#newest);
    const waits = newest?.reading.understood && this.#newest > this.#applied;
    const tookMs = this.#inForce && this.#tookMs.get(this.#inForce.revision);
    return { applied: this.#inForce, pending: (waits && newest) || null, tookMs: tookMs ?? null };
  }

  #keep(answer: EditAnswer): void {
    this.#answers.set(answer.revision, answer);
    this.#newest = Math.max(this.#newest, answer.revision);
    for (const map of [this.#answers, this.#askedMs, this.#tookMs]) {
      if (map.size > MOST) map.delete(map.keys().next().value ?? -1);
    }
  }

  #forget(): void {
    for (const map of [this.#answers, this.#askedMs, this.#tookMs]) map.clear();
    [this.#newest, this.#applied, this.#inForce] = [-1, -1, null];
  }
}
