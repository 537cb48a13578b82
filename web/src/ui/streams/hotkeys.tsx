/** The edits at the keys 1 to 9: played, and by the operator written. */
import { useState } from "preact/hooks";
import { MOST_PRESETS, type StreamPreset } from "../../client/streamfacts";
import { elsewhere } from "../edits";
import { Icon } from "../icons";
import { store } from "../store";
import { streamStrings } from "../strings.streams";
import { change } from "./desk";
import { isOperator, shown } from "./state";

const words = streamStrings.hotkeys;
const NAME_CHARS = 60;

/** The edit in force as a hotkey; null while none is. */
function inForce(): StreamPreset | null {
  const applied = store.applied.value;
  if (!applied?.prompt) return null;
  const name = (applied.reading?.label || applied.prompt).slice(0, NAME_CHARS);
  return {
    name,
    prompt: applied.prompt,
    strength: store.strength.value,
    transitionMs: store.transitionMs.value,
  };
}

interface RowProps {
  digit: number;
  preset: StreamPreset;
  edit: ((changed: Partial<StreamPreset> | null) => void) | null;
}

function Row({ digit, preset, edit }: RowProps) {
  return (
    <li class="hotkey" data-testid="hotkey">
      <button
        type="button"
        class="hotkey-key"
        data-testid={`hotkey-${digit}`}
        aria-label={words.play(digit, preset.name)}
        title={words.play(digit, preset.name)}
        onClick={() => elsewhere.door?.preset(digit - 1)}
      >
        <kbd>{digit}</kbd>
      </button>
      {edit ? (
        <>
          <input
            class="hotkey-name"
            data-testid={`hotkey-name-${digit}`}
            aria-label={words.name(digit)}
            maxLength={NAME_CHARS}
            value={preset.name}
            onInput={({ currentTarget }) => edit({ name: currentTarget.value })}
          />
          <input
            class="hotkey-prompt"
            data-testid={`hotkey-prompt-${digit}`}
            aria-label={words.prompt(digit)}
            maxLength={2000}
            value={preset.prompt}
            onInput={({ currentTarget }) => edit({ prompt: currentTarget.value })}
          />
          <span class="hotkey-strength">
            <input
              type="number"
              aria-label={words.strength(digit)}
              min={0}
              max={100}
              value={Math.round(preset.strength * 100)}
              onInput={({ currentTarget }) =>
                edit({ strength: Math.min(100, Math.max(0, currentTarget.valueAsNumber || 0)) / 100 })
              }
            />
            %
          </span>
          <button
            type="button"
            class="copy"
            data-testid={`hotkey-remove-${digit}`}
            aria-label={words.remove(digit)}
            title={words.remove(digit)}
            onClick={() => edit(null)}
          >
            <Icon name="close" />
          </button>
        </>
      ) : (
        <span class="target-words">
          <b>{preset.name}</b>
          <span class="target-said">{preset.prompt}</span>
        </span>
      )}
    </li>
  );
}

export function Hotkeys() {
  const kept = shown.presets.value;
  const [draft, setDraft] = useState<StreamPreset[] | null>(null);
  const presets = draft ?? kept;
  const own = (shown.settings.value?.presets.length ?? 0) > 0;
  const current = inForce();
  const editRow = (at: number) => (changed: Partial<StreamPreset> | null) =>
    setDraft(
      presets.flatMap((each, index) => (index === at ? (changed ? { ...each, ...changed } : []) : each)),
    );
  return (
    <form
      class="hotkeys"
      onSubmit={async (event) => {
        event.preventDefault();
        if (draft && (await change({ presets: draft.filter(({ name }) => name.trim()) }))) setDraft(null);
      }}
    >
      <p class="soft">{words.how}</p>
      {isOperator.value && !own && <p class="soft">{words.defaults}</p>}
      <ol>
        {presets.map((preset, index) => (
          <Row
            key={index}
            digit={index + 1}
            preset={preset}
            edit={isOperator.value ? editRow(index) : null}
          />
        ))}
      </ol>
      {isOperator.value && (
        <div class="panel-tools">
          <button
            type="button"
            class="chip"
            data-testid="hotkey-add"
            disabled={!current || presets.length >= MOST_PRESETS}
            title={presets.length >= MOST_PRESETS ? words.full : words.addTitle}
            onClick={() => current && setDraft([...presets, current])}
          >
            {words.add}
          </button>
          {draft && (
            <>
              <button type="button" class="chip" onClick={() => setDraft(null)}>
                {words.undo}
              </button>
              <button type="submit" class="primary" data-testid="hotkey-save">
                {words.save}
              </button>
            </>
          )}
        </div>
      )}
    </form>
  );
}
