/** Streams over HTTP: who publishes, who watches, the edit in force, settings; followed as it changes. Knows no page. */
import { ask } from "./ask";
import { bearer } from "./bearer";
import { listen } from "./events";
import { fields, list, number } from "./json";
import { type Refusal, refusalFrom } from "./refusal";
import {
  type EditAnswer,
  parseAnswer,
  parseFacts,
  parsePreset,
  parseSettings,
  parseSetup,
  type StreamFacts,
  type StreamPreset,
  type StreamSettings,
  type StreamSetup,
} from "./streamfacts";

export interface StreamEditAsked {
  prompt: string;
  strength?: number;
  transitionMs?: number;
  seed?: number;
}

export interface StreamListener {
  onFacts(facts: StreamFacts): void;
  /** The first frame under the edit left for the viewers. */
  onApplied?(revision: number, pts: number): void;
  /** Out of reach, or refused; with `again` it is asked once more by itself. */
  onTrouble?(refusal: Refusal, again: boolean): void;
}

/** A change of settings; without `key` a stream keeps its own, and a new one gets one. */
export type SettingsChange = Partial<StreamSettings>;

const EDIT_MS = 30_000; // a model may have to be loaded before the words are understood

export class Streams {
  /** The operator's key, or the stream's own; to look on, its view key. A wrong one is counted: try it once. */
  key = "";

  /** `base`: the server's root, with a slash at the end. */
  constructor(readonly base: string) {}

  /** Raises Refusal, as all of these do. */
  async list(): Promise<StreamFacts[]> {
    return list(fields(await this.#json("streams")).streams).map(parseFacts);
  }

  async get(name: string): Promise<StreamFacts> {
    return parseFacts(await this.#json(this.#path(name)));
  }

  /** Asks for an edit of the stream. Resolves with what it was taken for; it is applied a moment later. */
  async edit(name: string, edit: StreamEditAsked | { preset: number }): Promise<EditAnswer> {
    const response = await this.#put(`${this.#path(name)}/edit`, edit, EDIT_MS);
    return parseAnswer(await response.json());
  }

  /** At its numbers from 1 on: its own, or the first of its model's. */
  async presets(name: string): Promise<StreamPreset[]> {
    const found = await this.#json(`${this.#path(name)}/presets`);
    return list(Array.isArray(found) ? found : fields(found).presets).map(parsePreset);
  }

  /** The operator's alone, as all that follows. */
  async settings(name: string): Promise<StreamSettings> {
    return parseSettings(await this.#json(`${this.#path(name)}/settings`));
  }

  /** Makes the stream where there is none. */
  async putSettings(name: string, settings: SettingsChange): Promise<StreamSettings> {
    const response = await this.#put(`${this.#path(name)}/settings`, settings);
    return parseSettings(await response.json());
  }

  async setup(name: string): Promise<StreamSetup> {
    return parseSetup(await this.#json(`${this.#path(name)}/setup`));
  }

  /** A new key; who publishes stays. */
  async newKey(name: string): Promise<StreamSettings> {
    const response = await this.#ask(`${this.#path(name)}/key`, { method: "POST" });
    return parseSettings(await response.json());
  }

  async delete(name: string): Promise<void> {
    await this.#ask(this.#path(name), { method: "DELETE" });
  }

  /** Ends whoever publishes; viewers are kept for the next one. */
  async kick(name: string): Promise<void> {
    await this.#ask(`${this.#path(name)}/publisher`, { method: "DELETE" });
  }

  /** Tells of a stream each second and at once when something changes. Returns what ends it. */
  follow(name: string, listener: StreamListener): () => void {
    return listen(this.url(`${this.#path(name)}/events`), this.#headers(), {
      onEvent: ({ name: kind, data }) => {
        const value = parsed(data);
        if (value === null) return;
        if (kind === "facts") listener.onFacts(parseFacts(value));
        else if (kind === "applied") {
          listener.onApplied?.(number(fields(value).revision, -1), number(fields(value).pts, 0));
        }
      },
      onTrouble: (refusal, again) => listener.onTrouble?.(refusal, again),
    });
  }

  url(path: string): URL {
    return new URL(path, this.base);
  }

  #path(name: string): string {
    return `streams/${encodeURIComponent(name)}`;
  }

  #headers(): Record<string, string> {
    return bearer(this.key);
  }

  #ask(path: string, init: RequestInit = {}, timeoutMs?: number): Promise<Response> {
    return ask(this.url(path), { ...init, headers: { ...this.#headers(), ...init.headers } }, timeoutMs);
  }

  #put(path: string, body: unknown, timeoutMs?: number): Promise<Response> {
    const headers = { "Content-Type": "application/json" };
    return this.#ask(path, { method: "PUT", headers, body: JSON.stringify(body) }, timeoutMs);
  }

  async #json(path: string): Promise<unknown> {
    const response = await this.#ask(path);
    if (!response.headers.get("Content-Type")?.includes("json")) throw await refusalFrom(response);
    return response.json();
  }
}

/** null for what is no JSON object: a newer server may say more. */
function parsed(data: string): object | null {
  try {
    const value: unknown = JSON.parse(data);
    return typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}
