/** What is measured on the chosen stream, and its state in one word. */
import { Fact } from "../facts";
import { streamStrings } from "../strings.streams";
import { shown, streamState } from "./state";

const words = streamStrings.facts;
const none = streamStrings.unknown;

const CODECS: Record<string, string> = { h264: "H.264", hevc: "HEVC", vp8: "VP8", vp9: "VP9", av1: "AV1" };
const SOUNDS: Record<string, string> = { opus: "Opus", aac: "AAC" };

export function StreamFactsRow() {
  const facts = shown.reachable.value ? shown.facts.value : null;
  const publisher = facts?.publisher;
  const live = facts?.state === "live";
  const transport = shown.transport.value;
  const server = live && facts.latency.p50Ms > 0 ? facts.latency : null;
  const delay =
    server && transport?.receiveFps
      ? server.p50Ms + transport.rttMs / 2 + transport.jitterBufferMs + transport.decodeMs
      : null;
  return (
    <dl class="facts stream-facts" aria-label={words.label}>
      <Fact id="publisher" name={words.publisher} title={publisher?.software ?? ""}>
        {publisher ? words.publisherValue(publisher.software, publisher.kind) : none}
      </Fact>
      <Fact id="codec" name={words.codec}>
        {publisher
          ? words.codecValue(
              CODECS[publisher.codec] ?? publisher.codec,
              SOUNDS[publisher.audio] ?? publisher.audio,
            )
          : none}
      </Fact>
      <Fact id="fps" name={words.fps}>
        {live && publisher ? words.fpsValue(publisher.fps, facts.fpsOut) : none}
      </Fact>
      <Fact id="server-latency" name={words.server} title={server ? words.serverTitle(server.p95Ms) : ""}>
        {server ? words.ms(server.p50Ms) : none}
      </Fact>
      <Fact id="latency" name={words.delay} title={words.delayTitle}>
        {delay === null ? none : words.about(delay)}
      </Fact>
      <Fact id="bitrate" name={words.bitrate}>
        {live && publisher ? words.bitrateValue(publisher.bitrateBps, facts.bitrateOutBps) : none}
      </Fact>
      <Fact id="resolution" name={words.resolution}>
        {live && facts.width ? `${facts.width}×${facts.height}` : none}
      </Fact>
      <Fact id="model" name={words.model} title={facts?.device ?? ""}>
        {facts?.model || none}
      </Fact>
    </dl>
  );
}

export function StatePill() {
  const said = streamStrings.pill;
  const state = !shown.reachable.value ? "away" : shown.name.value ? streamState.value : "none";
  const tone = { live: "good", waiting: "fair", idle: "none", none: "none", away: "poor" }[state];
  const ageS = shown.facts.value?.ageS ?? 0;
  return (
    <p class={`verdict ${tone}`} data-testid="stream-state" data-state={state}>
      <span class="hidden">{said.label}: </span>
      <span class="dot" aria-hidden="true" />
      {said[state]}
      {state === "live" && <span class="soft">{said.age(ageS)}</span>}
    </p>
  );
}
