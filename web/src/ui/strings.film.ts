/** Every sentence of Video mode; a file of its own, so that it is loaded with it and not before. */

const size = (bytes: number): string =>
  bytes >= 1e9
    ? `${(bytes / 1e9).toFixed(1)} GB`
    : bytes >= 1e6
      ? `${(bytes / 1e6).toFixed(bytes >= 1e8 ? 0 : 1)} MB`
      : `${Math.max(1, Math.round(bytes / 1e3))} kB`;

const duration = (seconds: number): string =>
  seconds < 60
    ? `${Math.max(1, Math.round(seconds))} s`
    : seconds < 3600
      ? `${Math.round(seconds / 60)} min`
      : `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;

const percent = (share: number): string => `${Math.floor(share * 100)} %`;

export const filmStrings = {
  deck: "Video",
  choose: "Choose a video",
  drop: "Drop a video here",
  bring: "Bring a video",
  dropTitle: "A video of your own, edited from its first frame to its last",
  dropOr: (count: number) => (count === 1 ? "or take the one below" : `or take one of the ${count} below`),
  dropHere: "Let go to upload it",
  films: "Videos",
  filmsOn: "Videos on this server",
  none: "No videos are on this server yet.",
  gone: "There is no such video here any more: choose another one.",
  away: (detail: string) => `${detail.charAt(0).toUpperCase()}${detail.slice(1)}.`,
  close: "Close the list",
  delete: (name: string) => `Delete ${name}`,
  deleteSure: (name: string) => `Delete ${name} for good, with everything rendered of it?`,
  open: (name: string) => `Edit ${name}`,
  states: {
    uploading: "not whole yet: choose the same file again to go on",
    checking: "being looked into",
    ready: "",
    refused: "refused",
  },
  facts: (seconds: number, height: number) => `${clock(seconds)} · ${height}p`,
  size,

  play: "Play",
  pause: "Pause",
  sound: {
    on: "Play the sound",
    off: "Mute",
    none: "This video has no sound",
  },
  scrubber: "Place in the video",
  place: (at: number, whole: number) => `${clock(at)} of ${clock(whole)}`,
  sourceAbsent: "Edit only: this video lies on the server. Choose its file again to compare with it.",

  upload: {
    label: "Upload",
    preparing: "Looking for what is there already",
    running: (share: number, bps: number, leftS: number | null) =>
      [percent(share), `${(bps / 1e6).toFixed(1)} MB/s`, leftS === null ? "" : `${duration(leftS)} left`]
        .filter(Boolean)
        .join(" · "),
    paused: (share: number) => `Paused at ${percent(share)}`,
    waiting: (share: number) => `The server is out of reach: goes on from ${percent(share)} by itself`,
    checking: "Uploaded, being looked into",
    pause: "Pause the upload",
    resume: "Go on with the upload",
    giveUp: "Give the upload up",
    dismiss: "Dismiss",
    again: "Try again",
    oneAtATime: "One video at a time: wait for this upload, or give it up.",
    empty: "This file is empty: choose another one.",
    tooLarge: (is: number, most: number) =>
      `This video has ${size(is)}, this server takes at most ${size(most)}: shorten it or choose another one.`,
    refused: (detail: string) => `The server did not take it: ${detail}`,
    notLoaded: "The uploader did not load: check the network and try again.",
  },

  render: {
    all: "Render all",
    what: "What is rendered",
    now: "This edit",
    timeline: (count: number) => `All ${count} edits`,
    whatTitle: "This edit from the first frame to the last, or each edit where it was made",
    nothing: "Apply an instruction first: it is what is rendered",
    list: "Renders",
    progress: "Rendered so far",
    queued: "Waiting for its turn",
    stages: {
      cutting: "Finding the cuts",
      rendering: "Rendering",
      assembling: "Putting it together",
    } as Record<string, string>,
    running: (share: number | null, fps: number, etaS: number | null) =>
      [
        share === null ? "" : percent(share),
        fps > 0 ? `${fps.toFixed(fps < 10 ? 1 : 0)} fps` : "",
        etaS === null ? "" : `${duration(etaS)} left`,
      ]
        .filter(Boolean)
        .join(" · "),
    done: (bytes: number) => `Done · ${size(bytes)}`,
    failed: (reason: string) => `Failed: ${reason}`,
    cancelled: "Cancelled",
    edits: (count: number, first: string) => (count > 1 ? `${count} edits: ${first}, …` : first),
    source: "source, as it is",
    cancel: "Cancel this render",
    retry: "Render again",
    watch: "Watch what is rendered",
    download: "Download",
    forget: "Remove this render",
    watching: "Rendered picture",
    back: "Back to the live preview",
    waiting: "Being rendered",
    unplayable: "This browser cannot play the render while it grows: download it once it is done.",
    broken: (detail: string) => `The render cannot be played now (${detail}): try again, or download it.`,
  },

  failed: (detail: string, remedy: string) => `That did not work: ${detail}${remedy ? ` ${remedy}` : ""}`,
};

/** 75 -> "1:15", 3675 -> "1:01:15". */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value: number): string => String(value).padStart(2, "0");
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
