/** Where the edited stream is pushed on to: added, switched, removed, and how each fares in words. */
import { useState } from "preact/hooks";
import { MOST_TARGETS, type Target, type TargetFacts } from "../../client/streamfacts";
import { Icon } from "../icons";
import { streamStrings } from "../strings.streams";
import { change } from "./desk";
import { shown, streamState } from "./state";

const words = streamStrings.push;

const hostOf = (url: string): string => {
  try {
    return new URL(url).hostname;
  } catch {
    return "";
  }
};

/** As platforms show it: the server and the key are two fields, and one address. */
const joined = (url: string, key: string): string =>
  key ? `${url.trim().replace(/\/+$/, "")}/${key.trim()}` : url.trim();

function saidOf(target: Target | null, facts: TargetFacts | undefined): string {
  if (target && !target.enabled) return words.states.off;
  const begun = facts && (streamState.value === "live" || !["off", "connecting"].includes(facts.state));
  if (!begun) return words.idle;
  return words.said(words.states[facts.state], facts.message, facts.bitrateBps, facts.sinceS);
}

function Row({
  target,
  facts,
  save,
}: {
  target: Target | null;
  facts?: TargetFacts | undefined;
  save: (to: Target | null) => void;
}) {
  const name = target?.name ?? facts?.name ?? "";
  return (
    <li
      class="target"
      data-testid="target"
      data-state={target?.enabled === false ? "off" : (facts?.state ?? "off")}
    >
      <span class="dot" aria-hidden="true" />
      <span class="target-words">
        <b>{name}</b> <span class="soft">{facts?.host || hostOf(target?.url ?? "")}</span>
        <span class="target-said" data-testid="target-said">
          {saidOf(target, facts)}
        </span>
      </span>
      {target && (
        <>
          <input
            type="checkbox"
            class="switch"
            data-testid="target-switch"
            aria-label={words.on(name)}
            checked={target.enabled}
            onChange={({ currentTarget }) => save({ ...target, enabled: currentTarget.checked })}
          />
          <button
            type="button"
            class="copy"
            data-testid="target-remove"
            aria-label={words.remove(name)}
            title={words.remove(name)}
            onClick={() => confirm(words.removeSure(name)) && save(null)}
          >
            <Icon name="bin" />
          </button>
        </>
      )}
    </li>
  );
}

function Add({ targets }: { targets: Target[] }) {
  const [name, setName] = useState("");
  const [url, setUrl] = useState("");
  const [key, setKey] = useState("");
  return (
    <form
      class="fields"
      onSubmit={async (event) => {
        event.preventDefault();
        const added = { name: name.trim(), url: joined(url, key), enabled: true };
        if (!(await change({ targets: [...targets, added] }))) return;
        setName("");
        setUrl("");
        setKey("");
      }}
    >
      <label>
        <span>{words.name}</span>
        <input
          data-testid="target-name"
          required
          maxLength={60}
          placeholder={words.namePlaceholder}
          value={name}
          onInput={({ currentTarget }) => setName(currentTarget.value)}
        />
      </label>
      <label>
        <span>{words.url}</span>
        <input
          data-testid="target-url"
          required
          maxLength={900}
          pattern="\s*(rtmps?|srt)://.+"
          title={words.rule}
          inputMode="url"
          autocomplete="off"
          placeholder={words.urlPlaceholder}
          value={url}
          onInput={({ currentTarget }) => setUrl(currentTarget.value)}
        />
      </label>
      <label>
        <span>{words.key}</span>
        <input
          type="password"
          data-testid="target-key"
          autocomplete="off"
          maxLength={300}
          placeholder={words.keyPlaceholder}
          value={key}
          onInput={({ currentTarget }) => setKey(currentTarget.value)}
        />
      </label>
      <button type="submit" class="primary" data-testid="target-add">
        {words.add}
      </button>
    </form>
  );
}

export function Push() {
  const settings = shown.settings.value;
  const facts = shown.facts.value?.targets ?? [];
  const targets = settings?.targets ?? null;
  const save = (at: number) => (to: Target | null) =>
    void change({ targets: (targets ?? []).flatMap((each, index) => (index === at ? (to ?? []) : each)) });
  return (
    <>
      <p class="soft">{words.how}</p>
      {targets?.length === 0 && <p class="soft">{words.none}</p>}
      <ul class="targets">
        {targets
          ? targets.map((target, index) => (
              <Row
                key={target.name}
                target={target}
                facts={facts.find(({ name }) => name === target.name)}
                save={save(index)}
              />
            ))
          : facts.map((each) => <Row key={each.name} target={null} facts={each} save={() => {}} />)}
      </ul>
      {targets && targets.length < MOST_TARGETS && <Add targets={targets} />}
    </>
  );
}
