import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { STRANGER } from "../fixtures/accounts.ts";
import { assertRefused } from "../fixtures/refusal.ts";
import { contentMd5, type Received, type Sent, type TestServer, testServer } from "../fixtures/server.ts";

const escapeXml = (text: string) =>
  text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/\r/g, "&#13;");
const objects = (keys: readonly string[]) =>
  keys.map((key) => `<Object><Key>${escapeXml(key)}</Key></Object>`).join("");
const document = (keys: readonly string[], quiet?: boolean) =>
  `<Delete>${quiet === undefined ? "" : `<Quiet>${quiet}</Quiet>`}${objects(keys)}</Delete>`;
/** Keys told as deleted, in order. */
const deletedKeys = (answer: Received) =>
  [...answer.text.matchAll(/<Deleted><Key>([^<]*)<\/Key><\/Deleted>/g)].map(([, key]) => key);

describe("DeleteMultipleObjects", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer({ credentials: [STRANGER] });
  });
  afterAll(() => server.stop());

  const post = (body: string | Buffer, { headers, ...more }: Sent = {}, on = server) =>
    on.send({
      method: "POST",
      query: { delete: undefined },
      body,
      headers: { "content-md5": contentMd5(body), ...headers },
      ...more,
    });
  async function store(...keys: readonly string[]): Promise<void> {
    for (const key of keys) {
      assert.equal((await server.send({ method: "PUT", path: `/${key}`, body: "x" })).status, 200);
    }
  }
  const present = async (key: string) => (await server.send({ method: "HEAD", path: `/${key}` })).status === 200;

  it("deletes the keys it is given and no others, and tells each in order", async () => {
    await store("one", "two", "three");
    const answer = await post(document(["two", "one", "never"]));
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["content-type"], "application/xml");
    assert.equal(
      answer.text,
      "<?xml version='1.0' encoding='utf-8' ?>\n<DeleteResult><Deleted><Key>two</Key></Deleted>" +
        "<Deleted><Key>one</Key></Deleted><Deleted><Key>never</Key></Deleted></DeleteResult>",
    );
    assert.equal(await present("one"), false);
    assert.equal(await present("two"), false);
    assert.ok(await present("three"));
  });

  it("takes the flag with an equals sign as well", async () => {
    await store("flag");
    assert.equal((await post(document(["flag"]), { query: { delete: "" } })).status, 200);
    assert.equal(await present("flag"), false);
  });

  it("tells faults only when it is to be quiet, wherever Quiet stands and in whatever case", async () => {
    for (const body of [
      document(["q"], true),
      `<Delete>${objects(["q"])}<Quiet>true</Quiet></Delete>`,
      `<Delete><Quiet> TRUE </Quiet>${objects(["q"])}</Delete>`,
    ]) {
      await store("q");
      const answer = await post(body);
      assert.equal(answer.text, "<?xml version='1.0' encoding='utf-8' ?>\n<DeleteResult/>");
      assert.equal(await present("q"), false);
    }
    assert.deepEqual(deletedKeys(await post(document(["q"], false))), ["q"]);
  });

  it("reads documents with a declaration, a namespace, blanks, comments and unknown elements", async () => {
    await store("a", "b");
    const answer = await post(
      `<?xml version="1.0" encoding="UTF-8"?>\n<!-- c --><Delete xmlns="http://x/y"><Extra>1</Extra>\n ` +
        `<Object>\n <Key>a</Key><VersionId></VersionId></Object><d:Object xmlns:d="z"><d:Key>b</d:Key></d:Object></Delete>`,
    );
    assert.deepEqual(deletedKeys(answer), ["a", "b"]);
    assert.equal((await present("a")) || (await present("b")), false);
  });

  it("takes keys verbatim: blanks, markup, lines, names that objects inherit, other slashes", async () => {
    const keys = [" a ", "a&b<c>", "x\ry", "x\ny", "__proto__", "constructor", "../up", "dir/", "报告", "%2e", "+"];
    for (const key of keys) await store(key);
    const answer = await post(document(keys));
    assert.equal(answer.elements("Key").length, keys.length, answer.text);
    assert.deepEqual(answer.elements("Key"), keys);
    for (const key of keys) assert.equal(await present(key), false, key);
  });

  it("takes a key twice", async () => {
    await store("dup");
    assert.deepEqual(deletedKeys(await post(document(["dup", "dup"]))), ["dup", "dup"]);
    assert.equal(await present("dup"), false);
  });

  it("takes 1,000 keys", async () => {
    const keys = Array.from({ length: 1000 }, (_, n) => `many/${n}`);
    await store("many/0", "many/499", "many/999", "many-not");
    assert.deepEqual(deletedKeys(await post(document(keys))), keys);
    assert.deepEqual((await server.send({ query: { prefix: "many" } })).elements("Key"), ["many-not"]);
  });

  it("MalformedXML: 1,001 keys; none is deleted", async () => {
    await store("first");
    const keys = ["first", ...Array.from({ length: 1000 }, (_, n) => `k${n}`)];
    assertRefused(await post(document(keys)), "MalformedXML");
    assert.ok(await present("first"));
  });

  it("KeyTooLong: is told of its key alone, in the answer to the others", async () => {
    await store("fits");
    const long = "k".repeat(851);
    for (const quiet of [false, true]) {
      const answer = await post(document([long, "fits"], quiet));
      assert.equal(answer.status, 200);
      assert.deepEqual(deletedKeys(answer), quiet ? [] : ["fits"]);
      assert.ok(
        answer.text.endsWith(
          `<Error><Key>${long}</Key><Code>KeyTooLong</Code><Message>Your key is too long.</Message></Error></DeleteResult>`,
        ),
        answer.text,
      );
    }
    assert.equal(await present("fits"), false);
  });

  it("MalformedXML: what is no such document", async () => {
    await store("kept");
    for (const body of [
      "nonsense",
      "<Delete>",
      "<Delete/>",
      "<Delete></Delete>",
      "<Delete><Quiet>true</Quiet></Delete>",
      `<Remove>${objects(["kept"])}</Remove>`,
      `<Delete>${objects(["kept"])}</Delete><Delete/>`,
      `<Delete>${objects(["kept"])}</Delete>trailing`,
      `<Delete>${objects(["kept"])}<Object/></Delete>`,
      `<Delete>${objects(["kept"])}<Object><Key/></Object></Delete>`,
      `<Delete>${objects(["kept"])}<Object><Key>a</Key><Key>b</Key></Object></Delete>`,
      `<Delete>${objects(["kept"])}<Object><Key><b/></Key></Object></Delete>`,
      `<Delete><Quiet>maybe</Quiet>${objects(["kept"])}</Delete>`,
      `<delete>${objects(["kept"])}</delete>`,
      `<!DOCTYPE Delete>${document(["kept"])}`,
      `<!DOCTYPE d [<!ENTITY e SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&e;</Key></Object></Delete>`,
      `<?pi x?>${document(["kept"])}`,
      `<Delete><Object><Key>&undefined;</Key></Object>${objects(["kept"])}</Delete>`,
      `<Delete>${objects(["kept"])}${"<x>".repeat(20)}${"</x>".repeat(20)}</Delete>`,
    ]) {
      assertRefused(await post(body), "MalformedXML", {
        resource: "demo-1250000000.cos.ap-guangzhou.myqcloud.com",
      });
    }
    const utf16 = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(document(["kept"]), "utf16le")]);
    assertRefused(await post(utf16), "MalformedXML");
    assertRefused(
      await post(
        Buffer.concat([
          Buffer.from("<Delete><Object><Key>"),
          Buffer.from([0xff]),
          Buffer.from("</Key></Object></Delete>"),
        ]),
      ),
      "MalformedXML",
    );
    assert.ok(await present("kept"));
  });

  it("InvalidRequest: without Content-MD5", async () => {
    await store("kept");
    const answer = await server.send({ method: "POST", query: { delete: undefined }, body: document(["kept"]) });
    assertRefused(answer, "InvalidRequest", { message: "Missing required header for this request: Content-MD5" });
    assertRefused(await post(document(["kept"]), { headers: { "content-md5": "" } }), "InvalidRequest", {
      message: "Missing required header for this request: Content-MD5",
    });
    assert.ok(await present("kept"));
  });

  it("InvalidDigest: a Content-MD5 that is none", async () => {
    assertRefused(await post(document(["kept"]), { headers: { "content-md5": "abc" } }), "InvalidDigest");
  });

  it("BadDigest: another Content-MD5 than the document's; nothing is deleted", async () => {
    await store("kept");
    assertRefused(await post(document(["kept"]), { headers: { "content-md5": contentMd5("other") } }), "BadDigest");
    assertRefused(await post("nonsense", { headers: { "content-md5": contentMd5("other") } }), "BadDigest");
    assert.ok(await present("kept"));
  });

  it("MissingRequestBodyError: an empty body, told by length or in chunks", async () => {
    assertRefused(await post(""), "MissingRequestBodyError");
    assertRefused(await post("", { framing: "chunked" }), "MissingRequestBodyError");
  });

  it("XMLSizeLimit: a document over its bound; the bound itself passes", async () => {
    const small = await testServer({ limits: { xmlDeleteBytesMax: 200 } });
    try {
      const padded = (length: number) => document(["k"]).replace("<Object>", `${" ".repeat(length - 46)}<Object>`);
      assert.equal(padded(200).length, 200);
      assert.equal((await post(padded(200), {}, small)).status, 200);
      assertRefused(await post(padded(201), {}, small), "XMLSizeLimit");
      assertRefused(await post(padded(201), { framing: "chunked" }, small), "XMLSizeLimit");
      assertRefused(await post(Buffer.alloc(5_000_000, 32), { framing: "chunked" }, small), "XMLSizeLimit");
    } finally {
      await small.stop();
    }
  });

  it("fits 1,000 of the longest keys into its bound", async () => {
    const keys = Array.from({ length: 1000 }, (_, n) => `${"&".repeat(250)}${String(n).padStart(600, "k")}`);
    const body = document(keys);
    assert.ok(body.length > 1_850_000);
    const answer = await post(body);
    assert.equal(answer.status, 200, answer.text.slice(0, 300));
    assert.equal(answer.elements("Key").length, 1000);
  });

  it("NoSuchVersion: a version that is not there is a fault of its own beside what is deleted", async () => {
    await store("kept");
    const answer = await post(
      `<Delete>${objects(["kept"])}<Object><Key>kept</Key><VersionId>v</VersionId></Object></Delete>`,
    );
    assert.equal(answer.status, 200);
    assert.deepEqual(
      [answer.element("Key"), answer.element("VersionId"), answer.element("Code")],
      ["kept", "v", "NoSuchVersion"],
    );
    assert.ok(!(await present("kept")));
  });

  it("NoSuchBucket: a bucket that is not there", async () => {
    assertRefused(await post(document(["k"]), { bucket: "nobody-1250000000" }), "NoSuchBucket");
  });

  it("AccessDenied: strangers and anonymous callers, whatever type the body claims", async () => {
    await store("kept");
    assertRefused(await post(document(["kept"]), { sign: STRANGER }), "AccessDenied");
    assertRefused(await post(document(["kept"]), { sign: false }), "AccessDenied");
    const form = { "content-type": "multipart/form-data; boundary=x" };
    assertRefused(await post(document(["kept"]), { sign: false, headers: form }), "AccessDenied");
    assert.ok(await present("kept"));
  });

  it("MethodNotAllowed: other methods on ?delete", async () => {
    for (const method of ["GET", "PUT", "DELETE"]) {
      const answer = await server.send({ method, query: { delete: undefined } });
      assertRefused(answer, "MethodNotAllowed");
      assert.equal(answer.headers["allow"], "POST");
    }
    assert.equal((await server.send({ method: "HEAD" })).status, 200);
  });

  it("leaves the connection usable after a refusal", async () => {
    await post("nonsense");
    assert.ok((await server.send({ method: "HEAD" })).reused);
  });

  it("is what the SDK's deleteMultipleObject resolves with", async () => {
    await store("sdk-1", "sdk-2");
    const { Deleted } = await server.cos.deleteMultipleObject({
      Bucket: server.bucket,
      Region: "ap-guangzhou",
      Objects: [{ Key: "sdk-1" }, { Key: "sdk-2" }],
    });
    assert.deepEqual(
      Deleted?.map(({ Key }) => Key),
      ["sdk-1", "sdk-2"],
    );
  });
});
