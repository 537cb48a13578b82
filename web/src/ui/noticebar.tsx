/** The page's one message line, over the stage so that nothing moves when it comes: at its foot, on phones at its top. */
import { useEffect, useState } from "preact/hooks";
import { Icon } from "./icons";
import { store } from "./store";
import { lateStrings } from "./strings.late";

const words = lateStrings.notices;
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
            {left === null ? notice.text : `${notice.text} ${words.askedAgain(left)}`}
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
            aria-label={words.dismiss}
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
