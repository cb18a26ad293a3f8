// The first run, without a configuration.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { Viewer } from "../browser.mjs";
import { PASSWORD, USER } from "../processes.mjs";

export default function (rig) {
  test("the first run asks, checks the whole way, is corrected, writes, and goes on as the bridge", async () => {
    const { mqtt, http, homeOfUsers } = rig.outside;
    const { url, folder } = await rig.world.unconfigured();
    const file = join(folder, "ttn-ferry.toml");
    const viewer = await Viewer.open(rig.browser, url);
    const { page } = viewer;
    assert.equal(new URL(page.url()).search, "", "the token does not stay in the address");
    await page.locator("select[name=place]").selectOption("own");
    await page.locator("input[name=mqtt_url]").fill(`mqtt://127.0.0.1:${mqtt}`);
    await page.locator("input[name=api_url]").fill(`http://127.0.0.1:${http}`);
    await page.locator("input[name=tenant]").fill("ttn");
    await page.locator("input[name=application]").fill("my-app");
    await page.locator("input[name=home]").fill(`mqtt://127.0.0.1:${homeOfUsers}`);

    const key = page.locator("input[name=api_key]");
    const check = page.getByRole("button", { name: "Check it" });
    await key.fill(`NNSXS.${"A".repeat(39)}.${"A".repeat(52)}`);
    await check.click();
    const failed = page.locator('.findings li[data-status="failed"]');
    await failed.getByText("the broker wants a user and a password").waitFor();
    assert.ok((await failed.count()) > 1, "the key is not the right one either");
    assert.equal(existsSync(file), false, "a check writes nothing");

    await page.locator("input[name=home_username]").fill(USER);
    const password = page.locator("input[name=home_password]");
    assert.equal(await password.getAttribute("type"), "password");
    await password.fill("wrong");
    await check.click();
    await failed.getByText("does not take this user and password").waitFor();
    await viewer.shot(rig.folder, "onboarding-refused");

    await password.fill(PASSWORD);
    await key.fill(readFileSync(join(rig.world.folder, "look-alike.key"), "utf8"));
    await check.click();
    const write = page.getByRole("button", { name: "Write it and start" });
    await write.waitFor();
    // What was found was not found of this.
    await password.fill("wrong");
    await page.getByRole("button", { name: "Write it anyway and start" }).waitFor();
    await password.fill(PASSWORD);
    await check.click();
    await write.waitFor();
    await viewer.shot(rig.folder, "onboarding-light");
    await write.click();
    await page.locator('a[href="#/device/lamp"]').waitFor();
    assert.match(readFileSync(file, "utf8"), /id = "my-app"[^]*username = "ferry"\npassword_file = "home.password"/);
    assert.equal(readFileSync(join(folder, "home.password"), "utf8").trim(), PASSWORD);
    viewer.clean([/status of 404/, /ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|WebSocket/]);
  });

  test("without its token the first run tells nothing", async () => {
    const { url } = await rig.world.unconfigured("unconfigured-too");
    const { status } = await fetch(new URL("/api/v1/onboarding", url));
    assert.equal(status, 401);
  });
}
