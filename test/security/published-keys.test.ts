/**
 * What a web page can do to a cosbox on the machine of the person who visits it, while the development keys are the
 * published ones: nothing but show what is there. (docs/decisions/0007-published-keys.md)
 */

import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { DEVELOPMENT_SECRET_KEY } from "../../src/config/settings.ts";
import { STRANGER } from "../fixtures/accounts.ts";
import { form } from "../fixtures/forms.ts";
import { assertRefused } from "../fixtures/refusal.ts";
import { type Received, type Sent, type TestServer, testServer } from "../fixtures/server.ts";

const OPEN = "open-1250000000";
const FORBIDDEN = { message: /^CORSResponse: / };

/** A server with a private bucket, one that everyone may write to, and an object in each. */
async function serverWith(settings: Parameters<typeof testServer>[0] = {}): Promise<TestServer> {
  const server = await testServer(settings);
  await server.send({ method: "PUT", bucket: OPEN, headers: { "x-cos-acl": "public-read-write" } });
  for (const bucket of [server.bucket, OPEN]) await server.send({ method: "PUT", bucket, path: "/k", body: "kept" });
  return server;
}

describe("CVE-2025-24010, sec_S-8.4: a page whose name was pointed at this machine (DNS rebinding)", () => {
  let server: TestServer;
  let own: TestServer;
  beforeAll(async () => {
    server = await serverWith({ suffix: ["host.docker.internal"] });
    own = await serverWith({ secretId: "AKIDown000000000000", secretKey: "ownsecretkey00000000" });
  });
  afterAll(async () => {
    await server.stop();
    await own.stop();
  });

  const foreign = [
    "page.example",
    "page.example:9000",
    "127.0.0.1.page.example",
    "localhost.page.example",
    "page.localhost.example",
    "demo-1250000000.cos.ap-guangzhou.myqcloud.com.page.example",
    "evil-myqcloud.com",
    "1.2.3.4.5",
    "page.host.docker.internal",
  ];

  it("UserCnameInvalid: every name with a dot that is not the server's own, signed or not, telling the mend", async () => {
    for (const host of foreign) {
      for (const request of [{}, { path: `/${server.bucket}/k` }, { path: `/${OPEN}/k`, sign: false }] as Sent[]) {
        const name = host.replace(/:\d+$/, "");
        assertRefused(await server.send({ ...request, host }), "UserCnameInvalid", {
          message: `The host ${name} is neither bound to a bucket nor a host of this server; if it is yours, start the server with --suffix ${name} or with keys of your own.`,
        });
      }
    }
  });

  it("serves the names that clients come by", async () => {
    const path = `/${server.bucket}/k`;
    for (const host of [
      "127.0.0.1:9000",
      "[::1]:9000",
      "0.0.0.0",
      "localhost:9000",
      "cosbox:9000",
      "cos.ap-guangzhou.myqcloud.com",
      "host.docker.internal:9000",
      "console.localhost",
    ]) {
      assert.equal((await server.send({ host, path })).text, "kept", host);
    }
    for (const host of ["cos.ap-guangzhou.tencentcos.cn", "localhost", "cos.localhost", "host.docker.internal"]) {
      assert.equal((await server.send({ host: `${server.bucket}.${host}`, path: "/k" })).text, "kept", host);
    }
  });

  it("serves under any name once the keys are its owner's", async () => {
    assert.equal((await own.send({ host: "store.lan:9000", path: `/${own.bucket}/k` })).text, "kept");
  });
});

