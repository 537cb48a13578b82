/** To whom streams do not belong: what is missing, and where the key is given that opens it. */
import { useState } from "preact/hooks";
import { streamStrings } from "../strings.streams";
import { useKey } from "./desk";
import { shown } from "./state";

const words = streamStrings.operator;

export function OperatorNote() {
  const [key, setKey] = useState("");
  const [said, setSaid] = useState("");
  const [trying, setTrying] = useState(false);
  const { value } = shown.operator;
  if (value !== "no" && value !== "unset") return null;
  return (
    <form
      class="operator"
      data-testid="operator-note"
      onSubmit={async (event) => {
        event.preventDefault();
        if (!key.trim()) return;
        setTrying(true);
        setSaid(await useKey(key));
        setTrying(false);
      }}
    >
      <p>{value === "no" ? words.ask : words.unset}</p>
      <div class="operator-line">
        <input
          type="password"
          data-testid="operator-key"
          autocomplete="off"
          aria-label={words.key}
          placeholder={words.key}
          title={words.kept}
          value={key}
          onInput={({ currentTarget }) => setKey(currentTarget.value)}
        />
        <button type="submit" class="primary" data-testid="operator-use" disabled={trying || !key.trim()}>
          {words.use}
        </button>
      </div>
      {said && (
        <p class="panel-problem" role="alert">
          {said}
        </p>
      )}
    </form>
  );
}
