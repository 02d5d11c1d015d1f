/** The way in from a clone, run on a small project with an npm and a compiler that only leave traces. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, it } from "vitest";

const SCRIPT = join(dirname(dirname(fileURLToPath(import.meta.url))), "scripts", "ready.mjs");
const made: string[] = [];
afterEach(() => {
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** Copies what the lock file names, as npm ci would end, or fails when told to; each run leaves a line. */
const NPM = `
import { appendFileSync, copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
appendFileSync("npm.log", process.argv.slice(2).join(" ") + "\\n");
if (existsSync("npm.fails")) { console.error("npm error code EUSAGE\\nnpm error\\nnpm error the lock file is old"); process.exit(7); }
await new Promise((resolve) => setTimeout(resolve, 300));
for (const name of ["typescript/bin", "vitest"]) mkdirSync("node_modules/" + name, { recursive: true });
writeFileSync("node_modules/typescript/bin/tsc", \`
  const { appendFileSync, cpSync, existsSync, mkdirSync } = require("node:fs");
  appendFileSync("tsc.log", "built\\\\n");
  if (existsSync("tsc.fails")) process.exit(2);
  const out = process.argv[process.argv.indexOf("--outDir") + 1];
  mkdirSync(out, { recursive: true });
  cpSync("src", out + "/src", { recursive: true });
\`);
writeFileSync("node_modules/vitest/vitest.mjs", 'console.log("tests", process.argv.slice(2).join(" ")); process.exitCode = 3;');
copyFileSync("package-lock.json", "node_modules/.package-lock.json");
`;

const BUNDLE = `
import { cpSync } from "node:fs";
cpSync(process.argv[2] + "/src", process.argv[2] + "/lib", { recursive: true });
`;

const SERVER = `
import { createServer } from "node:http";
createServer().listen(0, "127.0.0.1", () => console.log("ready", process.pid, process.argv.slice(2).join(" ")));
process.on("SIGTERM", () => process.exit(0));
`;

function lockFile(version: string) {
  const packages = {
    "": { name: "sample" },
    "node_modules/typescript": { version, integrity: "sha512-a", dev: true },
    "node_modules/elsewhere": { version, integrity: "sha512-b", optional: true, os: ["no-such-system"], cpu: ["x64"] },
  };
  return JSON.stringify({ lockfileVersion: 3, packages });
}

function project() {
  const root = mkdtempSync(join(tmpdir(), "ready-"));
  made.push(root);
  const file = (path: string) => join(root, path);
  for (const folder of ["scripts", "src/cli"]) mkdirSync(file(folder), { recursive: true });
  cpSync(SCRIPT, file("scripts/ready.mjs"));
  writeFileSync(file("package.json"), '{"name":"sample","type":"module"}');
  writeFileSync(file("package-lock.json"), lockFile("1.0.0"));
  writeFileSync(file("tsconfig.build.json"), "{}");
  writeFileSync(file("scripts/bundle.mjs"), BUNDLE);
  writeFileSync(file("src/cli/main.js"), SERVER);
  // npm says who it is by this name; the script believes only what looks like npm's own file.
  writeFileSync(file("npm-cli.js"), NPM);

  const start = (args: readonly string[], env: Record<string, string> = { npm_execpath: file("npm-cli.js") }) =>
    spawn(process.execPath, [file("scripts/ready.mjs"), ...args], {
      cwd: root,
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
  return {
    file,
    start,
    lines: (log: string) => (existsSync(file(log)) ? readFileSync(file(log), "utf8").trim().split("\n").length : 0),
    async run(args: readonly string[], env?: Record<string, string>) {
      return await finished(start(args, env));
    },
  };
}

async function finished(child: ChildProcess) {
  let out = "";
  let said = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (out += text));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (said += text));
  const [exitCode] = (await once(child, "close")) as [number | null];
  return { exitCode, out, said };
}

