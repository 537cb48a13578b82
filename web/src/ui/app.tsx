/** The one screen: header, the live column (picture, strip, instruction, dials, facts), the presets beside it. */
import { Bar } from "./bar";
import { Dials } from "./dials";
import { late } from "./later";
import { mode } from "./modes";
import { SourcePicker } from "./sourcepicker";
import { Stage } from "./stage";
import { strings } from "./strings";

/** As high as the figures will be: the picture above them stays where it is. */
function FactsToCome() {
  return (
    <dl class="facts">
      <div class="fact">
        <dt>&nbsp;</dt>
        <dd>&nbsp;</dd>
      </div>
    </dl>
  );
}

export function App() {
  const { KeySheet, Facts, Presets, Strip, VerdictPill } = late.value ?? {};
  // What a mode has in the place of what is there without it.
  const { Deck, Pill = VerdictPill, Facts: Measured = Facts, Panel = Presets } = mode.value ?? {};
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
        {Pill && <Pill />}
      </header>
      <main>
        <div class="live">
          <Stage />
          {Deck && <Deck />}
          {Strip ? <Strip /> : <section class="strip" />}
          <Bar />
          <Dials />
          {Measured ? <Measured /> : <FactsToCome />}
        </div>
        {Panel ? <Panel /> : <section class="presets" />}
      </main>
      {KeySheet && <KeySheet />}
    </>
  );
}
