/** Official clients with temporary keys: the STS helper that makes them, and the SDKs that use them. */

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { Agent, get, globalAgent } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import COS from "cos-nodejs-sdk-v5";
import STS, { type CredentialData } from "qcloud-cos-sts";
import { afterAll, beforeAll, describe, it } from "vitest";
import { type Cosbox, startCosbox } from "../../src/library.ts";
import { PEOPLE, ROLE_ARN, WRITER } from "../fixtures/people.ts";

const REGION = "ap-guangzhou";

/** A temporary key as `getAuthorization` of the SDK gives it. */
function forSdk({ credentials, startTime, expiredTime }: CredentialData) {
  return {
    TmpSecretId: credentials.tmpSecretId,
    TmpSecretKey: credentials.tmpSecretKey,
    SecurityToken: credentials.sessionToken,
    StartTime: startTime,
    ExpiredTime: expiredTime,
  };
}

describe("qcloud-cos-sts over HTTPS, and the SDKs with its keys", () => {
  let cosbox: Cosbox;
  let folder: string;
  let bucket: string;
  let ca: Buffer;
  const trusted = globalAgent.options.ca;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "cosbox-sts-"));
    cosbox = await startCosbox({ tls: "dev", data: join(folder, "data"), accounts: PEOPLE });
    // What NODE_EXTRA_CA_CERTS does for a whole process; the helper has no setting for it.
    ca = await readFile(join(folder, "data", "tls", "ca.pem"));
    globalAgent.options.ca = ca;
    bucket = cosbox.bucket("demo");
    const root = new COS({ ...cosbox.options });
    await root.putBucket({ Bucket: bucket, Region: REGION });
    for (const key of ["in/a", "out/a"]) await root.putObject({ Bucket: bucket, Region: REGION, Key: key, Body: key });
  });
  afterAll(async () => {
    globalAgent.options.ca = trusted;
    await cosbox.stop();
    await rm(folder, { recursive: true });
  });

  const endpoint = () => `127.0.0.1:${cosbox.port}`;
  const scope = () => [
    { action: "name/cos:PutObject", bucket, region: REGION, prefix: "in/*" },
    { action: "name/cos:GetObject", bucket, region: REGION, prefix: "in/*" },
  ];
  const helped = (pair: { secretId: string; secretKey: string } = cosbox.credentials) =>
    STS.getCredential({ ...pair, endpoint: endpoint(), policy: STS.getPolicy(scope()), durationSeconds: 900 });

  /** The status of a GET that nobody signs anew. */
  const fetched = (url: string, host?: string): Promise<number> =>
    new Promise((resolve, reject) => {
      get(url, { agent: new Agent({ ca }), ...(host === undefined ? {} : { headers: { host } }) }, (incoming) => {
        incoming.resume();
        resolve(incoming.statusCode ?? 0);
      }).on("error", reject);
    });

  const refusal = async (asked: Promise<unknown>): Promise<string> => {
    try {
      await asked;
    } catch (error) {
      const { code, name, Code } = error as { code?: string; name?: string; Code?: string };
      return code ?? Code ?? name ?? "";
    }
    return "none";
  };

  it("gives a key that the Node SDK uses through getAuthorization", async () => {
    let asked = 0;
    for (const pair of [cosbox.credentials, WRITER]) {
      const { SecretId: _id, SecretKey: _key, ...way } = cosbox.options;
      const cos = new COS({
        ...way,
        getAuthorization(_options, callback) {
          asked += 1;
          const give = async (): Promise<void> => {
            const given = await helped(pair);
            callback(forSdk(given));
          };
          void give();
        },
      });
      const at = { Bucket: bucket, Region: REGION };
      await cos.putObject({ ...at, Key: "in/made", Body: "by a temporary key" });
      const { Body } = await cos.getObject({ ...at, Key: "in/made" });
      assert.equal(String(Body), "by a temporary key");
      assert.equal(await refusal(cos.getObject({ ...at, Key: "out/a" })), "AccessDenied");
      assert.equal(await refusal(cos.getBucket(at)), "AccessDenied");
      const url = await new Promise<string>((resolve, reject) =>
        cos.getObjectUrl({ ...at, Key: "in/a", Sign: true }, (error, data) =>
          error === null ? resolve(data.Url) : reject(error),
        ),
      );
      assert.match(url, /x-cos-security-token=/);
      assert.equal(await fetched(url.replace(/^https:\/\/[^/]+/, cosbox.endpoint), new URL(url).host), 200);
    }
    assert.ok(asked >= 2 && asked <= 8, `${asked} keys`);
  });

  it("gives a key for each request, with the very actions that the Node SDK asks for", async () => {
    const { SecretId: _id, SecretKey: _key, ...way } = cosbox.options;
    const cos = new COS({
      ...way,
      getAuthorization({ Scope }, callback) {
        const give = async (): Promise<void> => {
          // As the pages of the SDK have it: the scope goes to the helper as it comes.
          const scopes = Scope as unknown as Parameters<typeof STS.getPolicy>[0];
          const given = await STS.getCredential({
            ...cosbox.credentials,
            endpoint: endpoint(),
            policy: STS.getPolicy(scopes),
            durationSeconds: 900,
          });
          callback({ ...forSdk(given), ScopeLimit: true });
        };
        void give();
      },
    });
    const at = { Bucket: bucket, Region: REGION };
    const CopySource = `${bucket}.cos.${REGION}.myqcloud.com/in/a`;
    for (const Key of ["scoped/one", "scoped/two"]) await cos.putObject({ ...at, Key, Body: Key });
    await cos.putObjectCopy({ ...at, Key: "scoped/copy", CopySource });
    const { UploadId } = await cos.multipartInit({ ...at, Key: "scoped/parts" });
    await cos.uploadPartCopy({ ...at, Key: "scoped/parts", UploadId, PartNumber: 1, CopySource });
    await cos.multipartAbort({ ...at, Key: "scoped/parts", UploadId });
    await cos.putObject({ ...at, Key: "scoped/cold", Body: "cold", StorageClass: "ARCHIVE" });
    const RestoreRequest = { Days: 1, CASJobParameters: { Tier: "Standard" as const } };
    assert.equal((await cos.restoreObject({ ...at, Key: "scoped/cold", RestoreRequest })).statusCode, 202);
    const Objects = ["one", "two", "copy", "cold"].map((name) => ({ Key: `scoped/${name}` }));
    const { Deleted } = await cos.deleteMultipleObject({ ...at, Objects });
    assert.equal(Deleted.length, 4);
    assert.deepEqual((await cos.listObjectVersions({ ...at, Prefix: "scoped/" })).Versions ?? [], []);
    const made = { Bucket: cosbox.bucket("scoped"), Region: REGION };
    await cos.putBucket(made);
    await cos.deleteBucket(made);
  });

  it("gives a role's key", async () => {
    const { credentials } = await STS.getRoleCredential({
      ...cosbox.credentials,
      endpoint: endpoint(),
      roleArn: ROLE_ARN,
      policy: STS.getPolicy(scope()),
    });
    const { SecretId: _id, SecretKey: _key, ...way } = cosbox.options;
    const cos = new COS({
      ...way,
      SecretId: credentials.tmpSecretId,
      SecretKey: credentials.tmpSecretKey,
      SecurityToken: credentials.sessionToken,
    });
    const at = { Bucket: bucket, Region: REGION };
    assert.equal(String((await cos.getObject({ ...at, Key: "in/a" })).Body), "in/a");
    assert.equal(
      await refusal(cos.putObject({ ...at, Key: "in/a", Body: "x" })),
      "AccessDenied",
      "the role only reads",
    );
  });

  it("tells the helper what is wrong in the service's form", async () => {
    const refused = (pair: { secretId: string; secretKey: string }) =>
      helped(pair).then(
        () => assert.fail("a key was given"),
        (error: { Code: string; RequestId: string }) => {
          assert.match(error.RequestId, /^N/);
          return error.Code;
        },
      );
    const { secretId } = cosbox.credentials;
    assert.equal(await refused({ secretId, secretKey: "wrong" }), "AuthFailure.SignatureFailure");
    assert.equal(await refused({ secretId: "AKIDnobody", secretKey: "x" }), "AuthFailure.SecretIdNotFound");
  });

  it("gives a key that the AWS SDK takes as a session, in the header and in a signed URL", async () => {
    const { credentials } = await helped();
    const client = (sessionToken: string): S3Client =>
      new S3Client({
        endpoint: cosbox.endpoint,
        region: REGION,
        forcePathStyle: true,
        requestHandler: { httpsAgent: new Agent({ ca }) },
        credentials: {
          accessKeyId: credentials.tmpSecretId,
          secretAccessKey: credentials.tmpSecretKey,
          sessionToken,
        },
      });
    const s3 = client(credentials.sessionToken);
    const at = { Bucket: bucket, Key: "in/s3" };
    await s3.send(new PutObjectCommand({ ...at, Body: "from S3" }));
    assert.equal(await (await s3.send(new GetObjectCommand(at))).Body?.transformToString(), "from S3");
    assert.equal(await refusal(s3.send(new GetObjectCommand({ ...at, Key: "out/a" }))), "AccessDenied");
    const wrong = client("garbage").send(new GetObjectCommand(at));
    assert.equal(await refusal(wrong), "InvalidAccessKeyId");
    const url = await getSignedUrl(s3, new GetObjectCommand(at));
    assert.match(url, /X-Amz-Security-Token=/);
    assert.equal(await fetched(url), 200);
    assert.equal(await fetched(url.replace("/in/s3?", "/in/a?")), 403);
  });
});
