/** Server-sent events over fetch: unlike EventSource it carries a key and says why it was refused. Knows no event. */
import { Backoff } from "./backoff";
import { type Refusal, refusalFrom, unreachable } from "./refusal";

const SILENCE_MS = 15_000; // whoever says nothing for so long is gone, whatever the connection believes
const MOST_CHARS = 1_000_000; // of one event: beyond it is no event of ours

export interface ServerEvent {
  name: string;
  data: string;
}

/** Cuts a text/event-stream into its events (HTML Living Standard §9.2). Keeps what is not whole yet. */
export class EventParser {
  #rest = "";
  #name = "";
  #data: string[] = [];

  feed(text: string): ServerEvent[] {
    const found: ServerEvent[] = [];
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = (lines.pop() ?? "").slice(0, MOST_CHARS);
    for (const line of lines) {
      if (line === "") {
        if (this.#data.length > 0) found.push({ name: this.#name || "message", data: this.#data.join("\n") });
        this.#name = "";
        this.#data = [];
        continue;
      }
      const colon = line.indexOf(":");
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (field === "event") this.#name = value;
      else if (field === "data" && this.#data.length < 1_000) this.#data.push(value);
    }
    return found;
  }
}

export interface EventListener {
  onEvent(event: ServerEvent): void;
  /** It was refused, or broke off; it is asked again unless that is no use (401, 403, 404). */
  onTrouble(refusal: Refusal, again: boolean): void;
}

const FINAL = new Set([401, 403, 404]);

/** Listens until what is returned is called, and comes back by itself. */
export function listen(
  url: URL | string,
  headers: Record<string, string>,
  listener: EventListener,
): () => void {
  const backoff = new Backoff(500, 8_000);
  let ended = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let controller = new AbortController();

  const round = async (): Promise<void> => {
    controller = new AbortController();
    try {
      await read(url, headers, controller, (event) => {
        backoff.reset();
        if (!ended) listener.onEvent(event);
      });
      throw new Error("the server ended the stream of events");
    } catch (error) {
      controller.abort();
      if (ended) return;
      const refusal = isRefusal(error) ? error : unreachable(error);
      const again = !FINAL.has(refusal.status);
      listener.onTrouble(refusal, again);
      if (ended || !again) return;
      const waitMs = refusal.retryAfterS === null ? backoff.next() : refusal.retryAfterS * 1000;
      timer = setTimeout(() => void round(), waitMs);
    }
  };
  void round();
  return () => {
    ended = true;
    clearTimeout(timer);
    controller.abort();
  };
}

const isRefusal = (error: unknown): error is Refusal => error instanceof Error && error.name === "Refusal";

async function read(
  url: URL | string,
  headers: Record<string, string>,
  controller: AbortController,
  onEvent: (event: ServerEvent) => void,
): Promise<void> {
  let silent: ReturnType<typeof setTimeout> | undefined;
  const heard = (): void => {
    clearTimeout(silent);
    silent = setTimeout(() => controller.abort(new Error("the server fell silent")), SILENCE_MS);
  };
  heard();
  try {
    const response = await fetch(url, {
      headers: { Accept: "text/event-stream", ...headers },
      cache: "no-store",
      signal: controller.signal,
    });
    if (!response.ok || !response.body) throw await refusalFrom(response);
    const parser = new EventParser();
    const decoder = new TextDecoder();
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      heard();
      for (const event of parser.feed(decoder.decode(value, { stream: true }))) onEvent(event);
    }
  } finally {
    clearTimeout(silent);
  }
}
