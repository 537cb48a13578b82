/** Every sentence of the first paint and of what acts then; the others are in strings.late.ts. Functions where a value goes in. */

const ms = (value: number): string => `${Math.round(value)} ms`;

export const strings = {
  title: "relens",
  skip: "Skip to the instruction",

  sources: {
    legend: "Source",
    sample: "Sample",
    camera: "Camera",
    screen: "Screen",
    video: "Video",
    streams: "Streams",
  },

  stage: {
    label: "The picture: source and edit",
    edited: "Edited picture",
    source: "Source picture",
    tagSource: "Source",
    tagEdit: "Edit",
    divider: "Divider between source and edit",
    dividerValue: (percent: number) => `${percent} % source`,
    view: "View",
    split: "Divider",
    side: "Side by side",
    only: "Edit only",
    peek: "Hold to see the source",
    resting: "Choose a source",
    waiting: "Starting",
    queued: "Waiting for a place",
    paused: "Paused",
  },

  bar: {
    label: "Instruction",
    placeholder: "What should change?",
    apply: "Apply",
    applied: "Applied",
    pending: "Pending",
    nothing: "Source, as it is",
    took: (value: number) => ms(value),
    tookLabel: (value: number) => `On the screen ${ms(value)} after it was asked for`,
    leftLabel: (value: number) => `On its way to the viewers ${ms(value)} after it was asked for`,
    pendingFor: (prompt: string) => prompt || "back to the source",
    beingRead: "Reading it …",
    clear: "Clear the instruction (Esc)",
  },

  dials: {
    strength: "Strength",
    strengthValue: (percent: number) => `${percent} %`,
    transition: "Transition",
    cut: "cut",
    seconds: (value: number) => `${value / 1000} s`,
  },

  tools: {
    label: "Tools",
    pause: "Pause",
    resume: "Resume",
    snapshot: "Snapshot",
    record: "Record",
    stop: "Stop recording",
    recordWhat: "What is recorded",
    recordEdited: "Edit",
    recordBoth: "Both",
    fullscreen: "Full screen",
    leaveFullscreen: "Leave full screen",
    keys: "Keyboard",
  },

  /** Groups of presets. */
  groups: {
    art: "Art",
    drawing: "Drawing",
    looks: "Looks",
    weather: "Weather",
    room: "Room",
    colour: "Colour",
    person: "People",
    place: "Places",
    recent: "Recent",
  } as Record<string, string>,

  messages: {
    useSample: "Play the sample",
    reload: "Reload",
    missing:
      "A part of this page did not come: the server is away, or has a newer page. Reload it: what is typed and asked for stays.",
    applyNearest: (name: string) => `Apply “${name}”`,
    videoFailed: (detail: string) =>
      `Videos cannot be edited on this server now (${detail}): ask who runs it, or go on with another source.`,
    streamsFailed: (detail: string) =>
      `Streams cannot be shown now (${detail}): try again, or go on with another source.`,
    sourceEnded: "The source ended: start it again, or go on with the sample clip.",
    reconnecting: "Reconnecting",
    notUnderstood: (prompt: string) => `“${prompt}” changes nothing: the picture stays as it is.`,
    said: (detail: string) => `The server says: ${detail}`,
    editRefused: (detail: string) => `The edit was refused: ${detail}`,
    noWebRtc:
      "This browser has no WebRTC, which carries the live picture: open the page in a current browser.",
  },
};
