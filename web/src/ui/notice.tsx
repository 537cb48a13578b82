/** What is said over the picture: what everybody must know of the model, that the server stepped down, what went wrong. */
import { runningModel, store } from "./store";

/** What everybody must know of this model's pictures: in sight as long as they are. */
export function ModelNote() {
  const note = runningModel.value?.note;
  return note ? (
    <p class="model-note" role="note" data-testid="model-note">
      {note}
    </p>
  ) : null;
}

/** That the server stepped down its ladder, in its own words; of a picture that stands nobody can say that. */
export function DegradedTag() {
  return (
    <div class="degraded" role="status">
      {store.degraded.value && !store.paused.value && (
        <span class="tag" data-testid="degraded" title={store.degraded.value}>
          {store.degraded.value}
        </span>
      )}
    </div>
  );
}

/** As NoticeBar says it, as long as that is not there. */
export function PlainNotice() {
  const notice = store.notice.value;
  return (
    <div class="notices" role="status">
      {notice && (
        <div class="notice" data-testid="message">
          <p>{notice.text}</p>
          {notice.action && (
            <button type="button" class="primary" data-testid="message-action" onClick={notice.action.run}>
              {notice.action.label}
            </button>
          )}
        </div>
      )}
    </div>
  );
}
