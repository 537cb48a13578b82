/** Asks the model what a sentence would be taken for, while it is typed. */
import { useEffect } from "preact/hooks";
import { running } from "./edits";
import { client } from "./live";
import { modelInUse, sentence, store } from "./store";

const DEBOUNCE_MS = 140;
const SETTLE_MS = 500; // half a sentence is mostly beyond a model: no reason to say so while somebody types on

/** Asks what the sentence in the box would be taken for, the last question only. */
export function useReading(): void {
  const text = sentence.value.trim();
  const model = modelInUse.value;
  useEffect(() => {
    if (!text) {
      store.reading.value = null;
      store.draftReading.value = null;
      store.beingRead.value = false;
      return;
    }
    store.beingRead.value = true;
    const controller = new AbortController();
    let timer = setTimeout(async () => {
      try {
        const reading = await client.signalling.understand(model, text, controller.signal, running());
        const show = (): void => {
          store.reading.value = { text, reading };
          store.beingRead.value = false;
          if (store.draft.value.trim() === text) store.draftReading.value = { text, reading };
        };
        if (reading.understood) return show();
        store.reading.value = null;
        if (!controller.signal.aborted) timer = setTimeout(show, SETTLE_MS);
      } catch {
        // Aborted by the next letter, or the server is away: then nothing is promised.
        if (controller.signal.aborted) return;
        store.reading.value = null;
        store.beingRead.value = false;
      }
    }, DEBOUNCE_MS);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [text, model]);
}
