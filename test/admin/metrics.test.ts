/** What the metrics tell of storage, queues and commits. */

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, onTestFinished, vi } from "vitest";
import type { CosboxOptions } from "../../src/library.ts";
import { command } from "../fixtures/command.ts";
import { heldUpload } from "../fixtures/held-upload.ts";
import { type TestServer, testServer } from "../fixtures/server.ts";

async function start(options: CosboxOptions = {}): Promise<TestServer> {
  const server = await testServer({ admin: "127.0.0.1:0", ...options });
  onTestFinished(() => server.stop());
  return server;
}

/** The samples by their names with labels. */
async function metrics({ cosbox }: TestServer): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(new URL("/metrics", cosbox.admin))).text();
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.split(" ").at(-1))]));
}

const put = async (server: TestServer, bucket: string, path: string, bytes: number) => {
  const answer = await server.send({ method: "PUT", bucket, path, body: Buffer.alloc(bytes) });
  assert.equal(answer.status, 200, answer.text);
};

describe("metrics of storage", () => {
  it("tell the objects and bytes of each bucket, older versions apart, and count anew what has changed", async () => {
    const server = await start({ limits: { storageCountMs: 1 } });
    const { bucket } = server;
    await put(server, bucket, "/a", 1000);
    await put(server, bucket, "/b", 20_000);
    const Enabled = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    await server.send({ method: "PUT", query: { versioning: undefined }, body: Enabled });
    await put(server, bucket, "/a", 300);
    await server.send({ method: "DELETE", path: "/b" });
    const told = async () => {
      const all = await metrics(server);
      return ["objects", "bytes"].map((of) =>
        ["current", "older"].map((versions) =>
          all.get(`cosbox_bucket_${of}{bucket="${bucket}",versions="${versions}"}`),
        ),
      );
    };
    await vi.waitFor(async () =>
      assert.deepEqual(await told(), [
        [1, 2],
        [300, 21_000],
      ]),
    );
    await put(server, bucket, "/c", 7);
    await vi.waitFor(async () => assert.equal((await told())[1]?.[0], 307));
    const at = (await metrics(server)).get("cosbox_storage_counted_timestamp_seconds") ?? 0;
    assert.ok(Math.abs(at * 1000 - Date.now()) < 60_000);
  });

  it("name the largest buckets, and tell the others as one", async () => {
    const server = await start({ limits: { storageCountMs: 1, metricBucketsMax: 2 } });
    const names = Array.from({ length: 7 }, (_, at) => `b${at}-1250000000`);
    for (const [at, name] of names.entries()) {
      await server.send({ method: "PUT", bucket: name });
      await put(server, name, "/a", 100 + ((at * 3) % 7));
    }
    await vi.waitFor(async () => {
      const all = await metrics(server);
      const bytes = [...all].filter(([name]) => name.startsWith("cosbox_bucket_bytes") && name.includes("current"));
      assert.deepEqual(bytes.map(([name, value]) => `${/bucket="([^"]*)"/.exec(name)?.[1]} ${value}`).toSorted(), [
        "(others) 510",
        "b2-1250000000 106",
        "b4-1250000000 105",
      ]);
    });
  });

  it("are counted in the background, which holds no server up that stops", { timeout: 60_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), "cosbox-metrics-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    // Far more than are read at a time: the server stops in a pause of the count.
    const objects = Array.from({ length: 3_000 }, (_, at) => ({ key: String(at), text: "x" }));
    await writeFile(join(folder, "seed.json"), JSON.stringify({ buckets: [{ name: "demo", objects }] }));
    const listeners = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    const server = command(["serve", "--memory", "--seed", "seed.json", ...listeners], folder);
    const admin = /Admin +(http:\S+)/.exec(await server.printed("Stop with"))?.[1];
    assert.doesNotMatch(await (await fetch(new URL("/metrics", admin))).text(), /^cosbox_bucket_objects\{/m);
    server.child.kill("SIGTERM");
    const { code, stderr } = await server.ended;
    assert.equal(code, 0, stderr);
  });

  it("tell more objects than are read at a time", async () => {
    const server = await start({ limits: { storageCountMs: 1 } });
    const paths = Array.from({ length: 1203 }, (_, at) => `/${at}`);
    while (paths.length > 0) {
      await Promise.all(paths.splice(0, 100).map((path) => put(server, server.bucket, path, 3)));
    }
    const name = `cosbox_bucket_bytes{bucket="${server.bucket}",versions="current"}`;
    await vi.waitFor(async () => assert.equal((await metrics(server)).get(name), 3609), { timeout: 10_000 });
  });
});

describe("metrics of what is under way", () => {
  it("tell requests and connections", async () => {
    const server = await start();
    const held = [await heldUpload(server, "/a"), await heldUpload(server, "/b")];
    const during = await metrics(server);
    assert.equal(during.get("cosbox_requests_under_way"), 2);
    assert.ok((during.get("cosbox_connections") ?? 0) >= 2);
    for (const one of held) await one.finish();
    assert.equal((await metrics(server)).get("cosbox_requests_under_way"), 0);
  });

  it("tell how many writes became durable together, and that none waits at rest", async () => {
    const data = await mkdtemp(join(tmpdir(), "cosbox-metrics-"));
    onTestFinished(() => rm(data, { recursive: true, force: true }));
    const server = await start({ memory: false, data });
    const before = await metrics(server);
    await Promise.all(Array.from({ length: 40 }, (_, at) => put(server, server.bucket, `/${at}`, 100)));
    const after = await metrics(server);
    const grown = (name: string) => (after.get(name) ?? 0) - (before.get(name) ?? 0);
    assert.ok(grown("cosbox_commit_group_size_sum") >= 40);
    const transactions = grown("cosbox_commit_group_size_count");
    assert.ok(transactions >= 1 && transactions <= grown("cosbox_commit_group_size_sum"));
    assert.equal(grown('cosbox_commit_group_size_bucket{le="1024"}'), transactions);
    assert.equal(grown('cosbox_commit_group_size_bucket{le="+Inf"}'), transactions);
    assert.ok(grown('cosbox_commit_group_size_bucket{le="1"}') < transactions, "some were made together");
    for (const queue of ["rows", "commit"]) assert.equal(after.get(`cosbox_queue_depth{queue="${queue}"}`), 0);
  });
});
