import assert from "node:assert/strict";
import { test } from "node:test";
import { around, boxOf, direction, distance, metres, niceBelow, track } from "../src/map";
import { changed, rangeOf } from "../src/views/device/span";

test("a minute of latitude is a sea mile, and longitudes shrink to the north", () => {
  const project = around({ latitude: 60, longitude: 10 });
  const north = project({ latitude: 60 + 1 / 60, longitude: 10 });
  const east = project({ latitude: 60, longitude: 10 + 1 / 60 });
  assert.ok(Math.abs(north.y - 1852) < 5, `${north.y}`);
  assert.ok(Math.abs(east.x - 926) < 3, `${east.x}`);
  assert.equal(direction({ x: 0, y: 0 }, east), "E");
  assert.equal(direction({ x: 0, y: 0 }, { x: -1, y: -1 }), "SW");
});

test("the date line is no wall", () => {
  const project = around({ latitude: 0, longitude: 179.999 });
  assert.ok(distance({ x: 0, y: 0 }, project({ latitude: 0, longitude: -179.999 })) < 300);
});

test("a scale is a round number", () => {
  assert.deepEqual([7, 26, 99, 1000, 4999].map(niceBelow), [5, 20, 50, 1000, 2000]);
  assert.deepEqual([250, 1200, 2000, 30_300].map(metres), ["250 m", "1.2 km", "2 km", "30 km"]);
});

test("a box holds all points, and one that stands still is not blown up", () => {
  const box = boxOf([{ x: -100, y: 0 }, { x: 300, y: 50 }], 1.5);
  assert.deepEqual(box.middle, { x: 100, y: 25 });
  assert.equal(box.width, 500);
  assert.equal(boxOf([{ x: 0, y: 0 }], 1.5).width, 125);
});

test("a track needs both coordinates, and no satellite is no place", () => {
  const latitude = { at: [1, 2, 3], value: [52, 0, 53] };
  const longitude = { at: [1, 2, 4], value: [4, 0, 5] };
  assert.deepEqual(track(latitude, longitude), [{ at: 1, latitude: 52, longitude: 4 }]);
  assert.deepEqual(track(undefined, longitude), []);
});

test("a range is moved and zoomed, never into the future", () => {
  const [hour, now] = [3_600_000, 1_000 * 3_600_000];
  assert.deepEqual(rangeOf({ span: "6h" }, now), [now - 6 * hour, now]);
  assert.deepEqual(changed([now - 4 * hour, now], { move: -0.5 }, now), [now - 6 * hour, now - 2 * hour]);
  assert.deepEqual(changed([now - 4 * hour, now], { move: 0.5 }, now), [now - 4 * hour, now]);
  assert.deepEqual(changed([now - 4 * hour, now - 2 * hour], { scale: 0.5 }, now), [now - 3.5 * hour, now - 2.5 * hour]);
  assert.deepEqual(changed([now - 4 * hour, now - 2 * hour], { scale: 4 }, now), [now - 8 * hour, now]);
  const [from, to] = changed([now - 60_000, now], { scale: 0.01 }, now);
  assert.equal(to - from, 60_000, "uplinks are not nearer");
});
