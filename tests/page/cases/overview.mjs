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
    await viewer.close();
  });

  test("what is searched for is found, and nothing else is shown", async () => {
    const viewer = await Viewer.open(rig.browser, rig.demo.url);
    const { page } = viewer;
    await page.locator(card("greenhouse")).waitFor();
    await page.getByRole("searchbox").fill("green");
    await viewer.until(() => document.querySelectorAll(".device").length === 1);
    await page.locator(card("greenhouse")).waitFor();
    viewer.clean();
    await viewer.close();
  });

  test("the page of a device plots its readings, and the plot grows", async () => {
    const viewer = await Viewer.open(rig.browser, rig.demo.url);
    const { page } = viewer;
    await page.locator(`${card("living-room")} a`).click();
    const plot = page.locator('.plot[aria-label^="Temperature: "]').first();
    await plot.locator("canvas").waitFor();
    assert.match(await plot.getAttribute("aria-label"), /^Temperature: [\d.−]+ to [\d.−]+ °C/);
    await viewer.until(drawn, 20);
    const readings = () => page.locator("#uplinks ~ ol > li").count();
    const before = await readings();
    await viewer.until((count) => document.querySelectorAll("#uplinks ~ ol > li").length > count, before);
    viewer.clean();
    await viewer.close();
  });
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
