// Builds every script and style sheet of this folder into ../static/dist, with a name that changes with the content,
// and manifest.json, which says what became of which. tools/assets.py calls it; nothing else needs Node.
import { build } from "esbuild";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, "..", "static", "dist");
const fresh = `${target}.new`;

const entries = (await readdir(here)).filter((name) => /\.(js|ts|css)$/.test(name));
await rm(fresh, { recursive: true, force: true });
await mkdir(fresh, { recursive: true });
const made = await build({
  absWorkingDir: here,
  entryPoints: entries,
  outdir: fresh,
  entryNames: "[name]-[hash]",
  chunkNames: "part-[hash]",
  assetNames: "[name]-[hash]",
  bundle: true,
  splitting: true, // what several pages need, the chart library for one, is a file of its own
  format: "esm",
  minify: true,
  charset: "utf8",
  legalComments: "none",
  target: ["chrome90", "firefox90", "safari15"],
  metafile: true,
  logLevel: "warning",
});

const manifest = {};
for (const [file, facts] of Object.entries(made.metafile.outputs)) {
  if (facts.entryPoint) manifest[facts.entryPoint.replace(/\.ts$/, ".js")] = basename(file);
  if (facts.cssBundle) manifest[facts.entryPoint.replace(/\.(js|ts)$/, ".css")] = basename(facts.cssBundle);
}
const sorted = Object.fromEntries(Object.entries(manifest).sort());
await writeFile(join(fresh, "manifest.json"), `${JSON.stringify(sorted, null, 1)}\n`);
for (const name of await readdir(fresh)) {
  if (name === "manifest.json") continue;
  await writeFile(join(fresh, `${name}.gz`), gzipSync(await readFile(join(fresh, name)), { level: 9 }));
}
await rm(target, { recursive: true, force: true });
await rename(fresh, target);
