/** Lets `run` through at most once in `everyMs`; the last call always comes through. */
export function throttle<T>(everyMs: number, run: (value: T) => void): (value: T) => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let waiting: { value: T } | null = null;
  const fire = (): void => {
    timer = undefined;
    if (!waiting) return;
    const { value } = waiting;
    waiting = null;
    timer = setTimeout(fire, everyMs);
    run(value);
  };
  return (value) => {
    waiting = { value };
    if (timer === undefined) fire();
  };
}
