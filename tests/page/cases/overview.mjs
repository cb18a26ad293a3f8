// What is seen first: devices whose values change by themselves, and their plots.
import assert from "node:assert/strict";
import test from "node:test";
import { Viewer } from "../browser.mjs";

const NODES = ["greenhouse", "living-room", "mbed-node", "tracker"];
const card = (name) => `.device:has(a[href="#/device/${name}"])`;

export default function (rig) {
  test("the overview fills and its values change without a reload", async () => {
    const viewer = await Viewer.open(rig.browser, rig.demo.url);
    const { page } = viewer;
    for (const name of NODES) await page.locator(`${card(name)} .reading strong`).waitFor();
    await page.evaluate(() => (window.sameDocument = true));
    const before = await page.locator(card("living-room")).innerText();
    await viewer.until(([at, was]) => document.querySelector(at)?.innerText !== was, [card("living-room"), before]);
    assert.equal(await page.evaluate(() => window.sameDocument), true, "the document is the one that was loaded");
    viewer.clean();
  });

  test("what is searched for is found, and nothing else is shown", async () => {
    const viewer = await Viewer.open(rig.browser, rig.demo.url);
    const { page } = viewer;
    await page.locator(card("greenhouse")).waitFor();
    await page.getByRole("searchbox").fill("green");
    await viewer.until(() => document.querySelectorAll(".device").length === 1);
    await page.locator(card("greenhouse")).waitFor();
    viewer.clean();
  });

  test("the page of a device plots its readings, and the plot grows", async () => {
    const viewer = await Viewer.open(rig.browser, rig.demo.url);
    const { page } = viewer;
    await page.locator(`${card("living-room")} a`).click();
    const plot = page.locator('.plot[aria-label^="Temperature: "]').first();
    await plot.locator("canvas").waitFor();
    assert.match(await plot.getAttribute("aria-label"), /^Temperature: [\d.−]+ to [\d.−]+ °C/);
    await viewer.until(drawn, 20);
    const readings = page.locator("#uplinks ~ ol > li");
    await readings.first().waitFor();
    const before = await readings.count();
    await viewer.until((count) => document.querySelectorAll("#uplinks ~ ol > li").length > count, before);
    viewer.clean();
  });

  test("fingers move and stretch the time that the plots show", async () => {
    const viewer = await Viewer.open(rig.browser, `${rig.demo.url}#/device/living-room`, { phone: true });
    const { page } = viewer;
    const plot = '.plot[aria-label^="Temperature: "]';
    await page.locator(`${plot} canvas`).waitFor();
    const day = page.locator('.ranges [aria-pressed="true"]');
    assert.equal(await day.innerText(), "24 h");
    await viewer.touch(plot, [0.4, 0.6], [0.1, 0.9]);
    await day.waitFor({ state: "detached" });
    const later = page.getByRole("button", { name: "Later" });
    const first = await page.locator(".ranges").getAttribute("data-from");
    await viewer.touch(plot, [0.2], [0.8]);
    await viewer.until((was) => Number(document.querySelector(".ranges").dataset.from) < Number(was), first);
    assert.equal(await later.isEnabled(), true, "earlier than now");
    viewer.clean();
  });

  test("an answer that takes longer than the next uplink is shown all the same", async () => {
    const viewer = await Viewer.open(rig.browser, `${rig.demo.url}#/`);
    const { page } = viewer;
    await page.route(/devices\/living-room\?/, async (route) => {
      const { frame } = await (await page.waitForFunction(heard, 0)).jsonValue();
      await page.waitForFunction(heard, frame + 2);
      await route.continue();
    });
    await viewer.go("#/device/living-room");
    await page.locator("#fair-use").waitFor();
    viewer.clean();
    await page.unrouteAll({ behavior: "ignoreErrors" });
  });

  test("the availability over a month is made of all that happened in it", async () => {
    const viewer = await Viewer.open(rig.browser, `${rig.demo.url}#/`);
    const { page } = viewer;
    // It fell silent 600 times in 25 days: more than one answer has.
    const most = 1000;
    const all = Array.from({ length: 1200 }, (_, i) => {
      const at = new Date(Date.now() - (i + 1) * 1_800_000).toISOString();
      return { event: 1200 - i, at, kind: "bridge", type: i % 2 ? "device_offline" : "device_online", device: "greenhouse" };
    });
    await page.route("**/events?*kind=bridge*", (route) => {
      const before = Number(new URL(route.request().url()).searchParams.get("before") ?? Infinity);
      const events = all.filter(({ event }) => event < before).slice(0, most);
      return route.fulfill({ json: { events, since: new Date(Date.now() - 30 * 86_400_000).toISOString() } });
    });
    // A time of which little was read would be shown in part.
    await page.route("**/readings?*", (route) => route.fulfill({ json: { series: {}, count: 0, sampled: false } }));
    await viewer.go("#/device/greenhouse");
    await page.getByRole("button", { name: "30 d", exact: true }).click();
    await page.locator('.timeline[aria-label*="offline for 12 d in 600 stretches"]').waitFor();
    viewer.clean();
  });
}

/** In the page: the newest uplink, once its frame counter is so high. */
function heard(least) {
  const [, frame] = /frame (\d+)/.exec(document.querySelector("#uplinks ~ ol > li")?.textContent) ?? [];
  return Number(frame) >= least && { frame: Number(frame) };
}

/** In the page: whether the plot of the temperature has so many pixels in the colour of its line. */
function drawn(least) {
  const canvas = document.querySelector('.plot[aria-label^="Temperature: "] canvas');
  if (!canvas?.width) return false;
  const brush = document.createElement("canvas").getContext("2d");
  brush.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--series-1").trim();
  brush.fillRect(0, 0, 1, 1);
  const [red, green, blue] = brush.getImageData(0, 0, 1, 1).data;
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let found = 0;
  for (let at = 0; at < data.length; at += 4) {
    if (
      data[at + 3] > 200 &&
      Math.abs(data[at] - red) + Math.abs(data[at + 1] - green) + Math.abs(data[at + 2] - blue) < 24
    ) {
      found += 1;
    }
  }
  return found >= least;
}
