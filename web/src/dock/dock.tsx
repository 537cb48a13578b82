/** The dock: live state, the instruction, what it was taken for, presets on the number keys, strength. */
import { useState } from "preact/hooks";
import { isOriginal, type Reading } from "../client/catalogue";
import { throttle } from "../ui/throttle";
import {
  apply,
  draft,
  facts,
  gone,
  keyWanted,
  name,
  play,
  presets,
  reachable,
  reading,
  said,
  send,
  standing,
  strength,
  typed,
  useKey,
  wanted,
} from "./state";
import { words } from "./strings";

const DRAG_MS = 100;
const DRAG_TRANSITION_MS = 120;

const sendStrength = throttle<number>(DRAG_MS, () => {
  if (wanted.value) void apply(wanted.value, DRAG_TRANSITION_MS);
});

function LiveState() {
  const now = facts.value;
  const state = reachable.value && !gone.value ? (now?.state ?? "looking") : "away";
  const measured =
    now?.state === "live" && !now.needsKey
      ? [
          words.fps(now.fpsOut),
          now.latency.p50Ms > 0 && words.adds(now.latency.p50Ms),
          words.viewers(now.viewers),
        ]
      : [];
  return (
    <header data-testid="dock-state" data-state={state}>
      <h1 title={name}>
        <span class="dot" aria-hidden="true" />
        {name}
      </h1>
      {/* Figures that change each second are not read out. */}
      <p aria-live={measured.length > 0 ? "off" : "polite"} title={measured.length > 0 ? words.measured : ""}>
        {now && reachable.value
          ? measured.length > 0
            ? measured.filter(Boolean).join(" · ")
            : words.states[now.state]
          : gone.value
            ? words.gone(name)
            : reachable.value
              ? words.looking
              : words.away}
      </p>
    </header>
  );
}

function partsOf({ parts, label }: Reading): string {
  const shown = parts.map((part) => {
    const amount = part.amount < 0.995 ? ` ${words.percent(part.amount)}` : "";
    return `${part.name.replaceAll("_", " ")}${amount}`;
  });
  return shown.join(" + ") || label || words.nothing;
}

/** What is typed will be this; else what is in force, and what is on its way. */
function Line() {
  const prompt = draft.value.trim();
  const known = reading.value?.text === prompt ? reading.value.reading : null;
  if (prompt) {
    return (
      <p class="line" data-testid="dock-reading" role="status">
        {known &&
          (known.understood ? (
            <>
              <span class="soft">{words.takenFor}</span> <b>{partsOf(known)}</b>{" "}
              <span class="soft">{words.sure(known.confidence)}</span>
            </>
          ) : (
            <span class="unsure">
              {!said.value && (known.note || words.unknown)}
              {known.nearest.length > 0 && ` ${words.nearest} ${known.nearest.slice(0, 2).join(", ")}`}
            </span>
          ))}
      </p>
    );
  }
  const { applied, pending, tookMs } = standing.value;
  const live = facts.value?.state === "live";
  return (
    <p class="line" role="status">
      {pending ? (
        <span class="unsure" data-testid="dock-pending">
          {live ? words.pending(pending.prompt) : words.pendingIdle(pending.prompt)}
        </span>
      ) : (
        <span data-testid="dock-applied" data-revision={applied?.revision ?? ""}>
          <span class="dot applied" aria-hidden="true" />
          <span class="hidden">{words.applied}: </span>
          <b>{(!isOriginal(applied?.reading) && applied?.prompt) || words.nothing}</b>
          {tookMs !== null && (
            <span class="took" title={words.tookTitle}>
              {words.took(tookMs)}
            </span>
          )}
        </span>
      )}
    </p>
  );
}

function Instruction() {
  return (
    <form
      class="instruction"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <label class="hidden" for="instruction">
        {words.label}
      </label>
      <input
        id="instruction"
        data-testid="dock-instruction"
        type="text"
        autocomplete="off"
        autocapitalize="none"
        spellcheck={false}
        enterkeyhint="go"
        maxLength={2000}
        placeholder={words.placeholder}
        value={draft.value}
        onInput={({ currentTarget }) => {
          said.value = ""; // it was about other words
          typed(currentTarget.value);
        }}
      />
    </form>
  );
}

function Strength() {
  const percent = Math.round(strength.value * 100);
  return (
    <label class="strength">
      <span>{words.strength}</span>
      <input
        type="range"
        data-testid="dock-strength"
        min={0}
        max={100}
        value={percent}
        style={{ "--fill": `${percent}%` }}
        onInput={({ currentTarget }) => {
          strength.value = Number(currentTarget.value) / 100;
          sendStrength(strength.value);
        }}
      />
      <output>{words.percent(strength.value)}</output>
    </label>
  );
}

function PresetButton({
  digit,
  label,
  active,
  run,
}: {
  digit: number;
  label: string;
  active: boolean;
  run: () => void;
}) {
  return (
    <button
      type="button"
      data-testid={`dock-preset-${digit}`}
      aria-pressed={active}
      aria-keyshortcuts={String(digit)}
      title={label}
      onClick={run}
    >
      <kbd>{digit}</kbd>
      <span>{label}</span>
    </button>
  );
}

function Presets() {
  return (
    <section class="presets" aria-label={words.presets}>
      {presets.value.map((preset, index) => (
        <PresetButton
          key={preset.name}
          digit={index + 1}
          label={preset.name}
          active={wanted.value === preset.prompt}
          run={() => play(preset)}
        />
      ))}
      <PresetButton
        digit={0}
        label={words.original}
        active={facts.value !== null && !wanted.value}
        run={() => void apply("")}
      />
    </section>
  );
}

function KeyField() {
  const [key, setKey] = useState("");
  if (!keyWanted.value) return null;
  return (
    <form
      class="key"
      data-testid="dock-key"
      onSubmit={(event) => {
        event.preventDefault();
        if (key.trim()) useKey(key);
      }}
    >
      <p role="alert">{keyWanted.value === "wrong" ? words.keyWrong : words.keyAsk}</p>
      <input
        type="password"
        autocomplete="off"
        aria-label={words.key}
        placeholder={words.key}
        value={key}
        onInput={({ currentTarget }) => setKey(currentTarget.value)}
      />
      <button type="submit">{words.keySave}</button>
    </form>
  );
}

export function Dock() {
  return (
    <>
      <LiveState />
      <KeyField />
      <Instruction />
      <Line />
      {said.value && (
        <p class="said" role="alert" data-testid="dock-said">
          {said.value}
        </p>
      )}
      <Strength />
      <Presets />
    </>
  );
}

/** Number keys play the presets, unless something is typed; Esc leaves the field. */
export function listenToKeys(): void {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const target = event.target as HTMLElement;
    if (target.matches("input:not([type=range])")) {
      if (event.key === "Escape") target.blur();
      return;
    }
    if (event.key === "/") {
      event.preventDefault();
      document.getElementById("instruction")?.focus();
    } else if (event.key === "0") void apply("");
    else if (/^[1-9]$/.test(event.key)) {
      const preset = presets.value[Number(event.key) - 1];
      if (preset) play(preset);
    }
  });
}
