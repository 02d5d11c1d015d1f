/** `cosbox explain` of what only a running server knows, and `cosbox namespaces`. */

import assert from "node:assert/strict";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import COS from "cos-nodejs-sdk-v5";
import { describe, it, onTestFinished } from "vitest";
import { told } from "../fixtures/command.ts";
import { testServer } from "../fixtures/server.ts";

const explained = (...args: readonly string[]) => told("explain", "--data", join(tmpdir(), "cosbox-nowhere"), ...args);

describe("cosbox explain", () => {
  it("asks the running server for what is in no data folder: of one in memory, of a success, of a namespace", async () => {
    const server = await testServer({ memory: true, admin: "127.0.0.1:0" });
    onTestFinished(() => server.stop());
    const admin = ["--admin", String(server.cosbox.admin).slice("http://".length)];
    const refused = await server.send({ path: "/not-there" });
    for (const id of [refused.element("RequestId"), refused.element("TraceId")]) {
      const { code, stdout, stderr } = await explained(String(id), ...admin);
      assert.equal(code, 0, stderr);
      assert.match(stdout, /Refused with 404 NoSuchKey/);
    }
    const put = await server.send({ method: "PUT", path: "/a", body: "x" });
    const success = await explained(String(put.headers["x-cos-request-id"]), ...admin, "--json");
    assert.equal((JSON.parse(success.stdout) as { status: number }).status, 200);

    const space = await server.cosbox.namespace();
    const error = (await new COS({ ...space.options })
      .headBucket({ Bucket: space.bucket("none"), Region: space.region })
      .catch((one: unknown) => one)) as { headers: Record<string, string> };
    const apart = await explained(String(error.headers["x-cos-request-id"]), ...admin);
    assert.match(apart.stdout, /NoSuchBucket/, apart.stderr);

    const unknown = await explained("nobody", ...admin);
    assert.equal(unknown.code, 1);
    assert.match(
      unknown.stderr,
      /^cosbox: no request with this RequestId or TraceId is kept, nor by the server of http/,
    );
  });

  it("says that there is no data where nobody who knows better is at the port", async () => {
    const stranger = createServer((socket) => socket.end("what?\r\n"));
    await new Promise<void>((resolve) => stranger.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void stranger.close());
    const { port } = stranger.address() as { port: number };
    const { code, stderr } = await explained("nobody", "--admin", `127.0.0.1:${port}`);
    assert.equal(code, 1);
    assert.match(stderr, /^cosbox: there is no data in .*cosbox-nowhere; name the data folder with --data\n$/);
  });
});

describe("cosbox namespaces", () => {
  it("makes, lists, replaces and removes them, with all that a client in any language needs", async () => {
    const server = await testServer({ memory: true, admin: "127.0.0.1:0" });
    onTestFinished(() => server.stop());
    const asked = (...argv: string[]) =>
      told("namespaces", ...argv, "--admin", String(server.cosbox.admin).slice("http://".length));
    const made = await asked("add", "orders");
    const shown = JSON.parse(made.stdout) as Record<"secretId" | "secretKey" | "appid" | "endpoint" | "admin", string>;
    assert.deepEqual([shown.endpoint, shown.admin], [server.endpoint, `${server.cosbox.admin}/namespaces/orders`]);
    const sign = { secretId: shown.secretId, secretKey: shown.secretKey };
    assert.equal((await server.send({ method: "PUT", bucket: `demo-${shown.appid}`, sign })).status, 200);
    assert.equal((await asked()).stdout, made.stdout);
    assert.match((await asked("add", "orders")).stderr, /^cosbox: there is a namespace orders already/);
    assert.notEqual((await asked("replace", "orders")).stdout, made.stdout);
    assert.equal((await asked("remove", "orders")).code, 0);
    assert.deepEqual(await asked(), { code: 0, stdout: "", stderr: "" });
    assert.match((await asked("remove")).stderr, /say the name of one/);
    assert.match((await asked("keep")).stderr, /expected add, replace or remove, found "keep"/);
  });
});
