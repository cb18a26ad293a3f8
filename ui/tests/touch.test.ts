import assert from "node:assert/strict";
import test from "node:test";
import { held } from "../src/components/touch";

test("one finger moves the time and leaves its length", () => {
  assert.deepEqual(held([1000, 2000], [0.5], [0.75]), [750, 1750]);
});

test("two fingers that part stretch the time around what is between them", () => {
  assert.deepEqual(held([0, 1000], [0.25, 0.75], [0, 1]), [250, 750]);
  assert.deepEqual(held([250, 750], [0, 1], [0.75, 0.25]), [0, 1000], "and back, in any order");
});

test("fingers on one spot do not stretch it without end", () => {
  const [from, to] = held([0, 1000], [0, 1], [0.5, 0.5]);
  assert.ok(Number.isFinite(from) && Number.isFinite(to) && to > from);
});