describe("ready.mjs", () => {
  it("installs and builds in a bare clone, and does neither the second time", async () => {
    const sample = project();
    const first = await sample.run(["build"]);
    assert.equal(first.exitCode, 0, first.said);
    assert.match(first.said, /installed in [\d.]+ s\n(.|\n)*built in [\d.]+ s\n$/);
    assert.equal(first.out, "");
    const second = await sample.run(["build"]);
    assert.deepEqual(second, { exitCode: 0, out: "", said: "" });
    assert.deepEqual([sample.lines("npm.log"), sample.lines("tsc.log")], [1, 1]);
  });

  it("builds again when a source changes, appears or goes, but not when only its time moves", async () => {
    const sample = project();
    await sample.run(["build"]);
    const later = new Date(Date.now() + 60_000);
    utimesSync(sample.file("src/cli/main.js"), later, later);
    await sample.run(["build"]);
    assert.equal(sample.lines("tsc.log"), 1);
    writeFileSync(sample.file("src/extra.js"), "1;");
    await sample.run(["build"]);
    assert.ok(existsSync(sample.file("dist/src/extra.js")));
    writeFileSync(sample.file("src/extra.js"), "2;");
    await sample.run(["build"]);
    assert.equal(readFileSync(sample.file("dist/src/extra.js"), "utf8"), "2;");
    rmSync(sample.file("src/extra.js"));
    await sample.run(["build"]);
    assert.ok(!existsSync(sample.file("dist/src/extra.js")));
    assert.equal(sample.lines("tsc.log"), 4);
  });

  it("installs again when the lock file names another version", async () => {
    const sample = project();
    await sample.run(["build"]);
    writeFileSync(sample.file("package-lock.json"), lockFile("1.0.1"));
    assert.match((await sample.run(["install"])).said, /installed in/);
    assert.equal(sample.lines("npm.log"), 2);
  });

  it("lets the second of two first commands wait for the first", async () => {
    const sample = project();
    const both = await Promise.all([sample.run(["build"]), sample.run(["build"])]);
    assert.deepEqual(
      both.map(({ exitCode }) => exitCode),
      [0, 0],
    );
    assert.deepEqual([sample.lines("npm.log"), sample.lines("tsc.log")], [1, 1]);
    assert.ok(!existsSync(sample.file("dist/.lock")));
  });

  it("takes over the lock of a process that is gone", async () => {
    const sample = project();
    const gone = spawn(process.execPath, ["-e", "0"]);
    await once(gone, "close");
    mkdirSync(sample.file("dist"));
    writeFileSync(sample.file("dist/.lock"), JSON.stringify({ pid: gone.pid }));
    assert.equal((await sample.run(["build"])).exitCode, 0);
  });

  it("runs the server in its own process, so that a signal reaches it", async () => {
    const sample = project();
    await sample.run(["build"]);
    const child = sample.start(["start", "--memory"]);
    const ended = finished(child);
    const [line] = (await once(child.stdout, "data")) as [string];
    assert.equal(line.trim(), `ready ${child.pid} serve --memory`);
    child.kill("SIGTERM");
    assert.deepEqual(await ended, { exitCode: 0, out: line, said: "" });
  });

  it("ends with the shell that npm started it in, since npm's own signals reach no further", async (context) => {
    if (process.platform === "win32") context.skip("Windows has no such shell");
    const sample = project();
    await sample.run(["build"]);
    const shell = spawn("sh", ["-c", `'${process.execPath}' scripts/ready.mjs start; true`], {
      cwd: sample.file("."),
      env: { npm_lifecycle_event: "start" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    // The pipe closes when the last process that holds it has ended: the server, not the shell.
    const closed = once(shell, "close");
    await once(shell.stdout, "data");
    shell.kill("SIGTERM");
    await closed;
  });

  it("starts a built tree that has no development packages without installing them", async () => {
    const sample = project();
    await sample.run(["build"]);
    writeFileSync(sample.file("node_modules/.package-lock.json"), JSON.stringify({ packages: {} }));
    const child = sample.start(["start"]);
    const ended = finished(child);
    await once(child.stdout, "data");
    child.kill("SIGTERM");
    assert.equal((await ended).said, "");
    assert.equal(sample.lines("npm.log"), 1);
  });

  it("hands arguments to the tests and their exit code back", async () => {
    const sample = project();
    const { exitCode, out } = await sample.run(["test", "some", "--mode", "crash"]);
    assert.deepEqual({ exitCode, out }, { exitCode: 3, out: "tests run some --mode crash\n" });
  });

  it("says in one line why npm ci or the build failed, and tries again the next time", async () => {
    const sample = project();
    writeFileSync(sample.file("npm.fails"), "");
    const install = await sample.run(["start"]);
    assert.equal(install.exitCode, 1);
    assert.match(
      install.said,
      / {2}npm error the lock file is old\ncosbox: npm ci failed \(exit code 7\) in [^\n]+\n$/,
    );
    rmSync(sample.file("npm.fails"));
    writeFileSync(sample.file("tsc.fails"), "");
    const build = await sample.run(["start"]);
    assert.equal(build.exitCode, 1);
    assert.match(build.said, /cosbox: the build failed; [^\n]+\n$/);
    assert.ok(!existsSync(sample.file("dist/.lock")));
    rmSync(sample.file("tsc.fails"));
    assert.equal((await sample.run(["build"])).exitCode, 0);
  });

  it("says in one line that there is no npm", async () => {
    const sample = project();
    const { exitCode, said } = await sample.run(["start"], { PATH: sample.file("src") });
    assert.equal(exitCode, 1);
    assert.match(said, /\ncosbox: npm was not found on the PATH; [^\n]+\n$/);
  });
});
