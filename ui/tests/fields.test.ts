import assert from "node:assert/strict";
import { test } from "node:test";
import type { Field, State } from "../src/api";
import { battery, describe, leaves, mainNumber, quality, shown } from "../src/fields";

const field = (name: string, more: Partial<Field> = {}): Field => ({ name, kind: "sensor", diagnostic: false, ...more });
const STATE: State = {
  battery: 3.31,
  led: true,
  note: "ok",
  temperature: 20.8,
  last_seen: "2026-01-01T00:00:00Z",
  link: { gateways: 1, f_cnt: 2, lost_frames: 0, airtime_today: 0 },
  normalized: { air: { temperature: 20.8, co2: 500 } },
};
const FIELDS = [
  field("battery", { device_class: "voltage", unit: "V", diagnostic: true }),
  field("led", { kind: "binary_sensor", friendly_name: "LED" }),
  field("temperature", { device_class: "temperature", unit: "°C", friendly_name: "Air" }),
  field("normalized.air.co2", { device_class: "carbon_dioxide", unit: "ppm" }),
];

test("the most important comes first, what is about the device last, and nothing twice", () => {
  const all = shown({ fields: FIELDS }, STATE);
  assert.deepEqual(all.map(({ path }) => path), ["temperature", "normalized.air.co2", "led", "note", "battery"]);
  assert.deepEqual(all.map(({ label }) => label), ["Air", "Air CO₂", "LED", "Note", "Battery"]);
  assert.equal(mainNumber(all)?.path, "temperature");
  assert.deepEqual(shown({ fields: FIELDS }, undefined), []);
});

test("a device about which only its battery is known shows that", () => {
  assert.equal(mainNumber(shown({ fields: FIELDS }, { battery: 3.3 }))?.path, "battery");
  assert.equal(mainNumber(shown({ fields: [] }, { text: "a" })), undefined);
});

test("a pattern stands for channels only", () => {
  const fields = [field("temperature_*", { unit: "°C" }), field("temperature_2", { unit: "K" })];
  assert.equal(describe(fields, "temperature_1")?.unit, "°C");
  assert.equal(describe(fields, "temperature_2")?.unit, "K", "its own name comes first");
  assert.equal(describe(fields, "temperature_min"), undefined);
  assert.equal(describe(fields, "temperature_"), undefined);
});

test("places are one value, other objects are not", () => {
  const state = { gps_1: { latitude: 1, longitude: 2, altitude: 3 }, a: { b: { c: 1 } }, list: [1, 2] };
  assert.deepEqual(leaves(state).map(({ path }) => path), ["gps_1", "a.b.c", "list"]);
});

test("a battery is told in per cent if anybody knows it", () => {
  const of = (state: State, fields = FIELDS) => battery(shown({ fields }, state), state);
  assert.deepEqual(of(STATE), { text: "3.31 V", percent: undefined });
  assert.deepEqual(of({ ...STATE, battery_percentage: 54.7 }), { text: "55 %", percent: 54.7 });
  assert.deepEqual(of({ level: 12 }, [field("level", { device_class: "battery" })]), { text: "12 %", percent: 12 });
  assert.equal(of({ led: true }), undefined);
});

test("reception is judged by what its spreading factor needs", () => {
  assert.equal(quality(-8, 7)?.word, "weak");
  assert.equal(quality(-8, 12)?.word, "strong");
  assert.equal(quality(0, 7)?.word, "good");
  assert.equal(quality(undefined, 7), undefined);
});
