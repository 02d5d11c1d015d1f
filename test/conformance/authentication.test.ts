import assert from "node:assert/strict";
import COS from "cos-nodejs-sdk-v5";
import { afterAll, beforeAll, describe, it } from "vitest";
import { signCos } from "../../src/dialects/cos/sign.ts";
import { STRANGER } from "../fixtures/accounts.ts";
import { assertRefused } from "../fixtures/refusal.ts";
import { type Received, type Sent, type Signing, type TestServer, testServer } from "../fixtures/server.ts";

const nowSeconds = () => Math.floor(Date.now() / 1000);
/** A period in seconds from now. */
const period = (start: number, end: number) => `${nowSeconds() + start};${nowSeconds() + end}`;

describe("authentication", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer({ credentials: [STRANGER] });
    await server.send({ method: "PUT", path: "/k", body: "secret" });
    await server.send({ method: "PUT", path: "/a b+c", body: "blank and plus" });
    await server.send({ method: "PUT", bucket: "open-1250000000", headers: { "x-cos-acl": "public-read-write" } });
  });
  afterAll(() => server.stop());

  const get = (more: Sent = {}) => server.send({ path: "/k", ...more });
  const signed = (sign: Signing, more: Sent = {}) => get({ sign, ...more });
  const VIAS = ["header", "query", "merged"] as const;

  for (const via of VIAS) {
    describe(`in the ${via === "merged" ? "parameter sign" : via}`, () => {
      it("lets the owner read and write", async () => {
        assert.equal((await signed({ via })).text, "secret");
        const put = await server.send({ method: "PUT", path: `/by-${via}`, body: "x", sign: { via } });
        assert.equal(put.status, 200, put.text);
      });

      it("InvalidAccessKeyId: a SecretId nobody has", async () => {
        for (const secretId of ["AKIDnobody", "*()\\'", "__proto__", "constructor", STRANGER.secretId.toLowerCase()]) {
          assertRefused(await signed({ via, secretId }), "InvalidAccessKeyId");
        }
      });

      it("SignatureDoesNotMatch: another secret; the strings to compare come along", async () => {
        const answer = await signed({ via, secretKey: "wrong", instead: { headers: { host: hostOf(server) } } });
        assertRefused(answer, "SignatureDoesNotMatch", { extras: ["StringToSign", "FormatString"] });
        assert.equal(answer.element("FormatString"), `get\n/k\n\nhost=${hostOf(server)}\n`);
        assert.match(answer.element("StringToSign") as string, /^sha1\n\d+;\d+\n[0-9a-f]{40}\n$/);
      });

      it("SignatureDoesNotMatch: any character of the signature changed, cut off or added", async () => {
        for (const change of [
          (text: string) => text.replace(/q-signature=./, (m) => `q-signature=${m.endsWith("0") ? "1" : "0"}`),
          (text: string) => text.replace(/.$/, (m) => (m === "0" ? "1" : "0")),
          (text: string) => text.slice(0, -1),
          (text: string) => `${text}0`,
          (text: string) => text.replace(/(?<=q-signature=).*/, (m) => m.toUpperCase().replace(/^[0-9]+$/, "F")),
          (text: string) => text.replace(/(?<=q-signature=).*/, "0".repeat(40)),
          (text: string) => text.replace(/(?<=q-signature=).*/, "g".repeat(40)),
        ]) {
          const answer = await signed({ via, alter: change });
          assertRefused(answer, "SignatureDoesNotMatch", { extras: ["StringToSign", "FormatString"] });
        }
      });

      it("RequestHasExpired: the end of the signature or of its key has passed", async () => {
        for (const sign of [
          { signTime: period(-600, -1) },
          { signTime: "1;2" },
          { signTime: period(-600, 600), keyTime: period(-600, -1) },
        ]) {
          const answer = await signed({ via, ...sign });
          assertRefused(answer, "RequestHasExpired", { extras: ["ServerTime"] });
          assert.equal(answer.element("Code"), "Request has expired");
          assert.ok(Math.abs(Date.parse(answer.element("ServerTime") as string) - Date.now()) < 60_000);
        }
      });

      it("RequestTimeTooSkewed: it starts more than 15 minutes ahead", async () => {
        for (const start of [910, 3600, 1_000_000_000]) {
          const answer = await signed({ via, signTime: period(start, start + 600) });
          assertRefused(answer, "RequestTimeTooSkewed", { extras: ["ServerTime"] });
        }
      });

      it("takes a start up to 15 minutes ahead, an end this second, and a long validity", async () => {
        for (const [start, end] of [
          [890, 1500],
          [-600, 5],
          [-100_000_000, 100_000_000],
          [0, 600],
        ] as const) {
          assert.equal((await signed({ via, signTime: period(start, end) })).status, 200, `${start} ${end}`);
        }
      });

      it("VerifyAlgorithmNotSupported: another algorithm than sha1", async () => {
        for (const algorithm of ["sha256", "md5", "none", "SHA1"]) {
          const answer = await signed({
            via,
            alter: (text) => text.replace("q-sign-algorithm=sha1", `q-sign-algorithm=${algorithm}`),
          });
          assertRefused(answer, "VerifyAlgorithmNotSupported");
        }
      });

      for (const field of [
        "q-sign-algorithm",
        "q-ak",
        "q-sign-time",
        "q-key-time",
        "q-header-list",
        "q-url-param-list",
        "q-signature",
      ]) {
        it(`AccessDenied without ${field}`, async () => {
          const without = (text: string) =>
            text
              .split("&")
              .filter((piece) => !piece.startsWith(`${field}=`))
              .join("&");
          const answer = await signed({ via, alter: without });
          assertRefused(answer, "AccessDenied", { message: `The signature lacks ${field}.`, extras: ["ServerTime"] });
        });
      }

      it("AccessDenied: times that are none", async () => {
        const bad = [
          "",
          ";",
          "1",
          "a;b",
          "-1;5",
          "1.5;99999999999",
          period(600, -600),
          `${Date.now()};${Date.now() + 1000}`,
          "1;2;3",
          " 1;2",
        ];
        for (const signTime of bad) {
          const answer = await signed({ via, signTime });
          assert.equal(answer.status, 403, signTime);
          assertRefused(answer, "AccessDenied", { message: /q-(sign|key)-time/, extras: ["ServerTime"] });
        }
      });

      it("AccessDenied: a signature that reaches beyond its key", async () => {
        for (const [signTime, keyTime] of [
          [period(-60, 600), period(0, 600)],
          [period(-60, 601), period(-60, 600)],
        ] as const) {
          const answer = await signed({ via, signTime, keyTime });
          assertRefused(answer, "AccessDenied", { message: /q-key-time/, extras: ["ServerTime"] });
        }
      });

      it("may list no header and no parameter", async () => {
        const answer = await signed({ via, instead: { headers: {}, query: {} } }, { query: { "x-unknown": 1 } });
        assert.equal(answer.text, "secret");
      });

      it("covers what it lists: a header or parameter that was signed may not be missing or changed", async () => {
        const host = hostOf(server);
        for (const instead of [
          { headers: { host, range: "bytes=0-1" } },
          { headers: { host, "x-cos-meta-a": "" } },
          { headers: { host }, query: { versionId: "" } },
          { headers: { host: "other-1250000000.cos.ap-guangzhou.myqcloud.com" } },
          { path: "/other" },
          { path: "/K" },
          { method: "PUT" },
          { query: { prefix: "" } },
        ]) {
          assertRefused(await signed({ via, instead }), "SignatureDoesNotMatch", {
            extras: ["StringToSign", "FormatString"],
          });
        }
      });
    });
  }

  it("takes the fields in any order, as cosfs writes them", async () => {
    const reversed = (text: string) => text.split("&").toReversed().join("&");
    for (const via of VIAS) assert.equal((await signed({ via, alter: reversed })).status, 200, via);
  });

  it("takes names of listed headers in any case and values with blanks around them", async () => {
    const upper = (text: string) => text.replace(/(?<=q-header-list=)[^&]*/, (list) => list.toUpperCase());
    assert.equal((await signed({ alter: upper }, { headers: { "x-cos-meta-a": "v" } })).status, 200);
    const answer = await signed(
      { instead: { headers: { host: hostOf(server), "x-cos-meta-a": "v" } } },
      { headers: { "x-cos-meta-a": " v " } },
    );
    assert.equal(answer.status, 200, answer.text);
  });

  it("verifies the host with and without its port", async () => {
    const host = `${hostOf(server)}:${server.port}`;
    assert.equal((await get({ host })).status, 200);
    assert.equal((await get({ host, sign: { instead: { headers: { host: hostOf(server) } } } })).status, 200);
    const other = await get({ host, sign: { instead: { headers: { host: `${hostOf(server)}:1` } } } });
    assertRefused(other, "SignatureDoesNotMatch", { extras: ["StringToSign", "FormatString"] });
  });

  it("SignatureDoesNotMatch: a plus in the path that was signed as a blank, which is another key", async () => {
    const plus = { target: "/a%20b+c" };
    assert.equal((await server.send({ ...plus, path: "/a b+c" })).text, "blank and plus");
    assertRefused(await server.send({ ...plus, path: "/a b c" }), "SignatureDoesNotMatch", {
      extras: ["StringToSign", "FormatString"],
    });
  });

  it("verifies path style with the bucket in the path, and without it on hosts that name no region", async () => {
    const host = `127.0.0.1:${server.port}`;
    const target = { host, target: `/${server.bucket}/k` };
    assert.equal((await server.send({ ...target, path: `/${server.bucket}/k` })).text, "secret");
    assert.equal((await server.send({ ...target, path: "/k" })).text, "secret", "as the Node SDK signs");
    const regional = { host: "cos.ap-guangzhou.myqcloud.com", target: `/${server.bucket}/k` };
    assert.equal((await server.send({ ...regional, path: `/${server.bucket}/k` })).text, "secret");
    assertRefused(await server.send({ ...regional, path: "/k" }), "SignatureDoesNotMatch", {
      extras: ["StringToSign", "FormatString"],
    });
  });

  it("takes the older signature of a download, of which the Node SDK still makes links, and nothing else by it", async () => {
    const { secretId: SecretId, secretKey: SecretKey } = server.cosbox.credentials;
    const cos = new COS({ SecretId, SecretKey });
    const link = (key: string) => `sign=${encodeURIComponent(cos.getV4Auth({ Bucket: server.bucket, Key: key }))}`;
    const ask = (target: string, method = "GET") => server.send({ method, target, sign: false });
    assert.equal((await ask(`/k?${link("k")}`)).text, "secret");
    assert.equal((await ask(`/k?${link("k")}`, "HEAD")).status, 200);
    for (const [target, method] of [
      [`/k?acl&${link("k")}`, "GET"],
      [`/?${link("k")}`, "GET"],
      [`/k?${link("other")}`, "GET"],
      [`/k?${link("k")}`, "PUT"],
      [`/k?${link("k")}`, "DELETE"],
    ] as const) {
      assertRefused(await ask(target, method), "AccessDenied", { message: /signature is for/ });
    }
    assert.equal((await get()).text, "secret");
  });

  it("InvalidRequest: credentials in more than one place, even where both hold", async () => {
    const host = hostOf(server);
    const parts = (via: "query" | "merged") => {
      const { authorization, queryString } = signCos({
        ...server.cosbox.credentials,
        method: "GET",
        path: "/k",
        headers: [["host", host]],
        signTime: period(-60, 600),
      });
      return via === "query" ? queryString : `sign=${encodeURIComponent(authorization)}`;
    };
    const twice = [
      [`/k?${parts("query")}`, true],
      [`/k?${parts("merged")}`, true],
      [`/k?${parts("query")}&${parts("merged")}`, false],
      [`/k?${parts("merged")}&${parts("merged")}`, false],
      [`/k?${parts("query")}&${parts("query")}`, false],
      [`/k?${parts("query")}&Q-Ak=other`, false],
      ["/k?q-ak=x", true],
      ["/k?sign=", true],
      ["/k?x-amz-algorithm=AWS4-HMAC-SHA256", true],
      [`/k?${parts("query")}&AWSAccessKeyId=x`, false],
    ] as const;
    for (const [target, sign] of twice) {
      assertRefused(await server.send({ target, path: "/k", sign }), "InvalidRequest", {
        message: /more than one place/,
      });
    }
    const write = await server.send({ method: "PUT", target: `/w?${parts("query")}`, path: "/w", body: "x" });
    assertRefused(write, "InvalidRequest", { message: /more than one place/ });
    assertRefused(await get({ path: "/w" }), "NoSuchKey");
  });

  it("AccessDenied: an Authorization that is no signature", async () => {
    for (const authorization of [
      "nonsense",
      "Basic dXNlcjpwYXNz",
      "Bearer x",
      "=",
      "&&&",
      "q-ak",
      `q-ak=${"a".repeat(9000)}`,
      "__proto__=x",
    ]) {
      const answer = await get({ sign: false, headers: { authorization } });
      assertRefused(answer, "AccessDenied", { message: /^The (signature|Authorization)/, extras: ["ServerTime"] });
    }
  });

  it("AccessDenied: a field twice, a list with an empty or with too many names", async () => {
    for (const alter of [
      (text: string) => `${text}&q-ak=other`,
      (text: string) => text.replace("q-header-list=host", "q-header-list=host;;range"),
      (text: string) => text.replace("q-header-list=host", `q-header-list=host${";x".repeat(200)}`),
    ]) {
      assertRefused(await signed({ alter }), "AccessDenied", {
        message: /^(The signature has|q-header-list)/,
        extras: ["ServerTime"],
      });
    }
  });

  it("counts an empty Authorization as anonymous, as the Python SDK sends it", async () => {
    const headers = { authorization: "" };
    const open = { bucket: "open-1250000000", sign: false, headers } as const;
    assert.equal((await server.send({ ...open, method: "PUT", path: "/k", body: "x" })).status, 200);
    assert.equal((await server.send({ ...open, path: "/k" })).text, "x");
    assertRefused(await get({ sign: false, headers }), "AccessDenied");
    assertRefused(await server.send({ bucket: "", sign: false, headers }), "AccessDenied", {
      message: "Check auth failure because signature empty.",
      extras: ["ServerTime"],
    });
  });

  it("AccessDenied: bad credentials gain nothing where anonymous callers are let in", async () => {
    await server.send({ method: "PUT", bucket: "open-1250000000", path: "/k", body: "x" });
    const open = (sign: Signing) => server.send({ bucket: "open-1250000000", path: "/k", sign });
    assertRefused(await open({ secretId: "AKIDnobody" }), "InvalidAccessKeyId");
    assertRefused(await open({ secretKey: "wrong" }), "SignatureDoesNotMatch", {
      extras: ["StringToSign", "FormatString"],
    });
    assertRefused(await open({ signTime: "1;2" }), "RequestHasExpired", { extras: ["ServerTime"] });
    assertRefused(
      await server.send({ bucket: "open-1250000000", path: "/k", sign: false, headers: { authorization: "x" } }),
      "AccessDenied",
      {
        message: /no COS signature/,
        extras: ["ServerTime"],
      },
    );
  });

  it("InvalidAccessKeyId: a token that no key pair of this server has", async () => {
    const token = { "x-cos-security-token": "token" };
    for (const request of [{ headers: token }, { query: token }] as const) {
      assertRefused(await get(request), "InvalidAccessKeyId");
    }
    assert.equal((await get({ headers: { "x-cos-security-token": "" } })).status, 200, "an empty one is absent");
  });

  it("takes a token without a signature for no signature", async () => {
    const token = { "x-cos-security-token": "token" };
    assertRefused(await get({ headers: token, sign: false }), "AccessDenied");
    assert.equal(
      (await server.send({ bucket: "open-1250000000", path: "/k", headers: token, sign: false })).status,
      200,
    );
  });

  it("InvalidRequest: two tokens that differ", async () => {
    const [token, other] = ["one", "two"];
    const sent = { headers: { "x-cos-security-token": token }, query: { "x-cos-security-token": other } };
    assertRefused(await get(sent), "InvalidRequest", { message: /more than one x-cos-security-token/ });
  });

  describe("for web pages", () => {
    const origin = { origin: "https://page.example" };

    it("AccessForbidden: a page that signs with the published development keys", async () => {
      for (const via of VIAS) {
        assertRefused(await signed({ via }, { headers: origin }), "AccessForbidden", { message: /^CORSResponse: / });
      }
      const put = await server.send({ method: "PUT", path: "/by-page", body: "x", headers: origin });
      assertRefused(put, "AccessForbidden", { message: /^CORSResponse: / });
      assertRefused(await get({ path: "/by-page" }), "NoSuchKey");
    });

    it("lets a page in that signs with keys of its own, or not at all where everyone may", async () => {
      const own = await server.send({ bucket: "", sign: STRANGER, headers: origin });
      assert.equal(own.status, 200);
      await server.send({ method: "PUT", bucket: "open-1250000000", path: "/k", body: "x" });
      assert.equal(
        (await server.send({ bucket: "open-1250000000", path: "/k", sign: false, headers: origin })).status,
        200,
      );
    });
  });

  it("takes nobody's identity from a header", async () => {
    const names = [
      "x-internal-user",
      "x-forwarded-user",
      "x-forwarded-for",
      "x-real-ip",
      "x-remote-user",
      "x-cos-internal-uin",
      "x-cos-uin",
      "x-cos-appid",
      "x-cos-user",
      "x-seaweedfs-principal",
      "x-auth-user",
      "x-original-url",
      "x-rewrite-url",
      "x-http-method-override",
      "x-method-override",
      "cookie",
      "proxy-authorization",
    ];
    for (const name of names) {
      for (const value of [server.cosbox.credentials.secretId, server.cosbox.credentials.uin, "root", "/k"]) {
        assertRefused(await get({ sign: false, headers: { [name]: value } }), "AccessDenied");
      }
    }
  });

  it("does not take the type of a body for a signature", async () => {
    for (const type of [
      "multipart/form-data; boundary=x",
      "multipart/form-datax",
      "MULTIPART/FORM-DATA",
      "multipart/form-data",
    ]) {
      const headers = { "content-type": type };
      for (const request of [
        { method: "POST", path: "/k", query: { uploads: undefined } },
        { method: "POST", query: { delete: undefined } },
        { method: "PUT", path: "/k", body: "x" },
        { method: "POST", path: "/k", query: { append: undefined, position: 0 }, body: "x" },
      ]) {
        assertRefused(await server.send({ ...request, headers, sign: false }), "AccessDenied");
      }
    }
    assert.equal((await get()).text, "secret");
  });

  describe("with errors: observed", () => {
    let observed: TestServer;
    beforeAll(async () => {
      observed = await testServer({ errors: "observed" });
    });
    afterAll(() => observed.stop());

    const code = (answer: Received) => [answer.status, answer.element("Code"), answer.element("Message")];

    it("an expired signature is AccessDenied with the text that SDKs compare", async () => {
      const answer = await observed.send({ sign: { signTime: "1;2" } });
      assert.deepEqual(code(answer), [403, "AccessDenied", "Request has expired"]);
      assert.notEqual(answer.element("ServerTime"), undefined);
    });

    it("what does not differ is as documented", async () => {
      assertRefused(await observed.send({ path: "/missing" }), "NoSuchKey");
      assertRefused(await observed.send({ sign: { signTime: period(3600, 7200) } }), "RequestTimeTooSkewed", {
        extras: ["ServerTime"],
      });
    });
  });
});

const hostOf = (server: TestServer) => `${server.bucket}.cos.ap-guangzhou.myqcloud.com`;
