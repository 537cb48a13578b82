/** Sentences of what is loaded after the first paint. */

import type { Region } from "../client";

const percent = (share: number): string => `${Math.round(share * 100)} %`;

const REGION_NAMES: Record<Region, string> = {
  everywhere: "everywhere",
  background: "background",
  person: "only me",
};

export const lateStrings = {
  camera: {
    device: "Camera",
    resolution: "Size",
    front: "Front camera",
    back: "Back camera",
    microphone: "Sound",
    nameless: (n: number) => `Camera ${n}`,
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

  timeline: {
    label: "Edits of this session",
    download: "Download the edit timeline",
    earlier: "Earlier edits",
    later: "Later edits",
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
    serverValue: (value: number) => `${Math.round(value)} ms`,
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
    limits: {
      sample: "sample",
      camera: "camera",
      screen: "screen",
      video: "video",
      streams: "stream",
      network: "network",
      model: "model",
      browser: "browser",
    },
    title: {
      camera: (source: string, fps: number) => `The ${source} gives ${Math.round(fps)} frames a second`,
      browser: "This device is too busy to encode, decode or show every frame in time",
      network: (rttMs: number, loss: number) =>
        `The network: ${Math.round(rttMs)} ms there and back, ${(loss * 100).toFixed(1)} % lost`,
      model: (editMs: number) => `The model takes ${Math.round(editMs)} ms a frame on this server`,
    },
  },

  presets: {
    title: "Presets",
    original: "Original",
    groupsLabel: "Groups of presets",
    fitting: "Presets that fit",
    nearest: "Nearest presets",
    key: (key: string) => `key ${key}`,
    none: "This model shows the picture as it came.",
  },

  region: {
    label: "Where it applies",
    mixed: "Mixed",
    mixedHow: "Its edits apply in different places. Press one for all of them.",
    allTo: (name: string) => `All of it: ${name.charAt(0).toLowerCase()}${name.slice(1)}`,
    names: { everywhere: "Everywhere", background: "Background", person: "Only me" } as Record<
      Region,
      string
    >,
  },

  notices: {
    useSample: "Play the sample",
    dismiss: "Dismiss",
    tryAgain: "Try again",
    tryNow: "Try now",
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
    sampleFailed: "The sample clip did not load: try again, or use the camera.",
    full: (detail: string) => `The server has no room: ${detail}.`,
    paused: "It was paused for long, so the server let it go: go on, and it takes a place again.",
    goOn: "Go on",
    askedAgain: (seconds: number) => (seconds > 0 ? `Asked again in ${seconds} s.` : "Asking again."),
    gone: "The server is not answering: the page reconnects by itself and applies the edit again.",
    codec: "The server takes none of this browser's video formats: try again, or use another browser.",
    model: (detail: string) => `The server cannot run this model: ${detail}`,
    refused: (detail: string, remedy: string) => `The server refused: ${detail}${remedy ? ` ${remedy}` : ""}`,
  },

  recording: {
    absent: "This browser cannot record: take snapshots, or use another browser.",
    paused: "Nothing can be recorded while paused: resume, then record.",
    empty: "No picture came while recording, so nothing was saved: record again once it plays.",
    ended: "The recording ended with the stream and was saved: press Record for a new one.",
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
      ["← → Home End", "through the edits so far, once one is focused"],
      ["← ↑ → ↓", "from preset to preset, once one is focused"],
      ["↑ ↓", "presets that fit, while typing; recent instructions, from an empty line"],
      ["Space", "pause and go on"],
      ["M", "a video's sound"],
      ["F", "full screen"],
      ["R", "record"],
      ["P", "snapshot"],
      ["V", "divider, side by side, edit only"],
    ] as [string, string][],
  },
};
