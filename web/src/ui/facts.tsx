/** What is measured on this stream, and the one-word verdict. A figure that was not measured is not shown. */
import { computed } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useModel } from "./session";
import { atRest, currentModel, runningModel, store } from "./store";
import { strings } from "./strings";
import { lateStrings } from "./strings.late";
import { judge, limitIn, type Verdict } from "./verdict";

const words = lateStrings.facts;

const verdict = computed<Verdict | null>(() => {
  const stats = store.stats.value;
  return stats && store.connection.value.state === "open" && !store.paused.value ? judge(stats) : null;
});

interface FactProps {
  id: string;
  name: string;
  title?: string;
  children: ComponentChildren;
}

export function Fact({ id, name, title, children }: FactProps) {
  return (
    <div class={`fact ${id}`} title={title}>
      <dt>{name}</dt>
      <dd data-testid={id}>{children}</dd>
    </div>
  );
}

function ModelFact() {
  const models = store.models.value;
  const running = store.stats.value?.server?.model;
  if (models.length < 2) return <>{running ?? currentModel.value?.name ?? words.unknown}</>;
  const why = models.map((model) => model.why).find((text) => text !== "");
  return (
    <select
      aria-label={words.model}
      title={why}
      value={running ?? store.modelName.value}
      onChange={({ currentTarget }) => useModel(currentTarget.value)}
    >
      {models.map(({ name, title }) => (
        <option key={name} value={name} title={title}>
          {name}
        </option>
      ))}
    </select>
  );
}

/** `unmeasured`: what is on the stage is nothing that is measured. */
export function Facts({ unmeasured = false }: { unmeasured?: boolean }) {
  const stats = unmeasured ? null : store.stats.value;
  const server = stats?.server;
  const glass = stats?.glass;
  const transport = stats?.transport;
  const film = store.source.value === "video";
  const latency = film ? words.filmLatency : words.latency;
  const estimatedTitle = film ? words.filmLatencyTitle : words.estimatedTitle;
  return (
    <dl class="facts" aria-label={words.label}>
      <Fact id="fps" name={words.fps}>
        {transport ? `${Math.round(transport.receiveFps)} ${words.fpsUnit}` : words.unknown}
      </Fact>
      <Fact
        id="latency"
        name={glass && !glass.measured ? `${latency}, ${words.estimated}` : latency}
        title={glass && !glass.measured ? estimatedTitle : words.latencyTitle}
      >
        {glass ? words.latencyValue(glass.p50Ms, glass.p95Ms) : words.unknown}
      </Fact>
      <Fact id="server-latency" name={words.server}>
        {server ? words.serverValue(server.latency.p50Ms) : words.unknown}
      </Fact>
      <Fact id="resolution" name={words.resolution}>
        {transport?.receiveWidth ? `${transport.receiveWidth}×${transport.receiveHeight}` : words.unknown}
      </Fact>
      <Fact id="bitrate" name={words.bitrate}>
        {transport?.receiveBps ? words.bitrateValue(transport.receiveBps) : words.unknown}
      </Fact>
      <Fact id="model" name={words.model}>
        <ModelFact />
      </Fact>
      <Fact
        id="device"
        name={words.device}
        title={server ? words.deviceTitle(server.device, server.decoder, server.encoder) : ""}
      >
        {server?.device ?? words.unknown}
      </Fact>
    </dl>
  );
}

function limitTitle(): string {
  const stats = store.stats.value;
  const titles = lateStrings.verdict.title;
  if (!stats) return "";
  switch (verdict.value?.limit) {
    case "camera":
      return titles.camera(
        lateStrings.verdict.limits[store.source.value],
        stats.transport.sendFps || (stats.server?.fpsIn ?? 0), // of a film nothing is sent from here
      );
    case "network":
      return titles.network(stats.transport.rttMs, Math.max(stats.transport.lossIn, stats.transport.lossOut));
    case "browser":
      return titles.browser;
    case "model":
      return titles.model((stats.server?.edit.p50Ms ?? 0) / (runningModel.value?.framesPerChunk ?? 1));
    default:
      return "";
  }
}

/** What is said while there is nothing to judge by; "" where nothing is to be judged. */
function unjudged(): string {
  if (atRest.value) return "";
  return store.paused.value ? strings.stage.paused : lateStrings.verdict.none;
}

export function VerdictPill() {
  const judged = verdict.value;
  const said = judged ? lateStrings.verdict[judged.word] : unjudged();
  if (!said) return null;
  return (
    <p class={`verdict ${judged?.word ?? "none"}`} data-testid="verdict" title={limitTitle()}>
      <span class="hidden">{lateStrings.verdict.label}: </span>
      <span class="dot" aria-hidden="true" />
      {said}
      {judged?.limit && (
        <span class="soft">{lateStrings.verdict.limits[limitIn(judged.limit, store.source.value)]}</span>
      )}
    </p>
  );
}
