/**
 * One real request at least for each row of the error page that a client can meet without help of the server's owner: what
 * comes before it, and the request itself, whose answer is held against the row. They run against any COS endpoint.
 */

import type { ErrorId } from "../errors/catalogue.ts";
import { contentMd5, type Probe, type Prober, type Told } from "./prober.ts";

export interface ConformanceCase {
  readonly id: ErrorId;
  /** Where a row has several: a word. */
  readonly name?: string;
  /** Requests whose answers do not matter, then the one that does. */
  ask(prober: Prober): Promise<Told>;
}

const MIB = 1024 * 1024;

function one(id: ErrorId, probe: Probe | ((prober: Prober) => Probe), name?: string): ConformanceCase {
  return {
    id,
    ...(name === undefined ? {} : { name }),
    ask: (prober) => prober.send(typeof probe === "function" ? probe(prober) : probe),
  };
}

function after(
  id: ErrorId,
  before: readonly Probe[],
  probe: Probe | ((prober: Prober, last: Told) => Probe),
  name?: string,
): ConformanceCase {
  return {
    id,
    ...(name === undefined ? {} : { name }),
    async ask(prober) {
      let last: Told | undefined;
      for (const step of before) last = await prober.send(step);
      return prober.send(typeof probe === "function" ? probe(prober, last as Told) : probe);
    },
  };
}

const put = (path: string, body = "x", headers: Probe["headers"] = {}): Probe => ({
  method: "PUT",
  path,
  body,
  headers,
});
const xml = (subresource: string, body: string, path = "/", method = "PUT"): Probe => ({
  method,
  path,
  query: { [subresource]: undefined },
  body,
  headers: { "content-md5": contentMd5(body), "content-type": "application/xml" },
});
const remove = (subresource: string): Probe => ({ method: "DELETE", query: { [subresource]: undefined } });
const read = (subresource: string): Probe => ({ query: { [subresource]: undefined } });

const acl = (canned: string): Probe => ({
  method: "PUT",
  query: { acl: undefined },
  headers: { "x-cos-acl": canned },
});
const begin = (path: string): Probe => ({ method: "POST", path, query: { uploads: undefined } });
const part = (path: string, uploadId: string, number: number, body: string | Buffer): Probe => ({
  method: "PUT",
  path,
  query: { partNumber: String(number), uploadId },
  body,
});
const complete = (path: string, uploadId: string, parts: readonly (readonly [number, string])[]): Probe => {
  const list = parts.map(([number, etag]) => `<Part><PartNumber>${number}</PartNumber><ETag>${etag}</ETag></Part>`);
  return {
    method: "POST",
    path,
    query: { uploadId },
    body: `<CompleteMultipartUpload>${list.join("")}</CompleteMultipartUpload>`,
  };
};

/** A form of the fields and a file, as a browser sends it. */
function form(fields: Readonly<Record<string, string>>, files: readonly string[] = ["x"]): Probe {
  const boundary = "cosbox-conformance-boundary";
  const pieces = [
    ...Object.entries(fields).map(([name, value]) => `Content-Disposition: form-data; name="${name}"\r\n\r\n${value}`),
    ...files.map(
      (file) => `Content-Disposition: form-data; name="file"; filename="f"\r\nContent-Type: text/plain\r\n\r\n${file}`,
    ),
  ];
  return {
    method: "POST",
    headers: { "content-type": `multipart/form-data; boundary=${boundary}` },
    body: `${pieces.map((piece) => `--${boundary}\r\n${piece}\r\n`).join("")}--${boundary}--\r\n`,
  };
}

const CUSTOMER_KEY = Buffer.alloc(32, 7);
const customerKey = (key: Buffer): Record<string, string> => ({
  "x-cos-server-side-encryption-customer-algorithm": "AES256",
  "x-cos-server-side-encryption-customer-key": key.toString("base64"),
  "x-cos-server-side-encryption-customer-key-MD5": contentMd5(key.toString("latin1")),
});

const COS_XML = (body: string): string => `<?xml version="1.0" encoding="UTF-8"?>${body}`;

