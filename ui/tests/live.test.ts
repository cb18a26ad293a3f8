import assert from "node:assert/strict";
import { test } from "node:test";
import { backOff, Progress, type Told } from "../src/live";

const told = (event: number): Told => ({ event, kind: "state", at: "2026-01-01T00:00:00Z", data: {} });
const hello = (event: number, oldest: number) => ({ type: "hello", version: "1", event, oldest }) as const;

test("the first greeting asks for everything to be read", () => {
  const progress = new Progress();
  assert.deepEqual(progress.take(hello(10, 5)), { do: "reload" });
  assert.equal(progress.last, 10);
  assert.equal(progress.version, "1");
});

test("an event is told once, whatever comes again after a resume", () => {
  const progress = new Progress();
  progress.take(hello(10, 5));
  assert.equal(progress.take(told(11)).do, "tell");
  assert.equal(progress.take(told(11)).do, "nothing");
  assert.equal(progress.take(told(9)).do, "nothing");
  assert.equal(progress.take(told(15)).do, "tell", "numbers have holes where others are filtered out");
  assert.equal(progress.last, 15);
});

test("a resume that the service can serve reads nothing again", () => {
  const progress = new Progress();
  progress.take(hello(10, 5));
  progress.take(told(11));
  assert.deepEqual(progress.take(hello(40, 12)), { do: "nothing" });
  assert.equal(progress.last, 11, "what was told in between is still to come");
});

test("what the service cannot serve any more is read again, and resumed from there", () => {
  const progress = new Progress();
  progress.take(hello(10, 5));
  assert.deepEqual(progress.take(hello(40, 30)), { do: "reload" });
  assert.equal(progress.last, 40);
  assert.deepEqual(progress.take({ type: "missed", from: 41, to: 60 }), { do: "reload" });
  assert.equal(progress.last, 60);
  assert.equal(progress.take(told(60)).do, "nothing");
});

test("a service whose numbers are lower is another one", () => {
  const progress = new Progress();
  progress.take(hello(1000, 5));
  assert.deepEqual(progress.take(hello(10, 5)), { do: "reload" });
  assert.equal(progress.take(told(11)).do, "tell");
});

test("a complaint of the service changes nothing", () => {
  const progress = new Progress();
  progress.take(hello(10, 5));
  assert.deepEqual(progress.take({ type: "error", detail: "what?" }), { do: "nothing" });
});

test("tries become rarer, never rarer than every 15 s, and are spread", () => {
  assert.equal(backOff(0, 0), 500);
  assert.equal(backOff(2, 0), 2_000);
  assert.equal(backOff(50, 0), 15_000);
  assert.equal(backOff(50, 1), 7_500);
});
