import assert from "node:assert/strict";
import test from "node:test";
import { type Edit, indent, newline, outdent } from "../src/bench/editing";

/** The text after an edit, with `[` and `]` around what is selected. */
function after(text: string, { from, to, insert, start, end }: Edit): string {
  const changed = text.slice(0, from) + insert + text.slice(to);
  return `${changed.slice(0, start)}[${changed.slice(start, end)}]${changed.slice(end)}`;
}

test("Tab indents where one stands", () => assert.equal(after("ab", indent("ab", 1, 1)), "a  []b"));

test("Tab indents every line that is selected, but for empty ones", () => {
  const text = "a\n\nb\nc";
  assert.equal(after(text, indent(text, 0, 5)), "  [a\n\n  b\n]c");
});

test("Shift-Tab takes one step from each line, as far as there is one", () => {
  const text = "    a\n b\nc";
  assert.equal(after(text, outdent(text, 0, text.length)), "[  a\nb\nc]");
  assert.equal(after("\tx", outdent("\tx", 2, 2)), "x[]");
});

test("Enter keeps the depth, and goes one deeper after a bracket", () => {
  assert.equal(after("  a", newline("  a", 3, 3)), "  a\n  []");
  assert.equal(after("  f() {", newline("  f() {", 7, 7)), "  f() {\n    []");
});
