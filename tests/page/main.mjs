// Proves the page in a real browser: `node main.mjs BINARIES FOLDER`, which scripts/page-check does.
//
// BINARIES holds `ttn-ferry` and `examples/look_alike`; logs go to FOLDER/run, a picture of each view to FOLDER.
import { after, afterEach, before } from "node:test";
import { rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { launch, SEED, SLOW } from "./browser.mjs";
import { PASSWORD, TOKEN, World } from "./processes.mjs";
import bench, { SCRIPT } from "./cases/bench.mjs";
import commands from "./cases/commands.mjs";
import everyView from "./cases/every-view.mjs";
import login from "./cases/login.mjs";
import onboarding from "./cases/onboarding.mjs";
import overview from "./cases/overview.mjs";
import restart from "./cases/restart.mjs";

const [binaries, folder] = process.argv.slice(2).map((path) => resolve(path));
if (!folder) throw new Error("usage: node main.mjs BINARIES FOLDER");

/** What all cases share: one browser, one demo, one network and home broker beside it. */
const rig = {
  ...{ folder, world: undefined, browser: undefined, demo: undefined, outside: undefined },
  /** A bridge with a password, a token and a codec that may be edited; started when it is first wanted. */
  configured: () =>
    (configured ??= configure().catch((error) => {
      configured = undefined;
      throw error;
    })),
  /** Says the password. */
  logIn: async (page) => {
    await page.locator("input[name=secret]").fill(PASSWORD);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.locator(".bar").waitFor();
  },
};
let configured;

async function configure() {
  const web = `password = "${PASSWORD}"\ntoken = "${TOKEN}"\nedit_codecs = true`;
  // What the network has is taken back within twenty seconds; the second one waits in the bridge.
  const more = '[downlink]\nin_network = 1\n[[device]]\nid = "living-room"\ncodec = "room"';
  const bridge = await rig.world.bridge("configured", rig.outside, web, more);
  writeFileSync(join(bridge.folder, "codecs", "room.js"), SCRIPT);
  await bridge.start();
  return { ...bridge, network: rig.outside.network };
}

before(async () => {
  const run = join(folder, "run");
  rmSync(run, { recursive: true, force: true });
  if (SLOW > 0) console.log(`Answers take up to ${SLOW} ms longer, by SEED=${SEED}.`);
  rig.world = new World(binaries, run);
  [rig.browser, rig.demo, rig.outside] = await Promise.all([launch(), rig.world.demo(), rig.world.outside()]);
});

/** A case that fails leaves a picture, and nothing that disturbs the next. */
afterEach(async ({ name, passed }) => {
  for (const context of rig.browser.contexts()) {
    if (passed === false) await picture(context, name).catch(() => {});
    await context.close();
  }
  if (!rig.browser.isConnected()) rig.browser = await launch();
});

async function picture(context, name) {
  const path = join(folder, `failed-${name.replaceAll(/[^\w-]+/g, "-")}.png`);
  for (const page of context.pages()) await page.screenshot({ path, timeout: 5_000 });
}

after(async () => {
  await rig.browser?.close();
  await rig.world?.stop();
});

for (const cases of [overview, commands, bench, restart, login, onboarding, everyView]) cases(rig);
