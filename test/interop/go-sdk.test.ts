/**
 * The official Go SDK against cosbox: `COSBOX_TEST_GO=1` says that there is a go, which fetches the SDK once. The
 * scenarios are those of go/main.go, for each way that the SDK can be pointed at a server.
 */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, it } from "vitest";
import { type TestServer, testServer } from "../fixtures/server.ts";
import { type Outcomes, runProgram } from "./programs.ts";

const SOURCE = fileURLToPath(new URL("go", import.meta.url));
const WANTED = process.env["COSBOX_TEST_GO"] === "1";
const SCENARIOS = [
  ["buckets", "creates, finds, lists, locates and deletes buckets"],
  ["objects", "stores, reads, replaces and deletes objects"],
  ["streams", "sends bodies whose length nobody knows"],
  ["keys", "keeps keys of any form"],
  ["lists", "lists in pages and folders, and deletes many at once"],
  ["multipart", "uploads in parts by hand"],
  ["transfers", "uploads, downloads and copies large files"],
  ["appends", "appends"],
  ["signed_urls", "signs URLs"],
  ["refusals", "reads code, message and ids of refusals"],
  ["early_refusals", "reads a 403 to a 32 MiB PUT 20 times of 20"],
] as const;

describe("the official Go SDK", () => {
  let folder: string;
  let command: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "cosbox-go-sdk-"));
    command = join(folder, "scenarios");
    if (!WANTED) return;
    const built = spawnSync("go", ["build", "-o", command, "."], { cwd: SOURCE, encoding: "utf8" });
    assert.equal(built.status, 0, built.stderr);
  }, 300_000);
  afterAll(() => rm(folder, { recursive: true }));

  describe.each(["Proxy", "Host", "URL"])("through %s", (way) => {
    let server: TestServer;
    let outcomes: Outcomes;

    beforeAll(async () => {
      server = await testServer();
      if (WANTED) outcomes = await runProgram({ command, args: [], way }, server);
    }, 180_000);
    afterAll(() => server.stop());

    it.for(SCENARIOS)("%s: %s", ([name], context) => {
      if (!WANTED) context.skip("COSBOX_TEST_GO=1 does not say that there is a go");
      assert.equal(outcomes.get(name), null);
    });
  });
});
