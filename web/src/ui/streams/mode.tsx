/** Streams mode: what OBS and other encoders publish here, edited on the same stage by the same instruction. */
import { videos } from "../live";
import { useStreams } from "../session";
import { store } from "../store";
import { streamStrings as words } from "../strings.streams";
import { choose, keepLooking, recallKey, refresh } from "./desk";
import { leaveEdits, takeEdits } from "./edits";
import { shown } from "./state";
import { unwatch } from "./watching";

export { StageCover } from "./cover";
export { StatePill as Pill, StreamFactsRow as Facts } from "./facts";
export { Deck } from "./list";
export { Panel } from "./panel";

/** Goes over to streams, with `name` on the stage where there is one. Raises Refusal where this server has none. */
export async function enter(name: string, wanted: () => boolean): Promise<void> {
  recallKey();
  await refresh();
  if (!wanted()) return;
  useStreams();
  takeEdits();
  if (videos.edited) videos.edited.srcObject = null;
  const { value: list } = shown.list;
  const found =
    list.find((each) => each.name === name) ?? list.find(({ state }) => state === "live") ?? list[0];
  shown.operator.value = "unknown";
  shown.name.value = "";
  choose(found?.name ?? ""); // which the address then names
  keepLooking();
  if (!name || found?.name === name) return;
  store.notice.value = { about: "source", text: words.list.absent(name), action: null, tone: "problem" };
}

/** Another source begins. */
export function leave(): void {
  unwatch();
  leaveEdits();
  store.streamModel.value = "";
  shown.sound.value = false;
  if (videos.edited) videos.edited.muted = true;
}
