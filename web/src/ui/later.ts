/** What the first paint goes without: asked for right after it, so that it is there before anybody needs it. */
import { signal } from "@preact/signals";

type Late = typeof import("./late");

export const late = signal<Late | null>(null);

/** Raises where it cannot be loaded. */
export async function loadLate(): Promise<Late> {
  late.value ??= await import("./late");
  return late.value;
}
