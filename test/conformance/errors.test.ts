import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { memoryBlobs } from "../../src/engines/blobs/memory.ts";
import { memoryMetadata } from "../../src/engines/metadata/memory.ts";
import { systemRandom } from "../../src/engines/random/system.ts";
import { TABLE } from "../../src/operations/table.ts";
import type { MetadataEngine } from "../../src/ports/metadata.ts";
import { cosboxOfParts } from "../fixtures/parts.ts";
import { assertRefused, assertRefusedHead, headerNames } from "../fixtures/refusal.ts";
import { contentMd5, type Received, serverOf, type TestServer, testServer } from "../fixtures/server.ts";

describe("faults of our own", () => {
  it("InternalError: says nothing of the cause, which is reported; the next request is answered", async () => {
    const faults: unknown[] = [];
    const broken = TABLE.map((operation) =>
      operation.name === "GetBucketLocation"
        ? { ...operation, handle: () => Promise.reject(new Error("secret detail")) }
        : operation,
    );
    const server = await serverOf(await cosboxOfParts({ table: broken, faults }));
    try {
      const answer = await server.send({ query: { location: "" } });
      assertRefused(answer, "InternalError");
      assert.doesNotMatch(answer.text + answer.rawHeaders.join(), /secret detail/);
      assert.deepEqual(
        faults.map((fault) => (fault as Error).message),
        ["secret detail"],
      );
      assert.ok((await server.send({ method: "HEAD" })).reused);
    } finally {
      await server.stop();
    }
  });

  it("ServiceUnavailable: there is no room for the bytes; nothing is stored, and what fits still is", async () => {
    const blobs = memoryBlobs({ random: systemRandom(), bytesMax: 100_000 });
    const server = await serverOf(await cosboxOfParts({ blobs }));
    try {
      const put = (path: string, size: number) => server.send({ method: "PUT", path, body: Buffer.alloc(size, 1) });
      assertRefused(await put("/big", 200_000), "ServiceUnavailable");
      assertRefused(await server.send({ path: "/big" }), "NoSuchKey");
      assert.equal((await put("/small", 1000)).status, 200);
      assert.equal((await put("/fits", 50_000)).status, 200);
    } finally {
      await server.stop();
    }
  });

  it("PathConflict: a key whose row keeps changing between reading and writing it", async () => {
    const engine = memoryMetadata();
    let contended = false;
    const metadata: MetadataEngine = {
      read: (ranges) => engine.read(ranges),
      commit: async (seen, writes) => !contended && (await engine.commit(seen, writes)),
      close: () => engine.close(),
    };
    const server = await serverOf(await cosboxOfParts({ metadata }));
    try {
      await server.send({ method: "PUT", path: "/k", body: "before" });
      contended = true;
      const body = "<Delete><Object><Key>k</Key></Object></Delete>";
      const headers = { "content-md5": contentMd5(body) };
      const [put, deleted, many] = await Promise.all([
        server.send({ method: "PUT", path: "/k", body: "after" }),
        server.send({ method: "DELETE", path: "/k" }),
        server.send({ method: "POST", query: { delete: "" }, body, headers }),
      ]);
      assertRefused(put, "PathConflict");
      assertRefused(deleted, "PathConflict");
      assert.equal(many.status, 200);
      assert.match(many.text, /<DeleteResult><Error><Key>k<\/Key><Code>PathConflict<\/Code><Message>Path conflict\.</);
      contended = false;
      assert.equal((await server.send({ path: "/k" })).text, "before");
      assert.equal((await server.send({ method: "PUT", path: "/k", body: "after" })).status, 200);
    } finally {
      contended = false;
      await server.stop();
    }
  });
});

