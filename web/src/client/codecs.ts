/** Which codecs are offered, in which order, and the receiver told not to wait. Knows no session. */

/** H.264 first (what the server's encoder is fastest at), then VP8; repair formats stay, the rest goes last. */
export function orderCodecs<C extends { mimeType: string; sdpFmtpLine?: string }>(codecs: readonly C[]): C[] {
  const rank = (codec: C): number => {
    const name = codec.mimeType.toLowerCase();
    if (name === "video/h264") {
      const line = codec.sdpFmtpLine ?? "";
      // packetization-mode=0 forbids fragments: no picture of a useful size fits.
      if (!line.includes("packetization-mode=1")) return 3;
      return /profile-level-id=42e0/i.test(line) ? 0 : 1;
    }
    if (name === "video/vp8") return 2;
    return /\/(rtx|red|ulpfec|flexfec-03)$/.test(name) ? 5 : 4;
  };
  return [...codecs].sort((a, b) => rank(a) - rank(b));
}

export function preferH264(transceiver: RTCRtpTransceiver): void {
  const capabilities = RTCRtpReceiver.getCapabilities?.("video");
  if (!capabilities || !transceiver.setCodecPreferences) return;
  try {
    transceiver.setCodecPreferences(orderCodecs(capabilities.codecs));
  } catch {
    // A browser that refuses the order still offers all of them.
  }
}

/** Plays what came as soon as it came: an edit is worth more than a smooth clock. */
export function playAtOnce(receiver: RTCRtpReceiver): void {
  const knobs = receiver as unknown as {
    jitterBufferTarget?: number | null;
    playoutDelayHint?: number | null;
  };
  if ("jitterBufferTarget" in receiver) knobs.jitterBufferTarget = 0;
  if ("playoutDelayHint" in receiver) knobs.playoutDelayHint = 0;
}

/** The model's cache holds pictures of one size: drop frames rather than shrink them. */
export async function keepResolution(sender: RTCRtpSender, maxBitrateBps: number): Promise<void> {
  const parameters = sender.getParameters() as RTCRtpSendParameters & { degradationPreference?: string };
  parameters.degradationPreference = "maintain-resolution";
  for (const encoding of parameters.encodings) encoding.maxBitrate = maxBitrateBps;
  await sender.setParameters(parameters).catch(() => {
    // Older browsers know no degradationPreference; the stream works without.
  });
}
