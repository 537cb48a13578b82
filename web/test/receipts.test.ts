import assert from "node:assert/strict";
import { test } from "node:test";
import type { EditReceipt } from "../src/client/receipts";
import { Receipts } from "../src/client/receipts";

const reading = {
  label: "night",
  parts: [],
  confidence: 1,
  nearest: [],
  leftOut: [],
  note: "",
  understood: true,
};

test("an edit is applied when the first frame at or after its pts is presented", async () => {
  const receipts = new Receipts();
  const shown: EditReceipt[] = [];
  receipts.onShown = (receipt) => shown.push(receipt);
  const edit = receipts.start(1, 100);
  receipts.received(1, reading, 110);
  receipts.applied(1, 90_000, 150);
  receipts.presented(86_400, 160);
  assert.equal(shown.length, 0);
  receipts.presented(90_000, 200);
  const receipt = await edit.applied;
  assert.deepEqual(shown, [receipt]);
  assert.deepEqual(receipt, {
    revision: 1,
    receivedMs: 10,
    appliedMs: 100,
    pts: 90_000,
    measured: "frame",
    outcome: "applied",
  });
});

test("the pts may have wrapped", async () => {
  const receipts = new Receipts();
  const edit = receipts.start(1, 0);
  receipts.applied(1, 0xffff_ff00, 10);
  receipts.presented(0x10, 30);
  assert.equal((await edit.applied).appliedMs, 30);
});

test("an edit overtaken by a later one says so", async () => {
  const receipts = new Receipts();
  const first = receipts.start(1, 0);
  const second = receipts.start(2, 10);
  receipts.applied(2, 500, 20);
  receipts.presented(500, 30);
  assert.equal((await first.applied).outcome, "superseded");
  assert.equal((await second.applied).outcome, "applied");
});

test("an edit that was not understood ends there", async () => {
  const receipts = new Receipts();
  const edit = receipts.start(1, 0);
  receipts.received(1, { ...reading, understood: false }, 5);
  assert.equal((await edit.received).understood, false);
  assert.equal((await edit.applied).outcome, "not-understood");
});

test("without observable frames the message's own time stands", async () => {
  const receipts = new Receipts();
  const edit = receipts.start(1, 0);
  receipts.applied(1, 500, 40);
  receipts.tick(1_000);
  receipts.tick(1_600);
  const receipt = await edit.applied;
  assert.equal(receipt.measured, "message");
  assert.equal(receipt.appliedMs, 40);
});

test("an edit sent again on a new connection is timed from there", async () => {
  const receipts = new Receipts();
  const edit = receipts.start(1, 0);
  receipts.applied(1, 700, 40);
  receipts.resent(1, 5_000);
  receipts.presented(900, 5_010); // a frame of the new connection, under no edit yet
  receipts.applied(1, 1_000, 5_060);
  receipts.presented(1_000, 5_080);
  assert.equal((await edit.applied).appliedMs, 80);
});

test("a refused edit rejects, and a bound holds", async () => {
  const receipts = new Receipts();
  const edit = receipts.start(1, 0);
  receipts.failed(1, new Error("too long"));
  await assert.rejects(edit.applied, /too long/);
  await assert.rejects(edit.received, /too long/);
  const oldest = receipts.start(2, 0);
  for (let revision = 3; revision < 200; revision += 1) receipts.start(revision, 0);
  assert.equal((await oldest.applied).outcome, "superseded");
});
