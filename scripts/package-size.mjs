// Prints what a user of the package gets: its files, packed and unpacked size, and what its dependencies weigh.
// Fails when the package holds anything else than the compiled sources, the README, the changelog and the licence.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const ALLOWED =
  /^(dist\/lib\/.+\.js|dist\/lib\/THIRD-PARTY-LICENSES\.txt|dist\/src\/.+\.d\.ts|README\.md|CHANGELOG\.md|LICENSE|package\.json)$/;
const NEEDED = [
  "dist/lib/cli/main.js",
  "dist/lib/library.js",
  "dist/lib/THIRD-PARTY-LICENSES.txt",
  "dist/src/library.d.ts",
  "README.md",
  "LICENSE",
];

const megabytes = (bytes) => `${(bytes / 1_000_000).toFixed(2)} MB`;

function folderBytes(folder) {
  let bytes = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    // Packages inside packages are counted by their own row of the lock file.
    const path = join(entry.parentPath ?? entry.path, entry.name);
    if (entry.isFile() && !path.slice(folder.length).includes("node_modules")) bytes += statSync(path).size;
  }
  return bytes;
}

execFileSync(process.execPath, [join(ROOT, "scripts", "ready.mjs"), "build"], { stdio: "inherit" });

const packed = execFileSync("npm", ["pack", "--dry-run", "--json", "--loglevel=error"], {
  cwd: ROOT,
  encoding: "utf8",
  shell: process.platform === "win32",
});
const answer = JSON.parse(packed);
const pack = Array.isArray(answer) ? answer[0] : Object.values(answer)[0];
const names = pack.files.map((file) => file.path);
const wrong = names.filter((name) => !ALLOWED.test(name));
const missing = NEEDED.filter((name) => !names.includes(name));

const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
const installed = JSON.parse(readFileSync(join(ROOT, "node_modules", ".package-lock.json"), "utf8")).packages;
const runtime = Object.entries(installed).filter(([, entry]) => entry.dev !== true && entry.devOptional !== true);
const runtimeBytes = runtime.reduce((sum, [path]) => sum + folderBytes(join(ROOT, path)), 0);

console.log(`package        ${pack.name} ${pack.version}, ${names.length} files`);
console.log(`packed         ${megabytes(pack.size)}`);
console.log(`unpacked       ${megabytes(pack.unpackedSize)}`);
console.log(`dependencies   ${Object.keys(manifest.dependencies).length} named, ${runtime.length} installed`);
console.log(`installed      ${megabytes(pack.unpackedSize + runtimeBytes)} with its dependencies on this platform`);
if (wrong.length > 0) console.error(`does not belong in the package: ${wrong.join(", ")}`);
if (missing.length > 0) console.error(`is missing from the package: ${missing.join(", ")}`);
if (wrong.length > 0 || missing.length > 0) process.exitCode = 1;
