/** The video elements that show the edited stream, and which frames of it they present. Knows no session. */

export class Screens {
  readonly #videos = new Set<HTMLVideoElement>();
  readonly #onPresented: (rtp: number, atMs: number) => void;
  #stream: MediaStream | null = null;

  /** `onPresented` hears each frame's RTP timestamp and when it is on the screen, where the browser tells. */
  constructor(onPresented: (rtp: number, atMs: number) => void) {
    this.#onPresented = onPresented;
  }

  /** Returns what undoes it. */
  attach(video: HTMLVideoElement): () => void {
    this.#videos.add(video);
    if (this.#stream) play(video, this.#stream);
    this.#watch(video);
    return () => this.#videos.delete(video);
  }

  show(stream: MediaStream): void {
    this.#stream = stream;
    for (const video of this.#videos) play(video, stream);
  }

  #watch(video: HTMLVideoElement): void {
    if (!("requestVideoFrameCallback" in video)) return;
    const look = (nowMs: number, frame: VideoFrameCallbackMetadata): void => {
      if (!this.#videos.has(video)) return;
      if (frame.rtpTimestamp !== undefined) {
        this.#onPresented(frame.rtpTimestamp, frame.expectedDisplayTime || nowMs);
      }
      video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
  }
}

function play(video: HTMLVideoElement, stream: MediaStream): void {
  if (video.srcObject !== stream) video.srcObject = stream;
  video.play().catch(() => {
    // Replaced by a newer stream while it started, or the browser waits for a gesture; both are seen by the page.
  });
}
