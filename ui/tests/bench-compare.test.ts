import assert from "node:assert/strict";
import test from "node:test";
import { compare, flat } from "../src/bench/compare";

test("values go by dotted paths, lists by number, and what is empty is shown as it is", () => {
  const paths = flat({ a: { b: 1.5, c: [true, null] }, d: {}, e: "x" });
  assert.deepEqual(
    [...paths],
    [
      ["a.b", "1.5"],
      ["a.c.0", "true"],
      ["a.c.1", "null"],
      ["d", "{}"],
      ["e", '"x"'],
    ],
  );
  assert.equal(flat(undefined).size, 0);
});

test("each field says how it differs", () => {
  const rows = compare({ same: 1, other: 1, gone: 1 }, { same: 1, other: "1", fresh: 1 });
  const changes = rows.map(({ path, change }) => `${path} ${change}`);
  assert.deepEqual(changes, ["same same", "other different", "fresh added", "gone gone"]);
});
