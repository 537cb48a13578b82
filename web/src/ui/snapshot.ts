/** Stills of a playing video. */

/** A small JPEG as a data URL, cut to 16:9; null before the first frame. */
export function thumbnailOf(video: HTMLVideoElement, width = 192): string | null {
  return draw(video, width, Math.round((width * 9) / 16))?.toDataURL("image/jpeg", 0.7) ?? null;
}

/** Cut to that shape; null before the first frame. */
export function draw(video: HTMLVideoElement, width: number, height: number): HTMLCanvasElement | null {
  const { videoWidth, videoHeight } = video;
  if (!videoWidth || !videoHeight || !width) return null;
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const scale = Math.max(width / videoWidth, height / videoHeight);
  const [drawnWidth, drawnHeight] = [videoWidth * scale, videoHeight * scale];
  canvas
    .getContext("2d")
    ?.drawImage(video, (width - drawnWidth) / 2, (height - drawnHeight) / 2, drawnWidth, drawnHeight);
  return canvas;
}
