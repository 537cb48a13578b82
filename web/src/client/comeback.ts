/** Whether a session that ended is tried again, and when. Pure. */
import type { ConnectionState } from "./clientevents";
import type { Refusal, RefusalKind } from "./refusal";

const FULL_S = 5; // where a full server does not say when to come again
const FINAL: RefusalKind[] = ["codec", "model", "refused"];

export interface Ended {
  refusal: Refusal | null;
  /** A film was edited: one that is gone does not come back. */
  film: boolean;
  /** It ended as no picture came, and nobody looks at the page. */
  unseen: boolean;
}

/** `retryInMs` null: not by itself. `pauseMs` is asked where nobody says how long to wait. */
export function nextAttempt(
  { refusal, film, unseen }: Ended,
  pauseMs: () => number,
): { state: ConnectionState; retryInMs: number | null } {
  if (refusal && (FINAL.includes(refusal.kind) || (film && refusal.kind === "gone"))) {
    return { state: "refused", retryInMs: null };
  }
  // Nobody was there: who comes and asks for something gets a place again.
  if (refusal?.kind === "paused") return { state: "waiting", retryInMs: null };
  // Browsers stop the pictures of a page nobody sees: a new session would only idle again.
  if (unseen) return { state: "waiting", retryInMs: null };
  if (refusal?.kind === "full") {
    return { state: "waiting", retryInMs: (refusal.retryAfterS ?? FULL_S) * 1000 };
  }
  return { state: "reconnecting", retryInMs: pauseMs() };
}
