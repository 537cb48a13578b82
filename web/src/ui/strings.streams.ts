/** Every sentence of Streams mode; a file of its own, so that it is loaded with it and not before. */

const seconds = (value: number): string =>
  value < 60
    ? `${Math.round(value)} s`
    : value < 3600
      ? `${Math.floor(value / 60)} min`
      : `${Math.floor(value / 3600)} h ${Math.round((value % 3600) / 60)} min`;

const rate = (bps: number): string =>
  bps >= 1e6 ? `${(bps / 1e6).toFixed(1)} Mbit/s` : `${Math.round(bps / 1000)} kbit/s`;

const viewers = (count: number): string => (count === 1 ? "1 viewer" : `${count} viewers`);

export const streamStrings = {
  failed: (detail: string, remedy: string) => `That did not work: ${detail}${remedy ? ` ${remedy}` : ""}`,
  unknown: "–",

  list: {
    label: "Streams",
    choose: (name: string, state: string) => `${name}: ${state}`,
    add: "New stream",
    name: "Name of the new stream",
    namePlaceholder: "name",
    nameRule: "Small letters, digits, - and _",
    create: "Create",
    cancel: "Give it up",
    sound: "Listen",
    mute: "Mute",
    none: "There is no stream on this server yet.",
    absent: (name: string) =>
      `There is no stream “${name.slice(0, 64)}” here: it was deleted, or never made.`,
    states: { idle: "idle", waiting: "waiting", live: "live" },
    viewers,
  },

  pill: {
    label: "State of the stream",
    live: "Live",
    waiting: "Waiting",
    idle: "Idle",
    none: "No stream",
    away: "No answer",
    age: seconds,
  },

  cover: {
    idle: (name: string) => `Nobody publishes to “${name}” yet`,
    guest: "The picture appears here as soon as somebody does.",
    steps: {
      service: ["In OBS, open Settings, Stream and choose the service", "WHIP", ""] as const,
      server: "Server",
      token: "Bearer token",
      start: "Start streaming: the edited picture appears here, and at every viewer.",
      rtmp: "Another encoder, or an older OBS? RTMP and SRT are under Connect.",
    },
    waiting: "The publisher broke off: its viewers are kept for a moment",
    connecting: "Connecting",
    noPicture: "The publisher sends no picture: look at its video encoder.",
    noKeyframe: "No keyframe came yet: set the encoder's keyframe interval to 1 or 2 s.",
    unreachable: "The server does not answer: asking again",
    away: (detail: string) => `The picture does not come now (${detail}): asked for again by itself.`,
  },

  facts: {
    label: "Measured on this stream",
    publisher: "Publisher",
    publisherValue: (software: string, kind: string) =>
      software ? `${software} by ${kind.toUpperCase()}` : kind.toUpperCase(),
    codec: "Codec",
    codecValue: (codec: string, audio: string) => (audio ? `${codec} + ${audio}` : codec),
    fps: "Frames in, out",
    fpsValue: (into: number, out: number) => `${Math.round(into)} → ${Math.round(out)} fps`,
    bitrate: "Bitrate in, out",
    bitrateValue: (into: number, out: number) =>
      Math.max(into, out) >= 1e6
        ? `${(into / 1e6).toFixed(1)} → ${(out / 1e6).toFixed(1)} Mbit/s`
        : `${Math.round(into / 1000)} → ${Math.round(out / 1000)} kbit/s`,
    server: "Server adds",
    serverTitle: (p95: number) =>
      `From the last packet of a frame to its edit on the way to the viewers; 95 % within ${Math.round(p95)} ms`,
    delay: "Delay",
    delayTitle:
      "Estimated: from the publisher's frame at the server to its edit on this screen, a sum of measured parts",
    resolution: "Picture",
    model: "Model",
    ms: (value: number) => `${Math.round(value)} ms`,
    about: (value: number) => `≈ ${Math.round(value)} ms`,
  },

  tabs: {
    label: "About this stream",
    edit: "Edit",
    connect: "Connect",
    push: "Push",
    hotkeys: "Hotkeys",
    more: "More",
  },

  connect: {
    how: "How it comes in",
    whip: "WHIP",
    rtmp: "RTMP",
    srt: "SRT",
    whipHow:
      "OBS 30 or later: Settings, Stream, Service WHIP. Under Output set the keyframe interval to 1 or 2 s.",
    rtmpHow:
      "OBS and most encoders: Settings, Stream, Service Custom. Keyframe interval 1 or 2 s, no B-frames.",
    srtHow: "Encoders that send SRT, over networks that lose packets: one address, all in it.",
    srtProblem: (why: string) => `It cannot be used now: ${why}.`,
    server: "Server",
    token: "Bearer token",
    key: "Stream key",
    address: "Address",
    show: "Show",
    hide: "Hide",
    hidden: "hidden",
    copy: (what: string) => `Copy: ${what}`,
    copied: "Copied",
    notCopied: "Mark it and copy it by hand",
    qr: "QR code",
    qrTitle: (how: string) => `${how} address with its key: for an app on a phone`,
    qrHide: "Hide the QR code",
    qrFailed: "The QR code did not load: check the network and try again.",
    newKey: "New key",
    newKeySure: (name: string) =>
      `Make a new key for “${name}”? The old one ends for whoever comes next; who publishes now stays.`,
    out: "Back into OBS, and out",
    watch: "Browser source",
    watchHow: "The edited picture alone, on a transparent ground. To hear it, add sound=1 to its address.",
    dock: "Custom dock",
    dockHow: "Docks, Custom Browser Docks: instruction and presets beside the scene.",
    whep: "WHEP player",
    play: "RTMP player",
    open: (what: string) => `Open: ${what}`,
    noSrt: "No SRT port is open for this stream: switch it on under More.",
    noRtmp: "This server takes no RTMP: its operator switches it on by rtmp_port.",
  },

  push: {
    how: "The edited stream, pushed on to platforms: encoded once, sent to each.",
    none: "It is pushed nowhere yet.",
    states: {
      off: "off",
      connecting: "connecting",
      pushing: "pushing",
      "backing-off": "tries again",
      refused: "refused",
    },
    said: (state: string, message: string, bitrateBps: number, sinceS: number) =>
      [
        state,
        message || (bitrateBps > 0 ? rate(bitrateBps) : ""),
        sinceS >= 1 && !message ? seconds(sinceS) : "",
      ]
        .filter(Boolean)
        .join(" · "),
    idle: "begins with the stream",
    on: (name: string) => `Push to ${name}`,
    remove: (name: string) => `Remove ${name}`,
    removeSure: (name: string) => `Remove “${name}” and its key?`,
    add: "Add",
    name: "Name",
    namePlaceholder: "Twitch",
    url: "Server",
    urlPlaceholder: "rtmp://live.twitch.tv/app",
    key: "Stream key",
    keyPlaceholder: "from the platform",
    rule: "rtmp://, rtmps:// or srt://",
  },

  hotkeys: {
    how: "Keys 1 to 9 here and in the dock, and hotkeys in OBS by its script.",
    defaults: "These are the model's own first nine: change one, and they are this stream's.",
    name: (digit: number) => `Name at key ${digit}`,
    prompt: (digit: number) => `Instruction at key ${digit}`,
    strength: (digit: number) => `Strength at key ${digit}, in percent`,
    play: (digit: number, name: string) => `Apply ${digit}: ${name}`,
    remove: (digit: number) => `Remove key ${digit}`,
    add: "Add the edit in force",
    addTitle: "The edit in force, with its strength, at the next free key",
    full: "All nine keys are taken",
    save: "Save",
    undo: "Undo",
  },

  more: {
    viewKey: "View key",
    viewKeyHow: "Empty: whoever reaches this server may watch.",
    model: "Model",
    modelDefault: "the server's default",
    bitrate: "Bitrate of the edited video",
    bitrateHow: "Mbit/s; 0: the server's own ceiling",
    srt: "SRT in",
    srtPort: "Port",
    srtPassphrase: "Passphrase",
    srtOn: "Take SRT for this stream",
    prompt: "Instruction it begins with",
    promptHow: "In force when it goes live for the first time.",
    save: "Save",
    saved: "Saved",
    kick: "End the publisher",
    kickSure: (who: string) =>
      `End ${who}? Its encoder may come back by itself: make a new key to keep it out.`,
    delete: "Delete this stream",
    deleteSure: (name: string) => `Delete “${name}” for good, with its keys, hotkeys and targets?`,
    address: (address: string) => `publishes from ${address}`,
  },

  operator: {
    ask: "Keys, targets and settings are the operator's: give the operator_key that is set on the server.",
    unset:
      "Keys, targets and settings are the operator's: open this page on the server's own machine, or set operator_key there and give it here.",
    edit: "Editing this stream needs the operator's key: give it under Connect, or use the stream's dock with its own.",
    toConnect: "Give the key",
    wrong: "This is not the server's operator_key: copy it again from its settings.",
    key: "operator_key",
    use: "Use it",
    kept: "Kept in this tab until it is closed.",
  },
};
