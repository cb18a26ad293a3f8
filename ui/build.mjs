// Bundles the page into dist/, the same bytes from the same sources. `--tests` bundles the tests for `node --test`,
// `--into FOLDER` writes elsewhere (for a comparison).
import { createHash } from "node:crypto";
import { copyFile, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";

const here = import.meta.dirname;
const at = (...path) => join(here, ...path);
/** What every visit loads, and what is loaded with the first plot. */
const FIRST = ["app.css", "app.js", "icon.svg", "index.html"];
const BUNDLE = [...FIRST, "uplot.js"];
/** What the bundle is made of, beside everything in `src/` and `static/`. */
const INPUTS = ["build.mjs", "package-lock.json", "package.json", "tsconfig.json"];
/** The most that a browser may have to load before it shows something, compressed. */
const BUDGET = 60_000;

const options = { bundle: true, format: "esm", target: "es2022", jsx: "automatic", jsxImportSource: "preact", charset: "utf8" };

async function files(folder) {
  const entries = await readdir(at(folder), { recursive: true, withFileTypes: true });
  const inside = (entry) => join(entry.parentPath, entry.name).slice(here.length + 1).replaceAll("\\", "/");
  return entries.filter((entry) => entry.isFile()).map(inside);
}

/** The licences of the packages that are in the bundle. */
async function licences(inputs) {
  const packages = new Set();
  for (const input of Object.keys(inputs)) {
    const [, name] = input.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\//) ?? [];
    if (name) packages.add(name);
  }
  const rights = [];
  const texts = new Set();
  for (const name of [...packages].sort()) {
    const { version } = JSON.parse(await readFile(at("node_modules", name, "package.json"), "utf8"));
    const text = await readFile(at("node_modules", name, "LICENSE"), "utf8");
    rights.push(`${name} ${version}: ${text.match(/^Copyright.*$/m)[0].trim()}`);
    // The same words but for their copyright and their line breaks are said once.
    texts.add(text.replace(/^Copyright.*$/m, "").replace(/^(The )?MIT License( \(MIT\))?$/m, "").replaceAll(/\s+/g, " ").trim());
  }
  const said = [...texts].map((text) => text.replaceAll(/(.{1,118})(?: |$)/g, "$1\n"));
  return `/*\nThis file holds, beside ttn-ferry's own page:\n${rights.join("\n")}\nunder the MIT licence:\n\n${said.join("\n")}*/\n`;
}

/** What `sha256sum` prints of the sources and of the bundle: the binary's tests read it. */
async function sums(into) {
  const sources = [...INPUTS, ...(await files("src")), ...(await files("static"))].sort();
  const sum = async (name, path) => `${createHash("sha256").update(await readFile(path)).digest("hex")}  ${name}\n`;
  const lines = await Promise.all([
    ...sources.map((name) => sum(name, at(name))),
    ...BUNDLE.map((name) => sum(`dist/${name}`, join(into, name))),
  ]);
  return lines.join("");
}

async function bundled(into, source, name) {
  const built = await esbuild.build({
    ...options,
    entryPoints: [at("src", source)],
    outfile: join(into, name),
    absWorkingDir: here,
    external: ["./uplot.js"],
    minify: true,
    legalComments: "none",
    metafile: true,
    write: false,
    logLevel: "warning",
  });
  const said = await licences(built.metafile.inputs);
  for (const { path, text } of built.outputFiles) await writeFile(path, path.endsWith(".js") ? said + text : text);
}

async function page(into) {
  await mkdir(into, { recursive: true });
  await bundled(into, "main.tsx", "app.js");
  await bundled(into, "uplot.ts", "uplot.js");
  for (const name of ["icon.svg", "index.html"]) await copyFile(at("static", name), join(into, name));
  await writeFile(join(into, "sources.sha256"), await sums(into));
  const sizes = new Map();
  for (const name of BUNDLE) {
    const bytes = await readFile(join(into, name));
    sizes.set(name, gzipSync(bytes, { level: 9 }).length);
    console.log(`${name}: ${bytes.length} bytes, ${sizes.get(name)} compressed`);
  }
  const first = FIRST.reduce((sum, name) => sum + sizes.get(name), 0);
  console.log(`at first ${first} of ${BUDGET} bytes compressed, ${first + sizes.get("uplot.js")} with plots`);
  if (first > BUDGET) throw new Error("the page is larger than it may be");
}

async function tests() {
  const outdir = at("node_modules/.tests");
  await rm(outdir, { recursive: true, force: true });
  const entryPoints = (await files("tests")).filter((name) => name.endsWith(".test.ts")).map((name) => at(name));
  if (entryPoints.length === 0) throw new Error("no tests found");
  await esbuild.build({ ...options, entryPoints, outdir, platform: "node", outExtension: { ".js": ".mjs" } });
}

const into = process.argv.indexOf("--into");
if (process.argv.includes("--tests")) await tests();
else await page(into > 0 ? process.argv[into + 1] : at("dist"));
