import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "vitest";
import { rootCredential } from "../../access/caller.ts";
import { readFormPolicy } from "../../access/form-policy.ts";
import { readHeaders } from "../../http/headers.ts";
import { parseTarget } from "../../http/target.ts";
import { signatureOf, signKeyOf } from "./canonical.ts";
import { authenticateCosForm, cosFormHeaders, isCosForm } from "./form.ts";
import type { SignedRequestView } from "./signature.ts";

const ID = "AKIDlocalcosexample0000000000000000";
const CREDENTIAL = rootCredential({
  secretId: ID,
  secretKey: "localCosExampleSecretKey00000000",
  uin: "100000000001",
  appid: "1250000000",
});
const POLICY =
  '{"expiration":"2023-11-14T23:13:20.000Z","conditions":[{"bucket":"demo-1250000000"},["starts-with","$key","docs/"],["content-length-range",1,1048576],{"q-sign-algorithm":"sha1"},{"q-ak":"AKIDlocalcosexample0000000000000000"},{"q-sign-time":"1700000000;1700003600"}]}';
const FIELDS: ReadonlyMap<string, string> = new Map([
  ["key", "docs/a"],
  ["policy", Buffer.from(POLICY).toString("base64")],
  ["q-sign-algorithm", "sha1"],
  ["q-ak", ID],
  ["q-key-time", "1700000000;1700003600"],
  ["q-signature", "c1cdb186f139e72245ffb05743372db523d02594"],
]);
const START_MS = 1_700_000_000_000;

function view(): SignedRequestView {
  const { query } = parseTarget("POST", "/", "demo-1250000000.cos.ap-guangzhou.myqcloud.com");
  return { method: "POST", paths: ["/"], hosts: [], query, headers: readHeaders([], 10) };
}

async function authenticate(fields: ReadonlyMap<string, string>, nowMs = START_MS) {
  const encoded = fields.get("policy");
  const policy = encoded === undefined ? undefined : readFormPolicy(encoded, { bytesMax: 9999, conditionsMax: 99 });
  const keys = (id: string, token?: string) => (id === ID && token === undefined ? CREDENTIAL : undefined);
  return await authenticateCosForm({ fields, policy }, view(), keys, nowMs, {});
}
const changed = (name: string, value?: string): ReadonlyMap<string, string> => {
  const fields = new Map(FIELDS);
  if (value === undefined) fields.delete(name);
  else fields.set(name, value);
  return fields;
};

