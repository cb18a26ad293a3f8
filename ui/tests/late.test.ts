import assert from "node:assert/strict";
import test from "node:test";
import { inOrder, oneByOne, unchanged } from "../src/late";

test("what is written meanwhile is seen", () => {
  let text = "a";
  const isAsBefore = unchanged(() => text);
  assert.equal(isAsBefore(), true);
  text = "ab";
  assert.equal(isAsBefore(), false);
});

test("an answer is news unless one came that was asked for after it", () => {
  const ask = inOrder();
  const [first, second, third] = [ask(), ask(), ask()];
  assert.deepEqual([first(), third(), second()], [true, true, false]);
  assert.equal(ask()(), true);
});

test("what is asked for while an answer is on its way is asked once more after it", async () => {
  let asked = 0;
  let answer = () => {};
  const ask = oneByOne(() => {
    asked += 1;
    return new Promise<void>((done) => (answer = done));
  });
  const answered = async () => {
    answer();
    await new Promise((done) => setImmediate(done));
  };
  ask();
  ask();
  ask();
  assert.equal(asked, 1);
  await answered();
  assert.equal(asked, 2);
  await answered();
  assert.equal(asked, 2);
});
