/** What is taken home of a session: a still of the edited picture, the edits' timeline. */
import { download, fileName } from "./download";
import { videos } from "./live";
import { draw } from "./snapshot";
import { store } from "./store";
import { timelineJson } from "./timeline";

export async function saveSnapshot(): Promise<void> {
  const { edited } = videos;
  const canvas = edited && draw(edited, edited.videoWidth, edited.videoHeight);
  if (!canvas) return;
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  if (blob) download(blob, fileName("png"));
}

export function saveTimeline(): void {
  const json = timelineJson(store.timeline.value, store.modelName.value);
  download(new Blob([json], { type: "application/json" }), fileName("json"));
}
