/** The handle between source and edit: dragged, or moved by arrow keys. */
import { store } from "./store";
import { strings } from "./strings";

const STEP = 0.02;
const BIG_STEP = 0.1;

const clamp = (value: number): number => Math.min(1, Math.max(0, value));

export function Divider() {
  const percent = Math.round(store.divider.value * 100);
  const drag = (event: PointerEvent & { currentTarget: HTMLElement }): void => {
    if (!event.currentTarget.hasPointerCapture(event.pointerId)) return;
    const box = event.currentTarget.parentElement?.getBoundingClientRect();
    if (box?.width) store.divider.value = clamp((event.clientX - box.left) / box.width);
  };
  const press = (event: KeyboardEvent): void => {
    const step = event.shiftKey ? BIG_STEP : STEP;
    const moves: Record<string, number> = {
      ArrowLeft: store.divider.value - step,
      ArrowDown: store.divider.value - step,
      ArrowRight: store.divider.value + step,
      ArrowUp: store.divider.value + step,
      PageDown: store.divider.value - BIG_STEP,
      PageUp: store.divider.value + BIG_STEP,
      Home: 0,
      End: 1,
    };
    const next = moves[event.key];
    if (next === undefined) return;
    event.preventDefault();
    store.divider.value = clamp(next);
  };
  return (
    <div
      class="divider"
      data-testid="divider"
      role="slider"
      tabIndex={0}
      aria-label={strings.stage.divider}
      aria-orientation="horizontal"
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={percent}
      aria-valuetext={strings.stage.dividerValue(percent)}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        event.preventDefault();
        event.currentTarget.focus({ preventScroll: true });
      }}
      onPointerMove={drag}
      onKeyDown={press}
    >
      <span class="grip" />
    </div>
  );
}
