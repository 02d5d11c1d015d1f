import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, it } from "vitest";
import { assertRefused } from "../fixtures/refusal.ts";
import { type S3Client, s3Client } from "../fixtures/s3.ts";
import { type Received, type Sent, type TestServer, testServer } from "../fixtures/server.ts";
import { begin, complete, md5, partList } from "../fixtures/uploads.ts";

const METHOD = "x-cos-server-side-encryption";
const KEY_ID = `${METHOD}-cos-kms-key-id`;
const CONTEXT = `${METHOD}-context`;
const SSE_COS = { [METHOD]: "AES256" };
const SSE_KMS = { [METHOD]: "cos/kms" };
const SECRET = Buffer.alloc(32, "secret key of a client");
const OTHER = Buffer.alloc(32, "another key of a client");
const BLOCK = 64 * 1024;

const base64Md5 = (bytes: Buffer): string => createHash("md5").update(bytes).digest("base64");
const keyHeaders = (prefix: string, key: Buffer): Record<string, string> => ({
  [`${prefix}-algorithm`]: "AES256",
  [`${prefix}-key`]: key.toString("base64"),
  [`${prefix}-key-MD5`]: base64Md5(key),
});
const ssec = (key: Buffer): Record<string, string> => keyHeaders(`${METHOD}-customer`, key);
const sourceKey = (key: Buffer): Record<string, string> =>
  keyHeaders("x-cos-copy-source-server-side-encryption-customer", key);
const contextOf = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64");

/** Bodies of every form of storage: none, a row, one block, blocks with and without a rest. */
const SIZES = [0, 1, 900, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 17];

