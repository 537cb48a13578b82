/**
 * What the page remembers: between visits, or in one tab until that is closed. Works without storage (private
 * windows): it then remembers nothing.
 */
const PREFIX = "relens.";

/** "tab": over a reload, and where a phone drops the page and brings it back; another tab knows nothing of it. */
export type Span = "visits" | "tab";

/** Raises where a browser forbids it. */
const storage = (span: Span): Storage => (span === "tab" ? sessionStorage : localStorage);

export function recall<T>(key: string, otherwise: T, span: Span = "visits"): T {
  try {
    const text = storage(span).getItem(PREFIX + key);
    return text === null ? otherwise : (JSON.parse(text) as T);
  } catch {
    return otherwise;
  }
}

export function remember(key: string, value: unknown, span: Span = "visits"): void {
  try {
    storage(span).setItem(PREFIX + key, JSON.stringify(value));
  } catch {
    // Full or forbidden: the page works the same, for this visit.
  }
}
