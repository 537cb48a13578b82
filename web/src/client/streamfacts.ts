/** What a stream is, as the server tells it. Reads JSON forgivingly, never throws. Knows no HTTP. */
import { parseReading, type Reading } from "./catalogue";
import { fields, list, number, text } from "./json";
import type { Latency } from "./protocol.gen";

/** `idle`: nobody publishes. `waiting`: the publisher broke off a moment ago, viewers are kept for it. */
export type StreamState = "idle" | "waiting" | "live";
export type TargetState = "off" | "connecting" | "pushing" | "backing-off" | "refused";

/** Measured over the last second. `address` is told to operators only. */
export interface PublisherFacts {
  kind: string;
  codec: string;
  audio: string;
  software: string;
  address: string;
  ageS: number;
  fps: number;
  bitrateBps: number;
}

/** Where it is pushed on to; `host` is all that is shown of a URL that is a secret. */
export interface TargetFacts {
  name: string;
  host: string;
  state: TargetState;
  message: string;
  sinceS: number;
  bitrateBps: number;
  retries: number;
}

/** What the server answered to an edit: what it took it for, and of which words that is ("undo that"). */
export interface EditAnswer {
  revision: number;
  reading: Reading;
  prompt: string;
  strength: number;
}

/** The edit asked for last; `applied`: the newest revision that a viewer could see, -1 for none yet. */
export interface StreamEdit {
  revision: number;
  applied: number;
  received: EditAnswer | null;
}

/** What is not for who asks is empty, as of a stream that nobody publishes to. */
export interface StreamFacts {
  name: string;
  state: StreamState;
  /** Only name and state are told, and nothing is shown, without its view key or key. */
  needsKey: boolean;
  edit: StreamEdit;
  publisher: PublisherFacts | null;
  /** People: targets are none. */
  viewers: number;
  ageS: number;
  width: number;
  height: number;
  fpsOut: number;
  bitrateOutBps: number;
  /** What the server adds: last packet of a frame in, its edited frame out. */
  latency: Latency;
  /** For operators and who holds the key. */
  targets: TargetFacts[];
  model: string;
  device: string;
  /** In words, while it stepped down. */
  degraded: string;
}

export interface StreamPreset {
  name: string;
  prompt: string;
  strength: number;
  transitionMs: number;
}

export interface Target {
  name: string;
  url: string;
  enabled: boolean;
}

export interface SrtIn {
  port: number;
  passphrase: string;
  latencyMs: number;
}

/** What an operator sets, secrets included. */
export interface StreamSettings {
  key: string;
  viewKey: string;
  prompt: string;
  strength: number;
  model: string;
  /** Of the edited video; 0: the server's own ceiling. */
  bitrateBps: number;
  presets: StreamPreset[];
  targets: Target[];
  srt: SrtIn | null;
}

/** Everything to copy into OBS and its like. "" for what this server does not offer. */
export interface StreamSetup {
  whipUrl: string;
  whipToken: string;
  whepUrl: string;
  rtmpServer: string;
  rtmpKey: string;
  rtmpUrl: string;
  /** The edited stream, for players. */
  rtmpPlayUrl: string;
  srtUrl: string;
  /** Why nobody can publish by SRT now. */
  srtProblem: string;
  watchUrl: string;
  dockUrl: string;
}

export const MOST_PRESETS = 9;
export const MOST_TARGETS = 8;

const STATES = new Set(["idle", "waiting", "live"]);
const TARGET_STATES = new Set(["off", "connecting", "pushing", "backing-off", "refused"]);

const flag = (value: unknown, otherwise: boolean): boolean =>
  typeof value === "boolean" ? value : otherwise;
const isObject = (value: unknown): boolean => typeof value === "object" && value !== null;

export function parseAnswer(value: unknown): EditAnswer {
  const received = fields(value);
  return {
    revision: number(received.revision, 0),
    reading: parseReading(value),
    prompt: text(received.prompt),
    strength: number(received.strength, 1),
  };
}

