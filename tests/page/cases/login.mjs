// Who may come in.
import assert from "node:assert/strict";
import test from "node:test";
import { Viewer } from "../browser.mjs";
import { PASSWORD, TOKEN } from "../processes.mjs";

const REFUSED = [/status of 401/, /WebSocket/];

export default function (rig) {
  test("a wrong password is refused, the right one is let in and stays in until it logs out", async () => {
    const { url } = await rig.configured();
    const viewer = await Viewer.open(rig.browser, url);
    const { page } = viewer;
    await page.locator("input[name=secret]").fill("wrong");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("alert").waitFor();
    assert.equal(await page.locator(".device").count(), 0);
    await rig.logIn(page);
    await page.locator(".device").first().waitFor();
    await page.reload();
    await page.locator(".device").first().waitFor();
    await page.getByRole("button", { name: "Log out" }).click();
    await page.locator("input[name=secret]").waitFor();
    viewer.clean(REFUSED);
  });

  test("a token opens the page too, and a wrong one does not", async () => {
    const { url } = await rig.configured();
    const viewer = await Viewer.open(rig.browser, url);
    const { page } = viewer;
    await page.getByRole("button", { name: "Use the token instead" }).click();
    for (const [token, then] of [
      ["not-the-token", page.getByRole("alert")],
      [TOKEN, page.locator(".device").first()],
    ]) {
      await page.getByLabel("Token").fill(token);
      await page.getByRole("button", { name: "Log in" }).click();
      await then.waitFor();
    }
    viewer.clean(REFUSED);
  });

  test("without a session nothing is answered, over HTTP or the WebSocket", async () => {
    const { url } = await rig.configured();
    const viewer = await Viewer.open(rig.browser, url);
    const { page } = viewer;
    await page.locator("input[name=secret]").waitFor();
    const answers = await page.evaluate(async () => {
      const { status } = await fetch("api/v1/devices");
      const socket = new WebSocket(new URL("api/v1/live", document.baseURI).href.replace("http", "ws"));
      const opened = await new Promise((done) => {
        socket.onopen = () => done(true);
        socket.onclose = () => done(false);
      });
      return { status, opened };
    });
    assert.deepEqual(answers, { status: 401, opened: false });
    viewer.clean(REFUSED);
  });

  test("whoever guesses too often is told to wait", async () => {
    const { url, start } = await rig.world.bridge("guessed", rig.outside, `password = "${PASSWORD}"`);
    await start();
    const viewer = await Viewer.open(rig.browser, url);
    const { page } = viewer;
    await page.locator("input[name=secret]").waitFor();
    await page.evaluate(async () => {
      const guess = { method: "POST", headers: { "content-type": "application/json" }, body: '{"password":"guess"}' };
      for (let tries = 0; tries < 100; tries += 1) {
        if ((await fetch("api/v1/session", guess)).status === 429) return;
      }
      throw new Error("a hundred guesses were taken");
    });
    await page.locator("input[name=secret]").fill(PASSWORD);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("alert").waitFor();
    assert.equal(await page.locator(".device").count(), 0);
    viewer.clean([...REFUSED, /status of 429/]);
  });
}