/** In the order they run; each leaves the suite's bucket usable for the next. */
export const CASES: readonly ConformanceCase[] = [
  // Signatures
  one("InvalidAccessKeyId", { sign: { secretId: "AKIDnobodyhasthiskey00000000000000000" } }),
  one("SignatureDoesNotMatch", { sign: { secretKey: "not-the-secret-of-this-id-0000000" } }),
  one("RequestHasExpired", { sign: { shiftSeconds: -7200 } }),
  one("RequestTimeTooSkewed", { sign: { shiftSeconds: 7200 } }),
  one("VerifyAlgorithmNotSupported", { sign: { alter: (text) => text.replace("sha1", "sha2") } }),
  one("AccessDenied", { sign: false }, "anonymous"),
  one("InvalidRequest", { query: { sign: "q-sign-algorithm=sha1" } }, "credentials twice"),

  // Buckets
  one("NoSuchBucket", ({ unusedBucket }) => ({ bucket: unusedBucket })),
  one("BucketAlreadyOwnedByYou", { method: "PUT" }),
  one("InvalidBucketName", ({ bucket }) => ({ method: "PUT", bucket: bucket.replace("cbc-", "cbc_") })),
  one("InvalidRegionName", ({ bucket }) => ({ host: `${bucket}.cos.ap-nowhere.myqcloud.com` })),
  one("InvalidLocationConstraint", ({ unusedBucket }) => ({
    method: "PUT",
    bucket: unusedBucket,
    body: "<CreateBucketConfiguration><LocationConstraint>ap-nowhere</LocationConstraint></CreateBucketConfiguration>",
    headers: { "x-amz-date": "" },
  })),
  after("BucketNotEmpty", [put("/kept")], { method: "DELETE" }),
  one("InvalidDelimiter", { query: { delimiter: "ab" } }),
  one("InvalidArgument", { query: { "max-keys": "many" } }, "max-keys"),
  one("MethodNotAllowed", { method: "PATCH" }),

  // Objects
  one("NoSuchKey", { path: "/no-such-key" }),
  one("NoSuchVersion", { path: "/kept", query: { versionId: "MTg0NDUxODIxMDI3Nzk5NDY4NTU" } }),
  one("KeyTooLong", put(`/${"k".repeat(900)}`)),
  one("InvalidURI", { method: "PUT", target: "/bad%zz", path: "/bad%zz", body: "x" }),
  one("InvalidDigest", put("/digest", "x", { "content-md5": "not-a-digest" })),
  one("BadDigest", put("/digest", "x", { "content-md5": contentMd5("y") })),
  one("InvalidSHA1Digest", put("/digest", "x", { "x-cos-content-sha1": "0".repeat(40) })),
  one("MissingContentLength", {
    method: "POST",
    path: "/log",
    query: { append: undefined, position: "0" },
    body: "x",
    chunked: true,
  }),
  one("NotSupportedStorageClass", put("/class", "x", { "x-cos-storage-class": "GLACIER9" })),
  after("InvalidRange", [put("/range", "12345")], { path: "/range", headers: { range: "bytes=5-9" } }),
  after("PreconditionFailed", [put("/match")], { path: "/match", headers: { "if-match": '"other"' } }),
  one("NoSuchCopySource", ({ bucket }) => ({
    method: "PUT",
    path: "/copy",
    headers: { "x-cos-copy-source": `${bucket}.cos.ap-guangzhou.myqcloud.com/no-such-source` },
  })),
  one("InvalidCopySource", { method: "PUT", path: "/copy", headers: { "x-cos-copy-source": "nonsense" } }),
  after(
    "AppendPositionErr",
    [
      { method: "DELETE", path: "/log" },
      { method: "POST", path: "/log", query: { append: undefined, position: "0" }, body: "123" },
    ],
    { method: "POST", path: "/log", query: { append: undefined, position: "1" }, body: "x" },
  ),
  after("ObjectNotAppendable", [put("/plain")], {
    method: "POST",
    path: "/plain",
    query: { append: undefined, position: "1" },
    body: "x",
  }),
  one("MissingRequestBodyError", xml("delete", "", "/", "POST")),
  one("MalformedXML", xml("delete", "<Delete><Object></Delete>", "/", "POST")),
  one("XMLSizeLimit", xml("cors", `<CORSConfiguration>${" ".repeat(70 * 1024)}</CORSConfiguration>`)),

  // Uploads in parts
  one(
    "NoSuchUpload",
    part("/upload", "1585130821cbb7df1d11846c073ad648e8f33b087cec2381df437acdc833cf654b9ecc6361", 1, "x"),
  ),
  one("ListPartUploadIdIsEmpty", { path: "/upload", query: { uploadId: "" } }),
  after("InvalidPart", [begin("/upload")], (_, begun) =>
    complete("/upload", begun.element("UploadId") ?? "", [[1, '"0123456789abcdef0123456789abcdef"']]),
  ),
  {
    id: "InvalidPartOrder",
    async ask(prober) {
      const id = (await prober.send(begin("/upload"))).element("UploadId") ?? "";
      const etags: string[] = [];
      for (const number of [1, 2]) {
        etags.push((await prober.send(part("/upload", id, number, Buffer.alloc(MIB)))).headers["etag"] ?? "");
      }
      return prober.send(
        complete("/upload", id, [
          [2, etags[1] ?? ""],
          [1, etags[0] ?? ""],
        ]),
      );
    },
  },
  {
    id: "EntityTooSmall",
    async ask(prober) {
      const id = (await prober.send(begin("/upload"))).element("UploadId") ?? "";
      const etags: string[] = [];
      for (const number of [1, 2])
        etags.push((await prober.send(part("/upload", id, number, "x"))).headers["etag"] ?? "");
      return prober.send(
        complete("/upload", id, [
          [1, etags[0] ?? ""],
          [2, etags[1] ?? ""],
        ]),
      );
    },
  },

  // Forms
  one("MalformedPOSTRequest", { ...form({ key: "f" }), body: "no form" }),
  after("IncorrectNumberOfFilesInPostRequest", [acl("public-read-write")], {
    ...form({ key: "f" }, ["1", "2"]),
    sign: false,
  }),
  after("InvalidPolicyDocument", [acl("private")], form({ key: "f", policy: "bm8ganNvbg==", "q-ak": "x" })),

  // Configurations that are not there
  after("NoSuchCORSConfiguration", [remove("cors")], read("cors")),
  after("NoSuchLifecycleConfiguration", [remove("lifecycle")], read("lifecycle")),
  after("NoSuchTagSet", [remove("tagging")], read("tagging")),
  after("NoSuchPolicyVersion", [remove("policy")], read("policy")),
  after("NoSuchEncryptionConfiguration", [remove("encryption")], read("encryption")),
  one("MalformedPolicy", { method: "PUT", query: { policy: undefined }, body: '{"version":"2.0"}' }),
  one(
    "InvalidTag",
    xml("tagging", COS_XML("<Tagging><TagSet><Tag><Key>qcs:x</Key><Value>1</Value></Tag></TagSet></Tagging>")),
  ),
  one("AccessForbidden", {
    method: "OPTIONS",
    path: "/kept",
    sign: false,
    headers: { origin: "http://no-rule.example", "access-control-request-method": "PUT" },
  }),

  // Encryption and classes
  one("SSEContentNotSupported", put("/sse", "x", { "x-cos-server-side-encryption": "ROT13" })),
  one("SSEHeaderNotAllowed", { path: "/kept", headers: { "x-cos-server-side-encryption": "AES256" } }),
  after("SsecDecryptHeaderInvalid", [put("/ssec", "x", customerKey(CUSTOMER_KEY))], { path: "/ssec" }),
  after(
    "RestoreNonArchiveObject",
    [put("/standard")],
    xml("restore", "<RestoreRequest><Days>1</Days></RestoreRequest>", "/standard", "POST"),
  ),
  after("InvalidObjectState403", [put("/archived", "x", { "x-cos-storage-class": "ARCHIVE" })], { path: "/archived" }),
];