describe("refusals on the wire", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer();
    await server.send({ method: "PUT", path: "/k", body: "x" });
  });
  afterAll(() => server.stop());

  const missing = (path = "/missing") => server.send({ path });
  const HOST = "demo-1250000000.cos.ap-guangzhou.myqcloud.com";

  it("NoSuchKey: the document, letter by letter", async () => {
    const answer = await missing("/a.txt");
    assert.equal(
      answer.text,
      "<?xml version='1.0' encoding='utf-8' ?>\n<Error><Code>NoSuchKey</Code>" +
        "<Message>The specified key does not exist.</Message>" +
        `<Resource>${HOST}/a.txt</Resource>` +
        `<RequestId>${String(answer.headers["x-cos-request-id"])}</RequestId>` +
        `<TraceId>${String(answer.headers["x-cos-trace-id"])}</TraceId></Error>`,
    );
    assert.equal(answer.headers["content-length"], String(answer.body.length));
    assert.equal(answer.headers["transfer-encoding"], undefined);
    for (const name of ["Content-Type", "Content-Length", "Date", "Server", "x-cos-request-id", "x-cos-trace-id"]) {
      assert.ok(headerNames(answer).includes(name), name);
    }
    assert.equal(answer.headers["server"], "tencent-cos");
    assert.ok(Math.abs(Date.parse(answer.headers["date"] as string) - Date.now()) < 60_000);
  });

  describe("ids", () => {
    const plain = (id: unknown) => Buffer.from(String(id), "base64").toString("latin1");

    it("a request's id is Base64 of its second, an address and two numbers, on every answer", async () => {
      const answers = [
        await server.send({ path: "/k" }),
        await missing(),
        await server.send({ method: "HEAD" }),
        await server.send({ method: "DELETE", path: "/none" }),
        await server.send({ method: "PATCH" }),
        await server.send({ target: "/%", sign: false }),
      ];
      for (const { headers } of answers) {
        const id = String(headers["x-cos-request-id"]);
        assert.match(id, /^N[A-Za-z0-9+/]+={0,2}$/);
        assert.match(plain(id), /^[0-9a-f]{8}_[0-9a-f]{1,8}_[0-9a-f]+_[0-9a-f]+$/);
        const second = Number.parseInt(plain(id).slice(0, 8), 16);
        assert.ok(Math.abs(second - Date.now() / 1000) < 60);
      }
      assert.equal(new Set(answers.map(({ headers }) => headers["x-cos-request-id"])).size, answers.length);
    });

    it("a refusal's trace is Base64 of 128 hex digits, anew each time; a success has none", async () => {
      const [one, other] = [await missing(), await missing()];
      for (const { headers } of [one, other]) assert.match(plain(headers["x-cos-trace-id"]), /^[0-9a-f]{128}$/);
      assert.notEqual(one.headers["x-cos-trace-id"], other.headers["x-cos-trace-id"]);
      assert.equal((await server.send({ path: "/k" })).headers["x-cos-trace-id"], undefined);
    });
  });

  describe("Resource", () => {
    const resource = async (answer: Promise<Received>) => (await answer).element("Resource");

    it("is host and key for an object, the host for a bucket, the host and a slash for the service", async () => {
      assert.equal(await resource(missing()), `${HOST}/missing`);
      assert.equal(await resource(missing("//")), `${HOST}//`);
      assert.equal(await resource(server.send({ query: { "max-keys": "x" } })), HOST);
      assert.equal(await resource(server.send({ bucket: "", sign: false })), "service.cos.myqcloud.com/");
    });

    it("keeps the host as the client wrote it, port included", async () => {
      const host = "Demo-1250000000.cos.ap-guangzhou.myqcloud.com:9000";
      assert.equal(await resource(server.send({ host, path: "/missing" })), `${host}/missing`);
      const path = `/${server.bucket}/missing`;
      assert.equal(
        await resource(server.send({ host: `127.0.0.1:${server.port}`, path })),
        `127.0.0.1:${server.port}${path}`,
      );
    });

    it("prints the key decoded and escaped, and always parses", async () => {
      assert.equal(await resource(missing("/报告 (v1)+<&>\"'.txt")), `${HOST}/报告 (v1)+<&>"'.txt`);
      const text = (await missing("/a<b>&'\"]]>")).text;
      assert.ok(text.includes(`<Resource>${HOST}/a&lt;b&gt;&amp;&apos;&quot;]]&gt;</Resource>`), text);
    });

    it("puts U+FFFD for what XML cannot carry", async () => {
      assert.equal(await resource(missing("/a\u0001b\ufffe")), `${HOST}/a\ufffdb\ufffd`);
    });
  });

  describe("without a body", () => {
    it("HEAD: status, reason and ids alone", async () => {
      assertRefusedHead(await server.send({ method: "HEAD", path: "/missing" }), "NoSuchKey");
      assertRefusedHead(await server.send({ method: "HEAD", bucket: "" }), "MethodNotAllowed");
      assertRefusedHead(await server.send({ method: "HEAD", host: "x.cos.nowhere.myqcloud.com" }), "InvalidRegionName");
      const next = await server.send({ path: "/k" });
      assert.equal(next.text, "x");
      assert.ok(next.reused);
    });

    it("304: what a cache needs alone", async () => {
      const answer = await server.send({ path: "/k", headers: { "if-none-match": "*" } });
      assert.equal(answer.status, 304);
      assert.equal(answer.body.length, 0);
      assert.equal(answer.headers["content-length"], undefined);
    });

    it("204: nothing at all", async () => {
      const answer = await server.send({ method: "DELETE", path: "/none" });
      assert.equal(answer.status, 204);
      assert.deepEqual(
        headerNames(answer).filter((name) => /^content|^transfer/i.test(name)),
        [],
      );
    });
  });

  describe("extras", () => {
    it("MethodNotAllowed: Allow names the methods there are", async () => {
      for (const [request, allow] of [
        [{ method: "PATCH", path: "/k" }, "DELETE, GET, HEAD, OPTIONS, PUT"],
        [{ method: "POST", path: "/k" }, "DELETE, GET, HEAD, OPTIONS, PUT"],
        [{ method: "PATCH" }, "DELETE, GET, HEAD, OPTIONS, POST, PUT"],
        [{ method: "DELETE", bucket: "" }, "GET"],
        [{ query: { delete: "" } }, "POST"],
        [{ method: "PUT", query: { uploads: "" } }, "GET"],
        [{ method: "POST", query: { acl: "" } }, "GET, PUT"],
        [{ method: "DELETE", path: "/k", query: { append: "" } }, "POST"],
        [{ path: "/k", query: { uploads: "" } }, "POST"],
        [{ method: "PUT", path: "/k", query: { uploadId: "x" } }, "DELETE, GET, POST"],
        [{ method: "DELETE", path: "/k", query: { restore: "" } }, "POST"],
      ] as const) {
        const answer = await server.send(request);
        assertRefused(answer, "MethodNotAllowed");
        assert.equal(answer.headers["allow"], allow, JSON.stringify(request));
        assert.ok(headerNames(answer).includes("Allow"));
      }
      assert.equal((await server.send({ path: "/k" })).text, "x");
    });

    it("InvalidArgument: a name of a sub-resource without those that go with it is no plain request", async () => {
      for (const request of [{ method: "PUT", body: "part" }, { method: "PUT" }, {}, { method: "DELETE" }]) {
        const answer = await server.send({ ...request, path: "/k", query: { partNumber: 1 } });
        assertRefused(answer, "InvalidArgument", { message: /^The argument partNumber is sent without uploadId\.$/ });
      }
      assert.equal((await server.send({ path: "/k" })).text, "x");
    });

    it("MethodNotAllowed: a method is matched in its own case and never answers for another", async () => {
      for (const method of ["TRACE", "PROPFIND", "LOCK", "PURGE", "MERGE"]) {
        assertRefused(await server.send({ method, path: "/k" }), "MethodNotAllowed");
      }
    });

    it("InvalidRange: Content-Range tells the length there is", async () => {
      const answer = await server.send({ path: "/k", headers: { range: "bytes=5-" } });
      assertRefused(answer, "InvalidRange");
      assert.equal(answer.headers["content-range"], "bytes */1");
    });

    it("SignatureDoesNotMatch: the two strings stand between Message and Resource, lines and all", async () => {
      const answer = await server.send({ path: "/k<&>", sign: { secretKey: "wrong" } });
      assertRefused(answer, "SignatureDoesNotMatch", {
        extras: ["StringToSign", "FormatString"],
        resource: `${HOST}/k<&>`,
      });
      assert.match(answer.element("FormatString") as string, /^get\n\/k<&>\n\nhost=demo-1250000000\.cos\./);
    });
  });

  it("are what the SDK rejects with", async () => {
    const params = { Bucket: server.bucket, Region: "ap-guangzhou", Key: "missing" };
    const error: unknown = await server.cos.getObject(params).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    const { statusCode, code, message } = error as Record<string, unknown>;
    assert.deepEqual([statusCode, code, message], [404, "NoSuchKey", "The specified key does not exist."]);
  });

  it("come by the hundred at once, each for its own request", async () => {
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, n) => (n % 2 === 0 ? missing(`/missing-${n}`) : server.send({ path: "/k" }))),
    );
    for (const [n, answer] of answers.entries()) {
      if (n % 2 === 0) assertRefused(answer, "NoSuchKey", { resource: `${HOST}/missing-${n}` });
      else assert.equal(answer.text, "x");
    }
  });
});
