import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { type Sent, type TestServer, testServer } from "../fixtures/server.ts";
import { begin, md5, refused, sendPart, UNKNOWN_UPLOAD } from "../fixtures/uploads.ts";

const KEY = "dir/a b&é.bin";

describe("ListParts", () => {
  let server: TestServer;
  let uploadId: string;
  beforeAll(async () => {
    server = await testServer({ limits: { listPartsMax: 5 } });
    uploadId = await begin(server, KEY);
    for (const number of [7, 1, 300, 2, 256, 3]) await sendPart(server, KEY, uploadId, number, `part ${number}`);
  });
  afterAll(() => server.stop());

  const list = (query: Sent["query"] = {}) => server.send({ path: `/${KEY}`, query: { uploadId, ...query } });

  it("writes the elements of the reference page in their order", async () => {
    const answer = await list({ "max-parts": 2 });
    assert.equal(answer.status, 200, answer.text);
    const { uin } = server.cosbox.credentials;
    const party = `<ID>qcs::cam::uin/${uin}:uin/${uin}</ID><DisplayName>${uin}</DisplayName>`;
    const part = (number: number) =>
      `<Part><PartNumber>${number}</PartNumber><LastModified>T</LastModified>` +
      `<ETag>&quot;${md5(`part ${number}`)}&quot;</ETag><Size>6</Size></Part>`;
    assert.equal(
      answer.text.replace(/^<\?xml [^>]*\?>\s*/, "").replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, "T"),
      `<ListPartsResult><Bucket>${server.bucket}</Bucket><Key>dir/a b&amp;é.bin</Key><UploadId>${uploadId}</UploadId>` +
        `<Owner>${party}</Owner><PartNumberMarker>0</PartNumberMarker><Initiator>${party}</Initiator>` +
        `${part(1)}${part(2)}<NextPartNumberMarker>2</NextPartNumberMarker><StorageClass>STANDARD</StorageClass>` +
        "<MaxParts>2</MaxParts><IsTruncated>true</IsTruncated></ListPartsResult>",
    );
  });

  it("pages through the parts in order of their numbers", async () => {
    const seen: string[] = [];
    let marker = "0";
    for (let page = 0; page < 10; page++) {
      const answer = await list({ "max-parts": 4, "part-number-marker": marker });
      seen.push(...answer.elements("PartNumber"));
      if (answer.element("IsTruncated") === "false") {
        assert.equal(answer.element("NextPartNumberMarker"), undefined);
        break;
      }
      marker = answer.element("NextPartNumberMarker") as string;
    }
    assert.deepEqual(seen, ["1", "2", "3", "7", "256", "300"]);
  });

  it("lowers max-parts to the bound, and shows nothing for 0", async () => {
    const many = await list({ "max-parts": 100_000 });
    assert.deepEqual(
      [many.element("MaxParts"), many.elements("Part").length, many.element("IsTruncated")],
      ["5", 0, "true"],
    );
    assert.equal(many.elements("PartNumber").length, 5);
    const none = await list({ "max-parts": 0 });
    assert.deepEqual([none.elements("PartNumber"), none.element("IsTruncated")], [[], "false"]);
  });

  it("is empty after the last part, however great the marker is", async () => {
    for (const marker of [300, 65_535, 65_536, 2_000_000_000]) {
      const answer = await list({ "part-number-marker": marker });
      assert.deepEqual([answer.status, answer.elements("PartNumber")], [200, []]);
    }
  });

  it("encodes the key when it is asked to", async () => {
    const answer = await list({ "encoding-type": "url" });
    assert.deepEqual([answer.element("EncodingType"), answer.element("Key")], ["url", "dir/a%20b%26%C3%A9.bin"]);
  });

  it("ListPartUploadIdIsEmpty: an empty id", async () => {
    refused(await list({ uploadId: "" }), 400, "ListPartUploadIdIsEmpty");
    refused(await list({ uploadId: undefined }), 400, "ListPartUploadIdIsEmpty");
  });

  it("NoSuchUpload: unknown, another key's, or no id at all", async () => {
    refused(await list({ uploadId: UNKNOWN_UPLOAD }), 404, "NoSuchUpload");
    refused(await list({ uploadId: "x" }), 404, "NoSuchUpload");
    refused(await server.send({ path: "/other", query: { uploadId } }), 404, "NoSuchUpload");
  });

  it("InvalidArgument: numbers and encodings that are none", async () => {
    for (const query of [
      { "max-parts": "x" },
      { "max-parts": -1 },
      { "part-number-marker": "" },
      { "encoding-type": "base64" },
    ]) {
      refused(await list(query), 400, "InvalidArgument");
    }
  });
});