describe("CVE-2021-32090, sec_S-8.3: requests that a browser makes for a page", () => {
  let server: TestServer;
  let own: TestServer;
  beforeAll(async () => {
    // A pair whose secret is the published one is published, whatever its id.
    const also = { secretId: "AKIDalso0000000000", secretKey: DEVELOPMENT_SECRET_KEY };
    server = await serverWith({ credentials: [STRANGER, also] });
    own = await serverWith({ secretId: "AKIDown000000000000", secretKey: "ownsecretkey00000000" });
  });
  afterAll(async () => {
    await server.stop();
    await own.stop();
  });

  const CROSS = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" };
  const page = (headers: Record<string, string>, more: Sent = {}): Promise<Received> =>
    server.send({ path: "/k", ...more, headers: { ...more.headers, ...headers } });

  it("AccessForbidden: reads signed with the published keys by a page's script, style or fetch", async () => {
    const headers = [
      { origin: "https://page.example" },
      { origin: "null" },
      { origin: "http://localhost:3000", "sec-fetch-site": "same-site" },
      { ...CROSS, "sec-fetch-dest": "script" },
      { ...CROSS, "sec-fetch-dest": "style" },
      { ...CROSS, "sec-fetch-dest": "empty" },
      { ...CROSS, "sec-fetch-dest": "worker" },
      CROSS,
    ];
    for (const sent of headers) {
      for (const sign of [
        true,
        "query",
        { secretId: "AKIDalso0000000000", secretKey: DEVELOPMENT_SECRET_KEY },
      ] as const) {
        assertRefused(await page(sent, { sign }), "AccessForbidden", FORBIDDEN);
        assertRefused(await page(sent, { path: "/", bucket: "", sign }), "AccessForbidden", FORBIDDEN);
      }
    }
  });

  it("AccessForbidden: writes signed with the published keys, as a form or a beacon would send them", async () => {
    const form = { method: "POST", path: "/log", query: { append: undefined, position: 0 }, body: "a=b" } as const;
    for (const headers of [
      { origin: "null" },
      { origin: server.endpoint },
      { ...CROSS, "sec-fetch-dest": "document" },
    ]) {
      assertRefused(await page(headers, { ...form, sign: "query" }), "AccessForbidden", FORBIDDEN);
      assertRefused(await page(headers, { method: "PUT", path: "/new", body: "x" }), "AccessForbidden", FORBIDDEN);
      assertRefused(await page(headers, { method: "DELETE" }), "AccessForbidden", FORBIDDEN);
    }
    assert.equal((await server.send({ method: "HEAD", path: "/log" })).status, 404);
    assert.equal((await server.send({ path: "/k" })).text, "kept");
  });

  it("AccessForbidden: unsigned writes to a public bucket, whose documents would then run in this server's origin", async () => {
    const html = { "content-type": "text/html" };
    for (const headers of [{ origin: "https://page.example" }, { ...CROSS, "sec-fetch-dest": "document" }]) {
      for (const request of [
        { method: "PUT", path: "/page.html", body: "<script>", headers: html },
        { method: "POST", path: "/page.html", query: { append: undefined, position: 0 }, body: "<script>" },
        form(
          [
            ["key", "page.html"],
            ["file", { name: "page.html", bytes: "<script>" }],
          ],
          { path: "/" },
        ),
        { method: "DELETE" },
      ]) {
        assertRefused(await page(headers, { ...request, bucket: OPEN, sign: false }), "AccessForbidden", FORBIDDEN);
      }
    }
    assert.equal((await server.send({ method: "HEAD", bucket: OPEN, path: "/page.html" })).status, 404);
  });

  it("lets a page show and link to what a signed URL names, and read what everyone may", async () => {
    for (const dest of ["image", "video", "audio", "iframe", "embed", "object", "document"]) {
      assert.equal((await page({ ...CROSS, "sec-fetch-dest": dest }, { sign: "query" })).text, "kept", dest);
    }
    for (const site of ["same-origin", "none", "same-site"]) {
      assert.equal((await page({ "sec-fetch-site": site, "sec-fetch-dest": "empty" }, { sign: "query" })).text, "kept");
    }
    const open = await page({ origin: "https://page.example", ...CROSS }, { bucket: OPEN, sign: false });
    assert.equal(open.text, "kept");
    assert.equal(open.headers["access-control-allow-origin"], undefined, "the page cannot read it all the same");
  });

  it("leaves clients alone that are no browsers", async () => {
    const put = await server.send({ method: "PUT", bucket: OPEN, path: "/by-curl", body: "x", sign: false });
    assert.equal(put.status, 200);
  });

  it("leaves pages alone where the keys are somebody's own: then they prove that their owner meant it", async () => {
    const origin = { origin: "https://page.example" };
    assert.equal((await own.send({ path: "/k", headers: origin })).text, "kept");
    const put = await own.send({ method: "PUT", bucket: OPEN, path: "/p", body: "x", sign: false, headers: origin });
    assert.equal(put.status, 200);
    assert.equal((await server.send({ bucket: "", sign: STRANGER, headers: origin })).status, 200);
  });
});
