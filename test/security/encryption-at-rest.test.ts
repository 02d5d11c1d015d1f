/** What is encrypted is nowhere in the clear, and nothing that was changed on the disk opens. */

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, it, onTestFinished } from "vitest";
import { lmdbMetadata } from "../../src/engines/metadata/lmdb.ts";
import { systemRandom } from "../../src/engines/random/system.ts";
import { createLog } from "../../src/log.ts";
import { type MetadataEngine, pointRange } from "../../src/ports/metadata.ts";
import { familyRange, objectKey } from "../../src/store/keys.ts";
import { decodeObject, encodeObject, OBJECT_ENCRYPTION_TAG } from "../../src/store/records.ts";
import { freshFolder } from "../contract/store-fixture.ts";
import { run } from "../fixtures/command.ts";
import { assertRefused } from "../fixtures/refusal.ts";
import { type Received, type Sent, type TestServer, testServer } from "../fixtures/server.ts";
import { begin, complete, sendPart } from "../fixtures/uploads.ts";

const METHOD = "x-cos-server-side-encryption";
const SSE_COS = { [METHOD]: "AES256" };
const SSE_KMS = { [METHOD]: "cos/kms" };
const ssec = (key: Buffer): Record<string, string> => ({
  [`${METHOD}-customer-algorithm`]: "AES256",
  [`${METHOD}-customer-key`]: key.toString("base64"),
  [`${METHOD}-customer-key-MD5`]: createHash("md5").update(key).digest("base64"),
});
/** Rows up to the first bound, segments up to the second, and a file of its own above. */
const LIMITS = { inlineBytesMax: 1_000, segmentBytesMax: 20_000, partBytesMin: 1 };
const SIZES = [600, 15_000, 200_000];
const TIMEOUT_MS = 60_000;

/** Text that is not found by chance, `size` bytes of it. */
function canary(size: number): { bytes: Buffer; marks: Buffer[] } {
  const mark = Buffer.from(`plaintext-${randomBytes(12).toString("hex")};`);
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; at += mark.length) mark.copy(bytes, at);
  return { bytes, marks: [mark] };
}

async function serverIn(data: string, more = {}): Promise<TestServer> {
  const server = await testServer({ data, memory: false, durability: "none", limits: LIMITS, ...more });
  onTestFinished(() => server.stop());
  return server;
}

async function setDefault(server: TestServer, algorithm: "AES256" | "KMS"): Promise<void> {
  const rule = `<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>${algorithm}</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>`;
  const body = `<ServerSideEncryptionConfiguration>${rule}</ServerSideEncryptionConfiguration>`;
  const { status, text } = await server.send({ method: "PUT", query: { encryption: undefined }, body });
  assert.equal(status, 200, text);
}

const dataFolder = async (): Promise<string> => path.join(await freshFolder(), "data");

/** Every file below a folder, and beside it what begins with its name. */
function* filesOf(folder: string): Generator<string> {
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const file = path.join(folder, name);
    if (statSync(file).isFile()) yield file;
  }
}

function assertNowhere(folder: string, needles: readonly Buffer[]): void {
  let bytes = 0;
  for (const file of filesOf(folder)) {
    const content = readFileSync(file);
    bytes += content.length;
    for (const needle of needles) assert.equal(content.indexOf(needle), -1, `${file} holds ${needle.toString()}`);
  }
  assert.ok(bytes > 0);
}

function isSomewhere(folder: string, needle: Buffer): boolean {
  for (const file of filesOf(folder)) if (readFileSync(file).includes(needle)) return true;
  return false;
}

