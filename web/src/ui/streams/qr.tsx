/** A QR code drawn as one path. What makes it is loaded with the first one. */
import { useEffect, useState } from "preact/hooks";
import { part } from "../later";
import { streamStrings } from "../strings.streams";

const QUIET = 4; // modules of white around it (ISO/IEC 18004 §6.3.8)

interface Drawn {
  size: number;
  path: string;
}

async function draw(text: string): Promise<Drawn> {
  const { generate } = await part(() => import("lean-qr"));
  const code = generate(text);
  let path = "";
  for (let y = 0; y < code.size; y += 1) {
    for (let x = 0; x < code.size; x += 1) {
      if (code.get(x, y)) path += `M${x + QUIET} ${y + QUIET}h1v1h-1z`;
    }
  }
  return { size: code.size + 2 * QUIET, path };
}

export function QrCode({ text, label }: { text: string; label: string }) {
  const [drawn, setDrawn] = useState<Drawn | null>(null);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    let wanted = true;
    draw(text).then(
      (code) => wanted && setDrawn(code),
      () => wanted && setFailed(true),
    );
    return () => {
      wanted = false;
    };
  }, [text]);
  if (failed) return <p class="panel-problem">{streamStrings.connect.qrFailed}</p>;
  return (
    <figure class="qr" data-testid="qr-code">
      <svg viewBox={`0 0 ${drawn?.size ?? 1} ${drawn?.size ?? 1}`} role="img" aria-label={label}>
        <path d={drawn?.path ?? ""} fill="#000" shape-rendering="crispEdges" />
      </svg>
      <figcaption class="soft">{label}</figcaption>
    </figure>
  );
}
