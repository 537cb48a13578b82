/** Beside the picture: presets as everywhere, and what there is to know and to set of the chosen stream. */
import { Presets } from "../presets";
import { store, suggestions } from "../store";
import { streamStrings } from "../strings.streams";
import { Connect } from "./connect";
import { Hotkeys } from "./hotkeys";
import { More } from "./more";
import { OperatorNote } from "./operator";
import { Push } from "./push";
import { goTo, isOperator, shown, type Tab } from "./state";

const words = streamStrings.tabs;
const TABS: [Tab, string][] = [
  ["edit", words.edit],
  ["connect", words.connect],
  ["push", words.push],
  ["hotkeys", words.hotkeys],
  ["more", words.more],
];

function Body({ tab }: { tab: Tab }) {
  const name = shown.name.value; // what is half written is of one stream
  return (
    <section class="panel" data-testid={`panel-${tab}`} aria-label={TABS.find(([each]) => each === tab)?.[1]}>
      <OperatorNote />
      {shown.problem.value && (
        <p class="panel-problem" role="alert" data-testid="stream-problem">
          {shown.problem.value}
        </p>
      )}
      {name && tab === "connect" && <Connect key={name} />}
      {name && tab === "push" && <Push key={name} />}
      {name && tab === "hotkeys" && <Hotkeys key={name} />}
      {name && tab === "more" && isOperator.value && <More key={name} />}
    </section>
  );
}

export function Panel() {
  const tab = shown.tab.value;
  // What fits what is typed is shown wherever one is.
  const typing = suggestions.value.length > 0 && store.draft.value !== shown.laid.value;
  const presets = tab === "edit" || typing;
  return (
    <div class="side">
      <fieldset class="segmented tabs">
        <legend class="hidden">{words.label}</legend>
        {TABS.map(([each, label]) => (
          <button
            key={each}
            type="button"
            data-testid={`tab-${each}`}
            aria-pressed={tab === each}
            onClick={() => goTo(each)}
          >
            {label}
          </button>
        ))}
      </fieldset>
      {presets ? <Presets /> : <Body tab={tab} />}
    </div>
  );
}
