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

  region: {
    label: "Where it applies",
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
