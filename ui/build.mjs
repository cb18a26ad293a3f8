// Bundles the page into dist/, the same bytes from the same sources. `--tests` bundles the tests for `node --test`,
// `--into FOLDER` writes elsewhere (for a comparison).
import { createHash } from "node:crypto";
import { copyFile, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";

const here = import.meta.dirname;
const at = (...path) => join(here, ...path);
const BUNDLE = ["app.css", "app.js", "icon.svg", "index.html"];
/** What the bundle is made of, beside everything in `src/` and `static/`. */
const INPUTS = ["build.mjs", "package-lock.json", "package.json", "tsconfig.json"];
/** The most that a browser may have to load, compressed. */
const BUDGET = 60 * 1024;

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
  const texts = new Map();
  for (const name of [...packages].sort()) {
    const { version } = JSON.parse(await readFile(at("node_modules", name, "package.json"), "utf8"));
    const text = (await readFile(at("node_modules", name, "LICENSE"), "utf8")).trim();
    texts.set(text, [...(texts.get(text) ?? []), `${name} ${version}`]);
  }
  const said = [...texts].map(([text, names]) => `${names.join(", ")}:\n\n${text}`);
  return `/*\nThis file holds, beside ttn-ferry's own page:\n\n${said.join("\n\n")}\n*/\n`;
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

async function page(into) {
  const built = await esbuild.build({
    ...options,
    entryPoints: [at("src/main.tsx")],
    outfile: join(into, "app.js"),
    absWorkingDir: here,
    minify: true,
    legalComments: "none",
    metafile: true,
    write: false,
    logLevel: "warning",
  });
  await mkdir(into, { recursive: true });
  const said = await licences(built.metafile.inputs);
  for (const { path, text } of built.outputFiles) {
    await writeFile(path, path.endsWith(".js") ? said + text : text);
  }
  for (const name of ["icon.svg", "index.html"]) await copyFile(at("static", name), join(into, name));
  await writeFile(join(into, "sources.sha256"), await sums(into));
  let total = 0;
  for (const name of BUNDLE) {
    const bytes = await readFile(join(into, name));
    const small = gzipSync(bytes, { level: 9 }).length;
    total += small;
    console.log(`${name}: ${bytes.length} bytes, ${small} compressed`);
  }
  console.log(`together: ${total} of ${BUDGET} bytes compressed`);
  if (total > BUDGET) throw new Error("the page is larger than it may be");
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
