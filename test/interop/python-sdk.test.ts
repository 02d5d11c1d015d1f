/**
 * The official Python SDK against cosbox: `COSBOX_TEST_PYTHON` names a python that has cos-python-sdk-v5. The scenarios
 * are those of python/scenarios.py, for each way that the SDK can be pointed at a server.
 */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, it } from "vitest";
import { type TestServer, testServer } from "../fixtures/server.ts";
import { type Outcomes, runProgram } from "./programs.ts";

const PYTHON = process.env["COSBOX_TEST_PYTHON"] ?? "";
const SCRIPT = fileURLToPath(new URL("python/scenarios.py", import.meta.url));
const SCENARIOS = [
  ["buckets", "creates, finds, lists, locates and deletes buckets"],
  ["objects", "stores, reads, replaces and deletes objects"],
  ["streams", "sends files and writes files"],
  ["keys", "keeps keys of any form"],
  ["lists", "lists in pages and folders, and deletes many at once"],
  ["multipart", "uploads in parts by hand"],
  ["transfers", "uploads, downloads and copies large files"],
  ["appends", "appends"],
  ["signed_urls", "signs URLs"],
  ["refusals", "reads code, message and ids of refusals"],
  ["early_refusals", "reads a 403 to a 32 MiB PUT 20 times of 20"],
] as const;

describe.each(["Proxies", "IP", "Endpoint"])("the official Python SDK through %s", (way) => {
  let server: TestServer;
  let outcomes: Outcomes;

  beforeAll(async () => {
    server = await testServer();
    if (PYTHON !== "") outcomes = await runProgram({ command: PYTHON, args: [SCRIPT], way }, server);
  }, 180_000);
  afterAll(() => server.stop());

  it.for(SCENARIOS)("%s: %s", ([name], context) => {
    if (PYTHON === "") context.skip("COSBOX_TEST_PYTHON names no python that has cos-python-sdk-v5");
    assert.equal(outcomes.get(name), null);
  });
});
