import assert from "node:assert/strict";
import test from "node:test";
import type { Command } from "../src/api";
import { faults, fieldsByPort, mannerly, USUAL, without } from "../src/commands/table";

const COMMANDS: Command[] = [
  { field: "led", value: { type: "boolean" } },
  { field: "interval", f_port: 15, value: { type: "number", min: 10, max: 3600, step: 1, unit: "s" } },
  { field: "mode", f_port: 15, value: { type: "select", options: ["eco", "fast"] } },
  { field: "label", value: { type: "text" } },
  { field: "reboot", value: { type: "button" } },
];

test("what is empty is not sent, and what shares a port travels together", () => {
  const sent = fieldsByPort(COMMANDS, { led: "false", interval: "60", mode: "eco", label: "" });
  assert.deepEqual(sent, [{ fields: { led: false } }, { f_port: 15, fields: { interval: 60, mode: "eco" } }]);
});

test("a number may have a decimal comma, and must be in range", () => {
  assert.deepEqual(fieldsByPort(COMMANDS, { interval: "60,5" }), [{ f_port: 15, fields: { interval: 60.5 } }]);
  for (const bad of ["9", "3601", "soon", " "]) {
    assert.equal(faults(COMMANDS, { interval: bad }).get("interval"), "must be a number from 10 to 3600 s", bad);
  }
  assert.equal(faults(COMMANDS, { interval: "10", label: "x" }).size, 0);
});

test("the manner says only what is not usual", () => {
  assert.deepEqual(mannerly(USUAL), { confirmed: true });
  const all = mannerly({ confirmed: false, priority: "HIGH", expires_in: " 30m " });
  assert.deepEqual(all, { confirmed: false, priority: "HIGH", expires_in: "30m" });
});

test("what was sent leaves the form, but for what was written meanwhile", () => {
  const sent = { led: "true", interval: "60", mode: "eco" };
  assert.deepEqual(without({ ...sent, interval: "61" }, sent, ["led", "interval"]), { interval: "61", mode: "eco" });
});
