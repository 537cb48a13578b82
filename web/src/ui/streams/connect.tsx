/** What is copied into OBS and its like, and back out of them: addresses and keys, as a QR code too. */
import { useEffect, useState } from "preact/hooks";
import { streamStrings } from "../strings.streams";
import { CopyRow } from "./copying";
import { refreshSetup, renewKey } from "./desk";
import { QrCode } from "./qr";
import { shown, streams } from "./state";

const words = streamStrings.connect;
type How = "whip" | "rtmp" | "srt";
const SRT_MS = 3000; // between two looks at whether its port is listened on
const HOWS: [How, string][] = [
  ["whip", words.whip],
  ["rtmp", words.rtmp],
  ["srt", words.srt],
];

/** One address with its key in it: what an app on a phone takes. */
function addressOf(how: How): string {
  const setup = shown.setup.value;
  if (!setup) return "";
  if (how === "rtmp") return setup.rtmpUrl;
  if (how === "srt") return setup.srtUrl;
  return `${setup.whipUrl}?key=${encodeURIComponent(setup.whipToken)}`;
}

function Rows({ how }: { how: How }) {
  const setup = shown.setup.value;
  if (!setup) return null;
  if (how === "whip") {
    return (
      <>
        <p class="soft">{words.whipHow}</p>
        <CopyRow id="whip-server" label={words.server} text={setup.whipUrl} />
        <CopyRow key={setup.whipToken} id="whip-token" label={words.token} text={setup.whipToken} secret />
      </>
    );
  }
  if (how === "rtmp") {
    if (!setup.rtmpServer) return <p class="soft">{words.noRtmp}</p>;
    return (
      <>
        <p class="soft">{words.rtmpHow}</p>
        <CopyRow id="rtmp-server" label={words.server} text={setup.rtmpServer} />
        <CopyRow key={setup.rtmpKey} id="rtmp-key" label={words.key} text={setup.rtmpKey} secret />
      </>
    );
  }
  if (!setup.srtUrl) return <p class="soft">{words.noSrt}</p>;
  return (
    <>
      <p class="soft">{words.srtHow}</p>
      {setup.srtProblem && (
        <p class="srt-problem" role="status" data-testid="srt-problem">
          {words.srtProblem(setup.srtProblem)}
        </p>
      )}
      <CopyRow key={setup.srtUrl} id="srt-url" label={words.address} text={setup.srtUrl} secret />
    </>
  );
}

function In() {
  const [how, setHow] = useState<How>("whip");
  const [qr, setQr] = useState(false);
  const address = addressOf(how);
  useEffect(() => {
    if (how !== "srt") return;
    void refreshSetup();
    const timer = setInterval(() => void refreshSetup(), SRT_MS);
    return () => clearInterval(timer);
  }, [how]);
  const name = HOWS.find(([each]) => each === how)?.[1] ?? "";
  return (
    <>
      <fieldset class="segmented">
        <legend class="hidden">{words.how}</legend>
        {HOWS.map(([each, label]) => (
          <button
            key={each}
            type="button"
            data-testid={`how-${each}`}
            aria-pressed={how === each}
            onClick={() => setHow(each)}
          >
            {label}
          </button>
        ))}
      </fieldset>
      <Rows how={how} />
      <div class="panel-tools">
        {address && (
          <button type="button" class="chip" data-testid="qr" aria-expanded={qr} onClick={() => setQr(!qr)}>
            {qr ? words.qrHide : words.qr}
          </button>
        )}
        <button
          type="button"
          class="chip"
          data-testid="new-key"
          onClick={() => {
            if (confirm(words.newKeySure(shown.name.value))) void renewKey();
          }}
        >
          {words.newKey}
        </button>
      </div>
      {qr && address && <QrCode text={address} label={words.qrTitle(name)} />}
    </>
  );
}

export function Connect() {
  const { setup, name } = shown;
  const own = (path: string): string => streams.url(`${path}/${encodeURIComponent(name.value)}`).href;
  const watch = setup.value?.watchUrl || own("watch");
  const dock = setup.value?.dockUrl ?? "";
  return (
    <>
      {setup.value && <In />}
      <h2>{words.out}</h2>
      <p class="soft">{words.watchHow}</p>
      <CopyRow id="watch" label={words.watch} text={watch} href={watch} secret={watch.includes("key=")} />
      {dock && (
        <>
          <p class="soft">{words.dockHow}</p>
          <CopyRow key={dock} id="dock" label={words.dock} text={dock} href={dock} secret />
        </>
      )}
      <CopyRow
        id="whep"
        label={words.whep}
        text={setup.value?.whepUrl || own("whep")}
        secret={setup.value?.whepUrl.includes("key=") ?? false}
      />
      {setup.value?.rtmpPlayUrl && (
        <CopyRow
          id="rtmp-play"
          label={words.play}
          text={setup.value.rtmpPlayUrl}
          secret={setup.value.rtmpPlayUrl.includes("key=")}
        />
      )}
    </>
  );
}
