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
    // The demo sends commands of its own.
    const answer = page.waitForResponse((answer) => answer.request().method() === "POST");
    await page.getByRole("button", { name: "Send", exact: true }).click();
    const { id } = await (await answer).json();
    const newest = page.locator(`.downlink[data-id="${id}"]`);
    await newest.locator('li[data-step="acked"]').waitFor();
    const steps = await newest.locator("li[data-step]").evaluateAll((all) => all.map((step) => step.dataset.step));
    const road = steps.filter((step) => ["accepted", "queued", "sent", "acked"].includes(step));
    assert.deepEqual(road, ["accepted", "queued", "sent", "acked"]);
    assert.equal(await newest.getByRole("button", { name: "Cancel" }).count(), 0, "what has ended cannot be cancelled");
    await page.locator(".commands [role=status]", { hasText: "acked" }).waitFor();
    viewer.clean();
  });

  test("a value that does not fit is not sent, and says what would fit", async () => {
    const viewer = await Viewer.open(rig.browser, `${rig.demo.url}#/device/living-room`);
    const { page } = viewer;
    const interval = page.locator("input[name=interval]");
    await interval.fill("5");
    await page.getByText("must be a number from 10 to 65535 s").waitFor();
    const send = (disabled) => page.getByRole("button", { name: "Send", exact: true, disabled });
    await send(true).waitFor();
    await interval.fill("60");
    await send(false).waitFor();
    viewer.clean();
  });

  test("what is filled in while a command is sent stays", async () => {
    const viewer = await Viewer.open(rig.browser, `${rig.demo.url}#/device/living-room`);
    const { page } = viewer;
    const interval = page.locator("input[name=interval]");
    await interval.fill("60");
    await page.getByRole("group", { name: "LED" }).getByRole("button", { name: "off", exact: true }).click();
    await page.locator(".downlink, .commands p.muted").first().waitFor();
    const release = await viewer.hold("**/api/v1/downlinks");
    await page.getByRole("button", { name: "Send", exact: true }).click();
    await interval.fill("61");
    await release();
    const leaves = page.getByRole("group", { name: "LED" }).getByRole("button", { name: "leave", pressed: true });
    await leaves.waitFor();
    assert.equal(await interval.inputValue(), "61");
    viewer.clean();
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
      await page.locator("input[name=raw-port]").fill("15");
      for (const bytes of ["0100", "0200"]) {
        await page.locator("input[name=raw-bytes]").fill(bytes);
        await page.getByRole("button", { name: "Send bytes" }).click();
        // Its next step is announced before it is there.
        await page.locator(".downlink", { hasText: bytes }).locator("li.is-ahead", { hasText: "sent" }).waitFor();
      }
      const second = page.locator(".downlink", { hasText: "0200" });
      await second.getByRole("button", { name: "Cancel" }).click();
      await second.locator('li[data-step="cancelled"]').waitFor();
      await second.locator("summary .badge", { hasText: "cancelled" }).waitFor();
      viewer.clean();
    } finally {
      bridge.network.child.kill("SIGUSR1");
    }
  });
}