export function parseEdit(value: unknown): StreamEdit {
  const edit = fields(value);
  return {
    revision: number(edit.revision, 0),
    applied: number(edit.applied, -1),
    received: isObject(edit.received) ? parseAnswer(edit.received) : null,
  };
}

function parsePublisher(value: unknown): PublisherFacts {
  const publisher = fields(value);
  return {
    kind: text(publisher.kind),
    codec: text(publisher.codec),
    audio: text(publisher.audio),
    software: text(publisher.software),
    address: text(publisher.address),
    ageS: number(publisher.ageS, 0),
    fps: number(publisher.fps, 0),
    bitrateBps: number(publisher.bitrateBps, 0),
  };
}

function parseTargetFacts(value: unknown): TargetFacts {
  const target = fields(value);
  const state = text(target.state);
  return {
    name: text(target.name),
    host: text(target.host),
    state: (TARGET_STATES.has(state) ? state : "connecting") as TargetState,
    message: text(target.message),
    sinceS: number(target.sinceS, 0),
    bitrateBps: number(target.bitrateBps, 0),
    retries: number(target.retries, 0),
  };
}

export function parseFacts(value: unknown): StreamFacts {
  const facts = fields(value);
  const state = text(facts.state);
  const latency = fields(facts.latency);
  return {
    name: text(facts.name),
    state: (STATES.has(state) ? state : "idle") as StreamState,
    needsKey: flag(facts.needsKey, false),
    edit: parseEdit(facts.edit),
    publisher: isObject(facts.publisher) ? parsePublisher(facts.publisher) : null,
    viewers: number(facts.viewers, 0),
    ageS: number(facts.ageS, 0),
    width: number(facts.width, 0),
    height: number(facts.height, 0),
    fpsOut: number(facts.fpsOut, 0),
    bitrateOutBps: number(facts.bitrateOutBps, 0),
    latency: { p50Ms: number(latency.p50Ms, 0), p95Ms: number(latency.p95Ms, 0) },
    targets: list(facts.targets).map(parseTargetFacts),
    model: text(facts.model),
    device: text(facts.device),
    degraded: text(facts.degraded),
  };
}

export function parsePreset(value: unknown): StreamPreset {
  const preset = fields(value);
  return {
    name: text(preset.name),
    prompt: text(preset.prompt),
    strength: number(preset.strength, 1),
    transitionMs: number(preset.transitionMs, 400),
  };
}

function parseSrt(value: unknown): SrtIn {
  const srt = fields(value);
  return {
    port: number(srt.port, 0),
    passphrase: text(srt.passphrase),
    latencyMs: number(srt.latencyMs, 120),
  };
}

/** Settings of a newer server that are not known here are kept: they go back as they came. */
export function parseSettings(value: unknown): StreamSettings {
  const settings = fields(value);
  return {
    ...settings,
    key: text(settings.key),
    viewKey: text(settings.viewKey),
    prompt: text(settings.prompt),
    strength: number(settings.strength, 1),
    model: text(settings.model),
    bitrateBps: number(settings.bitrateBps, 0),
    presets: list(settings.presets).map(parsePreset),
    targets: list(settings.targets).map((each) => {
      const target = fields(each);
      return { name: text(target.name), url: text(target.url), enabled: flag(target.enabled, true) };
    }),
    srt: isObject(settings.srt) ? parseSrt(settings.srt) : null,
  };
}

export function parseSetup(value: unknown): StreamSetup {
  const setup = fields(value);
  return {
    whipUrl: text(setup.whipUrl),
    whipToken: text(setup.whipToken),
    whepUrl: text(setup.whepUrl),
    rtmpServer: text(setup.rtmpServer),
    rtmpKey: text(setup.rtmpKey),
    rtmpUrl: text(setup.rtmpUrl),
    rtmpPlayUrl: text(setup.rtmpPlayUrl),
    srtUrl: text(setup.srtUrl),
    srtProblem: text(setup.srtProblem),
    watchUrl: text(setup.watchUrl),
    dockUrl: text(setup.dockUrl),
  };
}