describe("a form of COS", () => {
  it("is signed as the page has it", async () => {
    const evidence = await authenticate(FIELDS);
    assert.ok(evidence.kind === "signed");
    assert.equal(evidence.stringToSign, "458b8569b3a432824f9bbe8b0999f9c6dc6d5ad9");
    assert.deepEqual([evidence.via, evidence.credential], ["form", CREDENTIAL]);
  });

  it.each([
    [START_MS + 3_600_999, undefined],
    [START_MS + 3_601_000, "RequestHasExpired"],
    [START_MS - 900_000, undefined],
    [START_MS - 900_001, "RequestTimeTooSkewed"],
  ])("at %i: %s", async (nowMs, id) => {
    if (id === undefined) await authenticate(FIELDS, nowMs);
    else await assert.rejects(authenticate(FIELDS, nowMs), { id });
  });

  it.each([
    ["q-sign-algorithm", "sha256", "VerifyAlgorithmNotSupported"],
    ["q-sign-algorithm", undefined, "AccessDenied"],
    ["q-ak", undefined, "AccessDenied"],
    ["q-ak", "AKIDnobody", "InvalidAccessKeyId"],
    ["q-key-time", undefined, "AccessDenied"],
    ["q-key-time", "1700003600;1700000000", "AccessDenied"],
    ["q-key-time", "1700000000;1700003601", "SignatureDoesNotMatch"],
    ["q-signature", undefined, "AccessDenied"],
    ["q-signature", "C1CDB186F139E72245FFB05743372DB523D02594", "SignatureDoesNotMatch"],
    ["policy", undefined, "AccessDenied"],
    ["policy", Buffer.from(`${POLICY} `).toString("base64"), "SignatureDoesNotMatch"],
    ["signature", "q-sign-algorithm=sha1", "InvalidRequest"],
    ["x-cos-security-token", "t", "InvalidAccessKeyId"],
  ])("with the field %s as %s: %s", async (name, value, id) => {
    await assert.rejects(authenticate(changed(name, value)), { id });
  });

  it("sec_S-1.11: takes no period but one that holds now and is made of seconds", async () => {
    const now = START_MS / 1000;
    const sign = (keyTime: string): ReadonlyMap<string, string> => {
      const text = JSON.stringify({ expiration: "2100-01-01T00:00:00Z", conditions: [["starts-with", "$key", ""]] });
      const signature = signatureOf(
        signKeyOf(CREDENTIAL.secretKey, keyTime),
        createHash("sha1").update(text).digest("hex"),
      );
      const fields = new Map([...FIELDS, ["q-key-time", keyTime], ["q-signature", signature]] as const);
      return fields.set("policy", Buffer.from(text).toString("base64"));
    };
    const rows: readonly (readonly [string, string])[] = [
      [`${now};${now}`, "signed"],
      [`${now - 1};${now}`, "signed"],
      [`${now - 2};${now - 1}`, "RequestHasExpired"],
      [`${now + 900};${now + 901}`, "signed"],
      [`${now + 901};${now + 902}`, "RequestTimeTooSkewed"],
      [`0;${now}`, "signed"],
      ["0;0", "RequestHasExpired"],
      [`0;${"9".repeat(12)}`, "signed"],
      [`0;${"9".repeat(13)}`, "AccessDenied"],
      [`${now};${now - 1}`, "AccessDenied"],
      [`${now * 1000};${now * 1000 + 1}`, "AccessDenied"],
      [`-1;${now}`, "AccessDenied"],
      [`${now};`, "AccessDenied"],
      [`;${now}`, "AccessDenied"],
      [`${now}`, "AccessDenied"],
      [`${now};${now};${now}`, "AccessDenied"],
      [`${now},${now}`, "AccessDenied"],
      [` ${now};${now}`, "AccessDenied"],
      [`${now};${now}\n`, "AccessDenied"],
      [`${now}.0;${now}.0`, "AccessDenied"],
      ["0x1;0x7fffffff", "AccessDenied"],
      ["1e9;2e9", "AccessDenied"],
      ["NaN;NaN", "AccessDenied"],
      [";", "AccessDenied"],
      ["soon;later", "AccessDenied"],
    ];
    for (const [keyTime, told] of rows) {
      const seen = await authenticate(sign(keyTime)).then(
        ({ kind }) => kind as string,
        ({ id }: { id: string }) => id,
      );
      assert.equal(seen, told, JSON.stringify(keyTime));
    }
  });

  it("is anonymous without credentials, and known by them", async () => {
    assert.equal((await authenticate(new Map([["key", "a"]]))).kind, "anonymous");
    assert.deepEqual([isCosForm(FIELDS), isCosForm(new Map([["key", "a"]]))], [true, false]);
  });

  it("has headers for what describes the object, and for nothing else", () => {
    const fields = [
      ["acl", "private"],
      ["host", "a"],
      ["origin", "a"],
      ["if-match", "a"],
      ["authorization", "a"],
      ["content-length", "5"],
      ["content-type", "a/b"],
      ["x-cos-meta-a", "b"],
      ["x-cos-security-token", "t"],
      ["other", "a"],
    ] as const;
    assert.deepEqual(
      [...cosFormHeaders(new Map([...FIELDS, ...fields]))],
      [
        ["x-cos-acl", "private"],
        ["x-amz-decoded-content-length", "5"],
        ["content-type", "a/b"],
        ["x-cos-meta-a", "b"],
      ],
    );
  });
});
