/** Messages of the data channel `edits` as JSON text. Knows their shape, not what they are for. */
import type { ClientMessage, ServerMessage } from "./protocol.gen";

const KNOWN: ReadonlySet<string> = new Set<ServerMessage["type"]>([
  "received",
  "applied",
  "stats",
  "degraded",
  "error",
  "position",
  "pong",
]);

/** The message, or null for one this client does not know: a newer server may say more. */
export function decodeServer(data: unknown): ServerMessage | null {
  if (typeof data !== "string") return null;
  try {
    const message = JSON.parse(data) as { type?: unknown } | null;
    return typeof message?.type === "string" && KNOWN.has(message.type) ? (message as ServerMessage) : null;
  } catch {
    return null;
  }
}

export const encodeClient = (message: ClientMessage): string => JSON.stringify(message);
