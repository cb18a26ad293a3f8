// What holds in every view: it fits a phone, can be walked with the keyboard, is read aloud, and its text can be read.
import assert from "node:assert/strict";
import test from "node:test";
import { Viewer } from "../browser.mjs";
import { findings } from "../accessibility.mjs";

/** Each view, and what is there once it is filled. */
const VIEWS = {
  overview: ["#/", ".device .spark"],
  device: ["#/device/living-room", ".plot canvas"],
  commands: ["#/device/mbed-node", ".downlink li[data-step]"],
  bench: ["#/bench/mbed%2Fled-and-sensors", ".editor textarea"],
  gateways: ["#/gateways", "main table, main .card, main li"],
  events: ["#/events", "main li"],
};
const SCREENS = {
  light: {},
  dark: { colorScheme: "dark" },
  phone: { phone: true },
};

export default function (rig) {
  for (const [screen, options] of Object.entries(SCREENS)) {
    for (const [view, [hash, filled]] of Object.entries(VIEWS)) {
      test(`${view} on a ${screen} screen fits, can be read and is accessible`, async () => {
        const viewer = await Viewer.open(rig.browser, `${rig.demo.url}${hash}`, options);
        await viewer.page.locator(filled).first().waitFor();
        await viewer.shot(rig.folder, `${view}-${screen}`);
        await viewer.fits();
        assert.deepEqual(await viewer.page.evaluate(findings), []);
        viewer.clean();
      });
    }
  }

  test("dark colours are dark, and light ones light", async () => {
    for (const [colorScheme, isDark] of Object.entries({ dark: true, light: false })) {
      const viewer = await Viewer.open(rig.browser, rig.demo.url, { colorScheme });
      await viewer.page.locator(".device").first().waitFor();
      const sum = await viewer.page.evaluate(() => {
        const [red, green, blue] = getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number);
        return red + green + blue;
      });
      assert.equal(sum < 200, isDark, `${colorScheme}: ${sum}`);
    }
  });

  for (const [view, [hash, filled]] of Object.entries(VIEWS)) {
    test(`${view} can be walked with the keyboard alone`, async () => {
      const viewer = await Viewer.open(rig.browser, `${rig.demo.url}${hash}`);
      const { page } = viewer;
      await page.locator(filled).first().waitFor();
      const wanted = await page.evaluate(markReachable);
      const missing = new Set(wanted);
      // More often than needed: what comes meanwhile adds something.
      for (let presses = 0; missing.size > 0 && presses < 4 * wanted.length + 100; presses += 1) {
        if (await page.evaluate(() => document.activeElement?.tagName === "TEXTAREA"))
          await page.keyboard.press("Escape");
        await page.keyboard.press("Tab");
        const reached = await page.evaluate(focused);
        if (!reached) continue;
        assert.ok(reached.isMarked, `the focus on ${reached.name} is not visible`);
        missing.delete(reached.mark);
      }
      const names = await page.evaluate(describe, [...missing]);
      assert.deepEqual(names, [], "what Tab does not reach");
      viewer.clean();
    });
  }
}

/** In the page: marks what a keyboard must reach; those that are there now. */
function markReachable() {
  const all = document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']");
  const reachable = [...all].filter((element) => {
    const isOneOfAGroup = element.matches("input[type=radio]:not(:checked)");
    return element.checkVisibility() && !element.disabled && element.tabIndex >= 0 && !isOneOfAGroup;
  });
  reachable.forEach((element, mark) => (element.dataset.mark = String(mark)));
  return reachable.map((_, mark) => String(mark));
}

/** In the page: what has the focus, and whether that can be seen. */
function focused() {
  const element = document.activeElement;
  if (!element || element === document.body) return undefined;
  const shows = (of, part) => {
    const { outlineStyle, outlineWidth } = getComputedStyle(of, part);
    return outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
  };
  // An editor shows it on its frame, a card that is a link all around.
  const isMarked = shows(element) || shows(element, "::after") || shows(element.parentElement);
  return { mark: element.dataset.mark, isMarked, name: element.outerHTML.slice(0, 120) };
}

/** In the page: those of the marked elements that are still there. */
function describe(marks) {
  const found = marks.map((mark) => document.querySelector(`[data-mark="${mark}"]`));
  return found
    .filter((element) => element?.checkVisibility() && !element.disabled)
    .map((element) => element.outerHTML.slice(0, 120));
}
