/** What a server offers: its configuration, its models, what they understand. Reads JSON forgivingly, never throws. */

export interface Preset {
  name: string;
  label: string;
  prompt: string;
  group: string;
}

export interface Model {
  name: string;
  title: string;
  licence: string;
  maxWidth: number;
  maxHeight: number;
  presets: Preset[];
}

export interface ServerConfig {
  model: string;
  version: string;
  iceServers: RTCIceServer[];
}

/** What a model takes an instruction for. `understood` false: the picture stays as it is. */
export interface Reading {
  label: string;
  parts: { name: string; amount: number }[];
  confidence: number;
  nearest: string[];
  understood: boolean;
}

type Fields = Record<string, unknown>;

const fields = (value: unknown): Fields =>
  typeof value === "object" && value !== null ? (value as Fields) : {};
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const text = (value: unknown, otherwise = ""): string => (typeof value === "string" ? value : otherwise);
const number = (value: unknown, otherwise: number): number =>
  typeof value === "number" && Number.isFinite(value) ? value : otherwise;

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
      licence: text(model.licence),
      maxWidth: number(width, 1280),
      maxHeight: number(height, 720),
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

/** Takes the reading of GET /understand and the `received` message alike. */
export function parseReading(value: unknown): Reading {
  const reading = fields(value);
  return {
    label: text(reading.label),
    parts: list(reading.parts).map((part) => {
      const [name, amount] = Array.isArray(part) ? part : [fields(part).name, fields(part).amount];
      return { name: text(name), amount: number(amount, 1) };
    }),
    confidence: number(reading.confidence, 1),
    nearest: list(reading.nearest).map((name) => text(name)),
    understood: reading.understood !== false,
  };
}
