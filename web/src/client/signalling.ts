/** The HTTP side of a session: offer, candidates, end; and what the server says of itself. Knows no WebRTC. */
import { ask } from "./ask";
import {
  type Model,
  parseConfig,
  parseModels,
  parseReading,
  type Reading,
  type ServerConfig,
} from "./catalogue";
import { Refusal } from "./refusal";

const END_MS = 1_000;

/** Where a session lives on the server, and the version of its ICE credentials. */
export interface SessionAddress {
  url: string;
  etag: string;
}

/** A film that was uploaded, or a job's edit of one, from `at` seconds on. */
export type FilmSource = { film: string; at?: number } | { job: string; at?: number };

export class Signalling {
  /** `base`: the server's root, with a slash at the end. */
  constructor(readonly base: string) {}

  /** Opens a session: of what is sent, or of `film`. Raises Refusal. */
  async open(
    offer: string,
    query: { model: string; prompt: string; strength: number },
    film: FilmSource | null = null,
  ): Promise<{ answer: string; session: SessionAddress }> {
    const url = new URL(film ? previewPath(film) : "sessions", this.base);
    if (film?.at) url.searchParams.set("at", film.at.toFixed(3));
    if (query.model) url.searchParams.set("model", query.model);
    if (query.prompt) {
      url.searchParams.set("prompt", query.prompt);
      url.searchParams.set("strength", String(query.strength));
    }
    const response = await ask(url, {
      method: "POST",
      headers: { "Content-Type": "application/sdp" },
      body: offer,
    });
    const location = response.headers.get("Location");
    if (!location) throw new Refusal("refused", "the server's answer names no session (no Location header)");
    return {
      answer: await response.text(),
      session: { url: new URL(location, url).href, etag: response.headers.get("ETag") ?? "*" },
    };
  }

  /** Hands over a new offer of the same session (ICE restart). Raises Refusal. */
  async reoffer(session: SessionAddress, offer: string): Promise<string> {
    const response = await ask(session.url, {
      method: "POST",
      headers: { "Content-Type": "application/sdp" },
      body: offer,
    });
    session.etag = response.headers.get("ETag") ?? session.etag;
    return response.text();
  }

  /** Hands over candidates found after the offer was sent (trickle, RFC 8840). Raises Refusal. */
  async trickle(session: SessionAddress, fragment: string): Promise<void> {
    await ask(session.url, {
      method: "PATCH",
      headers: { "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": session.etag },
      body: fragment,
    });
  }

  /** Ends the session; best effort, and allowed to outlive the page. */
  async end(session: SessionAddress): Promise<void> {
    try {
      await fetch(session.url, { method: "DELETE", keepalive: true, signal: AbortSignal.timeout(END_MS) });
    } catch {
      // The server is gone or the page is closing: the session's own idle limit ends it.
    }
  }

  async alive(): Promise<boolean> {
    try {
      await ask(new URL("healthz", this.base), {}, 2_000);
      return true;
    } catch {
      return false;
    }
  }

  async config(): Promise<ServerConfig> {
    return parseConfig(await this.#json(new URL("config.json", this.base)));
  }

  async models(): Promise<Model[]> {
    return parseModels(await this.#json(new URL("models", this.base)));
  }

  /** What `model` takes `prompt` for, without applying it. `running`: what it may ask for more or less of. */
  async understand(
    model: string,
    prompt: string,
    signal?: AbortSignal,
    running?: { prompt: string; strength: number },
  ): Promise<Reading> {
    const url = new URL("understand", this.base);
    if (model) url.searchParams.set("model", model);
    url.searchParams.set("prompt", prompt);
    if (running?.prompt) {
      url.searchParams.set("running", running.prompt);
      url.searchParams.set("strength", String(running.strength));
    }
    return parseReading(await this.#json(url, signal));
  }

  async #json(url: URL, signal?: AbortSignal): Promise<unknown> {
    return (await ask(url, signal ? { signal } : {})).json();
  }
}

const previewPath = (source: FilmSource): string =>
  "film" in source
    ? `videos/${encodeURIComponent(source.film)}/preview`
    : `jobs/${encodeURIComponent(source.job)}/preview`;
