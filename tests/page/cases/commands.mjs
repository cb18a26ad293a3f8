// A device is told something, and what becomes of that is seen as it happens.
import assert from "node:assert/strict";
import test from "node:test";
import { Viewer } from "../browser.mjs";

export default function (rig) {
  test("a command goes to acked before the viewer's eyes", async () => {
    const viewer = await Viewer.open(rig.browser, `${rig.demo.url}#/device/mbed-node`);
    const { page } = viewer;
    const led = page.getByRole("group", { name: "LED" });
    await led.getByRole("button", { name: "on", exact: true }).click();
    await page.getByRole("button", { name: "Send", exact: true }).click();
    const newest = page.locator(".downlink").first();
    // Its next step is announced before it is there.
    await newest.locator("li.is-ahead", { hasText: "acked" }).waitFor();
    await newest.locator('li[data-step="acked"]').waitFor();
    const steps = await newest.locator("li[data-step]").evaluateAll((all) => all.map((step) => step.dataset.step));
    const road = steps.filter((step) => ["accepted", "queued", "sent", "acked"].includes(step));
    assert.deepEqual(road, ["accepted", "queued", "sent", "acked"]);
    assert.equal(await newest.getByRole("button", { name: "Cancel" }).count(), 0, "what has ended cannot be cancelled");
    assert.match(await page.locator(".commands [role=status]").innerText(), /acked/, "a screen reader is told too");
    viewer.clean();
    await viewer.close();
  });

  test("a value that does not fit is not sent, and says what would fit", async () => {
    const viewer = await Viewer.open(rig.browser, `${rig.demo.url}#/device/living-room`);
    const { page } = viewer;
    const interval = page.locator("input[name=interval]");
    await interval.fill("5");
    await page.getByText("must be a number from 10 to 65535 s").waitFor();
    const send = page.getByRole("button", { name: "Send", exact: true });
    assert.equal(await send.isDisabled(), true);
    await interval.fill("60");
    assert.equal(await send.isDisabled(), false);
    viewer.clean();
    await viewer.close();
  });

  test("bytes that are refused say why where they were sent", async () => {
    const viewer = await Viewer.open(rig.browser, `${rig.demo.url}#/device/tracker`);
    const { page } = viewer;
    const fold = page.locator(".commands details.fold", { has: page.getByText("Send bytes") }).first();
    await fold.waitFor();
    if ((await fold.getAttribute("open")) === null) await fold.locator("summary").first().click();
    await page.locator("input[name=raw-bytes]").fill("01 FF");
    await page.locator("input[name=raw-port]").fill("224");
    await page.getByRole("button", { name: "Send bytes" }).click();
    const refused = fold.getByRole("alert");
    await refused.waitFor();
    assert.match(await refused.innerText(), /224 is out of range/);
    viewer.clean([/422|400/]);
    await page.locator("input[name=raw-port]").fill("7");
    await page.getByRole("button", { name: "Send bytes" }).click();
    await page.locator(".downlink code", { hasText: "01FF" }).waitFor();
    await viewer.close();
  });

  test("what waits for a silent device can be cancelled", async () => {
    const bridge = await rig.configured();
    const viewer = await Viewer.open(rig.browser, bridge.url);
    const { page } = viewer;
    await rig.logIn(page);
    await page.locator('a[href="#/device/living-room"]').waitFor();
    bridge.network.child.kill("SIGUSR1");
    try {
      await viewer.go("#/device/living-room");
      // Its own script offers no commands: bytes are what is left, and shown at once.
      await page.locator("input[name=raw-bytes]").fill("01 00");
      await page.locator("input[name=raw-port]").fill("15");
      await page.getByRole("button", { name: "Send bytes" }).click();
      const newest = page.locator(".downlink").first();
      await newest.getByRole("button", { name: "Cancel" }).click();
      await newest.locator('li[data-step="cancelled"]').waitFor();
      assert.equal(await newest.locator("summary .badge").innerText(), "cancelled");
      viewer.clean();
    } finally {
      bridge.network.child.kill("SIGUSR1");
    }
    await viewer.close();
  });
}
