/** What a viewer gives for a stream that is not shown to everybody: its view key, once in a tab. Knows no elements. */
import { type Tried, tryViewKey } from "../../viewkeys";
import { lookInto } from "./desk";
import { shown, streams } from "./state";
import { follow, watchPicture } from "./watching";

/** Tries it once, and shows the stream where it is right. */
export async function useViewKey(given: string): Promise<Tried> {
  const name = shown.name.value;
  const key = given.trim();
  const tried = await tryViewKey(streams.base, name, key);
  if (!tried.right || name !== shown.name.value) return tried;
  shown.viewKey.value = key;
  follow(name);
  watchPicture(name, key);
  await lookInto();
  return tried;
}
