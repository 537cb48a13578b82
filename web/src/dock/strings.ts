/** Every sentence of the dock. */
export const words = {
  label: "Instruction",
  placeholder: "What should change?",
  strength: "Strength",
  percent: (share: number) => `${Math.round(share * 100)} %`,
  presets: "Presets",
  original: "Original",
  nothing: "Source, as it is",
  applied: "Applied",
  pending: (prompt: string) => `Pending: ${prompt || "back to the source"}`,
  pendingIdle: (prompt: string) => `In force once it is live: ${prompt || "the source, as it is"}`,
  took: (ms: number) => `${Math.round(ms)} ms`,
  tookTitle: "From Enter to the first edited picture on its way to the viewers",
  takenFor: "Taken for",
  sure: (share: number) => `${Math.round(share * 100)} % sure`,
  unknown: "Outside what this model can do.",
  nearest: "Nearest:",
  notUnderstood: (prompt: string) =>
    `Outside what this model can do: “${prompt}”. The picture stays as it is.`,
  states: { idle: "Nobody publishes", waiting: "The publisher broke off", live: "Live" },
  away: "The server does not answer: asking again.",
  looking: "Looking for the stream",
  gone: (name: string) =>
    `There is no stream “${name}” on this server: look at the address of this dock, or create the stream.`,
  fps: (fps: number) => `${Math.round(fps)} fps`,
  viewers: (count: number) => (count === 1 ? "1 viewer" : `${count} viewers`),
  key: "Key of the stream",
  keyAsk:
    "This dock needs the stream's key to edit it: the one OBS publishes with. It is kept in this browser.",
  keyWrong: "This key is not the stream's: copy it again from the Streams view.",
  keySave: "Use it",
  failed: (detail: string, remedy: string) => `That did not work: ${detail}${remedy ? ` ${remedy}` : ""}`,
};
