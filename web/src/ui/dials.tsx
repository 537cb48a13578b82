/** Strength and transition time, and the tools that keep what happened. */
import type { JSX } from "preact";
import { restrength, togglePause } from "./edits";
import { Icon } from "./icons";
import { withLate } from "./later";
import { toggleFullscreen } from "./session";
import { atRest, clearNotice, store } from "./store";
import { strings } from "./strings";
import { throttle } from "./throttle";

const { dials, tools } = strings;
const TRANSITIONS_MS = [0, 200, 400, 1000, 2000, 5000];
const DRAG_MS = 66; // 15 a second: as often as a slider is felt to act at once

const sendStrength = throttle<number>(DRAG_MS, restrength);

function Strength() {
  const percent = Math.round(store.strength.value * 100);
  return (
    <label class="dial">
      <span>{dials.strength}</span>
      <input
        type="range"
        data-testid="strength"
        min={0}
        max={100}
        step={1}
        value={percent}
        style={{ "--fill": `${percent}%` }}
        aria-valuetext={dials.strengthValue(percent)}
        onInput={({ currentTarget }) => {
          store.strength.value = Number(currentTarget.value) / 100;
          sendStrength(store.strength.value);
        }}
      />
      <output>{dials.strengthValue(percent)}</output>
    </label>
  );
}

function Transition() {
  return (
    <label class="dial">
      <span>{dials.transition}</span>
      <select
        data-testid="transition"
        value={store.transitionMs.value}
        onChange={({ currentTarget }) => {
          store.transitionMs.value = Number(currentTarget.value);
        }}
      >
        {TRANSITIONS_MS.map((value) => (
          <option key={value} value={value}>
            {value === 0 ? dials.cut : dials.seconds(value)}
          </option>
        ))}
      </select>
    </label>
  );
}

interface ToolProps {
  id: string;
  label: string;
  children: JSX.Element;
  pressed?: boolean;
  disabled?: boolean;
  run: () => void;
}

function Tool({ id, label, children, pressed, disabled = false, run }: ToolProps) {
  return (
    <button
      type="button"
      class="tool"
      data-testid={id}
      aria-label={label}
      title={label}
      {...(pressed === undefined ? {} : { "aria-pressed": pressed })}
      disabled={disabled}
      onClick={run}
    >
      {children}
    </button>
  );
}

function Tools() {
  const { paused, recording, playing, fullscreen, keysOpen } = store;
  return (
    <div class="tools" role="toolbar" aria-label={tools.label}>
      <Tool
        id="pause"
        label={paused.value ? tools.resume : tools.pause}
        disabled={atRest.value} // a stream has no session of its own: others watch it too
        run={togglePause}
      >
        <Icon name={paused.value ? "play" : "pause"} filled={paused.value} />
      </Tool>
      <Tool
        id="snapshot"
        label={tools.snapshot}
        disabled={!playing.value}
        run={() => withLate(({ saveSnapshot }) => saveSnapshot())}
      >
        <Icon name="snapshot" />
      </Tool>
      <span class={recording.value ? "recorder on" : "recorder"}>
        <Tool
          id="record"
          label={recording.value ? tools.stop : tools.record}
          pressed={recording.value}
          disabled={!playing.value}
          run={() => {
            clearNotice("recording");
            withLate(({ toggleRecording }) => toggleRecording());
          }}
        >
          <Icon name={recording.value ? "stop" : "record"} filled />
        </Tool>
        <select
          data-testid="record-what"
          aria-label={tools.recordWhat}
          disabled={recording.value}
          value={store.recordWhat.value}
          onChange={({ currentTarget }) => {
            store.recordWhat.value = currentTarget.value === "both" ? "both" : "edited";
          }}
        >
          <option value="edited">{tools.recordEdited}</option>
          <option value="both">{tools.recordBoth}</option>
        </select>
      </span>
      <Tool
        id="fullscreen"
        label={fullscreen.value ? tools.leaveFullscreen : tools.fullscreen}
        run={() => toggleFullscreen(document.querySelector<HTMLElement>(".live"))}
      >
        <Icon name={fullscreen.value ? "shrink" : "fullscreen"} />
      </Tool>
      <Tool
        id="keys"
        label={tools.keys}
        run={() => {
          keysOpen.value = true;
        }}
      >
        <Icon name="keys" />
      </Tool>
    </div>
  );
}

export function Dials() {
  return (
    <div class="dials">
      <Strength />
      <Transition />
      <Tools />
    </div>
  );
}
