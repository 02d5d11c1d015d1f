/** A lock that cannot be read is a lock, and one that is there does not end because somebody sets the machine's clock. */

import assert from "node:assert/strict";
import path from "node:path";
import { it, onTestFinished } from "vitest";
import { JUMP_MS_MAX } from "../../src/background.ts";
import { steadyTime } from "../../src/engines/clock/steady.ts";
import { lmdbMetadata } from "../../src/engines/metadata/lmdb.ts";
import { systemRandom } from "../../src/engines/random/system.ts";
import { pointRange } from "../../src/ports/metadata.ts";
import { familyRange, objectKey } from "../../src/store/keys.ts";
import { decodeObject, encodeObject, OBJECT_RETENTION_TAG } from "../../src/store/records.ts";
import { freshFolder } from "../contract/store-fixture.ts";
import { s3Client } from "../fixtures/s3.ts";
import { assertS3Refused } from "../fixtures/s3-refusal.ts";
import { contentMd5, type Sent, testServer } from "../fixtures/server.ts";
import { DAY_MS, refusal, refusalOf, timedServer } from "../fixtures/timed-server.ts";

it("sec_S-10.3, GHSA-j548-9grx-fh4f: what is locked in a way that nobody can read is not destroyed", async () => {
  const data = path.join(await freshFolder(), "data");
  const open = async (createBucket: boolean) => {
    const server = await testServer({ data, memory: false, durability: "none", createBucket });
    onTestFinished(() => server.stop());
    return server;
  };
  const first = await open(true);
  const lock =
    "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Days>9</Days></DefaultRetention></Rule></ObjectLockConfiguration>";
  assert.equal((await first.send({ method: "PUT", query: { "object-lock": undefined }, body: lock })).status, 200);
  assert.equal((await first.send({ method: "PUT", path: "/kept", body: "kept" })).status, 200);
  await first.stop();

  const folder = path.join(data, "metadata");
  const engine = await lmdbMetadata({ folder, random: systemRandom(), durability: "none" });
  const [[row] = []] = await engine.read([familyRange("object", 1)]);
  assert.ok(row);
  const bucketId = row.key.toString("hex", 1, 9);
  const record = decodeObject(row.value);
  const sections = record.sections.map((section) =>
    section.tag === OBJECT_RETENTION_TAG ? { ...section, bytes: section.bytes.subarray(0, 3) } : section,
  );
  assert.notDeepEqual(sections, record.sections);
  await engine.commit([], [{ key: objectKey(bucketId, "kept"), value: encodeObject({ ...record, sections }) }]);
  await engine.close();

  const second = await open(false);
  await second.send({ method: "PUT", path: "/other", body: "other" });
  const begun = await second.send({ method: "POST", path: "/kept", query: { uploads: undefined } });
  const uploadId = begun.element("UploadId");
  const part = await second.send({ method: "PUT", path: "/kept", query: { uploadId, partNumber: 1 }, body: "other" });
  const parts = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${part.headers.etag}</ETag></Part></CompleteMultipartUpload>`;
  const listed = "<Delete><Object><Key>kept</Key></Object></Delete>";
  const tags = "<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>";
  const retention =
    "<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>2090-01-01T00:00:00Z</RetainUntilDate></Retention>";
  const rules =
    "<LifecycleConfiguration><Rule><Filter/><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>";
  const lifecycle = await second.send({ method: "PUT", query: { lifecycle: undefined }, body: rules });
  assert.equal(lifecycle.status, 200, lifecycle.text);
  const destroying: readonly Sent[] = [
    { method: "DELETE", path: "/kept" },
    { method: "PUT", path: "/kept", body: "other" },
    { method: "DELETE", path: "/kept", query: { versionId: "null" } },
    { method: "POST", query: { delete: undefined }, body: listed, headers: { "content-md5": contentMd5(listed) } },
    {
      method: "PUT",
      path: "/kept",
      headers: { "x-cos-copy-source": `${second.bucket}.cos.ap-guangzhou.myqcloud.com/other` },
    },
    { method: "POST", path: "/kept", query: { uploadId }, body: parts },
    { method: "PUT", path: "/kept", query: { tagging: undefined }, body: tags },
    { method: "PUT", path: "/kept", query: { retention: undefined }, body: retention },
  ];
  for (const request of destroying) {
    const answer = await second.send(request);
    assert.equal(answer.element("Code"), "InternalError", `${JSON.stringify(request)}: ${answer.text}`);
  }
  await second.cosbox.clock.advance("30d");
  assert.equal((await second.send({ path: "/other" })).status, 404, "the lifecycle passes over one and goes on");
  await second.stop();
  const after = await lmdbMetadata({ folder, random: systemRandom(), durability: "none" });
  const [[still] = []] = await after.read([pointRange(objectKey(bucketId, "kept"))]);
  await after.close();
  assert.ok(still, "its row is still there");
});

it("sec_S-10.1: nothing that S3 clients say bypasses a lock (CVE-2023-25812)", async () => {
  const server = await testServer();
  onTestFinished(() => server.stop());
  const s3 = s3Client(server);
  const bucket = server.cosbox.bucket("locked");
  await s3.send({ method: "PUT", bucket, headers: { "x-amz-bucket-object-lock-enabled": "true" } });
  const put = await s3.send({
    method: "PUT",
    bucket,
    path: "/kept",
    body: "kept",
    headers: {
      "x-amz-object-lock-mode": "COMPLIANCE",
      "x-amz-object-lock-retain-until-date": new Date(Date.now() + 9 * DAY_MS).toISOString(),
    },
  });
  const versionId = String(put.headers["x-amz-version-id"]);
  const BYPASS = "x-amz-bypass-governance-retention";
  const gone = `<Delete><Object><Key>kept</Key><VersionId>${versionId}</VersionId></Object></Delete>`;
  const until = (ms: number) =>
    `<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>${new Date(ms).toISOString()}</RetainUntilDate></Retention>`;
  for (const word of ["true", "True", "TRUE", "1", "yes"]) {
    const headers = { [BYPASS]: word };
    const query = { versionId };
    const remove = { method: "DELETE", bucket, path: "/kept" };
    assertS3Refused(await s3.send({ ...remove, query, headers }), 403, "AccessDenied");
    const presigned = await s3.send({ ...remove, query: { ...query, [BYPASS]: word }, sign: "v4-query" });
    assertS3Refused(presigned, 403, "AccessDenied");
    const many = { method: "POST", bucket, query: { delete: undefined }, body: gone };
    const fates = await s3.send({ ...many, headers: { ...headers, "content-md5": contentMd5(gone) } });
    assert.deepEqual(fates.elements("Code"), ["AccessDenied"]);
    const shorten = { method: "PUT", bucket, path: "/kept", query: { ...query, retention: undefined } };
    const sooner = await s3.send({ ...shorten, headers, body: until(Date.now() + DAY_MS) });
    assertS3Refused(sooner, 400, "InvalidArgument");
    const own = { method: "DELETE", bucket, path: "/kept", query };
    const byCos = await server.send({ ...own, headers: { "x-cos-bypass-governance-retention": word } });
    assert.equal(byCos.element("Code"), "ObjectLocked");
  }
  assert.equal((await s3.send({ bucket, path: "/kept", query: { versionId } })).text, "kept");
});

it("sec_S-10.4: a machine's clock that is set ahead ends no lock, and time that goes by does", async () => {
  const lockNowOf = (clock: Parameters<typeof steadyTime>[0]) => steadyTime(clock, JUMP_MS_MAX);
  const { clock, done, faults, send } = await timedServer(Date.UTC(2026, 0, 1), { lockNowOf });
  const lock =
    "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Days>9</Days></DefaultRetention></Rule></ObjectLockConfiguration>";
  await done({ method: "PUT", target: "/?object-lock", body: lock });
  await done({ method: "PUT", target: "/kept", body: "kept" });
  await done({ method: "POST", target: "/log?append&position=0", body: "kept" });
  clock.set(clock.now() + 400 * DAY_MS);
  const tags = "<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>";
  const destroying = [
    { method: "DELETE", target: "/kept" },
    { method: "PUT", target: "/kept", body: "other" },
    { method: "POST", target: "/log?append&position=4", body: "other" },
    { method: "PUT", target: "/kept?tagging", body: tags },
  ];
  for (const request of destroying) assert.deepEqual(refusalOf(await send(request)), refusal("ObjectLocked"));
  clock.advance(7 * DAY_MS);
  for (const request of destroying) assert.deepEqual(refusalOf(await send(request)), refusal("ObjectLocked"));
  clock.advance(DAY_MS);
  // What the PUT stores would be locked in its turn.
  for (const request of destroying.toReversed())
    if (request.body !== "other" || request.method === "POST") await done(request);
  assert.deepEqual(faults, []);
});
