/** Each refusal as one sentence and a button that does what comes next. Pure but for the actions handed in. */
import type { Refusal } from "../client";
import { SourceError } from "./sources";
import { lateStrings } from "./strings.late";

export interface Notice {
  /** What it is about: a later notice, or the trouble's end, replaces or clears it by this. */
  about: "source" | "connection" | "edit" | "recording" | "page";
  text: string;
  action: { label: string; run: () => void } | null;
  /** Set where it is counted down beside the text to this moment (performance.now()). */
  dueMs?: number;
  tone: "info" | "problem";
}

export interface NoticeActions {
  useSample(): void;
  retrySource(kind: SourceError["kind"]): void;
  retryConnection(): void;
  /** After a pause that was so long that the server ended the session. */
  goOn(): void;
  useModel(name: string): void;
}

const words = lateStrings.notices;

/** `sampleRuns`: it goes on by itself, so that the button is for another try. */
export function sourceNotice(error: unknown, actions: NoticeActions, sampleRuns = false): Notice {
  const { kind, trouble, message } =
    error instanceof SourceError ? error : new SourceError("camera", "failed", String(error));
  const again = { label: words.tryAgain, run: () => actions.retrySource(kind) };
  const sample = sampleRuns ? again : { label: words.useSample, run: () => actions.useSample() };
  const notice = (text: string, action = sample): Notice => ({
    about: "source",
    text,
    action,
    tone: "problem",
  });
  if (kind === "sample") return notice(words.sampleFailed, again);
  if (trouble === "insecure") return notice(words.insecure);
  if (kind === "screen") {
    return trouble === "unsupported" ? notice(words.screenAbsent) : notice(words.screenDenied, again);
  }
  switch (trouble) {
    case "denied":
      return notice(words.cameraDenied);
    case "absent":
    case "unsupported":
      return notice(words.cameraAbsent);
    case "busy":
      return notice(words.cameraBusy, again);
    default:
      return notice(words.cameraOther(message));
  }
}

export function refusalNotice(
  refusal: Refusal | null,
  retryInMs: number | null,
  otherModel: string | null,
  actions: NoticeActions,
): Notice {
  const notice = (text: string, label = words.tryAgain): Notice => ({
    about: "connection",
    text,
    action: { label, run: () => actions.retryConnection() },
    tone: "problem",
  });
  switch (refusal?.kind) {
    case "full":
      return {
        ...notice(words.full(refusal.message), words.tryNow),
        dueMs: performance.now() + (retryInMs ?? 0),
      };
    case "paused":
      return {
        ...notice(words.paused),
        action: { label: words.goOn, run: () => actions.goOn() },
        tone: "info",
      };
    case "codec":
      return notice(words.codec);
    case "model":
      return otherModel
        ? {
            ...notice(words.model(refusal.message)),
            action: { label: words.useModel(otherModel), run: () => actions.useModel(otherModel) },
          }
        : notice(words.model(refusal.message));
    case "refused":
    case "gone": // a video that somebody deleted
      return notice(words.refused(refusal.message, refusal.remedy));
    default:
      return notice(words.gone, words.tryNow);
  }
}
