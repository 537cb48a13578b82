/** The one screen: header, the live column (picture, strip, instruction, dials, facts), the presets beside it. */
import { Bar } from "./bar";
import { Dials } from "./dials";
import { Facts, VerdictPill } from "./facts";
import { videoMode } from "./film/lazy";
import { KeySheet } from "./keys";
import { Presets } from "./presets";
import { SourcePicker } from "./sourcepicker";
import { Stage } from "./stage";
import { store } from "./store";
import { strings } from "./strings";
import { Strip } from "./strip";

/** Only in Video mode, and loaded with it. */
function Deck() {
  const mode = store.source.value === "video" ? videoMode.value : null;
  return mode && <mode.Deck />;
}

export function App() {
  return (
    <>
      <a class="skip" href="#instruction">
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
        <VerdictPill />
      </header>
      <main>
        <div class="live">
          <Stage />
          <Deck />
          <Strip />
          <Bar />
          <Dials />
          <Facts />
        </div>
        <Presets />
      </main>
      <KeySheet />
    </>
  );
}
