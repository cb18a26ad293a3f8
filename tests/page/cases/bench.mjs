// The codec bench: what a codec makes of a payload, and a changed script before it is saved.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { Viewer } from "../browser.mjs";

/** The script that the configured bridge's `living-room` has: its temperature is in hundredths. */
export const SCRIPT = `function decodeUplink(input) {
  const [high, low] = input.bytes;
  return { data: { temperature: ((high << 24 >> 16) | low) / 100 } };
}
`;

export default function (rig) {
  test("a payload that is pasted is decoded, normalised and shown as the home's entities", async () => {
    const viewer = await Viewer.open(rig.browser, `${rig.demo.url}#/bench/mbed%2Fled-and-sensors`);
    const { page } = viewer;
    await page.locator("input[name=bench-bytes]").fill("08 66 5A 0E 10 01 00 3C");
    await page.locator("input[name=bench-port]").fill("15");
    const outcome = page.locator(".outcome");
    await outcome.getByText("21.5", { exact: true }).first().waitFor();
    const told = await outcome.innerText();
    for (const expected of ["temperature", "humidity", "air.temperature", "Temperature", "°C", "switch"]) {
      assert.ok(told.includes(expected), `${expected} in: ${told}`);
    }
    viewer.clean();
  });

  test("an answer that comes late does not replace what was written meanwhile", async () => {
    const viewer = await Viewer.open(rig.browser, `${rig.demo.url}#/`);
    const { page } = viewer;
    const late = "**/uplinks?**";
    const release = await viewer.hold(late);
    const asked = page.waitForRequest(late);
    await viewer.go("#/bench/mbed%2Fled-and-sensors");
    const bytes = page.locator("input[name=bench-bytes]");
    await bytes.fill("08 66 5A 0E 10 01 00 3C");
    await asked;
    const answered = page.waitForResponse(late);
    await release();
    await (await answered).finished();
    await page.locator("input[name=bench-port]").fill("15");
    await page.locator(".outcome").getByText("21.5", { exact: true }).first().waitFor();
    assert.equal(await bytes.inputValue(), "08 66 5A 0E 10 01 00 3C");
    viewer.clean();
  });

  test("base64 is taken for what it is, and half a byte is pointed out", async () => {
    const viewer = await Viewer.open(rig.browser, `${rig.demo.url}#/bench/mbed%2Fled-and-sensors`);
    const { page } = viewer;
    const bytes = page.locator("input[name=bench-bytes]");
    await bytes.fill("CGZaDhABADw=");
    assert.equal(await page.locator("select[name=bench-encoding]").inputValue(), "base64");
    await page.locator("select[name=bench-encoding]").selectOption("hex");
    await page.getByText("this is no hex").waitFor();
    viewer.clean();
  });

  test("a script is changed, tried on the last uplinks, saved and then in use", async () => {
    const { url, folder } = await rig.configured();
    const viewer = await Viewer.open(rig.browser, url);
    const { page } = viewer;
    await rig.logIn(page);
    // What it is tried on: the bench takes the newest uplink that there is.
    await page.locator('.device:has(a[href="#/device/living-room"]) .reading strong').waitFor();
    await viewer.go("#/bench/room");
    const editor = page.locator(".editor textarea");
    await viewer.until(() => document.querySelector(".editor textarea")?.value.includes("temperature"));
    const save = page.getByRole("button", { name: "Save as" });
    assert.equal(await save.isDisabled(), true, "nothing was changed yet");

    await editor.fill(SCRIPT.replace("/ 100 }", "/ 100, doubled: low * }"));
    await page.locator(".editor .gutter i").waitFor();
    await page.locator(".outcome .problem", { hasText: "Line 3" }).waitFor();
    await editor.fill(SCRIPT.replace("/ 100 }", "/ 10, extra: true }"));
    await page.locator(".outcome .problem").waitFor({ state: "detached" });

    await page.getByRole("button", { name: "Try it on the last uplinks of" }).click();
    const compared = page.locator(".compared").first();
    await compared.locator('tr[data-change="different"]', { hasText: "temperature" }).waitFor();
    await compared.locator('tr[data-change="added"]', { hasText: "extra" }).waitFor();
    assert.equal(readFileSync(join(folder, "codecs", "room.js"), "utf8"), SCRIPT, "trying saves nothing");

    await save.click();
    await page.getByText("Saved as room.js, and in use").waitFor();
    assert.match(readFileSync(join(folder, "codecs", "room.js"), "utf8"), /extra: true/);
    await viewer.go("#/device/living-room");
    await page.locator(".values", { hasText: "Extra" }).waitFor();
    viewer.clean();
  });

  test("what is written while a script is saved stays", async () => {
    const { url, folder } = await rig.configured();
    const viewer = await Viewer.open(rig.browser, url);
    const { page } = viewer;
    await rig.logIn(page);
    await viewer.go("#/bench/room");
    const editor = page.locator(".editor textarea");
    await viewer.until(() => document.querySelector(".editor textarea")?.value.includes("temperature"));
    const [saved, written] = [`${SCRIPT}// saved`, `${SCRIPT}// written meanwhile`];
    await editor.fill(saved);
    const release = await viewer.hold("**/codecs/room/source");
    await page.getByRole("button", { name: "Save as" }).click();
    await editor.fill(written);
    await release();
    await page.getByRole("button", { name: "Save as", disabled: false }).waitFor();
    assert.equal(readFileSync(join(folder, "codecs", "room.js"), "utf8"), saved);
    assert.equal(await editor.inputValue(), written);
    await page.locator(".badge", { hasText: "changed" }).waitFor();
    viewer.clean();
  });

  test("what a script makes of one device's uplinks is not shown as another's", async () => {
    const viewer = await Viewer.open(rig.browser, `${rig.demo.url}#/bench/mbed%2Fled-and-sensors`);
    const { page } = viewer;
    const attempt = page.getByRole("button", { name: "Try it on the last uplinks of" });
    const release = await viewer.hold("**/codecs/try");
    await attempt.click();
    const device = page.locator("select[name=tried-on]");
    const other = (await device.inputValue()) === "tracker" ? "greenhouse" : "tracker";
    await device.selectOption(other);
    await release();
    await page.getByRole("button", { name: "Try it on the last uplinks of", disabled: false }).waitFor();
    assert.equal(await page.locator(".compared").count(), 0);
    await attempt.click();
    await page.locator(".compared").first().waitFor();
    viewer.clean();
  });

  test("Tab indents in the editor, and Escape gives it back", async () => {
    const viewer = await Viewer.open(rig.browser, `${rig.demo.url}#/bench/mbed%2Fled-and-sensors`);
    const { page } = viewer;
    const editor = page.locator(".editor textarea");
    await editor.waitFor();
    await editor.focus();
    await page.keyboard.press("Control+Home");
    await page.keyboard.press("Tab");
    assert.match(await editor.inputValue(), /^ {2}\S/);
    await page.keyboard.press("Control+z");
    assert.match(await editor.inputValue(), /^\S/, "what Tab did can be undone");
    await page.keyboard.press("Escape");
    await page.keyboard.press("Tab");
    assert.equal(await editor.evaluate((area) => area === document.activeElement), false);
    viewer.clean();
  });
}
