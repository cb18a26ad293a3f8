import assert from "node:assert/strict";
import { test } from "node:test";
import type { StoredEvent } from "../src/api";
import { merged, sentence, stored } from "../src/events";

const event = (type: string, more: object = {}): StoredEvent => ({ event: 1, at: "2026-01-01T00:00:00Z", kind: "bridge", type, ...more });

test("what is known is a sentence, with what to do about it", () => {
  assert.deepEqual(sentence(event("degraded", { what: "the key is refused", hint: "make a new one" })), { text: "the key is refused", more: "make a new one", tone: "warn" });
  assert.equal(sentence(event("device_offline", { silent_s: 5400 })).text, "offline, silent for 1 h");
  assert.equal(sentence(event("clock_wrong", { ahead_s: -7200, hint: "NTP" })).text, "The clock here is 2 h behind the network's");
  assert.equal(sentence(event("lost_frames", { missing: 1 })).text, "1 frame never came");
  assert.equal(sentence(event("gap_found", { from: "2026-01-01T00:00:00Z", to: "2026-01-01T00:05:00Z" })).text, "A gap: 5 min of messages may be missing");
  assert.equal(sentence(event("codec_error", { codec: "own/x", line: 3, error: "boom" })).more, "own/x: line 3: boom");
});

test("what a newer service tells is shown as it is", () => {
  assert.deepEqual(sentence(event("moon_full", { device: "a", size: 3 })), { text: "moon full", more: '{"size":3}', tone: "" });
});

test("a sentence of little content says no undefined", () => {
  for (const type of ["gap_lost", "configuration_reloaded", "fair_use", "codec_broken", "unreadable", "network_lost"]) {
    assert.doesNotMatch(JSON.stringify(sentence(event(type))), /undefined|NaN|null/, type);
  }
});

test("what the WebSocket tells becomes what the service stores", () => {
  const at = "2026-01-01T00:00:00Z";
  assert.deepEqual(stored({ event: 5, kind: "bridge", at, data: { type: "store_works" } }), { event: 5, at, kind: "bridge", type: "store_works" });
  const lost = stored({ event: 6, kind: "event", at, device: "a", application: "b", device_id: "c", data: { name: "lost_frames", missing: 2 } });
  assert.deepEqual([lost?.type, lost?.device, lost?.["missing"]], ["lost_frames", "a", 2]);
  assert.equal(stored({ event: 7, kind: "state", at, data: {} }), undefined);
});

test("what is told while an answer is on its way is neither lost nor twice there", () => {
  const numbered = (...numbers: number[]) => numbers.map((number) => ({ ...event("join"), event: number }));
  assert.deepEqual(merged(numbered(4, 3, 2), numbered(3, 2, 1)), numbered(4, 3, 2, 1));
  assert.deepEqual(merged(numbered(4), []), numbered(4));
});
