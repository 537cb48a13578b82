/** Over the picture of a stream that is not shown to everybody: where its view key is given. */
import { useEffect, useState } from "preact/hooks";
import { viewKeyWords as words } from "../../strings.viewkey";
import { shown } from "./state";
import { useViewKey } from "./viewer";

/** Seconds that are left, counted down from what was set. */
function useCountdown(): [number, (seconds: number) => void] {
  const [left, setLeft] = useState(0);
  useEffect(() => {
    if (left <= 0) return;
    const timer = setTimeout(() => setLeft(left - 1), 1_000);
    return () => clearTimeout(timer);
  }, [left]);
  return [left, setLeft];
}

export function ViewKey({ name }: { name: string }) {
  const [key, setKey] = useState("");
  const [said, setSaid] = useState(shown.viewKeyChanged.value ? words.changed : "");
  const [trying, setTrying] = useState(false);
  const [left, wait] = useCountdown();
  return (
    <form
      class="drop how"
      data-testid="view-key-needed"
      onSubmit={async (event) => {
        event.preventDefault();
        if (!key.trim()) return;
        setTrying(true);
        const tried = await useViewKey(key);
        setSaid(tried.said);
        wait(tried.waitS);
        setTrying(false);
      }}
    >
      <p class="drop-title">{words.title(name)}</p>
      <p class="soft">{words.how}</p>
      <div class="new-stream">
        <input
          type="password"
          data-testid="view-key-given"
          autocomplete="off"
          aria-label={words.key}
          placeholder={words.key}
          maxLength={128}
          value={key}
          onInput={({ currentTarget }) => setKey(currentTarget.value)}
        />
        <button
          type="submit"
          class="primary"
          data-testid="view-key-use"
          disabled={trying || left > 0 || !key.trim()}
        >
          {words.use}
        </button>
      </div>
      {(said || left > 0) && (
        <p class="panel-problem" role="alert" data-testid="view-key-said">
          {/* What counts down is read out once. */}
          {left > 0 && <span class="hidden">{words.several}</span>}
          <span aria-hidden={left > 0}>{left > 0 ? words.wait(left) : said}</span>
        </p>
      )}
    </form>
  );
}
