// `bundle.mjs <folder>`: joins what the compiler wrote to `<folder>/src` into `<folder>/lib`, which is what runs and what
// the package holds. A start that looks up and compiles several hundred modules takes twice as long.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve, sep } from "node:path";
import { build } from "esbuild";

const ROOT = resolve(import.meta.dirname, "..");
const [folder] = process.argv.slice(2);
const [from, to] = [join(folder, "src"), join(folder, "lib")];

/** What is named from elsewhere: the command, what it runs, its processes, and what the package exports. */
const ENTRIES = ["cli/main", "cli/run", "cli/worker", "library", "admin/client", "vitest"];
/** Has code of its machine, and looks for it beside itself. Those that are loaded by `require` stay where they are, too. */
const APART = ["lmdb"];

const { metafile } = await build({
  entryPoints: ENTRIES.map((name) => ({ in: join(from, `${name}.js`), out: name })),
  outdir: to,
  absWorkingDir: ROOT,
  bundle: true,
  splitting: true,
  // Shared pieces lie beside the command, which looks for the file of its processes there.
  chunkNames: "cli/[name]-[hash]",
  platform: "node",
  format: "esm",
  target: "node20.19",
  external: APART,
  // Packages written for `require` ask it for Node's own modules.
  banner: {
    js: 'import { createRequire as requireOf } from "node:module"; const require = requireOf(import.meta.url);',
  },
  metafile: true,
  logLevel: "warning",
});

/** The packages of which something was joined. */
const packages = new Set(
  Object.keys(metafile.inputs)
    .map((path) => /^(?:.*\/)?node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path.replaceAll(sep, "/"))?.[1])
    .filter((name) => name !== undefined),
);
const notices = [...packages].toSorted().map((name) => {
  const at = join(ROOT, "node_modules", name);
  const { version, license } = JSON.parse(readFileSync(join(at, "package.json"), "utf8"));
  const file = ["LICENSE", "LICENSE.md", "LICENSE.txt", "license"].map((one) => join(at, one)).find(existsSync);
  if (file === undefined) throw new Error(`the package ${name} has no licence to be told`);
  return `${name} ${version} (${license})\n\n${readFileSync(file, "utf8").trim()}\n`;
});
writeFileSync(join(to, "THIRD-PARTY-LICENSES.txt"), notices.join(`\n${"-".repeat(80)}\n\n`));
