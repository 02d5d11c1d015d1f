import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { assertRefused } from "../fixtures/refusal.ts";
import { type Sent, type TestServer, testServer } from "../fixtures/server.ts";

const BUCKET = "demo-1250000000";

describe("addressing", () => {
  let server: TestServer;
  beforeAll(async () => {
    // Keys of its own: while the published ones are valid, hosts that belong to nobody are refused.
    server = await testServer({
      suffix: ["cos.test"],
      regions: ["xx-lab"],
      secretId: "AKIDaddressing",
      secretKey: "addressingsecretkey",
    });
    await server.send({ method: "PUT", path: "/k", body: "found" });
    await server.send({ method: "PUT", path: "/dir//k", body: "two slashes" });
  });
  afterAll(() => server.stop());

  const get = (host: string, path = "/k", more: Sent = {}) => server.send({ host, path, ...more });

  describe("hosts of a bucket", () => {
    for (const host of [
      `${BUCKET}.cos.ap-guangzhou.myqcloud.com`,
      `${BUCKET}.cos.ap-guangzhou.tencentcos.cn`,
      `${BUCKET}.cos-internal.ap-guangzhou.tencentcos.cn`,
      `${BUCKET}.cos.ap-guangzhou.localhost`,
      `${BUCKET}.cos.ap-guangzhou.cos.test`,
      `${BUCKET}.cos.localhost`,
      `${BUCKET}.localhost`,
      `${BUCKET}.cos.test`,
      `${BUCKET}.cn-south.myqcloud.com`,
      `${BUCKET}.COS.AP-GUANGZHOU.MYQCLOUD.COM`,
      `${BUCKET}.cos.ap-guangzhou.myqcloud.com.`,
      `${BUCKET}.cos.ap-guangzhou.myqcloud.com:80`,
      `${BUCKET}.cos.ap-guangzhou.myqcloud.com:9000`,
      `DEMO-1250000000.cos.ap-guangzhou.myqcloud.com`,
    ]) {
      it(`${host} is the bucket's`, async () => {
        const answer = await get(host);
        assert.equal(answer.text, "found");
        assert.match((await get(host, "/")).text, /<ListBucketResult><Name>demo-1250000000</);
      });
    }
  });

  describe("path style", () => {
    for (const host of [
      "127.0.0.1",
      "127.0.0.1:9000",
      "localhost",
      "localhost:9000",
      "[::1]:9000",
      "cos.ap-guangzhou.myqcloud.com",
      "service.cos.myqcloud.com",
      "cos.test",
      "cosbox",
    ]) {
      it(`on ${host} the path names the bucket`, async () => {
        assert.equal((await get(host, `/${BUCKET}/k`)).text, "found");
        assert.match((await get(host, `/${BUCKET}`)).text, /<ListBucketResult><Name>demo-1250000000</);
        assert.match((await get(host, `/${BUCKET}/`)).text, /<ListBucketResult>/);
        assert.match((await get(host, "/")).text, /<ListAllMyBucketsResult>/);
        assert.equal((await get(host, `/${BUCKET}/dir//k`)).text, "two slashes");
      });
    }

    it("NoSuchKey: slashes behind the bucket are a key, never a listing", async () => {
      for (const rest of ["//", "///", "/./", "/a/.."]) {
        assertRefused(await get("127.0.0.1", `/${BUCKET}${rest}`), "NoSuchKey");
      }
    });

    it("InvalidRequest: a bucket without an APPID", async () => {
      for (const path of ["/demo", "/demo/k", "/__proto__/k", "/..", "/../demo-1250000000/k"]) {
        assertRefused(await get("127.0.0.1", path), "InvalidRequest", { message: /Appid/ });
      }
    });

    it("InvalidBucketName: a path that begins with two slashes, or a name that cannot be", async () => {
      for (const path of ["//", `//${BUCKET}/k`, "/-x-1250000000/k", "/Demo-1250000000/k"]) {
        assertRefused(await get("127.0.0.1", path), "InvalidBucketName");
      }
    });

    it("NoSuchBucket: names that objects inherit", async () => {
      for (const path of ["/constructor-1250000000/k", "/__proto__-1250000000/k", "/tostring-1/k"]) {
        const answer = await get("127.0.0.1", path);
        assertRefused(answer, path.startsWith("/_") ? "InvalidBucketName" : "NoSuchBucket");
      }
    });
  });

  it("reads host and path once: the host's bucket wins, the path is the key", async () => {
    await server.send({ method: "PUT", path: `/${BUCKET}/k`, body: "nested" });
    assert.equal((await get(`${BUCKET}.cos.ap-guangzhou.myqcloud.com`, `/${BUCKET}/k`)).text, "nested");
    assert.equal((await get("127.0.0.1", `/${BUCKET}/k`)).text, "found");
  });

  it("NoSuchBucket: a bucket is found under its own region alone", async () => {
    for (const region of ["ap-beijing", "ap-singapore", "xx-lab"]) {
      assertRefused(await get(`${BUCKET}.cos.${region}.myqcloud.com`), "NoSuchBucket");
      assertRefused(await get(`cos.${region}.myqcloud.com`, `/${BUCKET}/k`), "NoSuchBucket");
    }
    const host = "lab-1250000000.cos.xx-lab.myqcloud.com";
    assert.equal((await server.send({ method: "PUT", host })).status, 200, "a configured region is one of ours");
    assert.equal((await get(host, "/")).headers["x-cos-bucket-region"], "xx-lab");
    assert.equal((await get("127.0.0.1", "/lab-1250000000")).headers["x-cos-bucket-region"], "xx-lab");
  });

  it("InvalidRegionName: a region that is none", async () => {
    for (const host of [
      `${BUCKET}.cos.ap-nowhere.myqcloud.com`,
      "cos.ap-nowhere.myqcloud.com",
      `${BUCKET}.cos.__proto__.myqcloud.com`,
      `${BUCKET}.cos.constructor.myqcloud.com`,
      `${BUCKET}.myqcloud.com`,
      `${BUCKET}.nowhere.myqcloud.com`,
    ]) {
      assertRefused(await get(host), "InvalidRegionName", { message: /^The specified region is invalid: / });
    }
  });

  it("InvalidBucketName: a label that no bucket can have", async () => {
    for (const label of ["-x-1250000000", "x_y-1250000000", "x--1250000000", "a.b-1250000000", `${BUCKET}.${BUCKET}`]) {
      assertRefused(await get(`${label}.cos.ap-guangzhou.myqcloud.com`), "InvalidBucketName", { message: /bucket/ });
    }
  });

  it("BucketNameTooLong: a label longer than a host can carry", async () => {
    const host = `${"n".repeat(60)}-1250000000.cos.ap-guangzhou.myqcloud.com`;
    assertRefused(await get(host), "BucketNameTooLong");
  });

  it("InvalidRequest: a label without an APPID", async () => {
    for (const label of ["demo", "__proto__", "constructor"]) {
      assertRefused(await get(`${label}.cos.ap-guangzhou.myqcloud.com`), "InvalidRequest", { message: /Appid/ });
    }
  });

  it("takes no host for the bucket's that only looks like it", async () => {
    for (const host of [
      `${BUCKET}.cos.ap-guangzhou.myqcloud.com.evil.tld`,
      `${BUCKET}.cos.ap-guangzhou.evilmyqcloud.com`,
      `${BUCKET}.cos.ap-guangzhou.myqcloud.com.localhost.evil`,
    ]) {
      const answer = await get(host, "/k");
      assertRefused(answer, "InvalidRequest", { message: /Appid/ });
    }
  });

  it("UserCnameInvalid: a host that belongs to nobody, while the published keys are valid", async () => {
    const development = await testServer();
    try {
      for (const host of ["page.example", `${BUCKET}.cos.ap-guangzhou.myqcloud.com.evil.tld`, "rebound.example:9000"]) {
        for (const path of ["/", `/${BUCKET}/k`]) {
          assertRefused(await development.send({ host, path }), "UserCnameInvalid", { message: /^The host / });
        }
      }
      for (const host of ["127.0.0.1", "localhost", "[::1]", "cosbox"]) {
        assert.equal((await development.send({ host, path: `/${BUCKET}` })).status, 200, host);
      }
    } finally {
      await development.stop();
    }
  });

  it("lets no forwarding header name the host", async () => {
    for (const name of ["x-forwarded-host", "forwarded", "x-host", "x-original-host", "x-forwarded-server"]) {
      const headers = { [name]: `${BUCKET}.cos.ap-guangzhou.myqcloud.com` };
      assertRefused(await get("nobody-1250000000.cos.ap-guangzhou.myqcloud.com", "/k", { headers }), "NoSuchBucket");
    }
  });

  it("NotImplemented: hosts of other parts of the service, by name", async () => {
    for (const [host, part] of [
      [`${BUCKET}.cos.accelerate.myqcloud.com`, "acceleration endpoint"],
      [`${BUCKET}.cos-website.ap-guangzhou.myqcloud.com`, "static website"],
      [`${BUCKET}.ci.ap-guangzhou.myqcloud.com`, "data processing (CI)"],
      ["ci.ap-guangzhou.tencentci.cn", "data processing (CI)"],
      [`${BUCKET}.pic.ap-guangzhou.myqcloud.com`, "image processing (pic)"],
      ["100000000001.cos-control.ap-guangzhou.myqcloud.com", "batch jobs"],
      ["1250000000.cos.ap-guangzhou.myqcloud.com", "account-level endpoint"],
      [`${BUCKET}.file.myqcloud.com`, "CDN domain"],
      ["gz.file.myqcloud.com", "JSON API"],
    ] as const) {
      assertRefused(await get(host), "NotImplemented", {
        message: `This host belongs to a part of the service that is not implemented yet: ${part}.`,
      });
    }
  });

  describe("absolute-form targets, as a proxy gets them", () => {
    const url = `http://${BUCKET}.cos.ap-guangzhou.myqcloud.com`;

    it("are answered by the host that the target names", async () => {
      const host = `${BUCKET}.cos.ap-guangzhou.myqcloud.com`;
      assert.equal((await get(host, "/k", { target: `${url}/k` })).text, "found");
      assert.equal((await get(host, "/k", { target: `${url}:80/k` })).text, "found", "port 80 is no other host");
      assert.match((await get(host, "/", { target: url })).text, /<ListBucketResult>/);
      assert.equal((await get(host, "/dir//k", { target: `${url}/dir//k` })).text, "two slashes");
    });

    it("BadRquest: another host in the target than in Host", async () => {
      for (const host of [
        `other-1250000000.cos.ap-guangzhou.myqcloud.com`,
        "127.0.0.1",
        `${BUCKET}.cos.ap-guangzhou.myqcloud.com:81`,
      ]) {
        assertRefused(await get(host, "/k", { target: `${url}/k` }), "BadRquest", { message: /the Host header/ });
      }
    });
  });

  it("MethodNotAllowed: OPTIONS * asks the service", async () => {
    const text = await server.raw("OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    assert.match(text, /^HTTP\/1\.1 405 Method Not Allowed\r\n/);
    assert.match(text, /\r\nAllow: GET\r\n/);
    assert.match(text, /<Resource>127\.0\.0\.1\/<\/Resource>/);
  });

  it("InvalidURI: a target that cannot be decoded, wherever it points", async () => {
    for (const target of ["/%", "/%zz", "/%ff", "/%00", "/a?%ff", "/a?x=%00", "/a?x=%e2%82"]) {
      for (const method of ["GET", "PUT", "DELETE", "POST"]) {
        assertRefused(await server.send({ method, target, sign: false }), "InvalidURI", { message: /URI/ });
      }
    }
  });

  it("InvalidURI: more parameters than one query may have", async () => {
    const small = await testServer({ limits: { queryParametersMax: 30 } });
    try {
      const query = (count: number) => `/?${Array.from({ length: count }, (_, n) => `x${n}`).join("&")}`;
      assert.equal((await small.send({ target: query(30), path: "/" })).status, 200);
      assertRefused(await small.send({ target: query(31), path: "/" }), "InvalidURI", { message: /30 parameters/ });
    } finally {
      await small.stop();
    }
  });
});
