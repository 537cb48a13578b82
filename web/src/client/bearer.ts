/** How a key goes in a header: as UTF-8, which servers read there; fetch itself takes bytes alone. */

/** The header that shows `key`; none for "". */
export function bearer(key: string): Record<string, string> {
  if (!key) return {};
  const bytes = [...new TextEncoder().encode(key)].map((byte) => String.fromCharCode(byte));
  return { Authorization: `Bearer ${bytes.join("")}` };
}
