import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { type S3Client, s3Client, type S3Request } from "../fixtures/s3.ts";
import { assertS3Refused } from "../fixtures/s3-refusal.ts";
import { contentMd5, type Received, type TestServer, testServer } from "../fixtures/server.ts";

const WRITERS = 24;

describe("conditional writes", () => {
  let server: TestServer;
  let s3: S3Client;
  let serial = 0;
  const fresh = (): string => `/condition-${++serial}`;

  beforeAll(async () => {
    server = await testServer({ limits: { partBytesMin: 1 } });
    s3 = s3Client(server);
    await s3.send({ method: "PUT", path: "/source", body: "source" });
  });
  afterAll(() => server.stop());

  /** Each way to make an object of a text. */
  const WAYS: readonly (readonly [string, (path: string, text: string) => Promise<S3Request>])[] = [
    ["PutObject", async (path, text) => ({ method: "PUT", path, body: text })],
    [
      "CopyObject",
      async (path, text) => {
        await s3.send({ method: "PUT", path: `/source-${text}`, body: text });
        return { method: "PUT", path, headers: { "x-amz-copy-source": `/${s3.bucket}/source-${text}` } };
      },
    ],
    [
      "CompleteMultipartUpload",
      async (path, text) => {
        const begun = await s3.send({ method: "POST", path, query: { uploads: undefined } });
        const uploadId = begun.element("UploadId") ?? "";
        const { headers } = await s3.send({ method: "PUT", path, query: { partNumber: 1, uploadId }, body: text });
        const body = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${headers.etag}</ETag></Part></CompleteMultipartUpload>`;
        return { method: "POST", path, query: { uploadId }, body };
      },
    ],
  ];

  describe.each(WAYS)("of %s", (_, make) => {
    async function write(path: string, text: string, headers: Record<string, string>): Promise<Received> {
      const request = await make(path, text);
      return await s3.send({ ...request, headers: { ...request.headers, ...headers } });
    }

    it("If-None-Match: * stores only where nothing is", async () => {
      const path = fresh();
      assert.equal((await write(path, "one", { "if-none-match": "*" })).status, 200);
      assertS3Refused(await write(path, "two", { "if-none-match": "*" }), 412, "PreconditionFailed");
      assert.equal((await s3.send({ path })).text, "one");
    });

    it("If-Match stores only over the object with that ETag", async () => {
      const path = fresh();
      assertS3Refused(await write(path, "one", { "if-match": '"x"' }), 404, "NoSuchKey");
      const { etag = "" } = (await s3.send({ method: "PUT", path, body: "one" })).headers;
      assertS3Refused(await write(path, "two", { "if-match": '"x"' }), 412, "PreconditionFailed");
      assert.equal((await write(path, "two", { "if-match": etag })).status, 200);
      assertS3Refused(await write(path, "three", { "if-match": etag }), 412, "PreconditionFailed");
      assert.equal((await s3.send({ path })).text, "two");
    });

    it("If-None-Match with an ETag stores over any other object, and where there is none", async () => {
      const path = fresh();
      assert.equal((await write(path, "one", { "if-none-match": '"x"' })).status, 200);
      const { etag = "" } = (await s3.send({ method: "HEAD", path })).headers;
      assertS3Refused(await write(path, "two", { "if-none-match": etag }), 412, "PreconditionFailed");
      assert.equal((await write(path, "three", { "if-none-match": '"x"' })).status, 200);
    });

    it("of many writers that want to be the first, one is", async () => {
      const path = fresh();
      const requests = await Promise.all(Array.from({ length: WRITERS }, (_unused, at) => make(path, `writer-${at}`)));
      const answers = await Promise.all(
        requests.map((request) => s3.send({ ...request, headers: { ...request.headers, "if-none-match": "*" } })),
      );
      const winners = answers.flatMap(({ status }, at) => (status === 200 ? [at] : []));
      assert.equal(winners.length, 1, JSON.stringify(answers.map(({ status }) => status)));
      assert.ok(answers.every(({ status }) => status === 200 || status === 412));
      assert.equal((await s3.send({ path })).text, `writer-${winners[0]}`);
    });

    it("of many writers over one ETag, one is", async () => {
      const path = fresh();
      const { etag = "" } = (await s3.send({ method: "PUT", path, body: "before" })).headers;
      const requests = await Promise.all(Array.from({ length: WRITERS }, (_unused, at) => make(path, `writer-${at}`)));
      const answers = await Promise.all(
        requests.map((request) => s3.send({ ...request, headers: { ...request.headers, "if-match": etag } })),
      );
      assert.equal(answers.filter(({ status }) => status === 200).length, 1);
    });
  });

  it("deletes what has the ETag, or is gone already", async () => {
    const path = fresh();
    const { etag = "" } = (await s3.send({ method: "PUT", path, body: "kept" })).headers;
    const remove = (tag: string) => s3.send({ method: "DELETE", path, headers: { "if-match": tag } });
    assertS3Refused(await remove('"x"'), 412, "PreconditionFailed");
    assert.equal((await s3.send({ path })).text, "kept");
    assert.equal((await remove(etag)).status, 204);
    assert.equal((await s3.send({ path })).status, 404);
    assert.equal((await remove('"x"')).status, 204);
  });

  it("deletes many, each by its own ETag", async () => {
    const tags: string[] = [];
    for (const key of ["many-1", "many-2", "many-3"]) {
      tags.push(String((await s3.send({ method: "PUT", path: `/${key}`, body: key })).headers.etag));
    }
    const send = (body: string) =>
      s3.send({ method: "POST", query: { delete: undefined }, body, headers: { "content-md5": contentMd5(body) } });
    const entry = (key: string, more = "") => `<Object><Key>${key}</Key>${more}</Object>`;
    const answer = await send(
      `<Delete>${entry("many-1", `<ETag>${tags[0]}</ETag>`)}${entry("many-2", "<ETag>x</ETag>")}${entry("many-3")}</Delete>`,
    );
    assert.match(answer.text, /<Error><Key>many-2<\/Key><Code>PreconditionFailed</);
    assert.deepEqual((await s3.send({ query: { prefix: "many-" } })).elements("Key"), ["many-2"]);
    const sized = await send(`<Delete>${entry("many-2", "<Size>6</Size>")}</Delete>`);
    assertS3Refused(sized, 501, "NotImplemented", /Size/);
  });

  it("refused writes leave no bytes and no upload behind", async () => {
    const path = fresh();
    await s3.send({ method: "PUT", path, body: "kept" });
    const [, , [, complete] = []] = WAYS;
    const request = (await complete?.(path, "again")) as S3Request;
    assertS3Refused(await s3.send({ ...request, headers: { "if-none-match": "*" } }), 412, "PreconditionFailed");
    // The upload is open again: what was refused can be asked for otherwise.
    assert.equal((await s3.send(request)).status, 200);
    assert.equal((await s3.send({ path })).text, "again");
  });
});
