import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { STRANGER } from "../fixtures/accounts.ts";
import { assertRefused } from "../fixtures/refusal.ts";
import { type Sent, type TestServer, testServer } from "../fixtures/server.ts";

const SERVICE = "service.cos.myqcloud.com";
const GUANGZHOU = ["alpha-1250000000", "beta-1250000000", "delta-1250000000", "demo-1250000000"];
const SINGAPORE = ["beta-2-1250000000", "gamma-1250000000"];
const ALL = [...GUANGZHOU, ...SINGAPORE].toSorted();

describe("GetService", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer({ credentials: [STRANGER] });
    for (const bucket of GUANGZHOU.slice(0, 3)) await server.send({ method: "PUT", bucket });
    for (const bucket of SINGAPORE) {
      await server.send({ method: "PUT", host: `${bucket}.cos.ap-singapore.myqcloud.com` });
    }
    await server.send({ method: "PUT", bucket: "other-1250000002", sign: STRANGER });
  });
  afterAll(() => server.stop());

  const list = (query: Sent["query"] = {}, host = SERVICE, more: Sent = {}) => server.send({ host, query, ...more });
  const names = async (...given: Parameters<typeof list>) => {
    const answer = await list(...given);
    assert.equal(answer.status, 200, answer.text);
    return answer.elements("Name");
  };

  it("writes the document as the service does", async () => {
    const answer = await list({ region: "ap-singapore", "max-keys": 1 });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["content-type"], "application/xml");
    const text = answer.text.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/, "WHEN");
    assert.equal(
      text,
      "<?xml version='1.0' encoding='utf-8' ?>\n<ListAllMyBucketsResult>" +
        "<Owner><ID>qcs::cam::uin/100000000001:uin/100000000001</ID><DisplayName>100000000001</DisplayName></Owner>" +
        "<MaxKeys>1</MaxKeys><Buckets><Bucket><Name>beta-2-1250000000</Name><Location>ap-singapore</Location>" +
        "<CreationDate>WHEN</CreationDate><BucketType>cos</BucketType></Bucket></Buckets>" +
        "<IsTruncated>true</IsTruncated><NextMarker>beta-2-1250000000</NextMarker></ListAllMyBucketsResult>",
    );
  });

  it("lists the caller's buckets of all regions on the service host, in order of name", async () => {
    assert.deepEqual(await names(), ALL);
    assert.deepEqual(await names({}, SERVICE, { sign: STRANGER }), ["other-1250000002"]);
  });

  it("lists the region's buckets on a regional host", async () => {
    assert.deepEqual(await names({}, "cos.ap-guangzhou.myqcloud.com"), GUANGZHOU);
    assert.deepEqual(await names({}, "cos.ap-singapore.tencentcos.cn"), SINGAPORE);
    assert.deepEqual(await names({}, "cos.ap-tokyo.myqcloud.com"), []);
    assert.deepEqual(await names({ region: "ap-guangzhou" }, "cos.ap-singapore.myqcloud.com"), []);
  });

  it("lists all regions on the server's own address", async () => {
    assert.deepEqual(await names({}, `127.0.0.1:${server.port}`), ALL);
    assert.deepEqual(await names({}, `localhost:${server.port}`), ALL);
  });

  it("an empty list has an empty Buckets", async () => {
    const answer = await list({}, "cos.ap-tokyo.myqcloud.com");
    assert.match(answer.text, /<\/Owner><Buckets\/><IsTruncated>false<\/IsTruncated><\/ListAllMyBucketsResult>$/);
  });

  it("filters by region", async () => {
    assert.deepEqual(await names({ region: "ap-singapore" }), SINGAPORE);
    assert.deepEqual(await names({ region: "" }), ALL);
    assert.deepEqual(await names({ region: "ap-tokyo" }), []);
  });

  it("filters by time of creation, in whole seconds", async () => {
    const answer = await list({ region: "ap-singapore" });
    const times = answer.elements("CreationDate").map((text) => Date.parse(text) / 1000);
    const first = Math.min(...times);
    const all = await names();
    for (const [range, time, expected] of [
      ["gte", first - 60, all],
      ["gt", first - 60, all],
      ["lt", first - 60, []],
      ["lte", first - 60, []],
      ["gte", first + 60, []],
      ["lt", first + 60, all],
      ["LTE", first + 60, all],
    ] as const) {
      assert.deepEqual(await names({ "create-time": time, range }), expected, `${range} ${time}`);
    }
    const same = times.filter((time) => time === first).length;
    assert.equal((await names({ region: "ap-singapore", "create-time": first, range: "lte" })).length, same);
    assert.equal((await names({ region: "ap-singapore", "create-time": first, range: "lt" })).length, 0);
    assert.equal((await names({ region: "ap-singapore", "create-time": first, range: "gte" })).length, 2);
    assert.equal((await names({ region: "ap-singapore", "create-time": first, range: "gt" })).length, 2 - same);
  });

  it("InvalidArgument: create-time without range, range without create-time, or values they cannot have", async () => {
    for (const query of [
      { "create-time": 1 },
      { range: "gt" },
      { "create-time": "yesterday", range: "gt" },
      { "create-time": -1, range: "gt" },
      { "create-time": 1, range: "eq" },
    ]) {
      assertRefused(await list(query), "InvalidArgument", { message: /create-time|range/ });
    }
  });

  for (const size of [1, 2, 3, 5, 6, 7, 2000, 2001]) {
    it(`pages of ${size} name every bucket once`, async () => {
      const seen: string[] = [];
      let marker: string | undefined;
      for (let pages = 0; ; pages++) {
        assert.ok(pages <= ALL.length);
        const answer = await list({ "max-keys": size, ...(marker === undefined ? {} : { marker }) });
        const page = answer.elements("Name");
        assert.ok(page.length <= size);
        assert.equal(answer.element("Marker"), marker);
        seen.push(...page);
        const truncated = answer.element("IsTruncated") === "true";
        assert.equal(answer.element("NextMarker"), truncated ? page.at(-1) : undefined);
        if (!truncated) break;
        marker = answer.element("NextMarker") as string;
      }
      assert.deepEqual(seen, ALL);
    });
  }

  it("pages through what a filter leaves", async () => {
    const first = await list({ region: "ap-singapore", "max-keys": 1 });
    assert.equal(first.element("NextMarker"), "beta-2-1250000000");
    const second = await list({ region: "ap-singapore", "max-keys": 1, marker: "beta-2-1250000000" });
    assert.deepEqual(second.elements("Name"), ["gamma-1250000000"]);
    assert.equal(second.element("IsTruncated"), "false");
  });

  it("starts after a marker, whether or not a bucket has that name", async () => {
    assert.deepEqual(await names({ marker: "beta-1250000000" }), ALL.slice(ALL.indexOf("beta-1250000000") + 1));
    assert.deepEqual(await names({ marker: "c" }), ["delta-1250000000", "demo-1250000000", "gamma-1250000000"]);
    assert.deepEqual(await names({ marker: "" }), ALL);
    assert.deepEqual(await names({ marker: "zzz" }), []);
    assert.deepEqual(await names({ marker: "__proto__" }), ALL);
  });

  it("InvalidArgument: a max-keys that is no size of a page", async () => {
    for (const value of ["0", "-1", "abc", "", "1.5", "1e3", " 1", String(2 ** 31)]) {
      assertRefused(await list({ "max-keys": value }), "InvalidArgument", { message: /max-keys/ });
    }
  });

  it("InvalidArgument: a parameter that is given twice", async () => {
    const target = "/?max-keys=1&max-keys=2";
    assertRefused(await server.send({ host: SERVICE, target, path: "/" }), "InvalidArgument", { message: /max-keys/ });
  });

  it("AccessDenied: an anonymous request, as the documented transcript has it", async () => {
    const answer = await list({}, "cos.ap-guangzhou.myqcloud.com", { sign: false });
    assertRefused(answer, "AccessDenied", {
      message: "Check auth failure because signature empty.",
      resource: "cos.ap-guangzhou.myqcloud.com/",
      extras: ["ServerTime"],
    });
    const time = answer.element("ServerTime") as string;
    assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    assert.ok(Math.abs(Date.parse(time) - Date.now()) < 60_000);
  });

  it("MethodNotAllowed: the service is for reading only", async () => {
    for (const method of ["PUT", "POST", "DELETE", "OPTIONS", "PATCH"]) {
      const answer = await list({}, SERVICE, { method });
      assertRefused(answer, "MethodNotAllowed", { resource: "service.cos.myqcloud.com/" });
      assert.equal(answer.headers["allow"], "GET");
    }
  });

  it("is what the SDK's getService resolves with", async () => {
    const { Buckets } = await server.cos.getService({});
    assert.deepEqual(
      Buckets.map(({ Name }) => Name),
      ALL,
    );
    const regional = await server.cos.getService({ Region: "ap-singapore" });
    assert.deepEqual(
      regional.Buckets.map(({ Name }) => Name),
      SINGAPORE,
    );
  });
});
