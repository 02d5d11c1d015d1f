/** SSE-KMS by a key management service over HTTP. */

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, it, onTestFinished, vi } from "vitest";
import { createLog } from "../../src/log.ts";
import { freshFolder } from "../contract/store-fixture.ts";
import { run } from "../fixtures/command.ts";
import { KMS_PAIR, type KmsMischief, type TestKms, testKms } from "../fixtures/kms.ts";
import { assertRefused } from "../fixtures/refusal.ts";
import { type Received, type Sent, type TestServer, testServer } from "../fixtures/server.ts";
import { begin, complete, sendPart } from "../fixtures/uploads.ts";

const METHOD = "x-cos-server-side-encryption";
const KEY_ID = `${METHOD}-cos-kms-key-id`;
const CONTEXT = `${METHOD}-context`;
const SSE_KMS = { [METHOD]: "cos/kms" };
/** For tests that run the command, on a machine that has much else to do. */
const TIMEOUT_MS = 120_000;
const context = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64");

describe("a key management service over HTTP", () => {
  let kms: TestKms;
  let server: TestServer;
  let defaultKey = "";
  beforeAll(async () => {
    kms = await testKms();
    defaultKey = kms.makeKey();
    server = await testServer({
      ...kms.settings(defaultKey),
      kmsRegion: "ap-singapore",
      limits: { partBytesMin: 1, kmsTimeoutMs: 500 },
    });
    await vi.waitFor(() => assert.equal(kms.calls.length, 1));
  });
  afterAll(async () => {
    await server.stop();
    await kms.stop();
  });

  const put = (key: string, body: string, headers: Record<string, string> = {}): Promise<Received> =>
    server.send({ method: "PUT", path: key, body, headers: { ...SSE_KMS, ...headers } });
  const since = async (work: () => Promise<unknown>): Promise<string[]> => {
    const before = kms.calls.length;
    await work();
    const asked = kms.calls.slice(before).map(({ action }) => action);
    // A server that has just started asks what state its key is in.
    return asked.filter((action) => action !== "DescribeKey");
  };
  const ok = async (answer: Promise<Received>): Promise<Received> => {
    const found = await answer;
    assert.ok(found.status < 300, `${found.status} ${found.text}`);
    return found;
  };

  it("seals what is stored under its default key or a named one, and opens it again", async () => {
    const other = kms.makeKey();
    const stored = await ok(put("/default", "under the default key"));
    assert.equal(stored.headers[KEY_ID], defaultKey);
    assert.equal((await ok(put("/named", "under another", { [KEY_ID]: other }))).headers[KEY_ID], other);
    assert.deepEqual(kms.calls.at(-1), {
      action: "GenerateDataKey",
      region: "ap-singapore",
      parameters: { KeyId: other, KeySpec: "AES_256" },
    });
    assert.deepEqual(await since(() => server.send({ path: "/named" })), ["Decrypt"]);
    kms.rotate(defaultKey);
    assert.equal((await server.send({ path: "/default" })).text, "under the default key");
    assert.equal((await server.send({ path: "/named", headers: { range: "bytes=6-" } })).text, "another");

    const uploadId = await begin(server, "film", { ...SSE_KMS, [KEY_ID]: other });
    const first = await sendPart(server, "film", uploadId, 1, "first,");
    const second = await sendPart(server, "film", uploadId, 2, "second");
    await ok(
      complete(server, "film", uploadId, [
        [1, first],
        [2, second],
      ]),
    );
    assert.equal((await server.send({ path: "/film" })).text, "first,second");
    const source = `${server.bucket}.cos.ap-guangzhou.myqcloud.com/film`;
    await ok(server.send({ method: "PUT", path: "/copy", headers: { ...SSE_KMS, "x-cos-copy-source": source } }));
    const copy = await server.send({ path: "/copy" });
    assert.deepEqual([copy.text, copy.headers[KEY_ID]], ["first,second", defaultKey]);
  });

  it("binds a key to a context, told in one order, whatever the client's", async () => {
    await ok(put("/bound", "x", { [CONTEXT]: context({ project: "films", department: "archive" }) }));
    const told = '{"department":"archive","project":"films"}';
    assert.equal(kms.calls.at(-1)?.parameters["EncryptionContext"], told);
    assert.equal((await server.send({ path: "/bound" })).text, "x");
    assert.equal(kms.calls.at(-1)?.parameters["EncryptionContext"], told);
  });

  it("is asked for nothing that needs no key", async () => {
    const asked = await since(async () => {
      await ok(server.send({ method: "PUT", path: "/plain", body: "x" }));
      await ok(server.send({ method: "PUT", path: "/cos", body: "x", headers: { [METHOD]: "AES256" } }));
      await ok(server.send({ path: "/cos" }));
      await ok(server.send({ method: "HEAD", path: "/default" }));
      await server.send({ path: "/default", sign: false });
    });
    assert.deepEqual(asked, []);
  });

  it("KmsKeyNotExist, KmsKeyDisabled: by the states of its keys, at once", async () => {
    const key = kms.makeKey();
    await ok(put("/own", "own", { [KEY_ID]: key }));
    assertRefused(await put("/none", "x", { [KEY_ID]: "cmk-none" }), "KmsKeyNotExist");
    for (const state of ["Disabled", "PendingDelete"] as const) {
      kms.setState(key, state);
      assertRefused(await server.send({ path: "/own" }), "KmsKeyDisabled");
      assertRefused(await put("/more", "x", { [KEY_ID]: key }), "KmsKeyDisabled");
    }
    kms.setState(key, "Enabled");
    assert.equal((await server.send({ path: "/own" })).text, "own");
  });

  const refused: readonly (readonly [id: string, told: RegExp, mischief: readonly KmsMischief[]])[] = [
    ["KmsException", /UnauthorizedOperation, no policy/, [{ code: "UnauthorizedOperation", message: "no policy" }]],
    ["KmsException", /FailedOperation\.DecryptError/, [{ code: "FailedOperation.DecryptError" }]],
    ["KmsFreqControl", /RequestLimitExceeded/, [{ code: "RequestLimitExceeded" }]],
    ["KmsFreqControl", /UinLimitExceeded/, [{ code: "RequestLimitExceeded.UinLimitExceeded" }]],
    ["KmsInternalException", /AuthFailure\.SignatureFailure/, [{ code: "AuthFailure.SignatureFailure" }]],
    ["KmsInternalException", /InternalError/, [{ code: "InternalError" }, { code: "InternalError" }]],
    ["KmsInternalException", /cannot be asked: socket hang up/, ["drop", "drop"]],
    ["KmsInternalException", /does not answer within 500 ms/, ["hang"]],
    [
      "KmsInternalException",
      /answers with 502, and not as/,
      [
        { status: 502, body: "<html>" },
        { status: 502, body: "" },
      ],
    ],
    ["KmsInternalException", /not as a KMS does/, [{ body: "[]" }, { body: '{"Response":[]}' }]],
    ["KmsInternalException", /more than 65536 bytes/, [{ body: " ".repeat(70_000) }, { body: " ".repeat(70_000) }]],
    [
      "KmsInternalException",
      /a key of 3 bytes in place of 32/,
      [{ body: '{"Response":{"Plaintext":"AAAA","CiphertextBlob":"x"}}' }],
    ],
  ];
  it.each(refused)("%s: an answer to read by, of which explain tells %s", async (id, told, mischief) => {
    await ok(put("/asked", "x"));
    kms.misbehave(...mischief);
    const answer = await server.send({ path: "/asked" });
    assertRefused(answer, id as "KmsException");
    assert.ok(!answer.text.includes(kms.endpoint), "which service there is, is nobody's business");
    const text = (await server.cosbox.requests.explain(String(answer.headers["x-cos-request-id"]))) ?? "";
    assert.match(text, told);
    assert.ok(text.includes(new URL(kms.endpoint).host), text);
    assert.ok(!text.includes(KMS_PAIR.secretKey), text);
    assert.equal((await server.send({ path: "/asked" })).text, "x", "and afterwards all is well");
  });

  it("KmsInternalException: a sealed key that is none, or longer than what is kept", async () => {
    const Plaintext = Buffer.alloc(32, 1).toString("base64");
    for (const CiphertextBlob of ["", 5, "x".repeat(2_049)]) {
      kms.misbehave({ body: JSON.stringify({ Response: { Plaintext, CiphertextBlob } }) });
      assertRefused(await put("/odd", "x"), "KmsInternalException");
    }
  });

  it("is asked once more where it failed or the connection did, and never where it refused", async () => {
    for (const failure of ["drop", { code: "InternalError" }, { status: 503, body: "" }] as const) {
      kms.misbehave(failure);
      assert.deepEqual(await since(() => ok(server.send({ path: "/asked" }))), ["Decrypt", "Decrypt"]);
    }
    kms.misbehave({ code: "RequestLimitExceeded" });
    assert.deepEqual(await since(() => server.send({ path: "/asked" })), ["Decrypt"]);
  });

  it("KmsInternalException: another secret than the one it knows, and nobody at the address", async () => {
    const other = await testServer({ ...kms.settings(defaultKey), kmsSecretKey: "another-secret-key" });
    const gone = await testKms();
    await gone.stop();
    const alone = await testServer(gone.settings("cmk-any"));
    try {
      for (const one of [other, alone]) {
        assertRefused(
          await one.send({ method: "PUT", path: "/a", body: "x", headers: SSE_KMS }),
          "KmsInternalException",
        );
        assert.equal((await one.send({ method: "PUT", path: "/a", body: "x" })).status, 200);
      }
    } finally {
      await other.stop();
      await alone.stop();
    }
  });

  it("is asked at the start, and whoever runs the server is told what keeps it from being used", async () => {
    const disabled = kms.makeKey();
    kms.setState(disabled, "Disabled");
    const warned = async (settings: object): Promise<string> => {
      const lines: string[] = [];
      const log = createLog({ level: "warn", out: { write: (line: string) => void lines.push(line) } });
      const before = kms.calls.length;
      const one = await testServer({ ...settings, log });
      try {
        await vi.waitFor(() => assert.ok(kms.calls.length > before));
        assert.deepEqual(kms.calls[before]?.action, "DescribeKey");
        // Its answer is on the way; the server answers in between.
        await vi.waitFor(() => assert.ok(lines.length > 0), { timeout: 500 }).catch(() => undefined);
        return lines.join("");
      } finally {
        await one.stop();
      }
    };
    assert.equal(await warned(kms.settings(defaultKey)), "");
    assert.equal(await warned(kms.settings()), "");
    assert.match(await warned(kms.settings(disabled)), /is Disabled.*SSE-KMS cannot be read or stored/);
    assert.match(await warned(kms.settings("cmk-none")), /ResourceUnavailable\.CmkNotFound/);
    const wrong = await warned({ ...kms.settings(defaultKey), kmsSecretKey: "another-secret-key" });
    assert.match(wrong, /AuthFailure\.SignatureFailure/);
    assert.ok(!wrong.includes("another-secret-key"));
  });

  it("is told of in the log where it fails", async () => {
    const lines: string[] = [];
    const log = createLog({ level: "error", out: { write: (line: string) => void lines.push(line) } });
    const before = kms.calls.length;
    const one = await testServer({ ...kms.settings(defaultKey), log });
    try {
      await vi.waitFor(() => assert.ok(kms.calls.length > before));
      kms.misbehave({ body: "" }, { body: "" });
      assertRefused(await one.send({ method: "PUT", path: "/a", body: "x", headers: SSE_KMS }), "KmsInternalException");
      assert.match(lines.join(""), /answers with 200, and not as a KMS does.*a request failed/);
    } finally {
      await one.stop();
    }
  });

  it("KmsKeyNotExist: no key is named, and the settings have none", async () => {
    const bare = await testServer(kms.settings());
    try {
      const answer = await bare.send({ method: "PUT", path: "/a", body: "x", headers: SSE_KMS });
      assertRefused(answer, "KmsKeyNotExist");
      const text = await bare.cosbox.requests.explain(String(answer.headers["x-cos-request-id"]));
      assert.match(text ?? "", /set kmsKeyId/);
      await ok(bare.send({ method: "PUT", path: "/a", body: "x", headers: { ...SSE_KMS, [KEY_ID]: defaultKey } }));
    } finally {
      await bare.stop();
    }
  });

  it("is not asked again for as long as opened keys are remembered, where the settings want that", async () => {
    const key = kms.makeKey();
    const keeping = await testServer({ ...kms.settings(key), limits: { kmsCachedMs: 3_600_000 } });
    try {
      for (const path of ["/a", "/b"]) await ok(keeping.send({ method: "PUT", path, body: path, headers: SSE_KMS }));
      const asked = await since(async () => {
        for (const path of ["/a", "/b", "/a", "/b"]) assert.equal((await keeping.send({ path })).text, path);
      });
      assert.deepEqual(asked, ["Decrypt", "Decrypt"]);
      kms.setState(key, "Disabled");
      assert.equal((await keeping.send({ path: "/a" })).text, "/a");
    } finally {
      await keeping.stop();
    }
  });

  it(
    "leaves readable what was sealed under local keys, is exported from and imported to, and takes its keys along",
    async () => {
      const folder = await freshFolder();
      const data = path.join(folder, "data");
      const start = async (more = {}): Promise<TestServer> => {
        const one = await testServer({ data, memory: false, durability: "none", ...more });
        onTestFinished(() => one.stop());
        return one;
      };
      const local = await start();
      const send = (to: TestServer, request: Sent): Promise<Received> => to.send(request);
      await ok(send(local, { method: "PUT", path: "/before", body: "before", headers: SSE_KMS }));
      await local.stop();
      const remote = await start({ ...kms.settings(defaultKey), createBucket: false });
      assert.equal((await send(remote, { path: "/before" })).text, "before");
      await ok(send(remote, { method: "PUT", path: "/after", body: "after", headers: SSE_KMS }));
      await remote.stop();

      const lines = Object.entries(kms.settings(defaultKey)).map(([name, value]) => `${name}: ${value}\n`);
      writeFileSync(path.join(folder, "cosbox.yaml"), lines.join(""));
      const exported = await run(["export", remote.bucket, "out", "--data", data], folder);
      assert.equal(exported.code, 0, exported.stdout + exported.stderr);
      const calls = await since(async () => {
        const imported = await run(["import", "out", remote.bucket, "--data", "other"], folder);
        assert.equal(imported.code, 0, imported.stdout + imported.stderr);
      });
      assert.deepEqual(calls, ["GenerateDataKey", "GenerateDataKey"]);
      const shown = await run(["config"], folder);
      assert.match(shown.stdout, /^kmsSecretKey: \*{8} +# cosbox\.yaml:3$/m);
      assert.ok(!shown.stdout.includes(KMS_PAIR.secretKey));

      const again = await start({ createBucket: false });
      assert.equal((await send(again, { path: "/before" })).text, "before");
      assertRefused(await send(again, { path: "/after" }), "KmsKeyNotExist");
    },
    TIMEOUT_MS,
  );
});
