/** Runs beside the encoder: tells the page when each frame, by its RTP timestamp, left it. Changes no frame. */
interface SentFrame {
  timestamp?: number;
  getMetadata(): { rtpTimestamp?: number };
}

interface TransformScope {
  onrtctransform:
    | ((event: {
        transformer: { readable: ReadableStream<SentFrame>; writable: WritableStream<SentFrame> };
      }) => void)
    | null;
  postMessage(message: { rtp: number; atMs: number }): void;
}

const scope = self as unknown as TransformScope;

scope.onrtctransform = ({ transformer: { readable, writable } }) => {
  const clock = new TransformStream<SentFrame, SentFrame>({
    transform(frame, controller) {
      const rtp = frame.getMetadata().rtpTimestamp ?? frame.timestamp;
      controller.enqueue(frame);
      // Absolute time: the worker's performance.now() starts elsewhere than the page's.
      if (rtp !== undefined) scope.postMessage({ rtp, atMs: performance.timeOrigin + performance.now() });
    },
  });
  // It ends with its sender; there is nobody to tell.
  readable
    .pipeThrough(clock)
    .pipeTo(writable)
    .catch(() => {});
};
