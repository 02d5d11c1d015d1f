/** `cosbox serve --workers` as a person runs it: several processes on one data folder, some of which are killed. */

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, it } from "vitest";
import { defaultWorkers } from "../src/cli/default-workers.ts";
import { signCos } from "../src/dialects/cos/sign.ts";
import { DEVELOPMENT_SECRET_ID, DEVELOPMENT_SECRET_KEY } from "../src/config/settings.ts";
import { localBlobs } from "../src/engines/blobs/local.ts";
import { lmdbMetadata } from "../src/engines/metadata/lmdb.ts";
import { systemRandom } from "../src/engines/random/system.ts";

const MAIN = path.resolve(import.meta.dirname, "../src/cli/main.ts");
const TSX = import.meta.resolve("tsx");
const HOST = "demo-1250000000.cos.ap-guangzhou.myqcloud.com";

const folders: string[] = [];
const groups = new Set<number>();
afterAll(() => {
  for (const group of groups) {
    try {
      process.kill(-group, "SIGKILL");
    } catch {
      // It has ended.
    }
  }
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function freshFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), "cosbox-workers-"));
  folders.push(folder);
  return folder;
}

/** The command, in a process group of its own so that nothing of it is left over. */
function cosbox(data: string, ...flags: readonly string[]) {
  return cosboxWith({}, data, ...flags);
}

