import assert from "node:assert/strict";
import test from "node:test";
import { body, missing, NOTHING } from "../src/onboarding/answers";

const GIVEN = { ...NOTHING, application: " garden ", api_key: "NNSXS.KEY" };

test("what is empty is left out, and white space around an answer is none of it", () => {
  const cloud = { cluster: "eu1", application: "garden", api_key: "NNSXS.KEY", home: "mqtt://localhost:1883" };
  assert.deepEqual(body(GIVEN), cloud);
});

test("a stack of one's own is told by its addresses in place of the cluster", () => {
  const own = body({ ...GIVEN, place: "own", mqtt_url: "mqtt://stack:1883", tenant: "acme" });
  assert.equal(own["cluster"], undefined);
  assert.equal(own["mqtt_url"], "mqtt://stack:1883");
  assert.equal(own["api_url"], undefined);
  assert.equal(own["tenant"], "acme");
});

test("a login at home is told where it was given, and not missed where it was not", () => {
  const login = { home_username: "ferry", home_password: "hush" };
  assert.deepEqual(body({ ...GIVEN, ...login }), { ...body(GIVEN), ...login });
  assert.deepEqual(missing({ ...GIVEN, ...login }), missing(GIVEN));
});

test("what is missing is named", () => {
  assert.deepEqual(missing(NOTHING), ["application", "API key"]);
  assert.deepEqual(missing({ ...GIVEN, place: "own" }), ["MQTT address"]);
  assert.deepEqual(missing(GIVEN), []);
});
