import assert from "node:assert/strict";
import { test } from "node:test";
import { href, parse } from "../src/router";

test("a device's name may hold a slash, encoded or not", () => {
  assert.deepEqual(parse(href.device("garden/soil 1")), { view: "device", name: "garden/soil 1" });
  assert.deepEqual(parse("#/device/garden/soil%201"), { view: "device", name: "garden/soil 1" });
});

test("a percent sign that encodes nothing is itself", () => {
  assert.deepEqual(parse("#/device/100%"), { view: "device", name: "100%" });
});

test("what has no view is told from the overview", () => {
  assert.deepEqual(parse(""), { view: "overview" });
  assert.deepEqual(parse("#/"), { view: "overview" });
  assert.deepEqual(parse("#/nowhere"), { view: "unknown" });
  assert.deepEqual(parse("#/bench"), { view: "bench", codec: undefined });
});
