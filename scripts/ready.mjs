// The way in from a clone: `ready.mjs start|test|build|install [arguments…]`.
//
// Installs and builds what is missing or out of date, then runs the server or the tests in this same process, so
// that signals reach them directly and their exit code is this command's. It is plain JavaScript with no imports
// beyond Node's own, because it runs before anything is installed. When nothing is to be done it costs some
// file stats and two JSON parses (under 30 ms), so a second start is as fast as the server itself.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const NODE_MIN = [20, 19];
const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const DIST = join(ROOT, "dist");
const STAMP = join(DIST, ".digest");
const LOCK = join(DIST, ".lock");
const MAIN = join(DIST, "lib", "cli", "main.js");

/** The holder of the lock touches it this often; a lock that was not touched for LOCK_STALE_MS has no holder. */
const LOCK_TOUCH_MS = 2_000;
const LOCK_STALE_MS = 30_000;
const LOCK_POLL_MS = 100;
const LOCK_WAIT_MS_MAX = 15 * 60_000;
const PROGRESS_EVERY_MS = 10_000;
const PARENT_POLL_MS = 500;
/** A file changed this shortly before it was recorded may change again within one tick of the file system's clock. */
const RACY_MS = 2_000;
const NPM_OUTPUT_LINES_MAX = 12;
const CAPTURED_LENGTH_MAX = 64 * 1024;

/** A failure that is the reader's to mend: its message is printed as one line, without a stack. */
class Stop extends Error {
  constructor(message, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

const say = (line) => process.stderr.write(`cosbox: ${line}\n`);
const seconds = (sinceMs) => `${((Date.now() - sinceMs) / 1000).toFixed(1)} s`;
const readJson = (path) => JSON.parse(readFileSync(path, "utf8"));

function tryReadJson(path) {
  try {
    return readJson(path);
  } catch {
    return undefined;
  }
}

// ---------------------------------------------------------------------------------------------- what is installed

/** Whether npm would put this package of the lock file on this machine. */
function belongsHere(entry) {
  if (entry.libc !== undefined) return false; // Which libc runs is not worth finding out here; npm ci knows.
  const fits = (list, value) =>
    list === undefined ||
    list.includes(value) ||
    (list.some((one) => one.startsWith("!")) && !list.includes(`!${value}`));
  return (
    (entry.os !== undefined || entry.cpu !== undefined) &&
    fits(entry.os, process.platform) &&
    fits(entry.cpu, process.arch)
  );
}

/** Names the first package that node_modules lacks or holds at another version, or undefined when all is there. */
function firstDifference({ development }) {
  const wanted = readJson(join(ROOT, "package-lock.json")).packages;
  const present = tryReadJson(join(ROOT, "node_modules", ".package-lock.json"))?.packages;
  if (present === undefined) return "node_modules";
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === "" || entry.link === true) continue;
    if (!development && (entry.dev === true || entry.devOptional === true)) continue;
    const found = present[path];
    if (found === undefined) {
      const mayBeAbsent = (entry.optional === true || entry.devOptional === true) && !belongsHere(entry);
      if (!mayBeAbsent) return path;
    } else if (found.version !== entry.version || found.integrity !== entry.integrity) return path;
  }
  return undefined;
}

/** The npm that started this script, or the one on the PATH. */
function npmCommand() {
  const started = process.env.npm_execpath;
  if (started !== undefined && /^npm-cli\.c?js$/.test(basename(started)) && existsSync(started)) {
    return { command: process.execPath, before: [started], shell: false };
  }
  return process.platform === "win32"
    ? { command: "npm", before: [], shell: true }
    : { command: "npm", before: [], shell: false };
}

async function install() {
  const since = Date.now();
  const { command, before, shell } = npmCommand();
  say("installing the packages of package-lock.json (npm ci) …");
  const npm = await run(command, [...before, "ci", "--include=dev", "--no-progress"], {
    shell,
    capture: true,
    doing: "installing",
  });
  if (npm.missing) throw new Stop("npm was not found on the PATH; install the npm that comes with Node and try again");
  if (npm.exitCode !== 0) {
    const lines = npm.output.split("\n").filter((line) => !/^(npm (error|warn))?\s*$/.test(line));
    for (const line of lines.slice(0, NPM_OUTPUT_LINES_MAX)) process.stderr.write(`  ${line}\n`);
    throw new Stop(`npm ci failed (exit code ${npm.exitCode}) in ${ROOT}; its first lines are above`);
  }
  const missing = firstDifference({ development: true });
  if (missing !== undefined) say(`npm ci left out ${missing}; going on without it`);
  say(`installed in ${seconds(since)}`);
}

// -------------------------------------------------------------------------------------------------- what is built

/** Every file the build depends on, as paths from the root with "/" between the parts, in a fixed order. */
function sourceFiles() {
  const files = ["package.json", "package-lock.json", "scripts/bundle.mjs"];
  for (const name of readdirSync(ROOT)) if (/^tsconfig.*\.json$/.test(name)) files.push(name);
  const walk = (folder) => {
    for (const entry of readdirSync(join(ROOT, folder), { withFileTypes: true })) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) walk(path);
      else if (!entry.name.endsWith(".test.ts")) files.push(path);
    }
  };
  if (existsSync(join(ROOT, "src"))) walk("src");
  return files.sort();
}

