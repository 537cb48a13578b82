/** Over the picture while there is none: how to point OBS here, or what is waited for. */
import { store } from "../store";
import { streamStrings } from "../strings.streams";
import { CopyRow } from "./copying";
import { NewStream } from "./list";
import { shown } from "./state";
import { ViewKey } from "./viewkey";

const words = streamStrings.cover;
const PICTURE_S = 4; // a publisher without a picture for so long is not about to send one

function Steps({ name }: { name: string }) {
  const setup = shown.setup.value;
  if (!setup) {
    return (
      <div class="drop how" data-testid="stream-idle">
        <p class="drop-title">{words.idle(name)}</p>
        <p class="soft">{words.guest}</p>
      </div>
    );
  }
  const [before, service, after] = words.steps.service;
  return (
    <div class="drop how" data-testid="stream-idle">
      <p class="drop-title">{words.idle(name)}</p>
      <ol class="steps">
        <li>
          {before} <b>{service}</b>
          {after}
        </li>
        <li>
          <CopyRow id="cover-server" label={words.steps.server} text={setup.whipUrl} />
          <CopyRow
            key={setup.whipToken}
            id="cover-token"
            label={words.steps.token}
            text={setup.whipToken}
            secret
          />
        </li>
        <li>{words.steps.start}</li>
      </ol>
      <p class="soft">{words.steps.rtmp}</p>
    </div>
  );
}

function Waiting({ said }: { said: string }) {
  return (
    <div class="cover" data-testid="stream-waiting">
      <span class="spinner" />
      {said}
    </div>
  );
}

/** Why an encoder that is there is not seen yet; "" while that is still to be expected. */
function hindrance(): string {
  const facts = shown.facts.value;
  const publisher = facts?.publisher;
  if (!publisher || publisher.ageS < PICTURE_S) return "";
  if (publisher.fps === 0) return words.noPicture;
  return facts.width === 0 ? words.noKeyframe : "";
}

export function StageCover() {
  const { name, facts, watching, viewKey } = shown;
  if (!name.value) {
    return (
      <div class="drop how">
        <p class="drop-title">{streamStrings.list.none}</p>
        <NewStream />
      </div>
    );
  }
  const state = facts.value?.state;
  if (!shown.reachable.value && !store.playing.value) return <Waiting said={words.unreachable} />;
  if (state === undefined) return <Waiting said={words.connecting} />;
  if (facts.value?.needsKey && !viewKey.value) return <ViewKey key={name.value} name={name.value} />;
  if (state === "idle") return <Steps name={name.value} />;
  if (state === "waiting") return <Waiting said={words.waiting} />;
  if (store.playing.value) return null;
  const { refusal } = watching.value;
  const hindered = hindrance();
  if (hindered) return <Waiting said={hindered} />;
  const away = watching.value.state === "away" && refusal !== null && refusal.status !== 409;
  return <Waiting said={away ? words.away(refusal.message) : words.connecting} />;
}
