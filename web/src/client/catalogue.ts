/** What a server offers: its configuration, its models, what they understand. Reads JSON forgivingly, never throws. */
import { fields, list, number, text } from "./json";

export interface Preset {
  name: string;
  label: string;
  prompt: string;
  group: string;
}

export interface Model {
  name: string;
  title: string;
  /** Why the server begins with it, where it measured that; else "". */
  why: string;
  licence: string;
  maxWidth: number;
  maxHeight: number;
  /** Pictures it edits together. */
  framesPerChunk: number;
  /** What everybody who sees its pictures must know of them; else "". */
  note: string;
  presets: Preset[];
}

export interface ServerConfig {
  model: string;
  version: string;
  iceServers: RTCIceServer[];
}

export type Region = "everywhere" | "background" | "person";

/** One edit of an instruction. `colours`: what is found, then what it becomes, as far as the edit has such. */
export interface Part {
  name: string;
  /** 0..1 */
  amount: number;
  region: Region;
  colours: string[];
}

/** What a model takes an instruction for. `understood` false: the picture stays as it is. */
export interface Reading {
  label: string;
  parts: Part[];
  confidence: number;
  nearest: string[];
  /** Asked for and not done along with the parts, in words. */
  leftOut: string[];
  understood: boolean;
  /** In words: what became of what is in force, or why nothing can; else "". */
  note: string;
}

/** Of a sentence that asks for the picture as it came: "undo", "not snow". */
export const isOriginal = (reading: Reading | null | undefined): boolean =>
  reading?.label === "original" && reading.parts.length === 0;

export function parseConfig(value: unknown): ServerConfig {
  const config = fields(value);
  return {
    model: text(config.model),
    version: text(config.version),
    iceServers: list(config.iceServers) as RTCIceServer[],
  };
}

export function parseModels(value: unknown): Model[] {
  const entries = Array.isArray(value) ? value : list(fields(value).models);
  return entries.map((entry) => {
    const model = fields(entry);
    const [width, height] = list(model.maxSize ?? model.max_size);
    return {
      name: text(model.name),
      title: text(model.title, text(model.name)),
      why: text(model.why),
      licence: text(model.licence),
      maxWidth: number(width, 1280),
      maxHeight: number(height, 720),
      framesPerChunk: number(model.framesPerChunk ?? model.frames_per_chunk, 1),
      note: text(model.note),
      presets: list(model.presets).map((item) => {
        const preset = fields(item);
        const name = text(preset.name);
        return {
          name,
          label: text(preset.label, name),
          prompt: text(preset.prompt, name),
          group: text(preset.group, "looks"),
        };
      }),
    };
  });
}

function parsePart(value: unknown): Part {
  const part = fields(value);
  const region = text(part.region);
  return {
    name: text(part.name),
    amount: number(part.amount, 1),
    region: region === "background" || region === "person" ? region : "everywhere",
    colours: list(part.colours)
      .map((colour) => text(colour))
      .filter((colour) => colour !== ""),
  };
}

/** Takes the reading of GET /understand and the `received` message alike. */
export function parseReading(value: unknown): Reading {
  const reading = fields(value);
  return {
    label: text(reading.label),
    parts: list(reading.parts).map(parsePart),
    confidence: number(reading.confidence, 1),
    nearest: list(reading.nearest).map((name) => text(name)),
    leftOut: list(reading.leftOut).map((name) => text(name)),
    understood: reading.understood !== false,
    note: text(reading.note),
  };
}
