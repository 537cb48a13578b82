/** The instruction: what is typed and what it will be taken for; what is applied and what is pending. */
import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { isOriginal } from "../client/catalogue";
import { useReading } from "./asking";
import { apply } from "./edits";
import { Icon } from "./icons";
import { late } from "./later";
import { boxReading, clearNotice, presetsInOrder, promptFor, sentence, store, suggestions } from "./store";
import { strings } from "./strings";
import { sent } from "./typed";

const words = strings.bar;

/** Chips only where they say more than the sentence of a preset, or its name, does. */
function AppliedParts() {
  const { PartChips } = late.value ?? {};
  const applied = store.applied.value;
  const said = applied?.prompt.toLowerCase();
  const plain = presetsInOrder.value.some(
    ({ prompt, label }) => prompt === applied?.prompt || label.toLowerCase() === said,
  );
  return !PartChips || plain || !applied?.reading ? null : <PartChips reading={applied.reading} />;
}

function Standing() {
  const tookLabel = store.source.value === "streams" ? words.leftLabel : words.tookLabel;
  const applied = store.applied.value;
  const pending = store.pending.value;
  return (
    <div class="standing" role="status" aria-live="polite">
      <span class="applied" data-testid="applied-edit" data-revision={applied?.revision ?? ""}>
        <span class="dot" aria-hidden="true" />
        <span class="hidden">{words.applied}: </span>
        <b title={applied?.prompt}>{(!isOriginal(applied?.reading) && applied?.prompt) || words.nothing}</b>
        <AppliedParts />
        {applied?.tookMs != null && (
          <span class="took" data-testid="applied-ms" title={tookLabel(applied.tookMs)}>
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

function Draft() {
  const { ReadingLine, spoken } = late.value ?? {};
  const reading = boxReading.value;
  return (
    <div class="reading" data-testid="reading" aria-busy={store.beingRead.value}>
      {!reading && store.beingRead.value && <span class="soft">{words.beingRead}</span>}
      {ReadingLine && reading && <ReadingLine reading={reading} run={(label) => submit(promptFor(label))} />}
      <span class="hidden" role="status" aria-live="polite">
        {reading && spoken?.(reading)}
      </span>
    </div>
  );
}

export function submit(prompt: string): void {
  store.draft.value = "";
  store.chosen.value = -1;
  sent(prompt);
  void apply(prompt);
  // Where a keyboard covers half of the screen, the picture is worth more than the next letter.
  if (matchMedia("(hover: none)").matches) document.getElementById("instruction")?.blur();
}

/** What the keys of a list do in the box: through the suggestions, or back through what was asked for lately. */
function useArrows(): { onKeyDown: (event: KeyboardEvent) => void; typed: (text: string) => void } {
  const recalled = useRef(-1);
  const typed = (text: string): void => {
    recalled.current = -1;
    store.chosen.value = -1;
    store.draft.value = text;
    clearNotice("edit"); // it was about other words
  };
  const recallAt = (index: number): void => {
    typed(store.recent.value[Math.min(store.recent.value.length - 1, index)] ?? "");
    recalled.current = Math.max(-1, Math.min(store.recent.value.length - 1, index));
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const { key } = event;
    if (key === "Escape" && store.draft.value) {
      event.stopPropagation(); // leaving the box is the next press
      typed("");
      return;
    }
    if (key !== "ArrowUp" && key !== "ArrowDown") return;
    event.preventDefault();
    if (recalled.current >= 0 || !store.draft.value.trim()) {
      recallAt(recalled.current + (key === "ArrowUp" ? 1 : -1));
      return;
    }
    const next = store.chosen.value + (key === "ArrowDown" ? 1 : -1);
    const last = suggestions.value.length - 1;
    store.chosen.value = next < -1 ? last : next > last ? -1 : next;
  };
  return { onKeyDown, typed };
}

/** Where the bar stays under the picture, what scrolls under it starts at its foot: its line may wrap. */
function useHeight(element: RefObject<HTMLElement | null>): void {
  useEffect(() => {
    const { current } = element;
    if (!current) return;
    const observer = new ResizeObserver(() =>
      document.documentElement.style.setProperty("--bar", `${current.offsetHeight}px`),
    );
    observer.observe(current);
    return () => observer.disconnect();
  }, [element]);
}

export function Bar() {
  const input = useRef<HTMLInputElement>(null);
  const bar = useRef<HTMLDivElement>(null);
  const { RegionSwitch } = late.value ?? {};
  useHeight(bar);
  const { onKeyDown, typed } = useArrows();
  const typing = sentence.value.trim() !== "";
  const open = suggestions.value.length > 0;
  const chosen = suggestions.value[store.chosen.value];
  useReading();
  useEffect(() => {
    // On a phone focus would bring the keyboard up over the picture.
    if (matchMedia("(hover: hover)").matches) input.current?.focus({ preventScroll: true });
  }, []);
  return (
    <div ref={bar} class="bar" data-typing={typing}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const prompt = sentence.value.trim();
          typed("");
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
          role="combobox"
          aria-autocomplete="list"
          aria-expanded={open}
          aria-controls="suggestions"
          aria-activedescendant={chosen && `suggestion-${chosen.name}`}
          autocomplete="off"
          autocapitalize="none"
          spellcheck={false}
          enterkeyhint="go"
          maxLength={2000}
          placeholder={words.placeholder}
          value={sentence.value}
          onInput={(event) => typed(event.currentTarget.value)}
          onKeyDown={onKeyDown}
        />
        {typing && (
          <button
            type="button"
            class="tool"
            data-testid="clear"
            aria-label={words.clear}
            title={words.clear}
            onPointerDown={(event) => event.preventDefault()}
            onClick={() => typed("")}
          >
            <Icon name="close" />
          </button>
        )}
        <button type="submit" class="primary" data-testid="apply" disabled={!typing}>
          {words.apply}
          <Icon name="enter" />
        </button>
      </form>
      <div class="line">
        <Standing />
        <Draft />
        {RegionSwitch && <RegionSwitch />}
      </div>
    </div>
  );
}
