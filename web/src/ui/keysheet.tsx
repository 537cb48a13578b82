/** The sheet that explains the keyboard. */
import { useEffect, useRef } from "preact/hooks";
import { store } from "./store";
import { lateStrings } from "./strings.late";

const words = lateStrings.keys;

export function KeySheet() {
  const dialog = useRef<HTMLDialogElement>(null);
  const open = store.keysOpen.value;
  useEffect(() => {
    if (!open) return dialog.current?.close();
    dialog.current?.showModal();
    dialog.current?.scrollTo(0, 0); // what has the focus, the button, is at its foot
  }, [open]);
  return (
    <dialog
      ref={dialog}
      aria-labelledby="keys-title"
      onClose={() => {
        store.keysOpen.value = false;
      }}
    >
      <h2 id="keys-title">{words.title}</h2>
      <dl>
        {words.rows.map(([key, what]) => (
          <div key={what}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <form method="dialog">
        <button type="submit" class="primary">
          {words.close}
        </button>
      </form>
    </dialog>
  );
}
