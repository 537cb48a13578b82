/** The page's one message line, over the stage so that nothing moves when it comes: at its foot, on phones at its top. */
import { useEffect, useState } from "preact/hooks";
import { Icon } from "./icons";
import { runningModel, store } from "./store";
import { strings } from "./strings";

const COUNT_MS = 500;

function useClock(active: boolean): number {
  const [nowMs, setNow] = useState(performance.now());
  useEffect(() => {
    if (!active) return;
    const timer = setInterval(() => setNow(performance.now()), COUNT_MS);
    return () => clearInterval(timer);
  }, [active]);
  return nowMs;
}

export function NoticeBar() {
  const notice = store.notice.value;
  const nowMs = useClock(notice?.dueMs !== undefined);
  const left = notice?.dueMs === undefined ? null : Math.max(0, Math.ceil((notice.dueMs - nowMs) / 1000));
  return (
    <div class="notices" role="status" aria-live="polite">
      {notice && (
        <div class={`notice ${notice.tone}`} data-testid="message">
          {/* A countdown read out every second would drown everything else. */}
          <p aria-hidden={left !== null} title={notice.text}>
            {left === null ? notice.text : strings.messages.full(left)}
          </p>
          {left !== null && <p class="hidden">{notice.text}</p>}
          {notice.action && (
            <button type="button" class="primary" data-testid="message-action" onClick={notice.action.run}>
              {notice.action.label}
            </button>
          )}
          <button
            type="button"
            class="tool"
            aria-label={strings.messages.dismiss}
            onClick={() => {
              store.notice.value = null;
            }}
          >
            <Icon name="close" />
          </button>
        </div>
      )}
    </div>
  );
}

/** What everybody must know of this model's pictures: in sight as long as they are. */
export function ModelNote() {
  const note = runningModel.value?.note;
  return note ? (
    <p class="model-note" role="note" data-testid="model-note">
      {note}
    </p>
  ) : null;
}

/** That the server stepped down its ladder, in its own words. */
export function DegradedTag() {
  return (
    <div class="degraded" role="status">
      {store.degraded.value && (
        <span class="tag" data-testid="degraded" title={store.degraded.value}>
          {store.degraded.value}
        </span>
      )}
    </div>
  );
}
