/** Every sentence of the page, in one place. Functions where a value goes into the sentence. */

import type { Region } from "../client";

const ms = (value: number): string => `${Math.round(value)} ms`;
const percent = (share: number): string => `${Math.round(share * 100)} %`;

const REGION_NAMES: Record<Region, string> = {
  everywhere: "everywhere",
  background: "background",
  person: "only me",
};

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
    device: "Camera",
    resolution: "Size",
    front: "Front camera",
    back: "Back camera",
    microphone: "Sound",
    nameless: (n: number) => `Camera ${n}`,
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
    clear: "Clear the instruction (Esc)",
  },

  reading: {
    takenFor: "Taken for",
    nothing: "the source, as it is",
    sure: (share: number) => `${percent(share)} sure`,
    unknown: "Outside what this model can do.",
    nearest: "Nearest",
    or: "or",
    leftOut: (names: string) => `without ${names}`,
    amount: percent,
    regions: REGION_NAMES,
    /** An edit without a preset has only its name in code. */
    nameless: (name: string) => name.charAt(0).toUpperCase() + name.slice(1).replaceAll("_", " "),
    spoken: (parts: string[], leftOut: string, share: number, others: string[]) =>
      `Taken for ${parts.join(", ") || "the source, as it is"}${leftOut && `, ${leftOut}`}. ${percent(share)} sure.${
        others.length > 0 ? ` Or ${others.join(", ")}?` : ""
      }`,
    spokenAsItStands: (label: string) => `Taken for ${label}.`,
    spokenUnknown: (nearest: string[]) =>
      `Outside what this model can do.${nearest.length > 0 ? ` Nearest: ${nearest.join(", ")}.` : ""}`,
    spokenPart: (name: string, amount: number, region: Region, colours: string[]) =>
      [
        name,
        amount < 0.995 ? percent(amount) : "",
        colours.length > 0 ? `(${colours.join(" to ")})` : "",
        { everywhere: "", background: "in the background", person: "only on me" }[region],
      ]
        .filter(Boolean)
        .join(" "),
  },

  region: {
    label: "Where it applies",
    names: { everywhere: "Everywhere", background: "Background", person: "Only me" } as Record<
      Region,
      string
    >,
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

  presets: {
    title: "Presets",
    original: "Original",
    groupsLabel: "Groups of presets",
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
    fitting: "Presets that fit",
    nearest: "Nearest presets",
    key: (key: string) => `key ${key}`,
    none: "This model shows the picture as it came.",
  },

  timeline: {
    label: "Edits of this session",
    download: "Download the edit timeline",
    empty: "Edits appear here as they are applied",
    entry: (prompt: string, at: string, took: string) =>
      `${at} ${prompt}${took ? `, shown after ${took}` : ""}. Apply again.`,
  },

  facts: {
    label: "Measured on this stream",
    fps: "Frames",
    fpsUnit: "fps",
    latency: "Glass to glass",
    latencyValue: (p50: number, p95: number) => `${Math.round(p50)} / ${Math.round(p95)} ms`,
    latencyTitle:
      "From the camera's frame to its edit on this screen: half of the frames within / 95 % within",
    filmLatency: "Delay",
    filmLatencyTitle:
      "From the film's frame on the server to its edit on this screen: a sum of measured parts",
    estimated: "estimated",
    estimatedTitle: "This browser does not let frames be followed: a sum of measured parts",
    server: "Server adds",
    serverValue: (value: number) => ms(value),
    resolution: "Picture",
    bitrate: "Bitrate",
    bitrateValue: (bps: number) =>
      bps >= 1e6 ? `${(bps / 1e6).toFixed(1)} Mbit/s` : `${Math.round(bps / 1000)} kbit/s`,
    model: "Model",
    device: "Device",
    deviceTitle: (device: string, decoder: string, encoder: string) =>
      `${device}; decoded by ${decoder}, encoded by ${encoder}`,
    unknown: "–",
  },

  verdict: {
    label: "Quality",
    good: "Good",
    fair: "Fair",
    poor: "Poor",
    none: "Measuring",
    limits: { camera: "camera", network: "network", model: "model", browser: "browser" },
    title: {
      camera: (fps: number) => `The camera gives ${Math.round(fps)} frames a second`,
      browser: "This device is too busy to encode, decode or show every frame in time",
      network: (rttMs: number, loss: number) =>
        `The network: ${Math.round(rttMs)} ms there and back, ${(loss * 100).toFixed(1)} % lost`,
      model: (editMs: number) => `The model takes ${Math.round(editMs)} ms a frame on this server`,
    },
  },

  messages: {
    dismiss: "Dismiss",
    tryAgain: "Try again",
    tryNow: "Try now",
    useSample: "Play the sample",
    reload: "Reload",
    applyNearest: (name: string) => `Apply “${name}”`,
    useModel: (name: string) => `Use ${name}`,
    cameraDenied:
      "The camera is blocked for this page: allow it in the address bar, or go on with the sample clip.",
    cameraAbsent: "No camera was found: connect one and try again, or go on with the sample clip.",
    cameraBusy: "The camera is in use by another program: close that one and try again.",
    cameraOther: (detail: string) =>
      `The camera did not start (${detail}): try again, or go on with the sample clip.`,
    insecure:
      "Browsers give out camera and screen only over HTTPS or on localhost: open this page that way, or go on with the sample clip.",
    screenDenied: "No screen was chosen: choose one, or go on with the sample clip.",
    screenAbsent: "This browser cannot share a screen: use the camera or the sample clip.",
    videoFailed: (detail: string) =>
      `Videos cannot be edited on this server now (${detail}): ask who runs it, or go on with another source.`,
    streamsFailed: (detail: string) =>
      `Streams cannot be shown now (${detail}): try again, or go on with another source.`,
    sourceEnded: "The source ended: start it again, or go on with the sample clip.",
    sampleFailed: "The sample clip did not load: try again, or use the camera.",
    full: (seconds: number) =>
      seconds > 0
        ? `The server is full: it is asked again in ${seconds} s.`
        : "The server is full: asking again.",
    gone: "The server is not answering: the page reconnects by itself and applies the edit again.",
    reconnecting: "Reconnecting",
    codec: "The server takes none of this browser's video formats: try again, or use another browser.",
    model: (detail: string) => `The server cannot run this model: ${detail}`,
    refused: (detail: string, remedy: string) => `The server refused: ${detail}${remedy ? ` ${remedy}` : ""}`,
    notUnderstood: (prompt: string) =>
      `Outside what this model can do: “${prompt}”. The picture stays as it is.`,
    said: (detail: string) => `The server says: ${detail}`,
    editRefused: (detail: string) => `The edit was refused: ${detail}`,
    noWebRtc:
      "This browser has no WebRTC, which carries the live picture: open the page in a current browser.",
    recorderAbsent: "This browser cannot record: take snapshots, or use another browser.",
    recorderPaused: "Nothing can be recorded while paused: resume, then record.",
    recorderEmpty: "No picture came while recording, so nothing was saved: record again once it plays.",
    recorderEnded: "The recording ended with the stream and was saved: press Record for a new one.",
  },

  keys: {
    title: "Keyboard",
    close: "Close",
    rows: [
      ["Enter", "apply what is typed, or the preset reached with ↑ ↓"],
      ["1 – 9", "presets, or a stream's hotkeys, once Esc has left the instruction"],
      ["0", "back to the original, likewise"],
      ["/", "to the instruction"],
      ["Esc", "clear the instruction, then leave it"],
      ["S (hold)", "see the source; ` while typing"],
      ["← →", "move the divider, when it is focused"],
      ["← → Home End", "through a video, when its line is focused; with Shift in big steps"],
      ["← ↑ → ↓", "from preset to preset, once one is focused"],
      ["↑ ↓", "presets that fit, while typing; recent instructions, from an empty line"],
      ["Space", "pause and go on"],
      ["F", "full screen"],
      ["R", "record"],
      ["P", "snapshot"],
      ["V", "divider, side by side, edit only"],
    ] as [string, string][],
  },
};
