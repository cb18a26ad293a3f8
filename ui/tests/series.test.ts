import assert from "node:assert/strict";
import { test } from "node:test";
import { fitted, gapAfter, joined, path, presence, runs, summary, thinned, visible, withGaps } from "../src/series";
import { append, DAY } from "../src/spark";

test("silence of four usual distances is a gap, and no line crosses it", () => {
  const at = [0, 10, 20, 30, 100, 110];
  assert.equal(gapAfter(at), 40);
  const { at: times, columns } = withGaps(at, [[1, 2, 3, 4, 5, 6]]);
  assert.deepEqual(times, [0, 10, 20, 30, 65, 100, 110]);
  assert.deepEqual(columns, [[1, 2, 3, 4, null, 5, 6]]);
  assert.equal(gapAfter([0, 1000]), Infinity, "two readings have no usual distance");
});

test("series of different times share an axis, and each line goes on where the other has a point", () => {
  const { at, columns } = joined([
    { at: [1, 3], columns: [[10, 30]] },
    { at: [2, 3], columns: [[null, 31]] },
  ]);
  assert.deepEqual(at, [1, 2, 3]);
  assert.deepEqual(columns, [[10, undefined, 30], [undefined, null, 31]]);
});

test("thinning keeps the peaks and the order", () => {
  const at = Array.from({ length: 1000 }, (_, i) => i);
  const value = at.map((i) => (i === 500 ? 99 : i === 501 ? -99 : 0));
  const thin = thinned(at, value, 50);
  assert.ok(thin.at.length <= 50, `${thin.at.length}`);
  assert.ok(thin.value.includes(99) && thin.value.includes(-99));
  assert.deepEqual(thin.at, [...thin.at].sort((a, b) => a - b));
  assert.deepEqual(thinned([1, 2], [1, 2], 50), { at: [1, 2], value: [1, 2] });
});

test("a summary takes the extremes of what was summed up before", () => {
  assert.deepEqual(summary([1, null, 3]), { min: 1, max: 3, mean: 2 });
  assert.deepEqual(summary([1, 3], [0, 2], [2, 9]), { min: 0, max: 9, mean: 2 });
  assert.equal(summary([null, undefined]), undefined);
});

test("values last until the next one, equal ones are one, and none lasts over a gap", () => {
  assert.deepEqual(runs([0, 10, 20], ["a", "a", "b"], 30), [{ from: 0, to: 20, value: "a" }, { from: 20, to: 30, value: "b" }]);
  assert.deepEqual(runs([0, 100], [true, true], 110, 40), [{ from: 0, to: 40, value: true }, { from: 100, to: 110, value: true }]);
});

test("availability is told backwards from now", () => {
  const changes = [{ at: 80, online: true }, { at: 60, online: false }];
  assert.deepEqual(presence(changes, true, 0, 100), [
    { from: 0, to: 60, value: true },
    { from: 60, to: 80, value: false },
    { from: 80, to: 100, value: true },
  ]);
  assert.deepEqual(presence(changes, true, 70, 100), [{ from: 70, to: 80, value: false }, { from: 80, to: 100, value: true }]);
  assert.deepEqual(presence([], undefined, 0, 100), [], "nobody has looked");
  assert.deepEqual(presence([{ at: 150, online: false }], false, 0, 100), [{ from: 0, to: 100, value: true }], "what came later tells how it was");
});

test("what changes too quickly to be seen is one, and a short time alone stays", () => {
  const runs = [[0, 50], [50, 51], [51, 90], [90, 91], [91, 92], [92, 93], [95, 96]].map(([from, to], i) => ({ from: from ?? 0, to: to ?? 0, value: i % 2 === 0 }));
  assert.deepEqual(visible(runs, 5), [...runs.slice(0, 3), { from: 90, to: 93, value: undefined }, runs[6]]);
});

test("a sparkline is drawn in pieces, and a lone reading as a dot", () => {
  const line = path([0, 10, 20, 100], [1, 2, 3, 1], [0, 100]);
  assert.equal(line.match(/M/g)?.length, 2);
  assert.ok(line.endsWith("h0"), line);
  assert.equal(path([], [], [0, 100]), "");
  assert.ok(path([0, 10], [1, 2], [0, 100], true).endsWith("Z"));
});

test("a sparkline grows with what comes and loses what is a day old", () => {
  const spark = { at: [0, 1000], value: [1, 2], step: 0 };
  assert.equal(append(spark, 1000, 3), spark, "it has that one");
  assert.equal(append(spark, 2000, "on"), spark, "it is no number");
  assert.deepEqual(append(spark, DAY + 500, 3), { at: [1000, DAY + 500], value: [2, 3], step: 0 });
  const coarse = { at: [0, 1000], value: [1, 2], step: 1500 };
  assert.deepEqual(append(coarse, 1400, 3), { at: [0, 1400], value: [1, 3], step: 1500 }, "it is of the same point");
  assert.deepEqual(append(coarse, 1600, 3), { at: [0, 1000, 1600], value: [1, 2, 3], step: 1500 });
});

test("a time that is empty for more than half begins with what there is, and is never very short", () => {
  assert.deepEqual(fitted([0, DAY], 0.9 * DAY), [0.9 * DAY, DAY]);
  assert.deepEqual(fitted([0, DAY], 0.3 * DAY), [0, DAY]);
  assert.deepEqual(fitted([0, DAY], undefined), [0, DAY]);
  assert.deepEqual(fitted([0, DAY], DAY - 1_000), [DAY - 60_000, DAY]);
});
