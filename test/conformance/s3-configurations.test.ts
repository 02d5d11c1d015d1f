/** What one dialect configures, the other reads as the same, in its own names; and writes back without a change. */

import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { STRANGER } from "../fixtures/accounts.ts";
import { type S3Client, s3Client } from "../fixtures/s3.ts";
import { contentMd5, type Received, type TestServer, testServer } from "../fixtures/server.ts";

const NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/";

interface Configured {
  readonly flag: string;
  /** Of an object where it says so. */
  readonly path?: string;
  /** The document as a client of each dialect sends it. */
  readonly cos: string;
  readonly s3: string;
  /** What each is told, without the XML's head and without namespaces; by default what it sends. */
  readonly toldCos?: string;
  readonly toldS3?: string;
}

const cors = (more: string): string =>
  `<CORSConfiguration><CORSRule><ID>one</ID><AllowedOrigin>https://a.example</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod><AllowedHeader>x-${more}-meta-a</AllowedHeader><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>5</MaxAgeSeconds></CORSRule></CORSConfiguration>`;
const tags = "<Tagging><TagSet><Tag><Key>k</Key><Value>v w</Value></Tag></TagSet></Tagging>";
const lifecycle = (frozen: string): string =>
  `<LifecycleConfiguration><Rule><ID>r</ID><Filter><And><Prefix>a/</Prefix><Tag><Key>k</Key><Value>v</Value></Tag></And></Filter><Status>Enabled</Status><Transition><Days>30</Days><StorageClass>STANDARD_IA</StorageClass></Transition><Transition><Days>90</Days><StorageClass>${frozen}</StorageClass></Transition><Expiration><Days>365</Days></Expiration><NoncurrentVersionExpiration><NoncurrentDays>7</NoncurrentDays></NoncurrentVersionExpiration></Rule></LifecycleConfiguration>`;
const versioning = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
const encryption =
  "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>";

const CONFIGURED: readonly Configured[] = [
  { flag: "versioning", cos: versioning, s3: versioning },
  { flag: "cors", cos: cors("cos"), s3: cors("cos") },
  { flag: "tagging", cos: tags, s3: tags },
  { flag: "tagging", path: "/object", cos: tags, s3: tags },
  { flag: "lifecycle", cos: lifecycle("ARCHIVE"), s3: lifecycle("GLACIER") },
];

/** The elements of a document that hold a text, in order, each with its name. */
function texts({ text }: Pick<Received, "text">): readonly string[] {
  return [...text.matchAll(/<([A-Za-z]+)[^<>]*>([^<]*)<\/\1>/g)]
    .map(([, name, value]) => `${name}=${value}`)
    .toSorted();
}

