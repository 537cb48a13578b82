/** The streams of this server as a row under the picture: their state, and a new one. */
import type { RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Icon } from "../icons";
import { streamStrings } from "../strings.streams";
import { choose, create } from "./desk";
import { StreamIcon } from "./icons";
import { mayCreate, shown } from "./state";
import { toggleSound } from "./watching";

const words = streamStrings.list;

export function NewStream({ onDone = () => {} }: { onDone?: () => void }) {
  const [name, setName] = useState("");
  if (!mayCreate.value) return null;
  return (
    <form
      class="new-stream"
      onSubmit={async (event) => {
        event.preventDefault();
        if (await create(name.trim())) onDone();
      }}
    >
      <input
        data-testid="stream-name"
        aria-label={words.name}
        placeholder={words.namePlaceholder}
        title={words.nameRule}
        pattern="[a-z0-9][a-z0-9_\-]{0,62}"
        required
        autocomplete="off"
        autocapitalize="none"
        spellcheck={false}
        value={name}
        onInput={({ currentTarget }) => setName(currentTarget.value.toLowerCase().replaceAll(" ", "-"))}
      />
      <button type="submit" class="primary" data-testid="stream-create">
        {words.create}
      </button>
    </form>
  );
}

function Adding() {
  const [open, setOpen] = useState(false);
  if (!mayCreate.value) return null;
  return (
    <>
      {open && <NewStream onDone={() => setOpen(false)} />}
      <button
        type="button"
        class="tool"
        data-testid="stream-new"
        aria-expanded={open}
        aria-label={open ? words.cancel : words.add}
        title={open ? words.cancel : words.add}
        onClick={() => setOpen(!open)}
      >
        {open ? <Icon name="close" /> : <StreamIcon name="plus" />}
      </button>
    </>
  );
}

/** The chosen one is in view, however many there are. */
function useInView(): RefObject<HTMLDivElement | null> {
  const row = useRef<HTMLDivElement>(null);
  const name = shown.name.value;
  const count = shown.list.value.length;
  useEffect(() => {
    const chosen = row.current?.querySelector<HTMLElement>("[aria-pressed=true]");
    if (!row.current || !chosen || !name || !count) return;
    const { offsetLeft, offsetWidth } = chosen;
    const { scrollLeft, clientWidth } = row.current;
    const seen = offsetLeft >= scrollLeft && offsetLeft + offsetWidth <= scrollLeft + clientWidth;
    if (!seen) row.current.scrollLeft = offsetLeft - (clientWidth - offsetWidth) / 2;
  }, [name, count]);
  return row;
}

export function Deck() {
  const { list, name, sound } = shown;
  const row = useInView();
  return (
    <section class="deck streams" data-testid="streams" aria-label={words.label}>
      <div class="streams-row">
        <div ref={row} class="streams-list">
          {list.value.map((stream) => (
            <button
              key={stream.name}
              type="button"
              class="stream"
              data-testid={`stream-${stream.name}`}
              data-state={stream.state}
              aria-pressed={stream.name === name.value}
              aria-label={words.choose(stream.name, words.states[stream.state])}
              onClick={() => choose(stream.name)}
            >
              <span class="dot" aria-hidden="true" />
              <b>{stream.name}</b>
              <span class="soft">
                {words.states[stream.state]}
                {stream.viewers > 0 && ` · ${words.viewers(stream.viewers)}`}
              </span>
            </button>
          ))}
        </div>
        <Adding />
        <button
          type="button"
          class="tool"
          data-testid="stream-sound"
          aria-pressed={sound.value}
          aria-label={sound.value ? words.mute : words.sound}
          title={sound.value ? words.mute : words.sound}
          onClick={toggleSound}
        >
          <StreamIcon name={sound.value ? "sound" : "mute"} />
        </button>
      </div>
    </section>
  );
}