describe("encryption of objects", () => {
  let server: TestServer;
  let s3: S3Client;
  let serial = 0;
  beforeAll(async () => {
    server = await testServer({ limits: { inlineBytesMax: 1_000, partBytesMin: 1 } });
    s3 = s3Client(server);
  });
  afterAll(() => server.stop());

  const fresh = (): string => `/sealed-${++serial}`;
  const send = (method: string, path: string, more: Sent = {}): Promise<Received> =>
    server.send({ method, path, ...more });
  const put = async (path: string, body: Buffer | string, headers: Record<string, string> = {}): Promise<Received> => {
    const answer = await send("PUT", path, { body, headers });
    assert.equal(answer.status, 200, answer.text);
    return answer;
  };
  const holds = async (path: string, bytes: Buffer, headers: Record<string, string> = {}): Promise<Received> => {
    const answer = await send("GET", path, { headers });
    assert.equal(answer.status, 200, answer.text);
    assert.ok(answer.body.equals(bytes), `${path} has other bytes`);
    return answer;
  };
  const etagOf = (answer: Received): string => (answer.headers.etag as string).replaceAll('"', "");

  for (const [name, headers, reading] of [
    ["SSE-COS", SSE_COS, {}],
    ["SSE-KMS", SSE_KMS, {}],
    ["SSE-C", ssec(SECRET), ssec(SECRET)],
  ] as const) {
    describe(`by ${name}`, () => {
      it("gives back every size, whole and in ranges, and tells how it is encrypted", async () => {
        for (const size of SIZES) {
          const bytes = randomBytes(size);
          const path = fresh();
          const stored = await put(path, bytes, headers);
          const whole = await holds(path, bytes, reading);
          const head = await send("HEAD", path, { headers: reading });
          assert.equal(head.status, 200);
          for (const answer of [stored, whole, head]) {
            if (name === "SSE-C") {
              assert.equal(answer.headers[`${METHOD}-customer-algorithm`], "AES256");
              assert.equal(answer.headers[`${METHOD}-customer-key-md5`], base64Md5(SECRET));
            } else assert.equal(answer.headers[METHOD], headers[METHOD as keyof typeof headers]);
            assert.equal(answer.headers[`${METHOD}-customer-key`], undefined);
          }
          assert.equal(head.headers["content-length"], String(size));
          assert.equal(whole.headers["x-cos-hash-crc64ecma"], stored.headers["x-cos-hash-crc64ecma"]);
          assert.equal(etagOf(whole), etagOf(stored));
          assert.equal(etagOf(stored) === md5(bytes), name === "SSE-COS", "sec_S-9.5: only SSE-COS tells the MD5");
          for (const [from, to] of [
            [0, 1],
            [BLOCK - 1, BLOCK + 1],
            [BLOCK, 2 * BLOCK],
            [100, size],
            [size - 1, size],
          ] as const) {
            if (from < 0 || from >= size || to > size || from >= to) continue;
            const range = `bytes=${from}-${to - 1}`;
            const part = await send("GET", path, { headers: { ...reading, Range: range } });
            assert.equal(part.status, 206, part.text);
            assert.ok(part.body.equals(bytes.subarray(from, to)), `${range} of ${size}`);
          }
        }
      });

      it("seals a body whose length nobody told", async () => {
        const bytes = randomBytes(3 * BLOCK);
        const path = fresh();
        const answer = await send("PUT", path, { body: bytes, framing: "chunked", headers });
        assert.equal(answer.status, 200, answer.text);
        await holds(path, bytes, reading);
      });

      it("BadDigest: holds the body against its own digest, not against that of what is stored", async () => {
        const path = fresh();
        const wrong = await send("PUT", path, { body: "x", headers: { ...headers, "Content-MD5": base64Md5(SECRET) } });
        assertRefused(wrong, "BadDigest");
        await put(path, "x", { ...headers, "Content-MD5": base64Md5(Buffer.from("x")) });
      });

      it("seals parts, which become one object", async () => {
        const path = fresh();
        const key = path.slice(1);
        const uploadId = await begin(server, key, headers);
        const bodies = [randomBytes(BLOCK + 5), randomBytes(10), randomBytes(2 * BLOCK)];
        const parts: [number, string][] = [];
        for (const [at, body] of bodies.entries()) {
          const answer = await send("PUT", path, { query: { partNumber: at + 1, uploadId }, body, headers: reading });
          assert.equal(answer.status, 200, answer.text);
          assert.equal(etagOf(answer) === md5(body), name === "SSE-COS");
          parts.push([at + 1, etagOf(answer)]);
        }
        const done = await complete(server, key, uploadId, parts);
        assert.equal(done.status, 200, done.text);
        const all = Buffer.concat(bodies);
        await holds(path, all, reading);
        const range = await send("GET", path, { headers: { ...reading, Range: `bytes=${BLOCK}-${BLOCK + 20}` } });
        assert.ok(range.body.equals(all.subarray(BLOCK, BLOCK + 21)));
      });

      it("copies to and from every other encryption, and ranges as parts", async () => {
        const bytes = randomBytes(2 * BLOCK + 3);
        const from = fresh();
        await put(from, bytes, headers);
        const source = { "x-cos-copy-source": `${server.bucket}.cos.ap-guangzhou.myqcloud.com${from}` };
        const opened = name === "SSE-C" ? sourceKey(SECRET) : {};
        for (const [target, read] of [
          [{}, {}],
          [SSE_COS, {}],
          [SSE_KMS, {}],
          [ssec(OTHER), ssec(OTHER)],
        ] as const) {
          const to = fresh();
          const copied = await send("PUT", to, { headers: { ...source, ...opened, ...target } });
          assert.equal(copied.status, 200, copied.text);
          const answer = await holds(to, bytes, read);
          assert.equal(answer.headers[METHOD], (target as Record<string, string>)[METHOD]);
          const tellsMd5 = !("x-cos-server-side-encryption-customer-key" in target) && target !== SSE_KMS;
          assert.equal(etagOf(answer) === md5(bytes), tellsMd5);
          const back = fresh();
          const again = await send("PUT", back, {
            headers: {
              "x-cos-copy-source": `${server.bucket}.cos.ap-guangzhou.myqcloud.com${to}`,
              ...("x-cos-server-side-encryption-customer-key" in target ? sourceKey(OTHER) : {}),
              ...headers,
            },
          });
          assert.equal(again.status, 200, again.text);
          await holds(back, bytes, reading);

          const joined = fresh();
          const uploadId = await begin(server, joined.slice(1), target);
          const part = await send("PUT", joined, {
            query: { partNumber: 1, uploadId },
            headers: { ...source, ...opened, ...read, "x-cos-copy-source-range": `bytes=7-${BLOCK + 7}` },
          });
          assert.equal(part.status, 200, part.text);
          const etag = (part.element("ETag") ?? "").replaceAll('"', "");
          const done = await complete(server, joined.slice(1), uploadId, [[1, etag]]);
          assert.equal(done.status, 200, done.text);
          await holds(joined, bytes.subarray(7, BLOCK + 8), read);
        }
      });

      it("seals what is appended", async () => {
        const path = fresh();
        let all = Buffer.alloc(0);
        for (const body of [randomBytes(10), randomBytes(5), randomBytes(BLOCK * 2), randomBytes(1)]) {
          const answer = await send("POST", path, {
            query: { append: undefined, position: all.length },
            body,
            headers,
          });
          assert.equal(answer.status, 200, answer.text);
          all = Buffer.concat([all, body]);
        }
        await holds(path, all, reading);
      });

      it("opens every version, whatever becomes of its place", async () => {
        const bucket = `sealed-${++serial}-1250000000`;
        await server.send({ method: "PUT", bucket });
        const body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
        await server.send({ method: "PUT", bucket, query: { versioning: undefined }, body });
        const ids: string[] = [];
        for (const body of ["first", "second"]) {
          const answer = await server.send({ method: "PUT", bucket, path: "/a", body, headers });
          ids.push(answer.headers["x-cos-version-id"] as string);
        }
        const read = async (versionId: string): Promise<string> =>
          (await server.send({ bucket, path: "/a", query: { versionId }, headers: reading })).text;
        assert.deepEqual([await read(ids[0] as string), await read(ids[1] as string)], ["first", "second"]);
        await server.send({ method: "DELETE", bucket, path: "/a", query: { versionId: ids[1] as string } });
        assert.equal((await server.send({ bucket, path: "/a", headers: reading })).text, "first");
      });
    });
  }

  describe("SSE-C", () => {
    it("SsecDecryptHeaderInvalid: needs the very key to read, describe, copy and continue", async () => {
      const path = fresh();
      await put(path, "secret", ssec(SECRET));
      const source = { "x-cos-copy-source": `${server.bucket}.cos.ap-guangzhou.myqcloud.com${path}` };
      for (const headers of [{}, ssec(OTHER)]) {
        assertRefused(await send("GET", path, { headers }), "SsecDecryptHeaderInvalid");
        const head = await send("HEAD", path, { headers });
        assert.deepEqual([head.status, head.body.length], [400, 0]);
      }
      assertRefused(await send("PUT", fresh(), { headers: source }), "SsecDecryptHeaderInvalid");
      const wrongSource = { ...source, ...sourceKey(OTHER) };
      assertRefused(await send("PUT", fresh(), { headers: wrongSource }), "SsecDecryptHeaderInvalid");
      const uploadId = await begin(server, "continued", ssec(SECRET));
      for (const headers of [{}, ssec(OTHER)]) {
        const part = await send("PUT", "/continued", { query: { partNumber: 1, uploadId }, body: "x", headers });
        assertRefused(part, "SsecDecryptHeaderInvalid");
      }
      const { [`${METHOD}-customer-key-MD5`]: _left, ...incomplete } = ssec(SECRET);
      const halfway = await send("GET", path, { headers: incomplete });
      assertRefused(halfway, "SsecDecryptHeaderInvalid", { message: /three headers/ });
    });

    it("InvalidArgument: takes no key that is incomplete, of another length or with another MD5", async () => {
      const names = Object.keys(ssec(SECRET));
      for (const name of names) {
        const { [name]: _left, ...headers } = ssec(SECRET);
        const answer = await send("PUT", fresh(), { body: "x", headers });
        assertRefused(answer, "InvalidArgument", { message: /three headers/ });
      }
      const short = { ...ssec(SECRET), [`${METHOD}-customer-key`]: Buffer.alloc(31).toString("base64") };
      assertRefused(await send("PUT", fresh(), { body: "x", headers: short }), "InvalidArgument", {
        message: /32 bytes/,
      });
      const other = { ...ssec(SECRET), [`${METHOD}-customer-key-MD5`]: base64Md5(OTHER) };
      assertRefused(await send("PUT", fresh(), { body: "x", headers: other }), "InvalidArgument", { message: /MD5/ });
    });

    it("InvalidRequest: a key for what is not encrypted with one", async () => {
      const path = fresh();
      await put(path, "plain");
      const answer = await send("GET", path, { headers: ssec(SECRET) });
      assertRefused(answer, "InvalidRequest", { message: /not encrypted with a key of your own/ });
    });

    it("completes with the key as well as without it", async () => {
      const path = fresh();
      const uploadId = await begin(server, path.slice(1), ssec(SECRET));
      const part = await send("PUT", path, { query: { partNumber: 1, uploadId }, body: "part", headers: ssec(SECRET) });
      const body = partList([[1, etagOf(part)]]);
      assertRefused(
        await send("POST", path, { query: { uploadId }, body, headers: ssec(OTHER) }),
        "SsecDecryptHeaderInvalid",
      );
      const done = await send("POST", path, { query: { uploadId }, body, headers: ssec(SECRET) });
      assert.equal(done.status, 200, done.text);
      await holds(path, Buffer.from("part"), ssec(SECRET));
    });
  });

  describe("the headers", () => {
    it("SSEContentNotSupported: an unknown algorithm, or two at once", async () => {
      for (const headers of [
        { [METHOD]: "AES128" },
        { [METHOD]: "SM4" },
        { ...ssec(SECRET), [`${METHOD}-customer-algorithm`]: "AES128" },
        { ...ssec(SECRET), ...SSE_COS },
        { ...ssec(SECRET), ...SSE_KMS },
      ]) {
        assertRefused(await send("PUT", fresh(), { body: "x", headers }), "SSEContentNotSupported");
      }
    });

    it("SSEHeaderNotAllowed: on operations that take none of them", async () => {
      const path = fresh();
      await put(path, "x");
      const uploadId = await begin(server, path.slice(1));
      const refusals: readonly Sent[] = [
        { method: "GET", path, headers: SSE_COS },
        { method: "PUT", path, query: { partNumber: 1, uploadId }, body: "x", headers: SSE_KMS },
        { method: "DELETE", path, headers: ssec(SECRET) },
        { method: "GET", path, query: { acl: undefined }, headers: ssec(SECRET) },
        { method: "PUT", path, body: "x", headers: sourceKey(SECRET) },
        { method: "GET", headers: SSE_COS },
      ];
      for (const request of refusals) {
        assertRefused(await server.send(request), "SSEHeaderNotAllowed", {
          message: /does not take the header x-cos-/,
        });
      }
      assert.equal((await server.send({ method: "HEAD", path, headers: SSE_COS })).status, 400);
    });

    it("InvalidArgument: a key id or a context without cos/kms", async () => {
      for (const headers of [{ [KEY_ID]: "a" }, { ...SSE_COS, [CONTEXT]: contextOf({}) }]) {
        assertRefused(await send("PUT", fresh(), { body: "x", headers }), "InvalidArgument", { message: /cos\/kms/ });
      }
    });

    it("sec_S-9.3: metadata of a client is never taken for what the store knows (CVE-2026-34204)", async () => {
      const path = fresh();
      const meta = { "x-cos-meta-server-side-encryption": "AES256", "x-cos-meta-x-cos-internal-sealed": "1" };
      await put(path, "x", meta);
      const answer = await holds(path, Buffer.from("x"));
      assert.equal(answer.headers[METHOD], undefined);
      assert.equal(answer.headers["x-cos-meta-server-side-encryption"], "AES256");
    });
  });

  describe("SSE-KMS", () => {
    it("uses the default key, which is made when it is needed, or the one that is named", async () => {
      const path = fresh();
      const first = await put(path, "x", SSE_KMS);
      const id = first.headers[KEY_ID] as string;
      assert.match(id, /^[0-9a-f-]{36}$/);
      assert.equal((await put(fresh(), "y", SSE_KMS)).headers[KEY_ID], id, "the same one again");
      assert.deepEqual(
        (await server.cosbox.keys.list()).filter(({ isDefault }) => isDefault).map((key) => key.id),
        [id],
      );
      const own = await server.cosbox.keys.create("mine");
      const second = await put(path, "z", { ...SSE_KMS, [KEY_ID]: own.id });
      assert.equal(second.headers[KEY_ID], own.id);
      assert.equal((await send("HEAD", path)).headers[KEY_ID], own.id);
    });

    it("binds a key to a context, and opens what was sealed before a rotation", async () => {
      const key = await server.cosbox.keys.create();
      const path = fresh();
      const headers = { ...SSE_KMS, [KEY_ID]: key.id, [CONTEXT]: contextOf({ project: "a", stage: "b" }) };
      await put(path, "before", headers);
      assert.equal((await server.cosbox.keys.rotate(key.id)).rotations, 2);
      await holds(path, Buffer.from("before"));
      const after = fresh();
      await put(after, "after", headers);
      await holds(after, Buffer.from("after"));
    });

    it("KmsException: a context that is no flat JSON object of texts", async () => {
      const bad = ["%%", "bm8ganNvbg==", contextOf([]), contextOf({ a: 1 }), contextOf({ a: "x".repeat(1_100) })];
      for (const context of bad) {
        const answer = await send("PUT", fresh(), { body: "x", headers: { ...SSE_KMS, [CONTEXT]: context } });
        assertRefused(answer, "KmsException", { message: /flat JSON object/ });
      }
    });

    it("KmsKeyNotExist: a key that nobody made, or whose deletion was due", async () => {
      const answer = await send("PUT", fresh(), { body: "x", headers: { ...SSE_KMS, [KEY_ID]: "no-such-key" } });
      assertRefused(answer, "KmsKeyNotExist");
      const service = await send("PUT", fresh(), { body: "x", headers: { ...SSE_KMS, [KEY_ID]: "service" } });
      assertRefused(service, "KmsKeyNotExist");
    });

    it("KmsKeyDisabled: neither writes nor reads with a key that is disabled or awaits its deletion", async () => {
      const { keys } = server.cosbox;
      const key = await keys.create();
      const path = fresh();
      const headers = { ...SSE_KMS, [KEY_ID]: key.id };
      await put(path, "x", headers);
      for (const off of [() => keys.disable(key.id), () => keys.scheduleDeletion(key.id, 7)]) {
        await off();
        assertRefused(await send("PUT", fresh(), { body: "y", headers }), "KmsKeyDisabled");
        assertRefused(await send("GET", path), "KmsKeyDisabled");
        assert.equal((await send("HEAD", path)).status, 200, "HEAD asks for no key");
      }
      await assert.rejects(keys.enable(key.id), { fault: "refused" });
      assert.equal((await keys.cancelDeletion(key.id)).state, "disabled");
      assert.equal((await keys.enable(key.id)).state, "enabled");
      await assert.rejects(keys.cancelDeletion(key.id), { fault: "refused" });
      await holds(path, Buffer.from("x"));
    });

    it("AccessDenied: nobody reads it without a signature, whatever its ACL says", async () => {
      const path = fresh();
      await put(path, "x", { ...SSE_KMS, "x-cos-acl": "public-read" });
      assertRefused(await send("GET", path, { sign: false }), "AccessDenied");
      const open = fresh();
      await put(open, "y", { ...SSE_COS, "x-cos-acl": "public-read" });
      assert.equal((await send("GET", open, { sign: false })).text, "y");
    });

    it("KmsFreqControl: more calls than the key management service takes", async () => {
      const slow = await testServer({ limits: { kmsCallsPerSecond: 1 } });
      try {
        const answers = await Promise.all(
          Array.from({ length: 8 }, (_, at) =>
            slow.send({ method: "PUT", path: `/${at}`, body: "x", headers: SSE_KMS }),
          ),
        );
        const refusal = answers.find(({ status }) => status !== 200);
        assert.ok(refusal, "eight calls within the second of one");
        assertRefused(refusal, "KmsFreqControl");
        assert.equal((await slow.send({ method: "PUT", path: "/free", body: "x", headers: SSE_COS })).status, 200);
      } finally {
        await slow.stop();
      }
    });
  });

  describe("of a bucket by default", () => {
    const document = (algorithm: string, keyId?: string): string => {
      const key = keyId === undefined ? "" : `<KMSMasterKeyID>${keyId}</KMSMasterKeyID>`;
      const by = `<ApplyServerSideEncryptionByDefault><SSEAlgorithm>${algorithm}</SSEAlgorithm>${key}</ApplyServerSideEncryptionByDefault>`;
      return `<ServerSideEncryptionConfiguration><Rule>${by}</Rule></ServerSideEncryptionConfiguration>`;
    };
    const encryption = { encryption: undefined } as const;
    const bucketWith = async (body?: string): Promise<string> => {
      const bucket = `default-${++serial}-1250000000`;
      await server.send({ method: "PUT", bucket });
      if (body !== undefined) {
        const answer = await server.send({ method: "PUT", bucket, query: encryption, body });
        assert.equal(answer.status, 200, answer.text);
      }
      return bucket;
    };

    it("encrypts what says nothing, until it is taken away", async () => {
      const bucket = await bucketWith(document("AES256"));
      const told = await server.send({ bucket, query: encryption });
      assert.equal(told.text, `<?xml version='1.0' encoding='utf-8' ?>\n${document("AES256")}`);
      const stored = await server.send({ method: "PUT", bucket, path: "/a", body: "x" });
      assert.equal(stored.headers[METHOD], "AES256");
      const own = await server.send({ method: "PUT", bucket, path: "/b", body: "x", headers: SSE_KMS });
      assert.equal(own.headers[METHOD], "cos/kms", "an upload's own headers win");
      const source = { "x-cos-copy-source": `${bucket}.cos.ap-guangzhou.myqcloud.com/b` };
      const copied = await server.send({ method: "PUT", bucket, path: "/c", headers: source });
      assert.equal(copied.headers[METHOD], "AES256");
      const begun = await server.send({ method: "POST", bucket, path: "/d", query: { uploads: undefined } });
      assert.equal(begun.headers[METHOD], "AES256");
      assert.equal((await server.send({ method: "DELETE", bucket, query: encryption })).status, 204);
      assert.equal((await server.send({ method: "DELETE", bucket, query: encryption })).status, 204);
      assert.equal((await server.send({ method: "PUT", bucket, path: "/e", body: "x" })).headers[METHOD], undefined);
      assert.equal((await server.send({ bucket, path: "/a" })).headers[METHOD], "AES256");
    });

    it("takes KMS with a key, cos/kms and lower case", async () => {
      const key = await server.cosbox.keys.create();
      const bucket = await bucketWith(document("KMS", key.id));
      const stored = await server.send({ method: "PUT", bucket, path: "/a", body: "x" });
      assert.deepEqual([stored.headers[METHOD], stored.headers[KEY_ID]], ["cos/kms", key.id]);
      assert.equal((await server.send({ bucket, query: encryption })).element("KMSMasterKeyID"), key.id);
      // The element as the pages of the Node SDK have it.
      const misnamed = document("AES256").replaceAll(
        "ApplyServerSideEncryptionByDefault",
        "ApplySideEncryptionConfiguration",
      );
      const told = await server.send({ bucket: await bucketWith(misnamed), query: encryption });
      assert.ok(told.text.endsWith(document("AES256")), told.text);
      const other = await bucketWith(document("cos/kms"));
      assert.equal((await server.send({ bucket: other, query: encryption })).element("SSEAlgorithm"), "KMS");
    });

    it("NoSuchEncryptionConfiguration: none was set", async () => {
      const bucket = await bucketWith();
      assertRefused(await server.send({ bucket, query: encryption }), "NoSuchEncryptionConfiguration");
    });

    it("MalformedXML: without a rule, with two, or with an algorithm that is none", async () => {
      const bucket = await bucketWith();
      const bad = [
        "<ServerSideEncryptionConfiguration></ServerSideEncryptionConfiguration>",
        document("AES256").replace("<Rule>", "<Rule></Rule><Rule>"),
        document("AES"),
        document("AES256").replace("SSEAlgorithm>", "Algorithm>").replace("</SSEAlgorithm>", "</Algorithm>"),
      ];
      for (const body of bad) {
        const answer = await server.send({ method: "PUT", bucket, query: encryption, body });
        assertRefused(answer, "MalformedXML", { message: /./ });
      }
      const sm4 = await server.send({ method: "PUT", bucket, query: encryption, body: document("SM4") });
      assertRefused(sm4, "NotImplemented", { message: /SM4/ });
    });
  });

  describe("to S3 clients", () => {
    it("speaks of aws:kms, of key ids and ARNs, and of keys of their own", async () => {
      const key = await server.cosbox.keys.create();
      const arn = `arn:aws:kms:ap-guangzhou:1250000000:key/${key.id}`;
      const path = fresh();
      const sse = "x-amz-server-side-encryption";
      const stored = await s3.send({
        method: "PUT",
        path,
        body: "s3",
        headers: { [sse]: "aws:kms", [`${sse}-aws-kms-key-id`]: arn },
      });
      assert.equal(stored.status, 200, stored.text);
      assert.deepEqual([stored.headers[sse], stored.headers[`${sse}-aws-kms-key-id`]], ["aws:kms", key.id]);
      const read = await s3.send({ path });
      assert.deepEqual([read.text, read.headers[sse]], ["s3", "aws:kms"]);
      const own = fresh();
      const headers = keyHeaders(`${sse}-customer`, SECRET);
      assert.equal((await s3.send({ method: "PUT", path: own, body: "own", headers })).status, 200);
      assert.equal((await s3.send({ path: own, headers })).text, "own");
      const refused = async (request: Parameters<S3Client["send"]>[0]) => {
        const answer = await s3.send(request);
        return `${answer.status} ${answer.element("Code")}`;
      };
      assert.equal(await refused({ path: own }), "400 InvalidRequest");
      const both = { ...headers, [sse]: "AES256" };
      assert.equal(await refused({ method: "PUT", path: own, body: "x", headers: both }), "400 InvalidArgument");
      assert.equal(await refused({ path: own, headers: { [sse]: "AES256" } }), "400 InvalidArgument");
      await holds(own, Buffer.from("own"), ssec(SECRET));
      const attributes = { "x-amz-object-attributes": "ObjectSize" };
      const query = { attributes: undefined };
      assert.equal((await s3.send({ path: own, query, headers: attributes })).status, 400);
      assert.equal((await s3.send({ path: own, query, headers: { ...attributes, ...headers } })).status, 200);
    });

    it("takes the key of an upload with the list of its parts, which needs none", async () => {
      const path = fresh();
      const uploadId = await begin(server, path.slice(1), ssec(SECRET));
      const s3Headers = keyHeaders("x-amz-server-side-encryption-customer", SECRET);
      const list = await s3.send({ path, query: { uploadId }, headers: s3Headers });
      assert.deepEqual([list.status, list.element("UploadId")], [200, uploadId], list.text);
      assertRefused(await send("GET", path, { query: { uploadId }, headers: ssec(SECRET) }), "SSEHeaderNotAllowed", {
        message: /does not take the header x-cos-/,
      });
    });

    it("writes the bucket's document as S3 does", async () => {
      const bucket = `s3default-${++serial}-1250000000`;
      await s3.send({ method: "PUT", bucket });
      const body =
        '<ServerSideEncryptionConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>';
      const none = await s3.send({ bucket, query: { encryption: "" } });
      assert.deepEqual(
        [none.status, none.element("Code")],
        [404, "ServerSideEncryptionConfigurationNotFoundError"],
        none.text,
      );
      assert.equal((await s3.send({ method: "PUT", bucket, query: { encryption: "" }, body })).status, 200);
      const told = await s3.send({ bucket, query: { encryption: "" } });
      assert.deepEqual([told.element("SSEAlgorithm"), told.element("BucketKeyEnabled")], ["aws:kms", "false"]);
      const { id } = await server.cosbox.keys.create();
      const named = `<KMSMasterKeyID>arn:aws:kms:ap-guangzhou:1250000000:key/${id}</KMSMasterKeyID></Apply`;
      const byArn = body.replace("</Apply", named);
      assert.equal((await s3.send({ method: "PUT", bucket, query: { encryption: "" }, body: byArn })).status, 200);
      assert.equal((await s3.send({ bucket, query: { encryption: "" } })).element("KMSMasterKeyID"), id);
      const put = await s3.send({ method: "PUT", bucket, path: "/k", body: "x" });
      assert.equal(put.headers["x-amz-server-side-encryption-aws-kms-key-id"], id, put.text);
    });
  });
});
