/** The suite that holds any endpoint against the error page, and its command. */

import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { toldIn } from "../fixtures/command.ts";
import { type TestServer, testServer } from "../fixtures/server.ts";

describe("cosbox conformance", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer();
  });
  afterAll(() => server.stop());

  const judged = (env: Record<string, string>, ...args: readonly string[]) => toldIn({ env }, "conformance", ...args);

  it("finds everything as the error page says, over real requests, and leaves nothing behind", async () => {
    const { code, stdout } = await judged({}, "--endpoint", server.endpoint);
    assert.equal(code, 0, stdout);
    assert.match(stdout, /^ok {4}NoSuchKey +404 NoSuchKey$/m);
    const [, right, wrong] = /(\d+) as the error page says, (\d+) not\n$/.exec(stdout) ?? [];
    assert.ok(Number(right) >= 50 && wrong === "0");
    assert.deepEqual((await server.send({ bucket: "" })).elements("Name"), [server.bucket]);
  });

  it("names what differs, and fails", async () => {
    await server.cosbox.faults.add({ id: "wrong", error: "InternalError", match: { operation: "GetBucketCORS" } });
    const { code, stdout } = await judged({}, "--endpoint", server.endpoint, "--json");
    await server.cosbox.faults.clear();
    assert.equal(code, 1);
    const results = JSON.parse(stdout) as { id: string; faults: string[] }[];
    assert.deepEqual(
      results.filter(({ faults }) => faults.length > 0).map(({ id, faults }) => [id, ...faults]),
      [["NoSuchCORSConfiguration", "status 500, expected 404", "code InternalError, expected NoSuchCORSConfiguration"]],
    );
  });

  it("says in a line why it cannot begin", async () => {
    const wrong = { COSBOX_SECRET_KEY: "another-secret-key-0000" };
    const refused = await judged(
      wrong,
      "--endpoint",
      server.endpoint,
      "--secret-id",
      "AKIDnobody00000000000000000000000000",
    );
    assert.equal(refused.code, 1);
    assert.match(
      refused.stderr,
      /^cosbox: the bucket cbc-[0-9a-f]{6}-1250000000 cannot be made: 403 InvalidAccessKeyId\n$/,
    );
    assert.match((await judged({}, "--endpoint", "nowhere")).stderr, /--endpoint: expected a URL/);
  });
});
