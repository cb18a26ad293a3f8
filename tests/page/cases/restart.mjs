// The service goes away and comes back; the page stays open.
import assert from "node:assert/strict";
import test from "node:test";
import { Viewer } from "../browser.mjs";

/** What a browser says of a service that is away: no fault of the page. */
const AWAY = [/ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|WebSocket/];

export default function (rig) {
  test("a restart of the service is told, and the data goes on", async () => {
    const bridge = await rig.world.bridge("restarted", rig.outside);
    const first = await bridge.start();
    const viewer = await Viewer.open(rig.browser, bridge.url);
    const { page } = viewer;
    const reading = page.locator('.device:has(a[href="#/device/lamp"]) .reading strong');
    await reading.waitFor();
    await page.evaluate(() => (window.sameDocument = true));
    viewer.clean();

    await first.stop();
    const banner = page.locator(".notice", { hasText: "lost" });
    await banner.waitFor();
    const before = await page.locator(".devices").innerText();

    const second = await bridge.start();
    await banner.waitFor({ state: "detached" });
    await viewer.until((was) => document.querySelector(".devices")?.innerText !== was, before);
    assert.equal(await page.evaluate(() => window.sameDocument), true, "nobody had to reload the page");
    viewer.clean(AWAY);
    await second.stop();
  });
}
