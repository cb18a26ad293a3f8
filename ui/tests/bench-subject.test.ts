import assert from "node:assert/strict";
import test from "node:test";
import type { Device } from "../src/api";
import type { Codec } from "../src/bench/api";
import { chosen, first } from "../src/bench/subject";

const rest = { fields: [], commands: [] };
const device = (name: string, codec?: string): Device => ({
  ...{ name, application: "demo", device_id: name, ...rest },
  codec: codec === undefined ? null : { name: codec, chosen_by: "configuration" },
});
const codec = (name: string, ...devices: string[]): Codec => ({
  name,
  source: "shipped",
  devices,
  editable: false,
  ...rest,
});

const DEVICES = [device("bare"), device("hall lamp", "acme/lamp")];
const CODECS = [codec("acme/idle"), codec("acme/lamp", "hall lamp")];

test("a device brings its codec, a codec the first device that has it", () => {
  for (const choice of ["device hall lamp", "codec acme/lamp"]) {
    const subject = chosen(choice, DEVICES, CODECS);
    assert.equal(subject?.codec, "acme/lamp", choice);
    assert.equal(subject?.device?.name, "hall lamp", choice);
  }
  assert.equal(chosen("codec acme/idle", DEVICES, CODECS)?.device, undefined);
  assert.equal(chosen("device bare", DEVICES, CODECS), undefined);
});

test("what the address names lies there first, else what a device has, else any", () => {
  assert.equal(first("acme/idle", DEVICES, CODECS), "codec acme/idle");
  assert.equal(first(undefined, DEVICES, CODECS), "device hall lamp");
  assert.equal(first(undefined, [], CODECS), "codec acme/idle");
  assert.equal(first(undefined, [], []), "");
});
