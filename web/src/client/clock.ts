/** Watches a sender's encoded frames for their RTP timestamps, by whichever door this browser has. */

export type SeenFrame = (rtp: number, atMs: number) => void;

interface ScriptTransformGlobal {
  RTCRtpScriptTransform?: new (worker: Worker, options?: unknown) => unknown;
}

interface EncodedFrame {
  timestamp?: number;
  getMetadata(): { rtpTimestamp?: number };
}

interface EncodedStreams {
  createEncodedStreams?(): { readable: ReadableStream<EncodedFrame>; writable: WritableStream<EncodedFrame> };
}

const hasScriptTransform = (): boolean =>
  typeof (globalThis as ScriptTransformGlobal).RTCRtpScriptTransform === "function";

/** Chromium before 141 has createEncodedStreams only, and wants it announced when the connection is made. */
export function connectionFlags(): Record<string, boolean> {
  const older =
    !hasScriptTransform() &&
    typeof RTCRtpSender !== "undefined" &&
    "createEncodedStreams" in RTCRtpSender.prototype;
  return older ? { encodedInsertableStreams: true } : {};
}

/** Calls `seen` for each frame `sender` encodes. Returns what stops it, or null where the browser offers no way. */
export function watchSender(sender: RTCRtpSender, workerUrl: string, seen: SeenFrame): (() => void) | null {
  const { RTCRtpScriptTransform } = globalThis as ScriptTransformGlobal;
  if (RTCRtpScriptTransform) {
    let worker: Worker;
    try {
      worker = new Worker(workerUrl);
      (sender as unknown as { transform: unknown }).transform = new RTCRtpScriptTransform(worker);
    } catch {
      return null; // A content policy forbids the worker: latency is then estimated and said to be.
    }
    // Without its script the transform would hold every frame back.
    worker.onerror = () => {
      (sender as unknown as { transform: unknown }).transform = null;
    };
    worker.onmessage = ({ data }: MessageEvent<{ rtp: number; atMs: number }>) => {
      seen(data.rtp, data.atMs - performance.timeOrigin);
    };
    return () => worker.terminate();
  }
  const streams = (sender as unknown as EncodedStreams).createEncodedStreams?.();
  if (!streams) return null;
  const clock = new TransformStream<EncodedFrame, EncodedFrame>({
    transform(frame, controller) {
      const rtp = frame.getMetadata().rtpTimestamp ?? frame.timestamp;
      controller.enqueue(frame);
      if (rtp !== undefined) seen(rtp, performance.now());
    },
  });
  streams.readable
    .pipeThrough(clock)
    .pipeTo(streams.writable)
    .catch(() => {}); // ends with its sender
  return () => {};
}

/** With `encodedInsertableStreams` every other sender and receiver must be connected through by hand. */
export function passThrough(end: RTCRtpSender | RTCRtpReceiver): void {
  const streams = (end as unknown as EncodedStreams).createEncodedStreams?.();
  streams?.readable.pipeTo(streams.writable).catch(() => {}); // ends with its connection
}
