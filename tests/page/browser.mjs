// A viewer of the page in Chromium, who notes everything a page must not do.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

/** Answers of the API take up to so many milliseconds longer: SLOW=800. */
export const SLOW = Number(process.env.SLOW ?? 0);
/** What their delays are made of; the same one makes the same delays. */
export const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 1e6));

/** How long anything may take to appear. The simulated nodes report every second or every four. */
export const PATIENCE_MS = 30_000;

export function launch() {
  const asRoot = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  return chromium.launch({ executablePath, args: ["--disable-gpu", "--disable-dev-shm-usage", ...asRoot] });
}

let opened = 0;

/** One person at one browser, with cookies of their own. They leave when the case ends. */
export class Viewer {
  /** `phone`: 360 pixels wide, with touch. */
  static async open(browser, url, { phone = false, colorScheme = "light" } = {}) {
    const viewport = phone ? { width: 360, height: 740 } : { width: 1280, height: 860 };
    const context = await browser.newContext({ viewport, colorScheme, reducedMotion: "reduce", hasTouch: phone });
    const page = await context.newPage();
    const viewer = new Viewer(context, page, new URL(url));
    if (process.env.PAGE) await served(context, process.env.PAGE);
    if (SLOW > 0) await context.addInitScript(slow, [SLOW, SEED + (opened += 1)]);
    await viewer.#watch();
    await page.goto(url);
    return viewer;
  }

  constructor(context, page, url) {
    this.context = context;
    this.page = page;
    this.url = url;
    this.requests = [];
    this.complaints = [];
    page.setDefaultTimeout(PATIENCE_MS);
  }

  async #watch() {
    const { context, page } = this;
    context.on("request", (request) => this.requests.push(request.url()));
    page.on("websocket", (socket) => this.requests.push(socket.url()));
    page.on("pageerror", (error) => this.complaints.push(`error: ${error.message}`));
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) this.complaints.push(`console: ${message.text()}`);
    });
    await page.exposeFunction("policyViolated", (what) => this.complaints.push(`policy: ${what}`));
    await page.addInitScript(() => {
      const told = (event) => window.policyViolated(`${event.violatedDirective} ${event.blockedURI}`);
      document.addEventListener("securitypolicyviolation", told);
    });
  }

  /** Goes to another view without loading the page anew. */
  async go(hash) {
    await this.page.evaluate((to) => (location.hash = to), hash);
  }

  /** Holds back every request to `pattern`, until what this resolves to is called: which waits until there is one. */
  async hold(pattern) {
    let release;
    const released = new Promise((resolve) => (release = resolve));
    await this.page.route(pattern, (route) => released.then(() => route.continue()));
    const held = this.page.waitForRequest(pattern, { timeout: PATIENCE_MS });
    // A case that failed before is told by its own error.
    held.catch(() => {});
    return () => held.then(release);
  }

  /** Resolves once what `look` returns in the page is true. */
  async until(look, argument) {
    await this.page.waitForFunction(look, argument, { timeout: PATIENCE_MS });
  }

  /** A picture of the whole view, however long it is: what sticks to an edge of the screen stays at the edge. */
  async shot(folder, name) {
    mkdirSync(folder, { recursive: true });
    const { page } = this;
    const { width, height } = page.viewportSize();
    const whole = await page.evaluate(() => document.documentElement.scrollHeight);
    await page.setViewportSize({ width, height: Math.max(height, whole) });
    await page.screenshot({ path: join(folder, `${name}.png`) });
    await page.setViewportSize({ width, height });
  }

  /** Nothing is wider than the screen. */
  async fits() {
    const [content, screen] = await this.page.evaluate(() => {
      const { scrollWidth, clientWidth } = document.documentElement;
      return [scrollWidth, clientWidth];
    });
    assert.ok(content <= screen, `the page is ${content} pixels wide on a screen of ${screen}`);
  }

  /** Every request went to the bridge, nothing failed, and nothing was held back; but for what was `expected`. */
  clean(expected = []) {
    const host = this.url.host;
    const strangers = this.requests.filter((url) => /^(https?|wss?):/.test(url) && new URL(url).host !== host);
    assert.deepEqual(strangers, [], "requests that leave the host");
    assert.ok(this.requests.length > 0, "some request was seen");
    const unexpected = this.complaints.filter((complaint) => !expected.some((pattern) => pattern.test(complaint)));
    assert.deepEqual(unexpected, [], "what the browser complains about");
  }

  /** Puts fingers on the plot that `selector` finds, moves them in steps and lifts them; places are parts of its width. */
  async touch(selector, from, to) {
    const plot = this.page.locator(`${selector} .u-over`).first();
    await plot.evaluate((element) => element.scrollIntoView({ block: "center" }));
    const { x, y, width, height } = await plot.boundingBox();
    const fingers = await this.context.newCDPSession(this.page);
    const at = (part) =>
      from.map((start, id) => ({ x: x + width * (start + (to[id] - start) * part), y: y + height / 2, id }));
    const send = (type, touchPoints) => fingers.send("Input.dispatchTouchEvent", { type, touchPoints });
    await send("touchStart", at(0));
    for (const part of [0.25, 0.5, 0.75, 1]) await send("touchMove", at(part));
    await send("touchEnd", []);
  }
}

/** In the page: every answer comes later, and so in another order than it was asked for. */
function slow([most, seed]) {
  let state = seed;
  const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  random();
  const quick = window.fetch;
  window.fetch = async (asked, options) => {
    const answer = await quick(asked, options);
    await new Promise((done) => setTimeout(done, random() * most));
    options?.signal?.throwIfAborted();
    return answer;
  };
}

/** Serves the bundle in a folder in place of the one in the binary: for whoever works on the page. */
async function served(context, folder) {
  for (const name of ["app.js", "app.css"]) {
    await context.route(`**/${name}`, (route) => route.fulfill({ path: join(folder, name) }));
  }
}