function cosboxWith(extra: Readonly<Record<string, string>>, data: string, ...flags: readonly string[]) {
  const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("COSBOX_")));
  const env = { ...own, ...extra };
  const child = spawn(process.execPath, ["--import", TSX, MAIN, "--data", data, "--listen", "127.0.0.1:0", ...flags], {
    cwd: data,
    env,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const pid = child.pid as number;
  groups.add(pid);
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
  const exited = new Promise<number | null>((resolve) => child.on("exit", resolve));
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  return {
    pid,
    output,
    exited,
    ended,
    /** The port, once it is printed. */
    async port(): Promise<number> {
      let isOver = false;
      void ended.then(() => {
        isOver = true;
      });
      for (;;) {
        const found = /listens on http:\/\/127\.0\.0\.1:(\d+)\n/.exec(output.stdout);
        if (found) return Number(found[1]);
        if (isOver) throw new Error(`ended without listening: ${output.stderr}`);
        await pause(20);
      }
    },
    /** Process ids of those that serve, or are about to. */
    workers(): number[] {
      const { stdout } = spawnSync("pgrep", ["-P", String(pid), "-f", "cli/worker"], { encoding: "utf8" });
      return stdout.split("\n").filter(Boolean).map(Number);
    },
    signal(name: NodeJS.Signals): void {
      process.kill(pid, name);
    },
  };
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

async function until(what: string, isSo: () => boolean | Promise<boolean>, ms = 15_000): Promise<void> {
  for (const end = Date.now() + ms; Date.now() < end; await pause(20)) if (await isSo()) return;
  assert.fail(`never so: ${what}`);
}

interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

interface ClientOptions {
  readonly secretId?: string;
  readonly secretKey?: string;
  /** The time it signs at; the machine's by default. */
  readonly nowMs?: () => number;
}

/** A client of one connection pool. Rejects when the connection breaks, also in the middle of an answer. */
function client(port: number, { secretId, secretKey, nowMs }: ClientOptions = {}) {
  const agent = new Agent({ keepAlive: true, maxSockets: 32 });
  return {
    ask: (method: string, key: string, body?: Buffer): Promise<Answer> => {
      const now = Math.floor((nowMs?.() ?? Date.now()) / 1000);
      const { authorization } = signCos({
        secretId: secretId ?? DEVELOPMENT_SECRET_ID,
        secretKey: secretKey ?? DEVELOPMENT_SECRET_KEY,
        method,
        path: `/${key.split("?", 1)[0]}`,
        query: [],
        headers: [["host", HOST]],
        signTime: `${now - 60};${now + 600}`,
      });
      const headers = { host: HOST, authorization, "content-length": body?.length ?? 0 };
      return new Promise((resolve, reject) => {
        const sent = httpRequest({ host: "127.0.0.1", port, method, path: `/${key}`, agent, headers });
        sent.on("error", reject);
        sent.setTimeout(20_000, () => sent.destroy(new Error("no answer")));
        sent.on("response", (received) => {
          const chunks: Buffer[] = [];
          received.on("data", (chunk: Buffer) => chunks.push(chunk));
          received.on("error", reject);
          received.on("close", () => {
            const { complete, statusCode = 0 } = received;
            if (complete) resolve({ status: statusCode, body: Buffer.concat(chunks) });
            else reject(new Error("the answer was cut"));
          });
        });
        sent.end(body);
      });
    },
    end: () => agent.destroy(),
  };
}

async function makeBucket(ask: ReturnType<typeof client>["ask"]): Promise<void> {
  const { status, body } = await ask("PUT", "");
  assert.equal(status, 200, body.toString());
}

/** A body that says which it is: its first bytes are the SHA-256 of the others. */
function sealed(size: number): Buffer {
  const content = randomBytes(size - 32);
  return Buffer.concat([createHash("sha256").update(content).digest(), content]);
}

function isWhole(body: Buffer): boolean {
  return createHash("sha256").update(body.subarray(32)).digest().equals(body.subarray(0, 32));
}

/** Intents, processes and garbage that the data folder still names, of a server that has stopped. */
async function leftovers(data: string): Promise<string[]> {
  const metadata = await lmdbMetadata({ folder: path.join(data, "metadata"), random: systemRandom() });
  try {
    const found = await metadata.read(
      ["n", "x", "g"].map((family) => ({
        start: Buffer.from(family),
        end: Buffer.from([family.charCodeAt(0) + 1]),
        limit: 1_000,
      })),
    );
    return found.flat().map(({ key }) => `${key.toString("latin1", 0, 1)} ${key.toString("hex", 1)}`);
  } finally {
    await metadata.close();
  }
}

describe("several server processes on one data folder", { timeout: 60_000 }, () => {
  const data = freshFolder();
  const server = cosbox(data, "--workers", "2");
  let port: number;
  beforeAll(async () => {
    port = await server.port();
    await until("all have begun", () => server.workers().length === 2);
    const { ask, end } = client(port);
    await makeBucket(ask);
    end();
  });

  it("serve one store: what one stores the others find, and one key has one value at a time", async () => {
    const { ask, end } = client(port);
    const sizes = [100, 3_000, 40_000, 700_000];
    const problems: string[] = [];
    const writers = Array.from({ length: 8 }, async (_, at) => {
      for (let times = 0; times < 12; times++) {
        const { status, body } = await ask("PUT", "one", sealed(sizes[(at + times) % sizes.length] as number));
        if (status !== 200) problems.push(`PUT ${status} ${body.toString()}`);
      }
    });
    let isOver = false;
    const readers = Array.from({ length: 4 }, async () => {
      while (!isOver) {
        const { status, body } = await ask("GET", "one").catch(() => ({ status: 0, body: Buffer.alloc(0) }));
        // A cut connection says that it is one; bytes that came whole have to be right.
        if (status === 200 && !isWhole(body)) problems.push("GET: wrong bytes");
        if (status !== 200 && status !== 404 && status !== 0) problems.push(`GET ${status} ${body.toString()}`);
      }
    });
    await Promise.all(writers);
    isOver = true;
    await Promise.all(readers);
    assert.deepEqual(problems, []);

    // Fresh connections go to the processes in turn.
    const last = await ask("GET", "one");
    for (let times = 0; times < 6; times++) {
      const other = client(port);
      assert.ok((await other.ask("GET", "one")).body.equals(last.body));
      other.end();
    }
    end();
  });

  it("are exchanged one by one on SIGUSR2, and no request fails", async () => {
    const { ask, end } = client(port);
    const before = server.workers();

    let isOver = false;
    let answered = 0;
    const problems: string[] = [];
    const clients = Array.from({ length: 6 }, async (_, at) => {
      const body = sealed(20_000);
      while (!isOver) {
        for (const [method, sent] of [
          ["PUT", body],
          ["GET", undefined],
        ] as const) {
          try {
            const { status } = await ask(method, `k${at}`, sent);
            if (status === 200) answered += 1;
            else problems.push(`${method} ${status}`);
          } catch (error) {
            problems.push(`${method} ${String(error)}`);
          }
        }
        await pause(at * 5);
      }
    });
    const admin = /^ {2}Admin +(\S+)$/m.exec(server.output.stdout)?.[1];
    assert.ok(admin !== undefined, server.output.stdout);
    const watcher = (async () => {
      while (!isOver) {
        // The last two ask all processes, also one that has only begun.
        for (const path of ["/readyz", "/metrics", "/v1/requests"]) {
          try {
            const { status } = await fetch(`${admin}${path}`, { headers: { connection: "close" } });
            if (status !== 200) problems.push(`${path} ${status}`);
          } catch (error) {
            problems.push(`${path} ${String((error as Error).cause)}`);
          }
        }
        await pause(10);
      }
    })();
    server.signal("SIGUSR2");
    await until(
      "others serve",
      () => {
        const now = server.workers();
        return now.length === 2 && now.every((pid) => !before.includes(pid));
      },
      60_000,
    );
    await pause(200);
    isOver = true;
    await Promise.all([...clients, watcher]);
    assert.deepEqual(problems, []);
    assert.ok(answered > 50, `${answered} requests`);
    end();
  });

  it("refuse namespaces, which only one of them would know, and say what to do", async () => {
    const admin = /^ {2}Admin +(\S+)$/m.exec(server.output.stdout)?.[1];
    const headers = { "content-type": "application/json" };
    const answer = await fetch(`${admin}/v1/namespaces`, { method: "POST", headers, body: "{}" });
    assert.equal(answer.status, 409);
    assert.match(
      await answer.text(),
      /"SeveralProcesses".*this server has 2; start it with --workers 1 or with --memory/,
    );
  });

  it("are one for each core when nobody says how many, and all end with the first", async () => {
    const alone = freshFolder();
    const started = cosbox(alone);
    const { ask, end } = client(await started.port());
    assert.equal((await ask("GET", "")).status, 404);
    end();
    const wanted = defaultWorkers();
    const pids = () => (wanted === 1 ? [started.pid] : started.workers());
    await until("all have begun", () => pids().length === wanted);
    const all = pids();
    started.signal("SIGINT");
    assert.equal(await started.exited, 0);
    await until("none is left", () => !all.some(isRunning));
  });

  it("stop with the first of them, and leave nothing behind", async () => {
    server.signal("SIGTERM");
    assert.equal(await server.exited, 0);
    assert.equal((server.output.stdout.match(/listens on/g) ?? []).length, 1, "the banner is printed once");
    assert.ok(
      server.output.stderr.endsWith("cosbox: stopping; what is under way is finished first (again to stop at once)\n"),
      server.output.stderr,
    );
    assert.deepEqual(
      readdirSync(data).filter((name) => name.startsWith("worker-")),
      [],
    );
    assert.deepEqual(await leftovers(data), []);
  });

  it("lose nothing acknowledged when processes are killed under load, undo what they left, and go on", async () => {
    const data = freshFolder();
    const server = cosbox(data, "--workers", "2", "--limit", "workerCrashesMax=1000");
    const port = await server.port();
    await until("all have begun", () => server.workers().length === 2);
    const { ask, end } = client(port);
    await makeBucket(ask);

    const acknowledged = new Map<string, Buffer>();
    /** What a key may hold besides: its outcome is unknown. */
    const perhaps = new Map<string, Buffer[]>();
    let isOver = false;
    const writers = Array.from({ length: 8 }, async (_, at) => {
      for (let times = 0; !isOver; times++) {
        const key = `k${at}-${times % 20}`;
        const body = sealed([200, 30_000, 150_000][times % 3] as number);
        try {
          const { status } = await ask("PUT", key, body);
          if (status === 200) {
            acknowledged.set(key, body);
            perhaps.delete(key);
            continue;
          }
        } catch {
          await pause(20);
        }
        perhaps.set(key, [...(perhaps.get(key) ?? []), body]);
      }
    });
    for (let kills = 0; kills < 4; kills++) {
      await pause(700);
      // Where others keep the machine busy, a process takes longer than that to begin.
      await until("more is stored", () => acknowledged.size > (kills + 1) * 6);
      await until("somebody serves", () => server.workers().length > 0);
      const [victim] = server.workers().sort(() => Math.random() - 0.5);
      process.kill(victim as number, "SIGKILL");
    }
    await pause(300);
    isOver = true;
    await Promise.all(writers);
    await until("all are back", () => server.workers().length === 2);
    await until("somebody listens", () =>
      ask("HEAD", "").then(
        () => true,
        () => false,
      ),
    );

    assert.ok(acknowledged.size > 20, `${acknowledged.size} keys were stored`);
    const wrong: string[] = [];
    for (const [key, body] of acknowledged) {
      const { status, body: read } = await ask("GET", key);
      if (status !== 200 || ![body, ...(perhaps.get(key) ?? [])].some((one) => one.equals(read))) wrong.push(key);
    }
    assert.deepEqual(wrong, []);
    for (const key of new Set([...acknowledged.keys(), ...perhaps.keys()])) await ask("DELETE", key);
    // Seen from beside, as the commands that look at a folder in use do.
    const blobs = await localBlobs({ folder: data, random: systemRandom(), durability: "none" });
    await until("no blob is left, of the dead neither", async () => (await blobs.list(undefined, 1)).length === 0);
    await blobs.close();
    end();
    server.signal("SIGTERM");
    assert.equal(await server.exited, 0);
    assert.match(server.output.stderr, /server process \d+ ended by SIGKILL/);
    assert.deepEqual(await leftovers(data), []);
  });

  it("keep every other server off the folder, also when the first process has died before one of them", async () => {
    const data = freshFolder();
    const server = cosbox(data, "--workers", "2");
    await server.port();
    await until("all have begun", () => server.workers().length === 2);
    const second = cosbox(data, "--workers", "2");
    assert.equal(await second.ended, 1);
    assert.match(second.output.stderr, new RegExp(`^cosbox: the data folder .* is in use .*process ${server.pid} `));
    assert.equal(second.output.stdout, "");

    const [busy, other] = server.workers() as [number, number];
    // A process that does not come to hear that the first one has gone.
    process.kill(busy, "SIGSTOP");
    server.signal("SIGKILL");
    await until("the other one has ended by itself", () => !isRunning(other));
    const third = cosbox(data, "--workers", "1");
    assert.equal(await third.ended, 1);
    assert.match(third.output.stderr, new RegExp(`^cosbox: the data folder .* is in use .*process ${busy} `));
    process.kill(busy, "SIGCONT");
    await until("it has ended as well", () => !isRunning(busy));

    const fourth = cosbox(data, "--workers", "2", "--limit", "workerCrashesMax=1");
    await fourth.port();
    await until("all have begun", () => fourth.workers().length === 2);
    // And it gives up, with one line, when its processes keep dying.
    for (const pid of fourth.workers()) process.kill(pid, "SIGKILL");
    assert.equal(await fourth.exited, 1);
    assert.match(
      fourth.output.stderr,
      /\ncosbox: stopping: server processes ended unexpectedly 2 times within a minute; the log says why\n$/,
    );
  });

  it("tell a start that cannot succeed once, in one line", async () => {
    const data = freshFolder();
    const busy = cosbox(freshFolder(), "--memory");
    const port = await busy.port();
    const [taken, memory] = [
      cosbox(data, "--workers", "2", "--listen", `127.0.0.1:${port}`),
      cosbox(data, "--workers", "2", "--memory"),
    ];
    assert.equal(await taken.ended, 1);
    assert.match(taken.output.stderr, new RegExp(`^cosbox: port ${port} on 127\\.0\\.0\\.1 is in use; [^\\n]*\\n$`));
    assert.equal(await memory.ended, 1);
    assert.match(
      memory.output.stderr,
      /^cosbox: --workers: 2 processes cannot share what --memory keeps in one; [^\n]*\n$/,
    );
    busy.signal("SIGTERM");
    assert.equal(await busy.exited, 0);
  });

  it("sec_S-10.4: take no jumped clock for right when they begin in place of others", async () => {
    const alone = freshFolder();
    const [flag, preload] = [path.join(alone, "jumped"), path.join(alone, "preload.mjs")];
    const jumpMs = 400 * 24 * 60 * 60 * 1000;
    // The machine's clock of all its processes, set ahead from when the file is there.
    writeFileSync(
      preload,
      `import { existsSync } from "node:fs";
      const now = Date.now;
      Date.now = () => now() + (existsSync(${JSON.stringify(flag)}) ? ${jumpMs} : 0);`,
    );
    const keys = { secretId: "AKIDworkersclock0000000000000000", secretKey: "workers-clock-0000000000000000" };
    const env = {
      COSBOX_SECRET_ID: keys.secretId,
      COSBOX_SECRET_KEY: keys.secretKey,
      NODE_OPTIONS: `--import=${pathToFileURL(preload).href}`,
    };
    const started = cosboxWith(env, alone, "--workers", "2", "--profile", "server", "--admin", "off");
    const at = await started.port();
    await until("all have begun", () => started.workers().length === 2);
    const before = client(at, keys);
    await makeBucket(before.ask);
    const lock =
      "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Days>9</Days></DefaultRetention></Rule></ObjectLockConfiguration>";
    assert.equal((await before.ask("PUT", "?object-lock", Buffer.from(lock))).status, 200);
    assert.equal((await before.ask("PUT", "kept", Buffer.from("kept"))).status, 200);
    before.end();

    writeFileSync(flag, "");
    const old = started.workers();
    for (const pid of old) process.kill(pid, "SIGKILL");
    await until("others have begun", () => {
      const now = started.workers();
      return now.length === 2 && now.every((pid) => !old.includes(pid));
    });
    const said = () => started.output.stderr.match(/clock has jumped by 9600 hours/g) ?? [];
    await until("both say so", () => said().length >= 2);
    // Fresh connections go to the processes in turn.
    for (let times = 0; times < 4; times++) {
      const { ask, end } = client(at, { ...keys, nowMs: () => Date.now() + jumpMs });
      const { status, body } = await ask("DELETE", "kept");
      end();
      assert.equal(status, 409, body.toString());
      assert.match(body.toString(), /<Code>ObjectLocked</);
    }
    started.signal("SIGTERM");
    assert.equal(await started.exited, 0);
  });
});
