/** The one screen: header, the live column (picture, strip, instruction, dials, facts), the presets beside it. */
import { Bar } from "./bar";
import { Dials } from "./dials";
import { Facts, VerdictPill } from "./facts";
import { late } from "./later";
import { mode } from "./modes";
import { Presets } from "./presets";
import { SourcePicker } from "./sourcepicker";
import { Stage } from "./stage";
import { strings } from "./strings";
import { Strip } from "./strip";

export function App() {
  // What a mode has in the place of what is there without it.
  const { Deck, Pill = VerdictPill, Facts: Measured = Facts, Panel = Presets } = mode.value ?? {};
  const { KeySheet } = late.value ?? {};
  return (
    <>
      <a class="hidden skip" href="#instruction">
        {strings.skip}
      </a>
      <header>
        <h1>
          <svg viewBox="0 0 32 32" aria-hidden="true">
            <circle cx="16" cy="16" r="11" fill="none" stroke="currentColor" stroke-width="2.5" />
            <path d="M16 5a11 11 0 0 1 0 22z" fill="currentColor" />
          </svg>
          <span>{strings.title}</span>
        </h1>
        <SourcePicker />
        <Pill />
      </header>
      <main>
        <div class="live">
          <Stage />
          {Deck && <Deck />}
          <Strip />
          <Bar />
          <Dials />
          <Measured />
        </div>
        <Panel />
      </main>
      {KeySheet && <KeySheet />}
    </>
  );
}
