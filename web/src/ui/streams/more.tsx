/** The rest of a stream's settings, its publisher's end and its own. */
import { useState } from "preact/hooks";
import type { StreamSettings } from "../../client/streamfacts";
import { store } from "../store";
import { streamStrings } from "../strings.streams";
import { change, kick, remove } from "./desk";
import { shown } from "./state";

const words = streamStrings.more;
const SRT_PORT = 8890;
const KEY_CHARS = "[A-Za-z0-9._~\\-]*";
const PASSPHRASE_CHARS = "[A-Za-z0-9 ._~\\-]*";

function passphrase(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return [...bytes].map((byte) => (byte % 36).toString(36)).join("");
}

function Publisher() {
  const publisher = shown.facts.value?.publisher;
  if (!publisher) return null;
  const who = publisher.software || publisher.kind.toUpperCase();
  return (
    <div class="panel-line">
      <span class="target-words">
        <b>{who}</b>
        {publisher.address && <span class="target-said">{words.address(publisher.address)}</span>}
      </span>
      <button
        type="button"
        class="chip danger"
        data-testid="kick"
        onClick={() => confirm(words.kickSure(who)) && void kick()}
      >
        {words.kick}
      </button>
    </div>
  );
}

function Fields({ settings }: { settings: StreamSettings }) {
  const [draft, setDraft] = useState<Partial<StreamSettings>>({});
  const [saved, setSaved] = useState(false);
  const now = { ...settings, ...draft };
  const set = (changed: Partial<StreamSettings>): void => {
    setSaved(false);
    setDraft({ ...draft, ...changed });
  };
  return (
    <form
      class="fields"
      onSubmit={async (event) => {
        event.preventDefault();
        if (!(await change(draft))) return;
        setDraft({});
        setSaved(true);
      }}
    >
      <label title={words.promptHow}>
        <span>{words.prompt}</span>
        <input
          data-testid="first-prompt"
          maxLength={2000}
          value={now.prompt}
          onInput={({ currentTarget }) => set({ prompt: currentTarget.value })}
        />
      </label>
      <label title={words.viewKeyHow}>
        <span>{words.viewKey}</span>
        <input
          data-testid="view-key"
          maxLength={128}
          pattern={KEY_CHARS}
          autocomplete="off"
          placeholder={words.viewKeyHow}
          value={now.viewKey}
          onInput={({ currentTarget }) => set({ viewKey: currentTarget.value })}
        />
      </label>
      {store.models.value.length > 1 && (
        <label>
          <span>{words.model}</span>
          <select
            data-testid="stream-model"
            value={now.model}
            onChange={({ currentTarget }) => set({ model: currentTarget.value })}
          >
            <option value="">{words.modelDefault}</option>
            {store.models.value.map(({ name }) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
      )}
      <label title={words.bitrateHow}>
        <span>{words.bitrate}</span>
        <span class="unit">
          <input
            type="number"
            data-testid="bitrate-setting"
            min={0}
            max={100}
            step={0.1}
            value={now.bitrateBps / 1e6}
            onInput={({ currentTarget }) =>
              set({ bitrateBps: Math.round((currentTarget.valueAsNumber || 0) * 1e6) })
            }
          />
          <span class="soft">{words.bitrateHow}</span>
        </span>
      </label>
      <label class="check">
        <input
          type="checkbox"
          class="switch"
          data-testid="srt-switch"
          checked={now.srt !== null}
          onChange={({ currentTarget }) =>
            set({
              srt: currentTarget.checked
                ? (settings.srt ?? { port: SRT_PORT, passphrase: passphrase(), latencyMs: 120 })
                : null,
            })
          }
        />
        {words.srtOn}
      </label>
      {now.srt && (
        <>
          <label>
            <span>{words.srtPort}</span>
            <input
              type="number"
              data-testid="srt-port"
              min={1}
              max={65535}
              required
              value={now.srt.port}
              onInput={({ currentTarget }) =>
                now.srt && set({ srt: { ...now.srt, port: currentTarget.valueAsNumber || 0 } })
              }
            />
          </label>
          <label>
            <span>{words.srtPassphrase}</span>
            <input
              minLength={10}
              maxLength={79}
              pattern={PASSPHRASE_CHARS}
              required
              autocomplete="off"
              value={now.srt.passphrase}
              onInput={({ currentTarget }) =>
                now.srt && set({ srt: { ...now.srt, passphrase: currentTarget.value } })
              }
            />
          </label>
        </>
      )}
      <div class="panel-tools">
        <button
          type="submit"
          class="primary"
          data-testid="settings-save"
          disabled={Object.keys(draft).length === 0}
        >
          {words.save}
        </button>
        <span role="status" class="soft">
          {saved && words.saved}
        </span>
      </div>
    </form>
  );
}

export function More() {
  const settings = shown.settings.value;
  if (!settings) return null;
  return (
    <>
      <Publisher />
      <Fields key={shown.name.value} settings={settings} />
      <div class="panel-tools ending">
        <button
          type="button"
          class="chip danger"
          data-testid="stream-delete"
          onClick={() => confirm(words.deleteSure(shown.name.value)) && void remove()}
        >
          {words.delete}
        </button>
      </div>
    </>
  );
}
