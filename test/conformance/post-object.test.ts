import assert from "node:assert/strict";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, it } from "vitest";
import { BOUNDARY, form, formBody, type Part, type PolicySigning, signedFields } from "../fixtures/forms.ts";
import { assertRefused } from "../fixtures/refusal.ts";
import { contentMd5, type Received, type Sent, type TestServer, testServer } from "../fixtures/server.ts";

const FILE: Part = ["file", { name: "a.png", bytes: "hello" }];
const ETAG = '"5d41402abc4b2a76b9719d911017c592"';
const PAGE = "https://page.example";
const OWN_KEYS = { secretId: "AKIDforms000000000000000000000000000", secretKey: "formssecretkey000000000000000000" };

describe("PostObject", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer({ ...OWN_KEYS, limits: { singleUploadBytesMax: 200_000 } });
  });
  afterAll(() => server.stop());

  const signed = (conditions: readonly unknown[] = [], more: Partial<PolicySigning> = {}): [string, string][] =>
    signedFields({ ...OWN_KEYS, conditions, ...more });
  /** A signed form for the key `k` with these fields and file. */
  const post = (
    fields: readonly Part[] = [],
    conditions: readonly unknown[] = [],
    more: Sent = {},
  ): Promise<Received> => server.send(form([["key", "k"], ...fields, ...signed(conditions), FILE], more));
  const get = (key: string): Promise<Received> => server.send({ path: `/${key}` });
  const absent = async (key: string): Promise<void> => assertRefused(await get(key), "NoSuchKey");

  describe("stores the file", () => {
    it("answers 204 with the ETag, the CRC-64 and where it is", async () => {
      const answer = await post();
      assert.deepEqual([answer.status, answer.text, answer.headers["etag"]], [204, "", ETAG]);
      assert.equal(answer.headers["x-cos-hash-crc64ecma"], "11177612005948864433");
      assert.equal(answer.headers["location"], `http://${server.bucket}.cos.ap-guangzhou.myqcloud.com/k`);
      assert.equal((await get("k")).text, "hello");
    });

    it("takes what PUT takes in headers from fields of the same names, in any case", async () => {
      const answer = await post([
        ["Content-Type", "text/x-ümlaut"],
        ["CACHE-CONTROL", "no-cache"],
        ["content-disposition", "inline"],
        ["Content-Encoding", "identity"],
        ["Expires", "Fri, 10 Apr 2020 09:35:05 GMT"],
        ["X-Cos-Meta-Color", " blue "],
        ["x-cos-storage-class", "STANDARD"],
        ["x-cos-tagging", "a=b&c=%2F"],
        ["acl", "public-read"],
        ["Content-MD5", contentMd5("hello")],
        ["Content-Length", "5"],
      ]);
      assert.equal(answer.status, 204, answer.text);
      const open = await server.send({ path: "/k", sign: false });
      assert.equal(open.status, 200, "the ACL of the form");
      assert.equal(Buffer.from(String(open.headers["content-type"]), "latin1").toString(), "text/x-ümlaut");
      assert.equal(open.headers["cache-control"], "no-cache");
      assert.equal(open.headers["content-disposition"], "inline");
      assert.equal(open.headers["content-encoding"], "identity");
      assert.equal(open.headers["expires"], "Fri, 10 Apr 2020 09:35:05 GMT");
      assert.equal(open.headers["x-cos-meta-color"], "blue");
      assert.equal(open.headers["x-cos-tagging-count"], "2");
      const tags = await server.send({ path: "/k", query: { tagging: undefined } });
      assert.deepEqual(tags.elements("Value"), ["b", "/"]);
    });

    it("MalformedPOSTRequest: two fields that stand for one header, of which the policy may speak of one alone", async () => {
      for (const fields of [
        [["acl", "private"] as const, ["x-cos-acl", "public-read"] as const],
        [["x-cos-acl", "private"] as const, ["acl", "public-read"] as const],
      ]) {
        const [[name, value]] = fields as [readonly [string, string]];
        const answer = await post(
          fields.map(([one, text]): Part => [one, text]),
          [["eq", `$${name}`, value]],
        );
        assertRefused(answer, "MalformedPOSTRequest", { message: /tells "x-cos-acl" twice/ });
      }
    });

    it("takes the type from the key's ending, not from the part", async () => {
      await server.send(form([["key", "page.html"], ...signed(), FILE]));
      assert.equal((await get("page.html")).headers["content-type"], "text/html");
    });

    it("takes grants, and puts a version over another", async () => {
      const bucket = "versions-1250000000";
      await server.send({ method: "PUT", bucket });
      const body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
      await server.send({ method: "PUT", bucket, query: { versioning: undefined }, body });
      const grant: Part = ["x-cos-grant-read", 'id="100000000009"'];
      const [one, two] = [await post([grant], [], { bucket }), await post([grant], [], { bucket })];
      assert.notEqual(one.headers["x-cos-version-id"] ?? "", "");
      assert.notEqual(one.headers["x-cos-version-id"], two.headers["x-cos-version-id"]);
      const acl = await server.send({ bucket, path: "/k", query: { acl: undefined } });
      assert.ok(acl.elements("ID").includes("qcs::cam::uin/100000000009:uin/100000000009"), acl.text);
    });

    it.each([
      ["a.png", "up/a.png"],
      ["C:\\fakepath\\a.png", "up/a.png"],
      ["dir/a.png", "up/a.png"],
      ["报告 (v1).txt", "up/报告 (v1).txt"],
      ["$&$1.txt", "up/$&$1.txt"],
      ["..", "up/"],
      [undefined, "up/"],
    ])("puts the file's name, %j, into the key", async (name, key) => {
      const file: Part = ["file", name === undefined ? { bytes: "x" } : { name, bytes: "x" }];
      const answer = await server.send(form([["key", "up/${filename}"], ...signed(), file]));
      assert.equal(answer.status, 204, answer.text);
      assert.equal((await server.send({ path: `/${key}` })).text, "x");
    });

    it("takes files of every size up to the limit, sent with a length or in chunks, under path style as well", async () => {
      for (const size of [0, 1, 16_384, 16_385, 65_536, 200_000]) {
        const bytes = Buffer.from(Array.from({ length: size }, (_, at) => at % 251));
        const parts: Part[] = [["key", `size${size}`], ...signed(), ["file", { name: "f", bytes }]];
        for (const more of [
          {},
          { framing: "chunked" },
          { host: "127.0.0.1", target: `/${server.bucket}` },
          { host: "127.0.0.1", target: `/${server.bucket}/` },
        ] as Sent[]) {
          const answer = await server.send(form(parts, more));
          assert.equal(answer.status, 204, `${size} ${JSON.stringify(more)} ${answer.text}`);
          assert.ok((await get(`size${size}`)).body.equals(bytes));
          await server.send({ method: "DELETE", path: `/size${size}` });
        }
      }
    });

    it("waits with 100 Continue until the form is wanted", async () => {
      const body = formBody([["key", "continued"], ...signed(), FILE]);
      const head = `POST / HTTP/1.1\r\nHost: ${server.bucket}.cos.ap-guangzhou.myqcloud.com\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Type: multipart/form-data; boundary=${BOUNDARY}\r\nContent-Length: ${body.length}\r\n\r\n`;
      const socket = connect(server.port, "127.0.0.1");
      socket.write(head);
      let seen = "";
      for await (const chunk of socket) {
        seen += String(chunk);
        if (seen === "HTTP/1.1 100 Continue\r\n\r\n") socket.write(body);
      }
      assert.match(seen, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 204 /);
      assert.equal((await get("continued")).text, "hello");
    });

    it("ignores fields behind the file, and header fields that describe another object", async () => {
      const parts: Part[] = [["key", "last"], ...signed(), FILE, ["acl", "public-read"], ["submit", "Upload"]];
      const headers = {
        "x-cos-acl": "public-read",
        "x-cos-meta-a": "b",
        "cache-control": "no-store",
        "content-md5": "x",
      };
      assert.equal((await server.send(form(parts, { headers }))).status, 204);
      const got = await get("last");
      assert.deepEqual([got.headers["x-cos-meta-a"], got.headers["cache-control"]], [undefined, undefined]);
      assertRefused(await server.send({ path: "/last", sign: false }), "AccessDenied");
    });
  });

  describe("answers as the form asks", () => {
    it.each([
      ["200", 200],
      ["204", 204],
      ["999", 204],
    ])("success_action_status %s: %i without a body", async (status, seen) => {
      const answer = await post([["success_action_status", status]]);
      assert.deepEqual([answer.status, answer.text, answer.headers["etag"]], [seen, "", ETAG]);
    });

    it("success_action_status 201: a document that tells what was stored", async () => {
      const key = "a b/报<告>&.txt";
      const answer = await server.send(form([["key", key], ["success_action_status", "201"], ...signed(), FILE]));
      assert.equal(answer.status, 201, answer.text);
      assert.equal(answer.headers["content-type"], "application/xml");
      assert.match(
        answer.text,
        /<PostResponse><Location>.*<\/Location><Bucket>.*<\/Bucket><Key>.*<\/Key><ETag>.*<\/ETag><\/PostResponse>$/,
      );
      assert.equal(answer.element("Bucket"), server.bucket);
      assert.equal(answer.element("Key"), key);
      assert.equal(answer.element("ETag"), ETAG);
      assert.equal(answer.element("Location"), answer.headers["location"]);
      assert.match(String(answer.headers["location"]), /\/a%20b\/%E6%8A%A5%3C%E5%91%8A%3E%26\.txt$/);
    });

    it.each([
      ["https://my.website/done", "https://my.website/done?"],
      ["http://my.website/done?a=b#top", "http://my.website/done?a=b&"],
    ])("success_action_redirect %s: 303 with bucket, key and ETag", async (redirect, begins) => {
      const answer = await post([
        ["success_action_redirect", redirect],
        ["success_action_status", "201"],
      ]);
      assert.deepEqual([answer.status, answer.text], [303, ""]);
      const query = `bucket=${server.bucket}&key=k&etag=%225d41402abc4b2a76b9719d911017c592%22`;
      assert.equal(answer.headers["location"], `${begins}${query}${redirect.includes("#") ? "#top" : ""}`);
    });

    it.each(["javascript:alert(1)", "//evil.example", "ftp://a.example", ""])(
      "takes no redirect to %j, which is no page",
      async (redirect) => {
        assert.equal((await post([["success_action_redirect", redirect]])).status, 204);
      },
    );

    it("InvalidArgument: a field that would split an answer", async () => {
      for (const field of ["success_action_redirect", "Content-Type", "x-cos-meta-a"]) {
        const answer = await post([[field, "https://a.example/\r\nSet-Cookie: a=b"]]);
        assertRefused(answer, "InvalidArgument", { message: /cannot stand in a header/ });
      }
      const named = await post([["x-cos-meta-a b", "c"]]);
      assertRefused(named, "InvalidArgument", { message: /cannot stand in a header/ });
    });
  });

  describe("holds the form against its policy", () => {
    it.each([
      ["equal as an object", { key: "k" }, true],
      ["equal as a list", ["eq", "$key", "k"], true],
      ["a name in another case", ["eq", "$KEY", "k"], true],
      ["the addressed bucket", { bucket: "demo-1250000000" }, true],
      ["a beginning", ["starts-with", "$Content-Type", "image/"], true],
      ["any beginning", ["starts-with", "$x-cos-meta-a", ""], true],
      ["metadata", { "x-cos-meta-a": "b" }, true],
      ["the ACL", { acl: "default" }, true],
      ["the length", ["content-length-range", 5, 5], true],
      ["another key", { key: "l" }, false],
      ["another beginning", ["starts-with", "$key", "docs/"], false],
      ["another bucket", { bucket: "other-1250000000" }, false],
      ["a field that is not there", ["starts-with", "$success_action_redirect", ""], false],
      ["another id", { "q-ak": "AKIDnobody" }, false],
      ["another time", { "q-sign-time": "1;2" }, false],
      ["another ACL", { acl: "private" }, false],
    ])("%s", async (_, condition, holds) => {
      const fields: Part[] = [
        ["Content-Type", "image/png"],
        ["x-cos-meta-a", "b"],
        ["acl", "default"],
      ];
      const answer = await post(fields, [condition]);
      if (holds) assert.equal(answer.status, 204, answer.text);
      else assertRefused(answer, "AccessDenied", { message: /^Condition key \S+ doesn't match the value / });
    });

    it.each([
      [4, "EntityTooLarge"],
      [5, undefined],
      [6, undefined],
    ])("EntityTooLarge: five bytes where at most %i are allowed", async (most, code) => {
      const answer = await server.send(
        form([["key", `most${most}`], ...signed([["content-length-range", 0, most]]), FILE]),
      );
      if (code === undefined) return assert.equal(answer.status, 204, answer.text);
      assertRefused(answer, "EntityTooLarge", {
        message: "Condition key content-length-range doesn't match the value ",
      });
      await absent(`most${most}`);
    });

    it.each([
      [4, false],
      [5, false],
      [6, true],
    ])("EntityTooSmall: five bytes where at least %i are needed", async (least, refused) => {
      const answer = await server.send(
        form([["key", `least${least}`], ...signed([["content-length-range", least, 10]]), FILE]),
      );
      if (!refused) return assert.equal(answer.status, 204, answer.text);
      assertRefused(answer, "EntityTooSmall", {
        message: "Condition key content-length-range doesn't match the value ",
      });
      await absent(`least${least}`);
    });

    it.each([
      ["no Base64", "{}"],
      ["no JSON", Buffer.from("{").toString("base64")],
      ["no conditions", Buffer.from('{"expiration":"2100-01-01T00:00:00Z"}').toString("base64")],
    ])("InvalidPolicyDocument: %s", async (_, policy) => {
      for (const parts of [[["policy", policy]], [["policy", policy], ...signed().slice(1)]] as Part[][]) {
        const answer = await server.send(form([["key", "bad"], ...parts, FILE]));
        assertRefused(answer, "InvalidPolicyDocument", { message: /policy/ });
      }
      await absent("bad");
    });

    it("AccessDenied: a policy whose time is over", async () => {
      const answer = await server.send(
        form([["key", "late"], ...signed([], { expiration: "2020-01-01T00:00:00Z" }), FILE]),
      );
      assertRefused(answer, "AccessDenied", {
        message: /^You post object request has been expired, expiration time: 1577836800 but the time now : \d{10}$/,
      });
      await absent("late");
    });

    it("holds an unsigned form against its policy as well", async () => {
      const bucket = "open-1250000000";
      await server.send({ method: "PUT", bucket, headers: { "x-cos-acl": "public-read-write" } });
      const [policy = ["", ""]] = signed([{ key: "k" }]);
      const send = (key: string) => server.send(form([["key", key], policy, FILE], { bucket }));
      // The conditions of a signature are among them, so that such a policy never holds without one.
      assertRefused(await send("k"), "AccessDenied", { message: /^Condition key q-sign-algorithm / });
    });
  });

  describe("asks who sends it", () => {
    it("takes an unsigned form where everybody may write, and nowhere else", async () => {
      const unsigned = form([["key", "free"], FILE]);
      assertRefused(await server.send(unsigned), "AccessDenied");
      const bucket = "everybodys-1250000000";
      await server.send({ method: "PUT", bucket, headers: { "x-cos-acl": "public-read-write" } });
      assert.equal((await server.send({ ...unsigned, bucket })).status, 204);
      assert.equal((await server.send({ bucket, path: "/free", sign: false })).text, "hello");
    });

    it("takes the whole signature of post / in the field Signature", async () => {
      const { headers = {} } = await signedHead(server);
      const Signature = String(headers["authorization"]);
      const answer = await server.send(form([["key", "whole"], ["Signature", Signature], FILE]));
      assert.equal(answer.status, 204, answer.text);
      const altered = await server.send(form([["key", "l"], ["Signature", Signature.replace(/.$/, "x")], FILE]));
      assertRefused(altered, "SignatureDoesNotMatch", { extras: ["StringToSign", "FormatString"] });
      await absent("l");
    });

    it("SignatureDoesNotMatch: another secret, with what was to be signed", async () => {
      const answer = await server.send(form([["key", "k"], ...signed([], { secretKey: "another" }), FILE]));
      assertRefused(answer, "SignatureDoesNotMatch", { extras: ["StringToSign"] });
      assert.match(answer.element("StringToSign") ?? "", /^[0-9a-f]{40}$/);
    });

    it("Request has expired: a key whose time is over", async () => {
      const answer = await server.send(form([["key", "k"], ...signed([], { keyTime: "1600000000;1600000600" }), FILE]));
      assertRefused(answer, "RequestHasExpired", { extras: ["ServerTime"] });
    });

    it("asks for the permission to post, by the key of the form", async () => {
      const statement = {
        effect: "deny",
        principal: { qcs: ["qcs::cam::uin/100000000001:uin/100000000001"] },
        action: ["name/cos:PostObject"],
        resource: [`qcs::cos:ap-guangzhou:uid/1250000000:${server.bucket}/no/*`],
      };
      const body = JSON.stringify({ version: "2.0", statement: [statement] });
      assert.equal((await server.send({ method: "PUT", query: { policy: undefined }, body })).status, 204);
      const send = (key: string) => server.send(form([["key", key], ...signed(), FILE]));
      assertRefused(await send("no/k"), "AccessDenied");
      assert.equal((await send("yes/k")).status, 204);
      await server.send({ method: "DELETE", query: { policy: undefined } });
      assert.equal((await send("no/k")).status, 204);
    });

    it("NoSuchBucket: a bucket that is not there", async () => {
      const answer = await server.send(form([["key", "k"], ...signed(), FILE], { bucket: "never-1250000000" }));
      assertRefused(answer, "NoSuchBucket");
    });
  });

  describe("sec_S-1.4, CVE-2023-28434: refuses what is no form", () => {
    const good = (): Part[] => [["key", "malformed"], ...signed(), FILE];
    const typed = (type: string): Sent => form(good(), { headers: { "content-type": type } });

    it.each([
      ["another type", "text/plain"],
      ["a longer type", `multipart/form-datax; boundary=${BOUNDARY}`],
      ["a type with more in it", `multipart/form-data x; boundary=${BOUNDARY}`],
      ["a type that only names it", `text/plain; a=multipart/form-data; boundary=${BOUNDARY}`],
      ["no boundary", "multipart/form-data"],
      ["an empty boundary", "multipart/form-data; boundary="],
      ["two boundaries", `multipart/form-data; boundary=x; boundary=${BOUNDARY}`],
      ["a boundary of 71 characters", `multipart/form-data; boundary=${"x".repeat(71)}`],
      ["a boundary that no body may have", `multipart/form-data; boundary="a<b"`],
      ["another boundary", "multipart/form-data; boundary=other"],
    ])("MalformedPOSTRequest: %s", async (_, type) => {
      assertRefused(await server.send(typed(type)), "MalformedPOSTRequest", { message: /form/ });
      await absent("malformed");
    });

    it("takes the type in any case, and a boundary in quotes", async () => {
      const answer = await server.send(typed(`Multipart/FORM-Data ; charset=utf-8; BOUNDARY="${BOUNDARY}"`));
      assert.equal(answer.status, 204, answer.text);
      await server.send({ method: "DELETE", path: "/malformed" });
    });

    it.each([
      ["nothing", () => Buffer.alloc(0)],
      ["what has no parts", () => Buffer.from("hello")],
      ["no file", () => formBody(good().slice(0, -1))],
      ["an end that is missing", () => formBody(good()).subarray(0, -8)],
      ["a file that breaks off", () => formBody(good()).subarray(0, -66)],
      ["a field without a name", () => Buffer.concat([nameless(), formBody(good())])],
      ["the key twice", () => formBody([["Key", "x"], ...good()])],
      ["the policy twice", () => formBody([["policy", "x"], ...good()])],
      ["101 fields", () => formBody([...Array.from({ length: 95 }, (_, at): Part => [`x${at}`, ""]), ...good()])],
      ["a field of 20 KiB", () => formBody([["x", "y".repeat(20 * 1024)], ...good()])],
      [
        "fields of 20 KiB together",
        () => formBody([...Array.from({ length: 21 }, (_, at): Part => [`x${at}`, "y".repeat(1000)]), ...good()]),
      ],
      [
        "a preamble without end",
        () => Buffer.concat([Buffer.alloc(100_000, "x"), Buffer.from("\r\n"), formBody(good())]),
      ],
      [
        "fields without end behind the file",
        () => formBody([...good(), ...Array.from({ length: 200 }, (_, at): Part => [`x${at}`, "y".repeat(1000)])]),
      ],
    ])("MalformedPOSTRequest: %s", async (_, body) => {
      for (const framing of [{}, { framing: "chunked" }] as Sent[]) {
        const answer = await server.send({ ...form([]), ...framing, body: body() });
        assertRefused(answer, "MalformedPOSTRequest", { message: /form/ });
      }
      await absent("malformed");
    });

    it("IncorrectNumberOfFilesInPostRequest: two files, both small or either one large", async () => {
      const large: Part = ["file", { name: "b", bytes: Buffer.alloc(150_000) }];
      for (const files of [
        [FILE, FILE],
        [FILE, large],
        [large, FILE],
      ]) {
        const answer = await server.send(form([["key", "files"], ...signed(), ...files]));
        assertRefused(answer, "IncorrectNumberOfFilesInPostRequest");
        await absent("files");
      }
    });

    it("takes fields that have the name of a file for what they are, and not for the file", async () => {
      const named = (parts: readonly (readonly [string, string])[]): Part[] =>
        parts.map(([name, bytes]) => [name, { name, bytes }]);
      const parts = [...named([["key", "named"], ...signed()]), FILE, ...named([["upload", "x"]])];
      const answer = await server.send(form(parts));
      assert.equal(answer.status, 204, answer.text);
      assert.equal((await get("named")).text, "hello");
      await post(named([["x-cos-meta-a", "b"]]));
      assert.equal((await get("k")).headers["x-cos-meta-a"], "b");
      const large: Part[] = [["key", "large"], ["upload", { name: "b", bytes: Buffer.alloc(150_000) }], FILE];
      assertRefused(await server.send(form(large)), "MalformedPOSTRequest", { message: /20480 bytes/ });
      assertRefused(await server.send(form([["key", "k"], ...signed(), ["upload", "x"]])), "MalformedPOSTRequest", {
        message: /no field named file/,
      });
    });

    it("InvalidArgument: no key, or an empty one", async () => {
      for (const parts of [
        [...signed(), FILE],
        [["key", ""], ...signed(), FILE],
      ] as Part[][]) {
        assertRefused(await server.send(form(parts)), "InvalidArgument", { message: /field named key/ });
      }
    });

    it("KeyTooLong and InvalidObjectName go by the key that the file's name makes", async () => {
      const file: Part = ["file", { name: "x".repeat(850), bytes: "x" }];
      assertRefused(await server.send(form([["key", "a${filename}"], ...signed(), file])), "KeyTooLong");
    });

    it("EntityTooLarge: a file beyond what one request may hold, and nothing is kept", async () => {
      const file: Part = ["file", { bytes: Buffer.alloc(200_001) }];
      assertRefused(await server.send(form([["key", "large"], ...signed(), file])), "EntityTooLarge");
      await absent("large");
    });

    it("EntitySizeNotMatch: a file of another length than the field Content-Length", async () => {
      for (const length of ["4", "6"]) {
        const answer = await server.send(form([["key", "sized"], ["Content-Length", length], ...signed(), FILE]));
        assertRefused(answer, "EntitySizeNotMatch");
      }
      await absent("sized");
    });

    it("BadDigest and InvalidDigest: another MD5, and one that is none", async () => {
      assertRefused(await post([["Content-MD5", contentMd5("other")]]), "BadDigest");
      assertRefused(await post([["Content-MD5", "x"]]), "InvalidDigest");
    });

    it("SSEContentNotSupported: an encryption that is none; one that is seals the file", async () => {
      assertRefused(await post([["x-cos-server-side-encryption", "AES128"]]), "SSEContentNotSupported");
      const stored = await post([["x-cos-server-side-encryption", "AES256"]]);
      assert.equal(stored.headers["x-cos-server-side-encryption"], "AES256", stored.text);
    });

    it.each(["x-cos-callback", "Pic-Operations"])("NotImplemented: the field %s, by name", async (name) => {
      const answer = await post([[name, "1000000"]]);
      assertRefused(answer, "NotImplemented", { message: new RegExp(name.toLowerCase()) });
    });

    it("IncompleteBody: a client that goes away leaves nothing behind", async () => {
      const body = formBody([["key", "gone"], ...signed(), ["file", { bytes: Buffer.alloc(100_000) }]]);
      const head = `POST / HTTP/1.1\r\nHost: ${server.bucket}.cos.ap-guangzhou.myqcloud.com\r\nContent-Type: multipart/form-data; boundary=${BOUNDARY}\r\nContent-Length: ${body.length}\r\n\r\n`;
      const answer = await server.raw(Buffer.concat([Buffer.from(head), body.subarray(0, 50_000)]));
      assert.match(answer, /<Code>IncompleteBody<\/Code>/);
      await absent("gone");
    });
  });

  it("tells a page that CORS admits what became of its form, refusals as well", async () => {
    const bucket = "pages-1250000000";
    await server.send({ method: "PUT", bucket });
    const rule = `<CORSConfiguration><CORSRule><AllowedOrigin>${PAGE}</AllowedOrigin><AllowedMethod>POST</AllowedMethod><ExposeHeader>ETag</ExposeHeader></CORSRule></CORSConfiguration>`;
    await server.send({ method: "PUT", bucket, query: { cors: undefined }, body: rule });
    const more = { bucket, headers: { origin: PAGE } };
    for (const [status, parts] of [
      [204, [["key", "k"], ...signed(), FILE]],
      [400, [["key", "k"], ...signed(), FILE, FILE]],
      [400, [["key", "k"], ...signed()]],
      [403, [["key", "k"], FILE]],
      [403, [["key", "k"], ...signed([], { secretKey: "x" }), FILE]],
    ] as [number, Part[]][]) {
      const { status: seen, headers } = await server.send(form(parts, more));
      assert.deepEqual(
        [seen, headers["access-control-allow-origin"], headers["access-control-expose-headers"]],
        [status, PAGE, "ETag"],
      );
    }
    const other = await server.send(
      form([["key", "k"], ...signed(), FILE], { bucket, headers: { origin: "https://o.example" } }),
    );
    assert.equal(other.headers["access-control-allow-origin"], undefined);
  });
});

/** A part that a browser would not send. */
const nameless = (): Buffer => Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data\r\n\r\nx\r\n`);

/** The header of a signed `POST /`. */
async function signedHead(server: TestServer): Promise<Pick<Sent, "headers">> {
  const { signCos } = await import("../../src/dialects/cos/sign.ts");
  const now = Math.floor(Date.now() / 1000);
  const { authorization } = signCos({
    ...server.cosbox.credentials,
    method: "post",
    path: "/",
    signTime: `${now - 60};${now + 600}`,
  });
  return { headers: { authorization } };
}