describe("configurations in both dialects", () => {
  let server: TestServer;
  let s3: S3Client;

  beforeAll(async () => {
    server = await testServer({ credentials: [STRANGER] });
    s3 = s3Client(server);
    await s3.send({ method: "PUT", path: "/object", body: "x" });
  });
  afterAll(() => server.stop());

  it.each(CONFIGURED.map((one) => [`${one.flag} of ${one.path ?? "a bucket"}`, one] as const))(
    "%s: each reads what the other has set, and sets it again",
    async (_, { flag, path = "/", cos, s3: ours }) => {
      const query = { [flag]: undefined };
      const own = {
        put: (body: string) =>
          server.send({ method: "PUT", path, query, body, headers: { "content-md5": contentMd5(body) } }),
        get: () => server.send({ path, query }),
        told: cos,
      };
      const other = {
        put: (body: string) =>
          s3.send({ method: "PUT", path, query, body, headers: { "content-md5": contentMd5(body) } }),
        get: () => s3.send({ path, query }),
        told: ours,
      };
      for (const [writer, reader] of [
        [own, other],
        [other, own],
      ] as const) {
        if (flag !== "versioning") {
          const gone = await server.send({ method: "DELETE", path, query });
          assert.equal(gone.status, 204, gone.text);
          // Tags of an object are an empty set where there are none.
          assert.equal((await reader.get()).status, path === "/" ? 404 : 200);
        }
        const put = await writer.put(writer.told);
        assert.ok(put.status === 200 || put.status === 204, put.text);
        const [written, read] = [await writer.get(), await reader.get()];
        assert.deepEqual(texts(written), texts({ text: writer.told }));
        assert.deepEqual(texts(read), texts({ text: reader.told }));
        const again = await reader.put(read.text);
        assert.ok(again.status === 200 || again.status === 204, again.text);
        assert.equal((await writer.get()).text, written.text);
      }
      assert.ok((await other.get()).text.includes(` xmlns="${NAMESPACE}"`));
      assert.ok(!(await own.get()).text.includes("xmlns"));
    },
  );

  it("the default encryption of a bucket, which each tells in its own form", async () => {
    const query = { encryption: undefined };
    for (const [writer, reader] of [
      [server, s3],
      [s3, server],
    ] as const) {
      await server.send({ method: "DELETE", query });
      assert.equal((await reader.send({ query })).status, 404);
      const headers = { "content-md5": contentMd5(encryption) };
      const put = await writer.send({ method: "PUT", query, body: encryption, headers });
      assert.equal(put.status, 200, put.text);
      assert.equal((await reader.send({ query })).element("SSEAlgorithm"), "AES256");
    }
    await server.send({ method: "DELETE", query });
  });

  it("ACLs of buckets and objects: the same grants under the names of each", async () => {
    const query = { acl: undefined };
    for (const path of ["/", "/object"]) {
      for (const [writer, reader, header] of [
        [server, s3, "x-cos-grant-read"],
        [s3, server, "x-amz-grant-read"],
      ] as const) {
        await writer.send({
          method: "PUT",
          path,
          query,
          headers: { [header.replace("grant-read", "acl")]: "private" },
        });
        assert.deepEqual((await reader.send({ path, query })).elements("Permission"), ["FULL_CONTROL"]);
        const id = writer === server ? `qcs::cam::uin/${STRANGER.uin}:uin/${STRANGER.uin}` : STRANGER.uin;
        const put = await writer.send({ method: "PUT", path, query, headers: { [header]: `id="${id}"` } });
        assert.equal(put.status, 200, put.text);
        const told = await reader.send({ path, query });
        assert.deepEqual(told.elements("Permission"), ["READ"]);
        assert.ok(told.elements("ID").includes(`qcs::cam::uin/${STRANGER.uin}:uin/${STRANGER.uin}`), told.text);
        const again = await reader.send({ method: "PUT", path, query, body: told.text });
        assert.equal(again.status, 200, again.text);
        assert.deepEqual((await writer.send({ path, query })).elements("Permission"), ["READ"]);
      }
    }
  });

  it("versions: each lists, reads and deletes those of the other by the same ids", async () => {
    const first = await server.send({ method: "PUT", path: "/versions", body: "1" });
    const second = await s3.send({ method: "PUT", path: "/versions", body: "2" });
    const ids = [second.headers["x-amz-version-id"], first.headers["x-cos-version-id"]].map(String);
    for (const client of [server, s3]) {
      const list = await client.send({ query: { versions: undefined, prefix: "versions" } });
      assert.deepEqual(list.elements("VersionId"), ids);
      for (const [at, versionId] of ids.entries()) {
        assert.equal((await client.send({ path: "/versions", query: { versionId } })).text, String(2 - at));
      }
    }
    const marker = await s3.send({ method: "DELETE", path: "/versions" });
    assert.equal(marker.headers["x-amz-delete-marker"], "true");
    assert.equal((await server.send({ path: "/versions" })).status, 404);
    const query = { versionId: String(marker.headers["x-amz-version-id"]) };
    assert.equal((await server.send({ method: "DELETE", path: "/versions", query })).status, 204);
    assert.equal((await s3.send({ path: "/versions" })).text, "2");
  });
});
