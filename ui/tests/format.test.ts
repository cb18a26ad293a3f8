import assert from "node:assert/strict";
import { test } from "node:test";
import { ago, bytes, count, hex, label, number, span, value, when } from "../src/format";

test("times are told in their largest unit", () => {
  const now = 1_000_000_000_000;
  assert.equal(ago(now - 3_000, now), "now");
  assert.equal(ago(now + 2_000, now), "now", "clocks differ a little");
  assert.equal(ago(now - 59_000, now), "59 s ago");
  assert.equal(ago(now - 3_599_000, now), "59 min ago");
  assert.equal(ago(now - 30 * 3_600_000, now), "30 h ago");
  assert.equal(ago(now - 72 * 3_600_000, now), "3 d ago");
  assert.equal(ago(now + 120_000, now), "in the future");
  assert.equal(span(-5), "0 s");
});

test("numbers have as many digits as can be read", () => {
  const all = [0, 21, 20.853, 101.325, 1013.25, -0.5, -104, 0.00042, 12_345, 1e12, NaN].map(number);
  assert.deepEqual(all, ["0", "21", "20.85", "101.3", "1013", "−0.5", "−104", "4.20e−4", "12\u202f345", "1.00e+12", "–"]);
});

test("a switch is told in the words of its class", () => {
  const door = { kind: "binary_sensor", device_class: "door" } as const;
  assert.equal(value(true, door), "open");
  assert.equal(value(0, door), "closed");
  assert.equal(value("closed", door), "closed");
  assert.equal(value(false, { kind: "binary_sensor" }), "off");
  assert.equal(value(7, door), "7", "what is neither is told as it is");
  assert.equal(value(true), "on");
});

test("what is no plain value is told too", () => {
  assert.equal(value(null), "–");
  assert.equal(value({ latitude: -33.5, longitude: 4.25 }), "33.5000° S, 4.2500° E");
  assert.equal(value([1, "a"]), "1, a");
  assert.equal(value({ a: 1 }), '{"a":1}');
});

test("names of fields become words", () => {
  const names = ["temperature_1", "normalized.air.relativeHumidity", "TempC_SHT", "soil.pH", "co2", "led", "BatV"];
  assert.deepEqual(names.map(label), ["Temperature 1", "Air relative humidity", "Temp C SHT", "Soil pH", "CO₂", "LED", "Bat V"]);
});

test("hex is grouped by two bytes", () => {
  assert.equal(hex("0167007102"), "0167 0071 02");
  assert.equal(hex(""), "");
});

test("counts and sizes", () => {
  assert.deepEqual([count(1, "device"), count(1234, "device")], ["1 device", "1\u202f234 devices"]);
  assert.deepEqual([bytes(999), bytes(1_400), bytes(48_558_080)], ["999 B", "1.4 kB", "49 MB"]);
});

test("a time of today needs no date", () => {
  const now = new Date(2026, 5, 1, 12).getTime();
  assert.equal(when(new Date(2026, 5, 1, 9, 5, 7).getTime(), now), "09:05:07");
  assert.equal(when(new Date(2026, 4, 31, 9, 5, 7).getTime(), now), "31 May, 09:05:07");
  assert.equal(when(new Date(2025, 4, 31, 9, 5, 7).getTime(), now), "31 May 2025, 09:05:07");
});