/**
 * The state of the sources as { path: [bytes, mtimeMs, sha256] }, taking the hash from `known` where size and time
 * have not moved, and whether it equals `known` in content and in full.
 */
function sourceState(known) {
  const now = Date.now();
  const state = {};
  let sameContent = known !== undefined;
  let same = sameContent;
  for (const path of sourceFiles()) {
    const full = join(ROOT, path);
    const { size, mtimeMs } = statSync(full);
    const old = known?.[path];
    if (old !== undefined && old[0] === size && old[1] === mtimeMs) {
      state[path] = old;
      continue;
    }
    same = false;
    const hash = createHash("sha256").update(readFileSync(full)).digest("hex");
    state[path] = [size, now - mtimeMs < RACY_MS ? 0 : mtimeMs, hash];
    if (old?.[2] !== hash) sameContent = false;
  }
  if (known !== undefined && Object.keys(known).length !== Object.keys(state).length) sameContent = same = false;
  return { state, same, sameContent };
}

function writeStamp(state) {
  const next = `${STAMP}.${process.pid}`;
  writeFileSync(next, `${JSON.stringify({ files: state })}\n`);
  renameSync(next, STAMP);
}

/** Whether dist/ is what the sources give. Refreshes the recorded times when only they have moved. */
function isBuilt() {
  const known = tryReadJson(STAMP)?.files;
  if (known === undefined || !existsSync(MAIN)) return false;
  const { state, same, sameContent } = sourceState(known);
  if (sameContent && !same) {
    try {
      writeStamp(state);
    } catch {
      // A folder that cannot be written only means that the contents are compared again next time.
    }
  }
  return sameContent;
}

async function build() {
  const since = Date.now();
  say("building …");
  const { state } = sourceState(undefined);
  const next = join(DIST, `.next.${process.pid}`);
  const old = join(DIST, `.old.${process.pid}`);
  const tsc = join(ROOT, "node_modules", "typescript", "bin", "tsc");
  try {
    const steps = [
      [tsc, "-p", join(ROOT, "tsconfig.build.json"), "--outDir", next],
      [join(ROOT, "scripts", "bundle.mjs"), next],
    ];
    for (const step of steps) {
      const { exitCode } = await run(process.execPath, step, { doing: "building" });
      if (exitCode !== 0) throw new Stop("the build failed; its messages are above");
    }
    if (!existsSync(join(next, "lib", "cli", "main.js"))) throw new Stop("the build made no lib/cli/main.js");
    // The whole output is exchanged at once: no file of a removed source stays, and a running server keeps what it
    // has loaded.
    rmSync(STAMP, { force: true });
    mkdirSync(old);
    for (const part of ["src", "lib"]) {
      if (existsSync(join(DIST, part))) renameSync(join(DIST, part), join(old, part));
      renameSync(join(next, part), join(DIST, part));
    }
    writeStamp(state);
  } finally {
    rmSync(next, { recursive: true, force: true });
    rmSync(old, { recursive: true, force: true });
  }
  say(`built in ${seconds(since)}`);
}

// ------------------------------------------------------------------------------------------- one command at a time

/** What must end with this process when a signal ends it while it installs or builds. */
const held = { child: undefined, lock: false };

