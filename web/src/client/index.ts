/** The relens client library: what other pages import. */
export type { Model, Part, Preset, Reading, Region, ServerConfig } from "./catalogue";
export { RelensClient } from "./client";
export type {
  ClientEvents,
  ClientOptions,
  ConnectionState,
  ConnectOptions,
  EditOptions,
  FilmPosition,
  GlassToGlass,
  InForce,
  StateEvent,
  StatsEvent,
} from "./clientevents";
export {
  type Film,
  type FilmEdit,
  Films,
  isOver,
  type Job,
  type JobDetails,
  type JobStatus,
  type Render,
  shareOf,
  type Thumbnails,
} from "./films";
export type { Stats } from "./protocol.gen";
export type { EditReceipt, PendingEdit } from "./receipts";
export { Refusal, type RefusalKind } from "./refusal";
export { type FilmSource, Signalling } from "./signalling";
export type {
  EditAnswer,
  StreamEdit,
  StreamFacts,
  StreamPreset,
  StreamSettings,
  StreamSetup,
  StreamState,
  Target,
  TargetFacts,
} from "./streamfacts";
export { Streams } from "./streams";
export type { TransportStats } from "./transport";
export { type WhepEvents, type WhepOptions, WhepReader, type WhepState } from "./whep";
