import assert from "node:assert/strict";
import { test } from "node:test";
import { Refusal } from "../src/client/refusal";
import { refusalNotice, sourceNotice } from "../src/ui/notices";
import { SourceError, type SourceTrouble } from "../src/ui/sources";

function listening() {
  const calls: string[] = [];
  return {
    calls,
    actions: {
      useSample: () => calls.push("sample"),
      retrySource: (kind: string) => calls.push(`retry ${kind}`),
      retryConnection: () => calls.push("connect"),
      goOn: () => calls.push("go on"),
      useModel: (name: string) => calls.push(`model ${name}`),
    },
  };
}

const TROUBLES: SourceTrouble[] = ["denied", "absent", "busy", "insecure", "unsupported", "failed"];

test("every trouble of every source has its sentence and a button that does something", () => {
  for (const kind of ["camera", "screen", "sample"] as const) {
    for (const trouble of TROUBLES) {
      const { calls, actions } = listening();
      const notice = sourceNotice(new SourceError(kind, trouble), actions);
      assert.match(notice.text, /^[A-Z].*\.$/s);
      notice.action?.run();
      assert.equal(calls.length, 1, `${kind} ${trouble}`);
    }
  }
});

test("a denied camera offers the sample, a busy one another try", () => {
  const { calls, actions } = listening();
  sourceNotice(new SourceError("camera", "denied"), actions).action?.run();
  sourceNotice(new SourceError("camera", "busy"), actions).action?.run();
  sourceNotice(new SourceError("camera", "denied"), actions, true).action?.run(); // the sample plays already
  assert.deepEqual(calls, ["sample", "retry camera", "retry camera"]);
});

test("a full server counts down; a missing model offers another", () => {
  const { calls, actions } = listening();
  const full = refusalNotice(new Refusal("full", "all 4 places are taken", "", 503, 7), 7_000, null, actions);
  assert.match(full.text, /all 4 places are taken/);
  assert.ok(full.dueMs && full.dueMs > performance.now());
  const model = refusalNotice(new Refusal("model", "no weights"), null, "nano", actions);
  model.action?.run();
  assert.deepEqual(calls, ["model nano"]);
  for (const kind of ["codec", "refused", "unreachable", "gone"] as const) {
    refusalNotice(new Refusal(kind, "why"), null, null, actions).action?.run();
  }
  assert.deepEqual(calls.slice(1), ["connect", "connect", "connect", "connect"]);
  refusalNotice(new Refusal("paused", "why"), null, null, actions).action?.run();
  assert.equal(calls.at(-1), "go on");
});
