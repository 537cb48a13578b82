/** What is copied out of the page: a line with its value and a button; a secret stays hidden until it is shown. */
import { useRef, useState } from "preact/hooks";
import { Icon } from "../icons";
import { streamStrings } from "../strings.streams";
import { StreamIcon } from "./icons";

const words = streamStrings.connect;
const SAID_MS = 1_600;

/** False where the browser does not let it: pages without HTTPS have no clipboard, and some no command. */
async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = document.createElement("textarea");
    field.value = text;
    field.className = "hidden";
    (document.querySelector("dialog[open]") ?? document.body).append(field);
    field.select();
    const copied = document.execCommand("copy");
    field.remove();
    return copied;
  }
}

export function CopyButton({ id, what, text }: { id: string; what: string; text: string }) {
  const [said, setSaid] = useState("");
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  return (
    <button
      type="button"
      class="copy"
      data-testid={`copy-${id}`}
      data-copied={said === words.copied}
      aria-label={words.copy(what)}
      title={words.copy(what)}
      onClick={async () => {
        setSaid((await copy(text)) ? words.copied : words.notCopied);
        clearTimeout(timer.current);
        timer.current = setTimeout(() => setSaid(""), SAID_MS);
      }}
    >
      <StreamIcon name={said === words.copied ? "done" : "copy"} />
      <span class={said && said !== words.copied ? "copy-said" : "hidden"} role="status">
        {said}
      </span>
    </button>
  );
}

interface CopyRowProps {
  id: string;
  label: string;
  text: string;
  secret?: boolean;
  /** Where the browser can open it. */
  href?: string;
}

export function CopyRow({ id, label, text, secret = false, href }: CopyRowProps) {
  const [open, setOpen] = useState(!secret);
  return (
    <div class="copy-row" data-testid={`row-${id}`}>
      <span class="copy-label">{label}</span>
      <code class="copy-value" title={open ? text : ""}>
        {open ? text : <span class="dots">••••••••••••</span>}
        {!open && <span class="hidden">{words.hidden}</span>}
      </code>
      <span class="copy-tools">
        {secret && (
          <button
            type="button"
            class="copy"
            data-testid={`show-${id}`}
            aria-pressed={open}
            aria-label={`${open ? words.hide : words.show}: ${label}`}
            title={open ? words.hide : words.show}
            onClick={() => setOpen(!open)}
          >
            <Icon name="eye" />
          </button>
        )}
        {href && (
          <a
            class="copy"
            href={href}
            target="_blank"
            rel="noreferrer"
            aria-label={words.open(label)}
            title={words.open(label)}
          >
            <StreamIcon name="open" />
          </a>
        )}
        <CopyButton id={id} what={label} text={text} />
      </span>
    </div>
  );
}
