/** The package as it is shipped: what the build has joined, by the names that its manifest gives to it. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, it } from "vitest";
import { DEVELOPMENT_SECRET_ID, DEVELOPMENT_SECRET_KEY } from "../src/config/settings.ts";
import { signCos } from "../src/dialects/cos/sign.ts";
import { commandOf, type Ended } from "./fixtures/command.ts";

const ROOT = path.resolve(import.meta.dirname, "..");
const MANIFEST = JSON.parse(readFileSync(path.join(ROOT, "package.json"), "utf8")) as {
  readonly bin: { readonly cosbox: string };
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>;
  readonly dependencies: Readonly<Record<string, string>>;
};
const MAIN = path.join(ROOT, MANIFEST.bin.cosbox);
const folder = mkdtempSync(path.join(tmpdir(), "cosbox-package-"));

beforeAll(() => {
  const { status, stderr } = spawnSync(process.execPath, ["scripts/ready.mjs", "build"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  assert.equal(status, 0, stderr);
}, 300_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Module = Readonly<Record<string, unknown>>;
const load = (file: string): Promise<Module> => import(pathToFileURL(path.join(ROOT, file)).href) as Promise<Module>;
const cosbox = (...args: readonly string[]) => commandOf([MAIN, ...args], folder);
const ended = (...args: readonly string[]): Promise<Ended> => cosbox(...args).ended;

/** Sends a signed request; the same key on any server, which only differ in where they are. */
function send(endpoint: string, method: string, key: string, body?: string): Promise<Response> {
  const host = new URL(endpoint).host;
  const now = Math.floor(Date.now() / 1000);
  const { authorization } = signCos({
    secretId: DEVELOPMENT_SECRET_ID,
    secretKey: DEVELOPMENT_SECRET_KEY,
    method,
    path: `/demo-1250000000${key}`,
    query: [],
    headers: [["host", host]],
    signTime: `${now - 60};${now + 600}`,
  });
  return fetch(`${endpoint}/demo-1250000000${key}`, { method, headers: { authorization }, body: body ?? null });
}

describe("the package", { timeout: 60_000 }, () => {
  it("exports under each name what the sources do, described by types that are there", async () => {
    const names = Object.entries(MANIFEST.exports).filter(([name]) => name !== "./package.json");
    assert.ok(names.length >= 3);
    for (const [name, target] of names) {
      assert.ok(typeof target === "object", name);
      assert.ok(readFileSync(path.join(ROOT, target.types)).length > 0, name);
      const source = target.types.replace(/^\.\/dist\//, "").replace(/\.d\.ts$/, ".ts");
      const shipped = Object.keys(await load(target.default)).sort();
      assert.deepEqual(shipped, Object.keys(await load(source)).sort(), name);
    }
  });

  it("starts servers within a process, which raise faults, keep states and take seeds", async () => {
    const library = (await load("dist/lib/library.js")) as unknown as typeof import("../src/library.ts");
    const server = await library.startCosbox({
      seed: { buckets: [{ name: "demo", objects: [{ key: "a", text: "1" }] }] },
    });
    try {
      assert.equal(await (await send(server.endpoint, "GET", "/a")).text(), "1");
      await server.faults.add({ error: "SlowDown", match: { operation: "GetObject" } });
      assert.match(await (await send(server.endpoint, "GET", "/a")).text(), /<Code>SlowDown<\/Code>/);
    } finally {
      await server.stop();
    }
  });

  it("serves with several processes, explains a refusal, is asked by its client, and leaves a folder that fits", async () => {
    const listen = ["--data", "data", "--listen", "127.0.0.1:0"];
    const server = cosbox("serve", "--workers", "2", "--admin", "127.0.0.1:0", ...listen);
    const text = await server.printed("Stop with Ctrl-C.");
    const [endpoint = "", admin = ""] = [...text.matchAll(/http:\/\/127\.0\.0\.1:\d+/g)].map(([url]) => url);
    assert.equal((await send(endpoint, "PUT", "/")).status, 200);
    const stored = await Promise.all(
      [1, 2, 3, 4].map((at) => send(endpoint, "PUT", `/${at}`, "x".repeat(at * 20_000))),
    );
    assert.deepEqual(
      stored.map(({ status }) => status),
      [200, 200, 200, 200],
    );
    const refused = await send(endpoint, "GET", "/nothing");
    assert.equal(refused.status, 404);
    const id = refused.headers.get("x-cos-request-id") as string;
    const { adminClient } = (await load(
      "dist/lib/admin/client.js",
    )) as unknown as typeof import("../src/admin/client.ts");
    assert.equal((await adminClient({ endpoint: admin }).request(id)).record.requestId, id);
    server.child.kill("SIGTERM");
    assert.equal((await server.ended).code, 0);
    const explained = await ended("explain", id, "--data", "data");
    assert.match(explained.stdout, /NoSuchKey/);
    const checked = await ended("fsck", "--data", "data");
    assert.equal(checked.code, 0, checked.stdout + checked.stderr);
  });

  it("tells the licences of the packages that were joined into it, and needs no others than it names", () => {
    const told = readFileSync(path.join(ROOT, "dist/lib/THIRD-PARTY-LICENSES.txt"), "utf8");
    const named = [...told.matchAll(/^(\S+) \d+\.\d+\.\d+ \([\w. -]+\)$/gm)].map(([, name]) => name as string);
    assert.ok(named.length > 0);
    assert.deepEqual(
      named.filter((name) => !Object.hasOwn(MANIFEST.dependencies, name)),
      [],
    );
  });
});
