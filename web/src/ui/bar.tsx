/** The instruction: what is applied, what is pending, what is typed and what it will be taken for. */
import { useEffect, useRef } from "preact/hooks";
import { Icon } from "./icons";
import { apply, client } from "./session";
import { store } from "./store";
import { strings } from "./strings";

const words = strings.bar;
const DEBOUNCE_MS = 160;
const UNSURE = 0.6;

/** Asks what the draft would be taken for, the last question only. */
function useReading(): void {
  const draft = store.draft.value.trim();
  const model = store.modelName.value;
  useEffect(() => {
    if (!draft) {
      store.reading.value = null;
      return;
    }
    const controller = new AbortController();
    const timer = setTimeout(async () => {
      try {
        store.reading.value = await client.signalling.understand(model, draft, controller.signal);
      } catch {
        // Aborted by the next letter, or the server is away: then nothing is promised.
        if (!controller.signal.aborted) store.reading.value = null;
      }
    }, DEBOUNCE_MS);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [draft, model]);
}

function Standing() {
  const applied = store.applied.value;
  const pending = store.pending.value;
  return (
    <div class="standing" role="status" aria-live="polite">
      <span class="applied" data-testid="applied-edit" data-revision={applied?.revision ?? ""}>
        <span class="dot" aria-hidden="true" />
        <span class="hidden">{words.applied}: </span>
        <b>{applied ? applied.prompt || words.nothing : words.nothing}</b>
        {applied?.label && applied.label !== applied.prompt && <span class="soft"> {applied.label}</span>}
        {applied?.tookMs != null && (
          <span class="took" data-testid="applied-ms" title={words.tookLabel(applied.tookMs)}>
            {words.took(applied.tookMs)}
          </span>
        )}
      </span>
      {pending && pending.revision !== applied?.revision && (
        <span class="pending" data-testid="pending" data-revision={pending.revision}>
          <span class="dot" aria-hidden="true" />
          {words.pending}: {words.pendingFor(pending.prompt)}
        </span>
      )}
    </div>
  );
}

function ReadingLine() {
  const reading = store.draft.value.trim() ? store.reading.value : null;
  return (
    <div class="reading" data-testid="reading" aria-live="polite">
      {reading && (
        <>
          {reading.understood ? (
            <span>
              {words.reading} <b>{reading.label || reading.parts.map(({ name }) => name).join(" + ")}</b>
              <meter min={0} max={1} value={reading.confidence} aria-hidden="true" />
              <span class="soft">{words.sure(reading.confidence)}</span>
            </span>
          ) : (
            <span class="unsure">{words.unknown}</span>
          )}
          {(!reading.understood || reading.confidence < UNSURE) && reading.nearest.length > 0 && (
            <span class={reading.understood ? "nearest extra" : "nearest"}>
              <span class="soft">{words.nearest}</span>
              {reading.nearest.slice(0, 3).map((name) => (
                <button key={name} type="button" class="link" onClick={() => submit(name)}>
                  {name}
                </button>
              ))}
            </span>
          )}
        </>
      )}
    </div>
  );
}

function submit(prompt: string): void {
  store.draft.value = "";
  void apply(prompt);
}

export function Bar() {
  const input = useRef<HTMLInputElement>(null);
  const recalled = useRef(-1);
  useReading();
  useEffect(() => {
    // On a phone focus would bring the keyboard up over the picture.
    if (matchMedia("(hover: hover)").matches) input.current?.focus({ preventScroll: true });
  }, []);
  const recallAt = (index: number): void => {
    recalled.current = Math.min(store.recent.value.length - 1, Math.max(-1, index));
    store.draft.value = store.recent.value[recalled.current] ?? "";
  };
  return (
    <div class="bar">
      <div class="line" data-typing={store.draft.value.trim() !== ""}>
        <Standing />
        <ReadingLine />
      </div>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const prompt = store.draft.value.trim();
          recalled.current = -1;
          if (prompt) submit(prompt);
        }}
      >
        <label class="hidden" for="instruction">
          {words.label}
        </label>
        <input
          id="instruction"
          ref={input}
          data-testid="instruction"
          type="text"
          autocomplete="off"
          autocapitalize="none"
          spellcheck={false}
          enterkeyhint="go"
          maxLength={2000}
          placeholder={words.placeholder}
          value={store.draft.value}
          onInput={(event) => {
            store.draft.value = event.currentTarget.value;
          }}
          onKeyDown={(event) => {
            if (event.key === "ArrowUp" || event.key === "ArrowDown") {
              event.preventDefault();
              recallAt(recalled.current + (event.key === "ArrowUp" ? 1 : -1));
            }
          }}
        />
        <button type="submit" class="primary" data-testid="apply" disabled={!store.draft.value.trim()}>
          {words.apply}
          <Icon name="enter" />
        </button>
      </form>
    </div>
  );
}
