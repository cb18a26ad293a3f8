import assert from "node:assert/strict";
import test from "node:test";
import { guess, lengthOf } from "../src/bench/payload";

test("hex may be grouped in every usual way", () => {
  for (const hex of ["01FF", "01 ff", "01:Ff", "0x01 0xFF", " 01  FF "]) assert.equal(lengthOf(hex, "hex"), 2, hex);
  for (const bad of ["0", "1 2", "zz"]) assert.equal(lengthOf(bad, "hex"), undefined, bad);
  assert.equal(lengthOf("", "hex"), 0);
});

test("base64 may lack its padding or be of the alphabet for addresses", () => {
  for (const base64 of ["+/8=", "-_8=", "-_8"]) assert.equal(lengthOf(base64, "base64"), 2, base64);
  for (const bad of ["*", "A"]) assert.equal(lengthOf(bad, "base64"), undefined, bad);
});

test("a text counts its bytes, not its characters", () => assert.equal(lengthOf("21 °C", "text"), 6));

test("only what cannot be the chosen encoding changes it", () => {
  assert.equal(guess("ABCD", "hex"), "hex");
  assert.equal(guess("ABCD", "base64"), "base64");
  assert.equal(guess("Af8=", "hex"), "base64");
  assert.equal(guess("01 FF", "base64"), "hex");
  assert.equal(guess("???", "hex"), "hex");
  assert.equal(guess("01", "text"), "text");
});
