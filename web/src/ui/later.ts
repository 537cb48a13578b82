/** What the first paint goes without: asked for when it is wanted, and what is said where a part does not come. */
import { signal } from "@preact/signals";
import { clearNotice, store } from "./store";
import { strings } from "./strings";

type Late = typeof import("./late");

const AGAIN_MS = 700;

/** Wanted right after the first paint, so that it is there before anybody needs it. */
export const late = signal<Late | null>(null);

/** A part of the page did not come: the server is away, or has another build by now. That was said. */
export class PartMissing extends Error {
  override readonly name = "PartMissing";
}

/** Loads a part of the page; where it does not come, once more a moment later. Raises PartMissing. */
export async function part<T>(load: () => Promise<T>): Promise<T> {
  const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  try {
    const loaded = await load().catch(() => pause().then(load));
    clearNotice("page");
    return loaded;
  } catch {
    const { missing, reload } = strings.messages;
    const action = { label: reload, run: () => location.reload() };
    store.notice.value = { about: "page", text: missing, action, tone: "problem" };
    throw new PartMissing(missing);
  }
}

/** Raises PartMissing. */
export async function loadLate(): Promise<Late> {
  if (late.value) return late.value;
  const parts = await part(() => import("./late"));
  store.suggest.value = parts.suggest;
  late.value = parts;
  return parts;
}

/** Does with it what somebody pressed for. */
export function withLate(run: (parts: Late) => unknown): void {
  loadLate().then(run, () => {}); // that it is missing was said
}