/** Stores bytes in every way that there is, and gives the keys with what they hold. */
async function storeEverywhere(
  server: TestServer,
  headers: Record<string, string>,
  reading: Record<string, string>,
): Promise<{ stored: Map<string, Buffer>; marks: Buffer[] }> {
  const stored = new Map<string, Buffer>();
  const marks: Buffer[] = [];
  const fresh = (size: number): Buffer => {
    const made = canary(size);
    marks.push(...made.marks);
    return made.bytes;
  };
  const done = async (request: Sent): Promise<Received> => {
    const answer = await server.send(request);
    assert.equal(answer.status, 200, answer.text);
    return answer;
  };
  for (const size of SIZES) {
    const put = fresh(size);
    await done({ method: "PUT", path: `/put-${size}`, body: put, headers });
    stored.set(`put-${size}`, put);
    const chunked = fresh(size);
    await done({ method: "PUT", path: `/chunked-${size}`, body: chunked, framing: "chunked", headers });
    stored.set(`chunked-${size}`, chunked);

    const parts = [fresh(size), fresh(size)];
    const key = `parts-${size}`;
    const uploadId = await begin(server, key, headers);
    const etags: [number, string][] = [];
    for (const [at, body] of parts.entries()) {
      const query = { partNumber: at + 1, uploadId };
      const answer = await done({ method: "PUT", path: `/${key}`, query, body, headers: reading });
      etags.push([at + 1, (answer.headers.etag as string).replaceAll('"', "")]);
    }
    assert.equal((await complete(server, key, uploadId, etags)).status, 200);
    stored.set(key, Buffer.concat(parts));

    const pieces = [fresh(size), fresh(40)];
    let position = 0;
    for (const body of pieces) {
      await done({ method: "POST", path: `/log-${size}`, query: { append: undefined, position }, body, headers });
      position += body.length;
    }
    stored.set(`log-${size}`, Buffer.concat(pieces));
  }
  return { stored, marks };
}