/** Runs a program to its end. Without `capture` it writes to standard error, which keeps standard output clean. */
function run(command, args, { capture = false, shell = false, doing }) {
  return new Promise((resolve, reject) => {
    const since = Date.now();
    const child = spawn(command, args, {
      cwd: ROOT,
      shell,
      stdio: ["ignore", capture ? "pipe" : 2, capture ? "pipe" : 2],
    });
    held.child = child;
    let output = "";
    for (const stream of capture ? [child.stdout, child.stderr] : []) {
      stream.setEncoding("utf8").on("data", (text) => {
        if (output.length < CAPTURED_LENGTH_MAX) output += text;
      });
    }
    const progress = setInterval(() => say(`still ${doing}, ${seconds(since)}`), PROGRESS_EVERY_MS);
    const done = (result) => {
      clearInterval(progress);
      held.child = undefined;
      resolve(result);
    };
    child.on("error", (error) => {
      if (error.code === "ENOENT") done({ missing: true, exitCode: 127, output });
      else reject(error);
    });
    child.on("close", (code, signal) => done({ missing: false, exitCode: code ?? 128, signal, output }));
  });
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

/** The lock's holder, or undefined when it is free or its holder is gone. */
function lockHolder(path) {
  let touchedMs;
  try {
    touchedMs = statSync(path).mtimeMs;
  } catch {
    return undefined;
  }
  const pid = tryReadJson(path)?.pid;
  const age = Date.now() - touchedMs;
  // An empty file is one that its holder is about to write.
  if (age > LOCK_STALE_MS || (pid !== undefined && !isAlive(pid))) return undefined;
  return { pid };
}

function tryCreate(path) {
  try {
    writeFileSync(path, JSON.stringify({ pid: process.pid }), { flag: "wx" });
    return true;
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  }
}

/**
 * Takes the lock if it is free. A lock whose holder is gone is removed under a second lock, so that of two commands
 * that find it abandoned the slower one cannot remove the lock that the quicker one has just taken.
 */
function tryLock() {
  if (tryCreate(LOCK)) return true;
  if (lockHolder(LOCK) !== undefined) return false;
  const removal = `${LOCK}.removal`;
  if (!tryCreate(removal)) {
    if (lockHolder(removal) === undefined) rmSync(removal, { force: true });
    return false;
  }
  try {
    if (lockHolder(LOCK) === undefined) rmSync(LOCK, { force: true });
  } finally {
    rmSync(removal, { force: true });
  }
  return tryCreate(LOCK);
}

async function withLock(work) {
  mkdirSync(DIST, { recursive: true });
  const since = Date.now();
  for (let told = false; !tryLock(); ) {
    if (!told)
      say(
        `another command (process ${lockHolder(LOCK)?.pid ?? "unknown"}) is installing or building here; waiting for it …`,
      );
    told = true;
    if (Date.now() - since > LOCK_WAIT_MS_MAX)
      throw new Stop(`gave up waiting for ${LOCK}; remove it if no other command is running`);
    await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS));
  }
  held.lock = true;
  const touch = setInterval(() => {
    const now = new Date();
    try {
      utimesSync(LOCK, now, now);
    } catch {
      // Removed by hand: nothing to keep alive any more.
    }
  }, LOCK_TOUCH_MS);
  const stopped = (signal) => {
    held.child?.kill(signal);
    unlock();
    process.exit(signal === "SIGINT" ? 130 : 143);
  };
  process.on("SIGINT", stopped).on("SIGTERM", stopped);
  try {
    return await work();
  } finally {
    clearInterval(touch);
    process.off("SIGINT", stopped).off("SIGTERM", stopped);
    unlock();
  }
}

function unlock() {
  if (!held.lock) return;
  held.lock = false;
  try {
    unlinkSync(LOCK);
  } catch {
    // Already gone, which is what was wanted.
  }
}

// --------------------------------------------------------------------------------------------------- the commands

/** Makes node_modules and dist fit the sources. A built tree needs no development packages to start. */
async function makeReady({ development, built }) {
  const settled = () => {
    const fresh = !built || isBuilt();
    return { fresh, installed: firstDifference({ development: development || !fresh }) === undefined };
  };
  const before = settled();
  if (before.fresh && before.installed) return;
  await withLock(async () => {
    const { fresh, installed } = settled();
    if (!installed) await install();
    if (!fresh) await build();
  });
}

/** Each makes ready what it needs and names the program to go on with, and its arguments. */
const COMMANDS = {
  async start(args) {
    await makeReady({ development: false, built: true });
    return [MAIN, "serve", ...args];
  },
  async test(args) {
    await makeReady({ development: true, built: true });
    return [join(ROOT, "node_modules", "vitest", "vitest.mjs"), "run", ...args];
  },
  async build() {
    await makeReady({ development: true, built: true });
  },
  async install() {
    await makeReady({ development: true, built: false });
  },
};

/** Does the command's preparations; on failure prints why in one line and sets the exit code. */
async function prepare([command = "", ...args]) {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  try {
    if (major < NODE_MIN[0] || (major === NODE_MIN[0] && minor < NODE_MIN[1])) {
      throw new Stop(`Node ${NODE_MIN.join(".")} or newer is needed; this is ${process.version} (${process.execPath})`);
    }
    if (!Object.hasOwn(COMMANDS, command)) {
      throw new Stop(`usage: node scripts/ready.mjs ${Object.keys(COMMANDS).join("|")} [arguments]`, 2);
    }
    return await COMMANDS[command](args);
  } catch (error) {
    if (error instanceof Stop) {
      say(error.message);
      process.exitCode = error.exitCode;
    } else if (["EACCES", "EPERM", "EROFS"].includes(error?.code) && String(error.path).startsWith(ROOT)) {
      say(`no permission to write ${error.path}; run this as the owner of ${ROOT}`);
      process.exitCode = 1;
    } else throw error;
    return undefined;
  }
}

/**
 * npm passes SIGTERM on to the shell that it started and no further, and that shell ends without telling this process:
 * `kill` on `npm start` would leave a server behind that holds the port. So a start by npm ends with its shell.
 */
function endWithParent() {
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    process.kill(process.pid, "SIGTERM");
  }, PARENT_POLL_MS);
  watch.unref();
}

const program = await prepare(process.argv.slice(2));
if (program !== undefined) {
  if (process.env.npm_lifecycle_event === "start" && process.platform !== "win32") endWithParent();
  process.argv = [process.execPath, ...program];
  await import(pathToFileURL(program[0]).href);
}
