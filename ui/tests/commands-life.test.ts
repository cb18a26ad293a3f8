import assert from "node:assert/strict";
import test from "node:test";
import { ahead, type Downlink, merged, mood, type State, stepped } from "../src/commands/life";

const at = (second: number) => `2026-11-21T06:00:0${second}Z`;

function downlink(state: State, confirmed = true): Downlink {
  const steps = [{ id: "a", state: "accepted" as const, at: at(0) }];
  const times = { created_at: at(0), updated_at: at(0) };
  const rest = {
    device: "lamp",
    application: "demo",
    open: true,
    f_port: 1,
    payload_hex: "01",
    priority: "NORMAL",
    step_count: 1,
  };
  return { id: "a", state, confirmed, steps, ...times, ...rest };
}

test("a step moves its downlink on and is added once", () => {
  const step = { id: "a", state: "acked" as const, at: at(3) };
  const after = stepped([downlink("accepted")], step);
  assert.equal(after?.[0]?.state, "acked");
  assert.equal(after?.[0]?.open, false);
  assert.equal(after?.[0]?.steps.length, 2);
  assert.equal(stepped(after ?? [], step)?.[0]?.steps.length, 2);
});

test("a downlink that was sent while the list was on its way stays in it", () => {
  const sent = { ...downlink("accepted"), id: "b", created_at: at(5) };
  assert.deepEqual(merged([sent], [downlink("acked")]).map(({ id }) => id), ["b", "a"]);
  assert.deepEqual(merged([sent], []).map(({ id }) => id), ["b"]);
});

test("a step of a downlink that is not listed asks for the list", () => {
  assert.equal(stepped([downlink("queued")], { id: "b", state: "accepted", at: at(1) }), undefined);
});

test("sent is the end of an unconfirmed downlink only", () => {
  assert.equal(mood(downlink("sent", false)), "good");
  assert.equal(mood(downlink("sent", true)), "under way");
  assert.equal(mood(downlink("cancelled")), "over");
});

test("what lies ahead is the rest of the usual road", () => {
  assert.deepEqual(ahead(downlink("accepted")), ["queued", "sent", "acked"]);
  assert.deepEqual(ahead(downlink("held")), ["queued", "sent", "acked"]);
  assert.deepEqual(ahead(downlink("queued", false)), ["sent"]);
  assert.deepEqual(ahead(downlink("nacked")), ["sent", "acked"]);
  assert.deepEqual(ahead({ ...downlink("acked"), open: false }), []);
});

test("an answer that was overtaken by a step takes nothing back", () => {
  const old = downlink("queued");
  const told = stepped([old], { id: "a", state: "sent", at: at(2) }) ?? [];
  assert.equal(merged(told, [old])[0]?.state, "sent");
  const other = { ...old, id: "b", created_at: at(5) };
  assert.deepEqual(
    merged(told, [old, other]).map(({ id }) => id),
    ["b", "a"],
  );
});