describe("encryption at rest", () => {
  it(
    "sec_S-9.4: plaintext is nowhere in the data folder (GHSA-xrrf-67jm-3c2r)",
    async () => {
      const data = await dataFolder();
      const server = await serverIn(data);
      const key = randomBytes(32);
      const marks: Buffer[] = [];
      for (const [name, headers, reading] of [
        ["cos", SSE_COS, {}],
        ["kms", SSE_KMS, {}],
        ["own", ssec(key), ssec(key)],
      ] as const) {
        const made = await storeEverywhere(server, headers, reading);
        marks.push(...made.marks);
        for (const [stored, bytes] of made.stored) {
          const answer = await server.send({ path: `/${stored}`, headers: reading });
          assert.ok(answer.body.equals(bytes), `${name} ${stored}`);
          await server.send({ method: "DELETE", path: `/${stored}` });
        }
      }
      // A copy that is encrypted of what is not, and one that shares the bytes of what is.
      const open = canary(200_000);
      await server.send({ method: "PUT", path: "/sealed", body: open.bytes, headers: SSE_COS });
      const source = { "x-cos-copy-source": `${server.bucket}.cos.ap-guangzhou.myqcloud.com/sealed` };
      const shared = await server.send({ method: "PUT", path: "/shared", headers: { ...source, ...SSE_KMS } });
      assert.equal(shared.status, 200, shared.text);
      marks.push(...open.marks);
      assertNowhere(data, marks);
      // The search finds what is not encrypted, so it would find the others.
      const plain = canary(200_000);
      await server.send({ method: "PUT", path: "/plain", body: plain.bytes });
      assert.ok(isSomewhere(data, plain.marks[0] as Buffer));
    },
    TIMEOUT_MS,
  );

  it("sec_S-9.6: a client's key is neither stored, nor logged, nor kept in records (CVE-2018-16889)", async () => {
    const data = await dataFolder();
    let logged = "";
    const log = createLog({ level: "debug", out: { write: (line: string) => (logged += line) } });
    const server = await serverIn(data, { log });
    const key = randomBytes(32);
    await storeEverywhere(server, ssec(key), ssec(key));
    for (const headers of [ssec(key), { ...ssec(key), [`${METHOD}-customer-algorithm`]: "none" }]) {
      await server.send({ path: "/put-600", headers });
      await server.send({ method: "DELETE", path: "/put-600", headers });
      await server.send({ path: "/absent", headers });
    }
    const recent = JSON.stringify(server.cosbox.requests.recent());
    await server.stop();
    const forms = [key, Buffer.from(key.toString("base64")), Buffer.from(key.toString("hex"))];
    assertNowhere(data, forms);
    for (const form of forms.slice(1)) {
      assert.ok(!logged.includes(form.toString()));
      assert.ok(!recent.includes(form.toString()));
    }
  });

  it("keeps the key of the keys outside of the data folder, for its owner alone", async () => {
    const data = await dataFolder();
    const server = await serverIn(data);
    const file = `${data}.key`;
    await server.send({ method: "PUT", path: "/plain", body: "x" });
    assert.ok(!existsSync(file), "it is made when it is needed");
    await server.send({ method: "PUT", path: "/sealed", body: "x", headers: SSE_COS });
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const key = Buffer.from(readFileSync(file, "latin1").trim(), "hex");
    assert.equal(key.length, 32);
    await server.stop();
    assertNowhere(data, [key, Buffer.from(key.toString("hex"))]);
  });

  it("KmsInternalException: the key of the data is gone, is another one, or may be read by others", async () => {
    const data = await dataFolder();
    const first = await serverIn(data);
    await first.send({ method: "PUT", path: "/kms", body: "x", headers: SSE_KMS });
    await first.send({ method: "PUT", path: "/cos", body: "x", headers: SSE_COS });
    await first.stop();
    const file = `${data}.key`;
    const kept = readFileSync(file, "latin1");
    const asks = async (what: string): Promise<void> => {
      const server = await serverIn(data, { createBucket: false });
      for (const request of [
        { path: "/kms" },
        { path: "/cos" },
        { method: "PUT", path: "/new", body: "x", headers: SSE_KMS },
        { method: "PUT", path: "/new", body: "x", headers: SSE_COS },
      ]) {
        assertRefused(await server.send(request), "KmsInternalException");
      }
      assert.equal((await server.send({ method: "PUT", path: "/plain", body: "x" })).status, 200, what);
      await server.stop();
    };
    renameSync(file, `${file}.away`);
    await asks("gone");
    assert.ok(!existsSync(file), "none is made in place of the one that is gone");
    writeFileSync(file, `${randomBytes(32).toString("hex")}\n`, { mode: 0o600 });
    await asks("another");
    writeFileSync(file, kept, { mode: 0o600 });
    const { chmodSync } = await import("node:fs");
    chmodSync(file, 0o644);
    await asks("readable");
    chmodSync(file, 0o600);
    const again = await serverIn(data, { createBucket: false });
    assert.equal((await again.send({ path: "/kms" })).text, "x");
    assert.equal((await again.send({ path: "/cos" })).text, "x");
  });

  it(
    "makes no key in place of a lost one, whoever needs it",
    async () => {
      const data = await dataFolder();
      const first = await serverIn(data);
      await first.send({ method: "PUT", path: "/kms", body: "x", headers: SSE_KMS });
      await first.stop();
      const file = `${data}.key`;
      const kept = readFileSync(file, "latin1");
      const user = { uin: "100000000011", keys: [{ secretId: "AKIDofauser", secretKey: "a-secret-of-a-user" }] };
      const accounts = [{ uin: "100000000001", users: [user] }];
      const startsWith = (why: RegExp, more = {}): Promise<void> =>
        assert.rejects(serverIn(data, { createBucket: false, accounts, ...more }), why);
      renameSync(file, `${file}.away`);
      await startsWith(
        /no secret is sealed under another key than before: there is no key in .*data\.key, .*; put back what it was, or name its file with --seal-key$/,
      );
      assert.ok(!existsSync(file));
      writeFileSync(file, `${randomBytes(32).toString("hex")}\n`, { mode: 0o600 });
      await startsWith(/the key in .*data\.key is not the one that the keys were sealed under; put back/);
      await startsWith(/the setting sealPassphrase is not the one .*; set the passphrase that it was/, {
        sealPassphrase: "correct horse battery",
      });
      writeFileSync(file, kept, { mode: 0o600 });
      const again = await serverIn(data, { createBucket: false, accounts });
      assert.equal((await again.send({ path: "/kms" })).text, "x");
      await again.stop();

      // And the other way round: an import that would encrypt, beside accounts that were sealed before.
      const sealed = await dataFolder();
      const server = await serverIn(sealed, { accounts });
      await setDefault(server, "KMS");
      await server.stop();
      renameSync(`${sealed}.key`, `${sealed}.away`);
      const cwd = path.dirname(sealed);
      mkdirSync(path.join(cwd, "site"));
      writeFileSync(path.join(cwd, "site", "a"), "a");
      const { code, stderr } = await run(["import", "site", server.bucket, "--data", sealed], cwd);
      assert.deepEqual([code, existsSync(`${sealed}.key`)], [1, false]);
      assert.match(stderr, /^cosbox: the secrets of this data are sealed, and their key is missing: put .*\n$/);
    },
    2 * TIMEOUT_MS,
  );

  describe("of which something was changed on the disk", () => {
    type Rows = Pick<MetadataEngine, "read" | "commit">;

    /** Stores objects, changes rows while the server is stopped, and gives a server on the outcome. */
    async function changed(
      store: (server: TestServer) => Promise<void>,
      change: (rows: Rows, bucketId: string) => Promise<void>,
    ): Promise<TestServer> {
      const data = await dataFolder();
      const first = await serverIn(data);
      await store(first);
      await first.stop();
      const engine = await lmdbMetadata({
        folder: path.join(data, "metadata"),
        random: systemRandom(),
        durability: "none",
      });
      const [[object] = []] = await engine.read([familyRange("object", 1)]);
      await change(engine, (object?.key ?? Buffer.alloc(9)).toString("hex", 1, 9));
      await engine.close();
      return await serverIn(data, { createBucket: false });
    }

    const recordOf = async (rows: Rows, bucketId: string, key: string) => {
      const [[row] = []] = await rows.read([pointRange(objectKey(bucketId, key))]);
      assert.ok(row);
      return decodeObject(row.value);
    };
    const put = (server: TestServer, key: string, body: Buffer | string, headers = SSE_COS as Record<string, string>) =>
      server.send({ method: "PUT", path: `/${key}`, body, headers });
    /** An error or a cut connection, and in no case the bytes. */
    const failsToRead = async (server: TestServer, key: string, plain: readonly Buffer[]): Promise<void> => {
      let body: Buffer = Buffer.alloc(0);
      try {
        const answer = await server.send({ path: `/${key}` });
        if (answer.status >= 400) return;
        body = answer.body;
      } catch {
        return;
      }
      assert.fail(
        `it answered ${body.length} bytes, ${plain.some((one) => one.includes(body)) ? "plaintext" : "others"}`,
      );
    };

    it("sec_S-9.1: wrapped keys, bodies and parts do not open in each other's place (MinIO b181a693f)", async () => {
      const [a, b] = [canary(15_000).bytes, canary(15_000).bytes];
      const parts = [canary(5_000).bytes, canary(5_000).bytes];
      const server = await changed(
        async (server) => {
          for (const key of ["a", "keys-of-a"]) await put(server, key, a);
          for (const key of ["b", "bytes-of-b"]) await put(server, key, b);
          const uploadId = await begin(server, "parts", SSE_COS);
          const etags: [number, string][] = [];
          for (const [at, body] of parts.entries()) {
            const answer = await server.send({
              method: "PUT",
              path: "/parts",
              query: { partNumber: at + 1, uploadId },
              body,
            });
            etags.push([at + 1, (answer.headers.etag as string).replaceAll('"', "")]);
          }
          await complete(server, "parts", uploadId, etags);
          assert.ok((await server.send({ path: "/parts" })).body.equals(Buffer.concat(parts)));
        },
        async (rows, bucketId) => {
          const first = await recordOf(rows, bucketId, "a");
          const second = await recordOf(rows, bucketId, "b");
          const set = async (key: string, record: typeof first) => {
            await rows.commit([], [{ key: objectKey(bucketId, key), value: encodeObject(record) }]);
          };
          // The wrapped key of another object with its bytes; the bytes of another with one's own key.
          await set("keys-of-a", first);
          await set("bytes-of-b", { ...(await recordOf(rows, bucketId, "bytes-of-b")), body: first.body });
          // Two parts, which have one data key, change places; their seals stay where they were.
          const joined = await recordOf(rows, bucketId, "parts");
          const [one, other] = joined.body.pieces;
          assert.ok(one?.seal && other?.seal);
          const pieces = [
            { ...other, seal: one.seal },
            { ...one, seal: other.seal },
          ];
          await set("parts", { ...joined, body: { ...joined.body, pieces } });
          await set("b", { ...second, sections: first.sections });
        },
      );
      assert.ok((await server.send({ path: "/a" })).body.equals(a), "what was left alone opens");
      for (const key of ["keys-of-a", "bytes-of-b", "parts", "b"]) await failsToRead(server, key, [a, b, ...parts]);
    });

    it("sec_S-9.2: no field of a record can be changed or left out (SeaweedFS e1d5e3899)", async () => {
      const plain = canary(15_000).bytes;
      const names: string[] = [];
      const server = await changed(
        async (server) => {
          for (let at = 0; at < 140; at++) await put(server, `changed-${at}`, plain);
          await put(server, "stripped", plain);
          await put(server, "cut", plain);
        },
        async (rows, bucketId) => {
          for (let at = 0; at < 140; at++) {
            const record = await recordOf(rows, bucketId, `changed-${at}`);
            const section = record.sections.find(({ tag }) => tag === OBJECT_ENCRYPTION_TAG);
            assert.ok(section);
            if (at >= section.bytes.length) break;
            const bytes = Buffer.from(section.bytes);
            bytes[at] = (bytes[at] as number) ^ 1;
            const sections = [{ tag: OBJECT_ENCRYPTION_TAG, bytes }];
            const value = encodeObject({ ...record, sections });
            await rows.commit([], [{ key: objectKey(bucketId, `changed-${at}`), value }]);
            names.push(`changed-${at}`);
          }
          const record = await recordOf(rows, bucketId, "stripped");
          const value = encodeObject({ ...record, sections: [] });
          await rows.commit([], [{ key: objectKey(bucketId, "stripped"), value }]);
          const cut = await recordOf(rows, bucketId, "cut");
          const [piece] = cut.body.pieces;
          assert.ok(piece?.seal);
          const short = { ...piece, length: 10, seal: { ...piece.seal, size: 10 } };
          const body = { ...cut.body, size: 10, pieces: [short] };
          const shorter = encodeObject({ ...cut, size: 10, body });
          await rows.commit([], [{ key: objectKey(bucketId, "cut"), value: shorter }]);
        },
      );
      assert.ok(names.length > 90, `${names.length} bytes of the section were changed, one at a time`);
      for (const name of [...names, "stripped", "cut"]) await failsToRead(server, name, [plain]);
    });
  });

  it(
    "is found sound by fsck and scrub, is exported in the clear, and is encrypted again by an import",
    async () => {
      const data = await dataFolder();
      const server = await serverIn(data);
      const key = randomBytes(32);
      const cos = await storeEverywhere(server, SSE_COS, {});
      const kms = canary(15_000);
      await server.send({ method: "PUT", path: "/kms", body: kms.bytes, headers: SSE_KMS });
      await server.send({ method: "PUT", path: "/own", body: "own", headers: ssec(key) });
      const { bucket } = server;
      await server.stop();
      const cwd = path.dirname(data);
      for (const command of ["fsck", "scrub"]) {
        const found = await run([command, "--data", data], cwd);
        assert.equal(found.code, 0, found.stdout + found.stderr);
      }
      const exported = await run(["export", bucket, "out", "--data", data], cwd);
      assert.equal(exported.code, 1, "one object cannot be exported");
      assert.match(
        exported.stdout + exported.stderr,
        /left out: object .*\/own is encrypted, and its key is not at hand/,
      );
      assert.ok(readFileSync(path.join(cwd, "out", "kms")).equals(kms.bytes));
      for (const [name, bytes] of cos.stored) assert.ok(readFileSync(path.join(cwd, "out", name)).equals(bytes), name);

      const other = path.join(await freshFolder(), "data");
      const imported = await run(["import", "out", bucket, "--data", other], cwd);
      assert.equal(imported.code, 0, imported.stdout + imported.stderr);
      assertNowhere(other, [...cos.marks, ...kms.marks]);
      const again = await serverIn(other, { createBucket: false });
      const read = await again.send({ path: "/kms" });
      assert.ok(read.body.equals(kms.bytes));
      assert.equal(read.headers[METHOD], "cos/kms");
      for (const [name, bytes] of cos.stored) {
        const answer = await again.send({ path: `/${name}` });
        assert.ok(answer.body.equals(bytes), name);
        assert.equal(answer.headers[METHOD], "AES256");
      }
    },
    TIMEOUT_MS,
  );

  it(
    "sec_S-9.5: an import encrypts what was not, where the bucket does, and hides its MD5 (MinIO f8f290e84)",
    async () => {
      const data = await dataFolder();
      const server = await serverIn(data);
      const single = canary(15_000);
      const film = canary(30_000);
      await server.send({ method: "PUT", path: "/single", body: single.bytes });
      await server.send({ method: "PUT", path: "/cos", body: single.bytes, headers: SSE_COS });
      const id = await begin(server, "film");
      const halves = [film.bytes.subarray(0, 15_000), film.bytes.subarray(15_000)];
      const parts = await Promise.all(
        halves.map(async (half, at) => [at + 1, await sendPart(server, "film", id, at + 1, half)] as const),
      );
      await complete(server, "film", id, parts);
      const before = await server.send({ method: "HEAD", path: "/film" });
      await server.stop();
      const cwd = path.dirname(data);
      assert.equal((await run(["export", server.bucket, "out", "--data", data], cwd)).code, 0);
      mkdirSync(path.join(cwd, "site"));
      writeFileSync(path.join(cwd, "site", "plain"), single.bytes);

      for (const algorithm of ["AES256", "KMS"] as const) {
        const other = await dataFolder();
        const empty = await serverIn(other);
        await setDefault(empty, algorithm);
        await empty.stop();
        for (const folder of ["out", "site"]) {
          const imported = await run(["import", folder, empty.bucket, "--data", other], cwd);
          assert.equal(imported.code, 0, imported.stdout + imported.stderr);
        }
        assertNowhere(other, [...single.marks, ...film.marks]);
        const again = await serverIn(other, { createBucket: false });
        const md5 = createHash("md5").update(single.bytes).digest("hex");
        for (const [name, bytes] of [
          ["single", single.bytes],
          ["film", film.bytes],
          ["plain", single.bytes],
        ] as const) {
          const { body, headers } = await again.send({ path: `/${name}` });
          assert.ok(body.equals(bytes), name);
          assert.equal(headers[METHOD], algorithm === "KMS" ? "cos/kms" : "AES256", name);
          const etag = headers.etag ?? "";
          assert.match(etag, name === "film" ? /^"[0-9a-f]{32}-2"$/ : /^"[0-9a-f]{32}"$/);
          const told = name === "film" ? before.headers.etag : `"${md5}"`;
          assert.equal(etag === told, algorithm === "AES256", name);
        }
        assert.equal(
          (await again.send({ method: "HEAD", path: "/cos" })).headers[METHOD],
          "AES256",
          "as it was before",
        );
        await again.stop();
      }
    },
    2 * TIMEOUT_MS,
  );

  it("scrub finds a byte that turned, in what is sealed too", async () => {
    const data = await dataFolder();
    const server = await serverIn(data);
    await server.send({ method: "PUT", path: "/a", body: canary(200_000).bytes, headers: SSE_COS });
    await server.stop();
    const largest = [...filesOf(path.join(data, "blobs"))].toSorted((a, b) => statSync(b).size - statSync(a).size)[0];
    assert.ok(largest);
    const bytes = readFileSync(largest);
    const at = bytes.length - 1_000;
    bytes[at] = (bytes[at] as number) ^ 1;
    writeFileSync(largest, bytes);
    const found = await run(["scrub", "--data", data], path.dirname(data));
    assert.equal(found.code, 1, found.stdout + found.stderr);
  });
});
