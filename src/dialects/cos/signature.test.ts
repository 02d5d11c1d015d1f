import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import COS from "cos-nodejs-sdk-v5";
import * as fc from "fast-check";
import { describe, it } from "vitest";
import { REGIONS } from "../../config/places.ts";
import { CosError } from "../../errors/cos-error.ts";
import { parseTarget } from "../../http/target.ts";
import { addressingRules, readAddress } from "../../addressing/address.ts";
import { type CosSigning, signCos } from "./sign.ts";
import { authenticateCos, type SignatureOptions, signedRequestView } from "./signature.ts";

const SECRET_ID = "AKIDlocalcosexample0000000000000000";
const SECRET_KEY = "localCosExampleSecretKey00000000";
const CREDENTIAL = { secretId: SECRET_ID, secretKey: SECRET_KEY };
const HOST = "demo-1250000000.cos.ap-guangzhou.myqcloud.com";
const START = 1_700_000_000;
const END = 1_700_003_600;
const KEY_TIME = `${START};${END}`;
const NOW = (START + 10) * 1000;
const RULES = addressingRules({ regions: REGIONS });

type Pairs = readonly (readonly [string, string])[];

interface Sent {
  readonly method?: string;
  /** The raw target. */
  readonly target?: string;
  readonly headers?: Pairs;
  readonly nowMs?: number;
  readonly options?: SignatureOptions;
}

/** What the server makes of a request. Host is `HOST` unless the headers have one. */
/** What is found out, without the way to ask what was signed; strict-signature.test.ts asks. */
function authenticate(sent: Sent) {
  const evidence = authenticated(sent);
  if (evidence.kind === "anonymous") return evidence;
  const { isSigned: _isSigned, ...rest } = evidence;
  return rest;
}

function authenticated({ method = "GET", target = "/a.txt", headers = [], nowMs = NOW, options = {} }: Sent) {
  const all = headers.some(([name]) => name.toLowerCase() === "host") ? headers : [["Host", HOST] as const, ...headers];
  const entries = all.map(([name, value]) => [name.toLowerCase(), value] as const);
  const raw = (name: string) => entries.find(([other]) => other === name)?.[1];
  const parsed = parseTarget(method, target, raw("host"));
  const fields = { get: (name: string) => raw(name)?.trim() || undefined, raw, entries: () => entries };
  const view = signedRequestView({ method, target: parsed, headers: fields }, readAddress(parsed, RULES));
  return authenticateCos(view, (id) => (id === SECRET_ID ? CREDENTIAL : undefined), nowMs, options);
}

/** The id of the refusal, or "signed" or "anonymous". */
function outcome(sent: Sent): string {
  try {
    return authenticate(sent).kind;
  } catch (error) {
    assert.ok(error instanceof CosError, String(error));
    return error.id;
  }
}

function sign(signing: Partial<CosSigning> = {}) {
  return signCos({
    secretId: SECRET_ID,
    secretKey: SECRET_KEY,
    method: "GET",
    path: "/a.txt",
    headers: [["host", HOST]],
    signTime: KEY_TIME,
    ...signing,
  });
}

const authorization = (text: string): Pairs => [["Authorization", text]];
const signed = (signing: Partial<CosSigning> = {}): Pairs => authorization(sign(signing).authorization);

/** The credential string with one field replaced, or left out for undefined. */
function tampered(field: string, value: string | undefined): string {
  const pieces = sign().authorization.split("&");
  return pieces
    .flatMap((piece) => (piece.startsWith(`${field}=`) ? (value === undefined ? [] : [`${field}=${value}`]) : [piece]))
    .join("&");
}

describe("the older signature of a download", () => {
  interface Older {
    readonly fields?: Readonly<Record<string, string>>;
    readonly order?: string;
    readonly key?: string;
  }
  const older = ({ fields = {}, order = "abkterf", key = SECRET_KEY }: Older = {}): string => {
    const all: Record<string, string> = {
      a: "1250000000",
      b: "demo",
      k: SECRET_ID,
      t: String(START),
      e: String(END),
      r: "1234567890",
      f: "",
      ...fields,
    };
    const text = Array.from(order, (name) => `${name}=${all[name]}`).join("&");
    const mac = createHmac("sha1", key).update(text).digest();
    return `sign=${encodeURIComponent(Buffer.concat([mac, Buffer.from(text)]).toString("base64"))}`;
  };

  it("lets its holder read the object that it names, or any of its bucket, until its end", () => {
    for (const f of ["", "/1250000000/demo/d/a%20b.txt", "/d/a%20b.txt", "d/a%20b.txt"]) {
      for (const [order, method] of [
        ["abkterf", "GET"],
        ["aketrfb", "HEAD"],
      ] as const) {
        const target = `/d/a%20b.txt?${older({ fields: { f }, order })}&response-content-type=text%2Fplain`;
        assert.equal(outcome({ target, method }), "signed", f);
      }
    }
    assert.equal(outcome({ target: `/a.txt?${older()}`, nowMs: END * 1000 }), "signed");
    assert.equal(outcome({ target: `/a.txt?${older()}`, nowMs: (END + 1) * 1000 }), "RequestHasExpired");
    assert.equal(outcome({ target: `/a.txt?${older()}`, nowMs: (START - 901) * 1000 }), "RequestTimeTooSkewed");
  });

  it("is what the Node SDK makes", () => {
    const cos = new COS({ SecretId: SECRET_ID, SecretKey: SECRET_KEY });
    const made = cos.getV4Auth({ Bucket: "demo-1250000000", Key: "d/报告.txt" });
    const target = `/d/${encodeURIComponent("报告")}.txt?sign=${encodeURIComponent(made)}`;
    assert.equal(outcome({ target, nowMs: Date.now() }), "signed");
  });

  it.each([
    ["of another object", { target: `/b.txt?${older({ fields: { f: "/a.txt" } })}` }, "AccessDenied"],
    ["of another bucket", { target: `/a.txt?${older({ fields: { b: "other" } })}` }, "AccessDenied"],
    ["of another APPID", { target: `/a.txt?${older({ fields: { a: "1250000001" } })}` }, "AccessDenied"],
    ["of a bucket, for its list", { target: `/?${older()}` }, "AccessDenied"],
    ["for an ACL", { target: `/a.txt?acl&${older()}` }, "AccessDenied"],
    ["for an upload", { target: `/a.txt?${older()}`, method: "PUT" }, "AccessDenied"],
    ["for a deletion", { target: `/a.txt?${older()}`, method: "DELETE" }, "AccessDenied"],
    ["that holds once", { target: `/a.txt?${older({ fields: { e: "0" } })}` }, "AccessDenied"],
    ["for too long", { target: `/a.txt?${older({ fields: { e: String(START + 93 * 86_400) } })}` }, "AccessDenied"],
    ["by another key", { target: `/a.txt?${older({ key: "other" })}` }, "SignatureDoesNotMatch"],
    ["by nobody known", { target: `/a.txt?${older({ fields: { k: "AKIDother" } })}` }, "InvalidAccessKeyId"],
    ["with a field missing", { target: `/a.txt?${older({ order: "abkter" })}` }, "AccessDenied"],
    ["beside another signature", { target: `/a.txt?${older()}`, headers: signed() }, "InvalidRequest"],
    ["twice", { target: `/a.txt?${older()}&${older()}` }, "InvalidRequest"],
    ["in the header", { headers: authorization(decodeURIComponent(older().slice(5))) }, "AccessDenied"],
    [
      "where the host has to be signed",
      { target: `/a.txt?${older()}`, options: { strictSigning: true } },
      "AccessDenied",
    ],
  ] as const)("is refused %s", (_what, sent, expected) => {
    assert.equal(outcome(sent as Sent), expected);
  });
});

describe("the worked examples", () => {
  const headers: Pairs = [
    ["Host", HOST],
    ["Content-Length", "11"],
    ["Content-MD5", "XrY7u+Ae7tCTyyK7j1rNww=="],
    ["Content-Type", "text/plain; charset=utf-8"],
    ["x-cos-acl", "private"],
    ["x-cos-meta-Author", "O'Neil*"],
  ];

  it("signs and accepts an upload with six headers and a key in Chinese", () => {
    const result = sign({ method: "PUT", path: "/docs/报告 (v1).txt", headers });
    assert.equal(result.stringToSign, `sha1\n${KEY_TIME}\n630d5f074ae7ab38948facc75b6727c83325796f\n`);
    assert.equal(result.signature, "36515afdc247bd624d0a5da463a39e83fdb035ce");
    assert.match(
      result.authorization,
      /q-header-list=content-length;content-md5;content-type;host;x-cos-acl;x-cos-meta-author&/,
    );
    assert.equal(
      result.formatString,
      "put\n/docs/报告 (v1).txt\n\ncontent-length=11&content-md5=XrY7u%2BAe7tCTyyK7j1rNww%3D%3D&content-type=text%2Fplain%3B%20charset%3Dutf-8&host=demo-1250000000.cos.ap-guangzhou.myqcloud.com&x-cos-acl=private&x-cos-meta-author=O%27Neil%2A\n",
    );
    const target = "/docs/%E6%8A%A5%E5%91%8A%20%28v1%29.txt";
    const evidence = authenticate({
      method: "PUT",
      target,
      headers: [...headers, ...authorization(result.authorization)],
    });
    assert.deepEqual(evidence, {
      kind: "signed",
      accessKeyId: SECRET_ID,
      credential: CREDENTIAL,
      via: "header",
      formatString: result.formatString,
      stringToSign: result.stringToSign,
    });
  });

  it("signs and accepts a listing with a flag and four parameters", () => {
    const target = "/?versions&prefix=docs%2F&delimiter=%2F&max-keys=10&encoding-type=url";
    const query = parseTarget("GET", target, HOST).query.entries;
    const result = sign({ path: "/", query });
    assert.equal(result.stringToSign, `sha1\n${KEY_TIME}\n93d2b0723a6ba7055d84eb88fad6839cb6c933ae\n`);
    assert.equal(result.signature, "6a2034ed11e62592af77edcbafe5331d79483f97");
    assert.equal(outcome({ target, headers: authorization(result.authorization) }), "signed");
    assert.equal(outcome({ target: `${target}&${result.queryString}` }), "signed");
    assert.equal(outcome({ target: `${target}&sign=${encodeURIComponent(result.authorization)}` }), "signed");
  });
});

describe("credentials", () => {
  it("in the header and in the query lead to the same decision", () => {
    const { authorization: header, queryString } = sign();
    const byHeader = authenticate({ headers: authorization(header) });
    const byQuery = authenticate({ target: `/a.txt?${queryString}` });
    const merged = authenticate({ target: `/a.txt?sign=${encodeURIComponent(header)}` });
    assert.deepEqual(byQuery, { ...byHeader, via: "query" });
    assert.deepEqual(merged, byQuery);
  });

  const q = sign().queryString;
  const rows: [what: string, sent: Sent, expected: string][] = [
    ["none", {}, "anonymous"],
    ["an empty Authorization, as Python sends", { headers: authorization("") }, "anonymous"],
    ["a blank Authorization", { headers: authorization("  ") }, "anonymous"],
    ["an empty token", { headers: [["x-cos-security-token", ""]] }, "anonymous"],
    ["a good header", { headers: signed() }, "signed"],
    ["a good header between blanks", { headers: authorization(` ${sign().authorization} `) }, "signed"],
    [
      "fields in another order, as cosfs writes them",
      { headers: authorization(sign().authorization.split("&").reverse().join("&")) },
      "signed",
    ],
    [
      "semicolons that are not encoded, as Node writes them",
      { target: `/a.txt?${q.replaceAll("%3B", ";")}` },
      "signed",
    ],
    ["names in another case in the query", { target: `/a.txt?${q.replace("q-ak", "Q-AK")}` }, "signed"],
    ["header and query", { target: `/a.txt?${q}`, headers: signed() }, "InvalidRequest"],
    ["header and one query field", { target: "/a.txt?q-ak=x", headers: signed() }, "InvalidRequest"],
    ["header and merged query", { target: "/a.txt?sign=x", headers: signed() }, "InvalidRequest"],
    ["query apart and merged", { target: `/a.txt?${q}&sign=x` }, "InvalidRequest"],
    ["a query field twice", { target: `/a.txt?${q}&q-ak=x` }, "InvalidRequest"],
    ["a query field twice in two cases", { target: `/a.txt?${q}&Q-AK=x` }, "InvalidRequest"],
    ["sign twice", { target: "/a.txt?sign=x&sign=y" }, "InvalidRequest"],
    ["ours and S3's", { target: `/a.txt?${q}&X-Amz-Signature=x` }, "InvalidRequest"],
    ["our header and S3's query", { target: "/a.txt?X-Amz-Algorithm=x", headers: signed() }, "InvalidRequest"],
    [
      "S3 version 4",
      {
        headers: authorization(
          "AWS4-HMAC-SHA256 Credential=a/20260101/b/s3/aws4_request, SignedHeaders=host, Signature=c",
        ),
      },
      "AccessDenied",
    ],
    [
      "S3 version 4 in the query",
      { target: "/a.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=x" },
      "AccessDenied",
    ],
    ["S3 version 2", { headers: authorization("AWS AKID:c2ln") }, "AccessDenied"],
    ["S3 version 2 in the query", { target: "/a.txt?AWSAccessKeyId=a&Signature=b&Expires=1" }, "AccessDenied"],
    ["a temporary key's token", { headers: [...signed(), ["x-cos-security-token", "t"]] }, "signed"],
    ["a temporary key's token in the query", { target: `/a.txt?${q}&x-cos-security-token=t` }, "signed"],
    ["a bearer token", { headers: authorization("Bearer abc") }, "AccessDenied"],
    ["a password", { headers: authorization("Basic YTpi") }, "AccessDenied"],
    ["a JSON API signature", { headers: authorization("YT0xMjUwMDAwMDAwJmI9ZGVtbw==") }, "AccessDenied"],
    ["nothing of ours", { headers: authorization("&&&") }, "AccessDenied"],
    ["an empty sign", { target: "/a.txt?sign=" }, "AccessDenied"],
    ["one query field alone", { target: "/a.txt?q-ak=x" }, "AccessDenied"],
    ["a field twice", { headers: authorization(`${sign().authorization}&q-ak=${SECRET_ID}`) }, "AccessDenied"],
    ["more than 8 KiB", { headers: authorization(tampered("q-header-list", "a".repeat(8192))) }, "AccessDenied"],
    [
      "201 names",
      { headers: authorization(tampered("q-header-list", Array.from({ length: 201 }, (_, i) => `h${i}`).join(";"))) },
      "AccessDenied",
    ],
    ["an empty name", { headers: authorization(tampered("q-header-list", "host;")) }, "AccessDenied"],
    [
      "another algorithm",
      { headers: authorization(tampered("q-sign-algorithm", "sha256")) },
      "VerifyAlgorithmNotSupported",
    ],
    ["another algorithm in the query", { target: `/a.txt?${q.replace("sha1", "md5")}` }, "VerifyAlgorithmNotSupported"],
    [
      "SHA1 in capitals",
      { headers: authorization(tampered("q-sign-algorithm", "SHA1")) },
      "VerifyAlgorithmNotSupported",
    ],
    ["only another algorithm", { headers: authorization("q-sign-algorithm=none") }, "VerifyAlgorithmNotSupported"],
    ["an empty algorithm", { headers: authorization(tampered("q-sign-algorithm", "")) }, "AccessDenied"],
    ["an unknown SecretId", { headers: authorization(tampered("q-ak", "AKIDunknown")) }, "InvalidAccessKeyId"],
    [
      "a SecretId made to break queries",
      { headers: authorization(tampered("q-ak", "*()\\'\"%00;--")) },
      "InvalidAccessKeyId",
    ],
    [
      "a SecretId like a member of Object",
      { headers: authorization(tampered("q-ak", "__proto__")) },
      "InvalidAccessKeyId",
    ],
    [
      "a SecretId in another case",
      { headers: authorization(tampered("q-ak", SECRET_ID.toLowerCase())) },
      "InvalidAccessKeyId",
    ],
    ["a wrong signature", { headers: authorization(tampered("q-signature", "0".repeat(40))) }, "SignatureDoesNotMatch"],
    [
      "a signature in capitals",
      { headers: authorization(tampered("q-signature", sign().signature.toUpperCase())) },
      "SignatureDoesNotMatch",
    ],
    [
      "a short signature",
      { headers: authorization(tampered("q-signature", sign().signature.slice(0, 39))) },
      "SignatureDoesNotMatch",
    ],
    [
      "a long signature",
      { headers: authorization(tampered("q-signature", `${sign().signature}0`)) },
      "SignatureDoesNotMatch",
    ],
    ["a signature that is no hex", { headers: authorization(tampered("q-signature", "é")) }, "SignatureDoesNotMatch"],
    ["another secret", { headers: signed({ secretKey: "another" }) }, "SignatureDoesNotMatch"],
  ];
  it.each(rows)("%s", (_, sent, expected) => assert.equal(outcome(sent), expected));

  it.each([
    "q-sign-algorithm",
    "q-ak",
    "q-sign-time",
    "q-key-time",
    "q-header-list",
    "q-url-param-list",
    "q-signature",
  ])("AccessDenied: without %s, and says so", (field) => {
    assert.throws(() => authenticate({ headers: authorization(tampered(field, undefined)) }), {
      id: "AccessDenied",
      message: `The signature lacks ${field}.`,
      extras: [["ServerTime", "2023-11-14T22:13:30Z"]],
    });
  });
});

describe("the time of a signature", () => {
  const now = NOW / 1000;
  const skew = 900;
  // [q-sign-time, q-key-time, outcome]; an empty key time is the sign time.
  const rows: [signTime: string, keyTime: string, expected: string][] = [
    [`${now - 10};${now + 10}`, "", "signed"],
    [`${now};${now}`, "", "signed"],
    [`${now - 1};${now}`, "", "signed"],
    [`${now};${now + 1}`, "", "signed"],
    [`${now - 86_400};${now + 86_400 * 3650}`, "", "signed"],
    [`0;${now}`, "", "signed"],
    ["0;999999999999", "", "signed"],
    [`0000${now};0000${now}`, "", "AccessDenied"],
    [`00${now};00${now}`, "", "signed"],
    [`${now - 10};${now - 1}`, "", "RequestHasExpired"],
    [`${now - 2};${now - 1}`, "", "RequestHasExpired"],
    ["0;0", "", "RequestHasExpired"],
    ["1;1", "", "RequestHasExpired"],
    [`${now - 10};${now - 1}`, `${now - 10};${now + 10}`, "RequestHasExpired"],
    [`${now - 10};${now + 10}`, `${now - 10};${now - 1}`, "RequestHasExpired"],
    [`${now - 10};${now + 10}`, `0;1`, "RequestHasExpired"],
    [`${now + skew};${now + skew + 10}`, "", "signed"],
    [`${now + skew + 1};${now + skew + 10}`, "", "RequestTimeTooSkewed"],
    [`${now + 86_400};${now + 86_401}`, "", "RequestTimeTooSkewed"],
    ["999999999999;999999999999", "", "RequestTimeTooSkewed"],
    [`${now};${now + 5000}`, `${now + skew + 1};${now + 5000}`, "RequestTimeTooSkewed"],
    [`${now + skew + 1};${now + 5000}`, `${now};${now + 5000}`, "RequestTimeTooSkewed"],
    [`${now - 5};${now + 5}`, `${now - 10};${now + 10}`, "signed"],
    [`${now - 10};${now + 10}`, `${now - 5};${now + 10}`, "AccessDenied"],
    [`${now - 10};${now + 10}`, `${now - 10};${now + 5}`, "AccessDenied"],
    [`${now - 10};${now + 10}`, `${now - 20};${now + 5}`, "AccessDenied"],
    [`${now + 10};${now - 10}`, "", "AccessDenied"],
    [`${now};${now - 1}`, "", "AccessDenied"],
    [`${now - 10};${now + 10}`, `${now + 10};${now - 10}`, "AccessDenied"],
    [`${now * 1000};${now * 1000 + 1}`, "", "AccessDenied"],
    [`${now};1000000000000000`, "", "AccessDenied"],
    ["1000000000000000;1000000000000001", "", "AccessDenied"],
    [`${now};${"9".repeat(400)}`, "", "AccessDenied"],
    [`-${now};${now}`, "", "AccessDenied"],
    [`${now};-${now}`, "", "AccessDenied"],
    ["-1;-1", "", "AccessDenied"],
    ["a;b", "", "AccessDenied"],
    [`${now}.5;${now + 1}.5`, "", "AccessDenied"],
    ["1e9;2e9", "", "AccessDenied"],
    ["0x1;0x7fffffff", "", "AccessDenied"],
    ["NaN;Infinity", "", "AccessDenied"],
    [`${now}`, "", "AccessDenied"],
    [`${now};`, "", "AccessDenied"],
    [`;${now}`, "", "AccessDenied"],
    [";", "", "AccessDenied"],
    [`${now};${now};${now}`, "", "AccessDenied"],
    [` ${now};${now}`, "", "AccessDenied"],
    [`+${now};+${now}`, "", "AccessDenied"],
    [`${now},${now + 10}`, "", "AccessDenied"],
    [`１;${now}`, "", "AccessDenied"],
    [`${now - 10};${now + 10}`, "x", "AccessDenied"],
  ];
  it.each(rows)("%s with q-key-time %s: %s", (signTime, keyTime, expected) => {
    // Signed over exactly these texts, so that nothing but the times can be the reason.
    const times = { signTime, keyTime: keyTime === "" ? signTime : keyTime };
    assert.equal(outcome({ headers: signed(times) }), expected);
  });

  it("is judged to the second at its end and told with the server's time", () => {
    assert.equal(outcome({ headers: signed(), nowMs: END * 1000 + 999 }), "signed");
    assert.throws(() => authenticate({ headers: signed(), nowMs: END * 1000 + 1000 }), {
      id: "RequestHasExpired",
      status: 403,
      code: "Request has expired",
      extras: [["ServerTime", "2023-11-14T23:13:21Z"]],
    });
    assert.throws(() => authenticate({ headers: signed(), nowMs: START * 1000 - 900_001 }), {
      id: "RequestTimeTooSkewed",
      extras: [["ServerTime", "2023-11-14T21:58:19Z"]],
    });
    assert.equal(outcome({ headers: signed(), nowMs: START * 1000 - 900_000 }), "signed");
  });

  it("may be ahead by as much as the setting says", () => {
    assert.equal(
      outcome({ headers: signed(), nowMs: (START - 5) * 1000, options: { skewMs: 4000 } }),
      "RequestTimeTooSkewed",
    );
    assert.equal(outcome({ headers: signed(), nowMs: (START - 4) * 1000, options: { skewMs: 4000 } }), "signed");
  });

  it("comes before the SecretId, which comes before the signature", () => {
    const late = END * 1000 + 1000;
    assert.equal(outcome({ headers: authorization(tampered("q-ak", "x")), nowMs: late }), "RequestHasExpired");
    assert.equal(outcome({ headers: authorization(tampered("q-signature", "x")), nowMs: late }), "RequestHasExpired");
    assert.equal(outcome({ headers: signed({ secretId: "x", secretKey: "y" }) }), "InvalidAccessKeyId");
  });
});

describe("a mismatch", () => {
  it("tells both strings as the server computed them", () => {
    const { formatString, stringToSign } = sign({ path: "/b.txt" });
    assert.throws(() => authenticate({ target: "/b.txt", headers: signed() }), {
      id: "SignatureDoesNotMatch",
      status: 403,
      extras: [
        ["StringToSign", stringToSign],
        ["FormatString", formatString],
      ],
    });
  });

  const query: Pairs = [
    ["acl", ""],
    ["prefix", "a/b"],
  ];
  const headers: Pairs = [
    ["host", HOST],
    ["x-cos-acl", "private"],
    ["content-length", "3"],
  ];
  const full: Sent = {
    method: "PUT",
    target: "/a.txt?acl&prefix=a/b",
    headers: [
      ["Host", HOST],
      ["x-cos-acl", "private"],
      ["Content-Length", "3"],
      ...signed({ method: "PUT", query, headers }),
    ],
  };
  const replaced = (name: string, value?: string): Sent => ({
    ...full,
    headers: (full.headers ?? []).flatMap((pair) =>
      pair[0] === name ? (value === undefined ? [] : [[name, value] as const]) : [pair],
    ),
  });

  it.each<[what: string, sent: Sent, expected: string]>([
    ["nothing changed", full, "signed"],
    ["a parameter besides", { ...full, target: `${full.target}&x=y` }, "signed"],
    ["a header besides", { ...full, headers: [...(full.headers ?? []), ["x-cos-meta-a", "b"]] }, "signed"],
    ["the flag written with =", { ...full, target: "/a.txt?acl=&prefix=a%2Fb" }, "signed"],
    ["parameters in another order", { ...full, target: "/a.txt?prefix=a/b&acl" }, "signed"],
    ["another method", { ...full, method: "POST" }, "SignatureDoesNotMatch"],
    ["another path", { ...full, target: "/a.txt/?acl&prefix=a/b" }, "SignatureDoesNotMatch"],
    ["another case of the path", { ...full, target: "/A.txt?acl&prefix=a/b" }, "SignatureDoesNotMatch"],
    ["a doubled slash", { ...full, target: "//a.txt?acl&prefix=a/b" }, "SignatureDoesNotMatch"],
    ["another parameter value", { ...full, target: "/a.txt?acl&prefix=a/c" }, "SignatureDoesNotMatch"],
    [
      "a signed parameter a second time",
      { ...full, target: "/a.txt?acl&prefix=a/b&prefix=a/b" },
      "SignatureDoesNotMatch",
    ],
    [
      "a signed parameter a second time in capitals",
      { ...full, target: "/a.txt?acl&prefix=a/b&PREFIX=c" },
      "SignatureDoesNotMatch",
    ],
    ["a flag given a value", { ...full, target: "/a.txt?acl=x&prefix=a/b" }, "SignatureDoesNotMatch"],
    ["a signed flag left out", { ...full, target: "/a.txt?prefix=a/b" }, "SignatureDoesNotMatch"],
    ["another header value", replaced("x-cos-acl", "public-read"), "SignatureDoesNotMatch"],
    ["a signed header left out", replaced("x-cos-acl"), "SignatureDoesNotMatch"],
    ["another host", replaced("Host", `other-1250000000.cos.ap-guangzhou.myqcloud.com`), "SignatureDoesNotMatch"],
    [
      "a host with another suffix",
      replaced("Host", "demo-1250000000.cos.ap-guangzhou.tencentcos.cn"),
      "SignatureDoesNotMatch",
    ],
    ["another length", replaced("Content-Length", "4"), "SignatureDoesNotMatch"],
  ])("%s", (_, sent, expected) => assert.equal(outcome(sent), expected));

  it("is what a header signed as empty and not sent comes to", () => {
    const empty = signed({
      headers: [
        ["host", HOST],
        ["x-cos-acl", ""],
      ],
    });
    assert.equal(outcome({ headers: empty }), "SignatureDoesNotMatch");
    assert.equal(outcome({ headers: [["x-cos-acl", ""], ...empty] }), "signed");
  });
});

describe("what official clients sign differently", () => {
  it.each<[what: string, signedHost: string, target: string, host: string, expected: string]>([
    ["the port, as Node and Go do", "demo-125.localhost:9000", "/k", "demo-125.localhost:9000", "signed"],
    ["no port, as Python does", "demo-125.localhost", "/k", "demo-125.localhost:9000", "signed"],
    ["the case that was sent", "Demo-125.localhost", "/k", "Demo-125.localhost:9000", "signed"],
    [
      "the absolute form's authority",
      "demo-125.localhost:80",
      "http://demo-125.localhost:80/k",
      "demo-125.localhost",
      "signed",
    ],
    ["a port that was not sent", "demo-125.localhost:9000", "/k", "demo-125.localhost", "SignatureDoesNotMatch"],
    ["another port", "demo-125.localhost:9001", "/k", "demo-125.localhost:9000", "SignatureDoesNotMatch"],
    ["a part of the host", "demo-125", "/k", "demo-125.localhost:9000", "SignatureDoesNotMatch"],
  ])("%s", (_, signedHost, target, host, expected) => {
    assert.equal(
      outcome({ target, headers: [["Host", host], ...signed({ path: "/k", headers: [["host", signedHost]] })] }),
      expected,
    );
  });

  it("no host at all, as with ForceSignHost: false", () => {
    assert.equal(outcome({ headers: signed({ headers: [] }) }), "signed");
  });

  it.each<[what: string, target: string, host: string, path: string, expected: string]>([
    ["a plus in the path as a blank", "/a+b", HOST, "/a b", "SignatureDoesNotMatch"],
    ["a plus in the path as a plus", "/a+b", HOST, "/a+b", "signed"],
    ["an encoded plus as a plus", "/a%2Bb", HOST, "/a+b", "signed"],
    ["an encoded plus as a blank", "/a%2Bb", HOST, "/a b", "SignatureDoesNotMatch"],
    ["an encoded slash as a slash", "/dir%2Ffile", HOST, "/dir/file", "signed"],
    ["path style with the bucket", "/demo-125/k", "127.0.0.1:9000", "/demo-125/k", "signed"],
    ["path style without the bucket", "/demo-125/k", "127.0.0.1:9000", "/k", "signed"],
    ["path style without the bucket, of the bucket", "/demo-125", "127.0.0.1:9000", "/", "signed"],
    [
      "path style without the bucket on a regional host",
      "/demo-125/k",
      "cos.ap-guangzhou.myqcloud.com",
      "/k",
      "SignatureDoesNotMatch",
    ],
    ["path style with a part of the bucket", "/demo-125/k", "127.0.0.1:9000", "/125/k", "SignatureDoesNotMatch"],
    ["host style without the first part of the key", "/demo-125/k", HOST, "/k", "SignatureDoesNotMatch"],
    ["the path still encoded", "/a%20b", HOST, "/a%20b", "SignatureDoesNotMatch"],
  ])("%s", (_, target, host, path, expected) => {
    assert.equal(
      outcome({ target, headers: [["Host", host], ...signed({ path, headers: [["host", host]] })] }),
      expected,
    );
  });

  it.each(["é", "报告", "à", " à ", "a\u00a0", "😀"])(
    "a header of %j as UTF-8 bytes, and as Latin-1 where it can be",
    (text) => {
      const header = (value: string): Pairs => [
        ["host", HOST],
        ["x-cos-meta-a", value],
      ];
      const utf8 = Buffer.from(text).toString("latin1");
      const trimmed = text.replaceAll(" ", "");
      assert.equal(outcome({ headers: [["x-cos-meta-a", utf8], ...signed({ headers: header(trimmed) })] }), "signed");
      assert.equal(
        outcome({ headers: [["x-cos-meta-a", `${utf8}a`], ...signed({ headers: header(trimmed) })] }),
        "SignatureDoesNotMatch",
      );
      if (!/^[\0-\xff]*$/.test(text)) return;
      assert.equal(outcome({ headers: [["x-cos-meta-a", text], ...signed({ headers: header(trimmed) })] }), "signed");
    },
  );

  it("a repeated header or parameter as one pair for each value, sorted, as Go does", () => {
    const headers: Pairs = [
      ["host", HOST],
      ["x-cos-meta-a", "2"],
      ["x-cos-meta-a", "1"],
    ];
    const query: Pairs = [
      ["tag", "b"],
      ["tag", "a"],
    ];
    const result = sign({ headers, query });
    assert.match(result.formatString, /\ntag=a&tag=b\n.*x-cos-meta-a=1&x-cos-meta-a=2\n/);
    const twice = result.authorization.replace("q-url-param-list=tag", "q-url-param-list=tag;tag");
    assert.equal(outcome({ target: "/a.txt?tag=b&tag=a", headers: [...headers, ...authorization(twice)] }), "signed");
  });
});

describe("strict signing", () => {
  const strict = (sent: Sent) => outcome({ ...sent, options: { strictSigning: true } });

  it("refuses what the protocol leaves unsigned", () => {
    assert.equal(strict({ headers: signed() }), "signed");
    assert.equal(
      strict({
        headers: [["Host", "demo-125.localhost:9000"], ...signed({ headers: [["host", "demo-125.localhost"]] })],
      }),
      "signed",
    );
    assert.equal(strict({ target: `/a.txt?${sign().queryString}` }), "signed");
    assert.equal(strict({ headers: signed({ headers: [] }) }), "AccessDenied");
    assert.equal(strict({ headers: [["x-cos-acl", "public-read"], ...signed()] }), "AccessDenied");
    assert.equal(strict({ target: "/a.txt?acl", headers: signed() }), "AccessDenied");
    assert.throws(() => authenticate({ target: "/a.txt?acl", headers: signed(), options: { strictSigning: true } }), {
      message: "Strict signature missing param that must be signed: acl",
    });
  });

  it("takes the path as sent and no other way", () => {
    const local: Pairs = [["host", "127.0.0.1:9000"]];
    assert.equal(strict({ target: "/a+b", headers: signed({ path: "/a b" }) }), "SignatureDoesNotMatch");
    assert.equal(
      strict({ target: "/demo-125/k", headers: [...local, ...signed({ path: "/k", headers: local })] }),
      "SignatureDoesNotMatch",
    );
  });
});

describe("the Node SDK", () => {
  const encoded = (text: string) =>
    encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);
  const text = fc.string({ unit: "grapheme", maxLength: 12 }).filter((value) => !/[\ud800-\udfff\0]/u.test(value));
  // Unlike letters of other scripts, these have one lower case, so that names cannot collide in some case mapping only.
  const word = fc.string({
    unit: fc.constantFrom(...Array.from("abzABZ019-_.~!*'()[]{}@$ ,:é报")),
    minLength: 1,
    maxLength: 8,
  });
  const token = fc.string({
    unit: fc.constantFrom(...Array.from("abzABZ019-_.!#$%&'*+^`|~")),
    minLength: 1,
    maxLength: 8,
  });
  const uniqueNames = <T>(pairs: fc.Arbitrary<[string, T]>) =>
    fc.uniqueArray(pairs, { maxLength: 5, selector: ([name]) => name.toLowerCase() });
  const query = uniqueNames(
    fc.tuple(
      word.filter((name) => !/^(q-|sign$|x-)/i.test(name)),
      text,
    ),
  );
  const headerValue = fc.string({
    unit: fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code)),
    minLength: 1,
    maxLength: 12,
  });
  const headers = uniqueNames(
    fc.tuple(
      fc.oneof(
        fc.constantFrom("Content-Type", "Range", "content-md5", "Cache-Control", "If-Match", "Pic-Operations"),
        token.map((rest) => `x-cos-meta-${rest}`),
      ),
      headerValue.map((value) => value.replace(/^[\s\x7f-\xa0]+|[\s\x7f-\xa0]+$/g, "") || "v"),
    ),
  );
  const requests = fc.record({
    method: fc.constantFrom("GET", "PUT", "POST", "DELETE", "HEAD"),
    key: text,
    query,
    headers,
    carrier: fc.constantFrom("header", "query", "sign"),
  });

  /** As a client sends it: signed by the SDK, written by hand. */
  function send(request: {
    method: string;
    key: string;
    query: Pairs;
    headers: Pairs;
    carrier: string;
  }): Required<Pick<Sent, "method" | "target" | "headers">> {
    const { method, key, carrier } = request;
    const Authorization = COS.getAuthorization({
      SecretId: SECRET_ID,
      SecretKey: SECRET_KEY,
      Method: method as COS.Method,
      Pathname: `/${key}`,
      UseRawKey: true,
      Query: Object.fromEntries(request.query),
      Headers: Object.fromEntries([["Host", HOST], ...request.headers]),
      KeyTime: KEY_TIME,
    } as COS.StaticGetAuthorizationOptions);
    const pairs = request.query.map(([name, value]) => `${encoded(name)}=${encoded(value)}`);
    if (carrier === "query")
      pairs.push(
        ...Authorization.split("&").map((piece) => piece.replace(/=(.*)/, (_, value: string) => `=${encoded(value)}`)),
      );
    if (carrier === "sign") pairs.push(`sign=${encoded(Authorization)}`);
    return {
      method,
      target: `/${encoded(key).replaceAll("%2F", "/")}${pairs.length > 0 ? `?${pairs.join("&")}` : ""}`,
      headers: [["Host", HOST], ...request.headers, ...(carrier === "header" ? authorization(Authorization) : [])],
    };
  }

  it("is accepted for any key, parameters and headers", () => {
    fc.assert(
      fc.property(requests, (request) => {
        assert.equal(outcome(send(request)), "signed");
      }),
      { numRuns: 1000 },
    );
  });

  it("is refused once any signed part differs by a character", () => {
    const place = fc.record({ part: fc.nat({ max: 9 }), at: fc.nat() });
    // Its neighbour: never the same, and of the same kind where the kind matters for being sent at all.
    const next = (value: string, at: number): string => {
      const points = Array.from(value);
      const index = points.length === 0 ? 0 : at % points.length;
      points[index] = points[index] === "x" ? "y" : "x";
      return points.join("");
    };
    fc.assert(
      fc.property(requests, place, (request, { part, at }) => {
        const honest = send(request);
        const rewritten = (change: Partial<typeof request>): typeof honest => {
          const changed = { ...request, ...change };
          const { target } = send({ ...changed, carrier: "header" });
          const credentials = /(?:^|[?&])((?:q-sign-algorithm|sign)=.*)$/.exec(
            honest.target.slice(honest.target.indexOf("?")),
          )?.[1];
          const joined =
            request.carrier === "header" || credentials === undefined
              ? ""
              : `${target.includes("?") ? "&" : "?"}${credentials}`;
          const own = honest.headers.filter(([name]) => name === "Authorization");
          return {
            method: changed.method,
            target: `${target}${joined}`,
            headers: [["Host", HOST], ...changed.headers, ...own],
          };
        };
        const pick = (items: readonly unknown[]): number => at % items.length;
        let sent = honest;
        if (part === 0) sent = { ...honest, method: honest.method === "PUT" ? "POST" : "PUT" };
        else if (part === 1 || part === 2) sent = rewritten({ key: next(request.key, at) });
        else if (part <= 5 && request.query.length > 0) {
          const index = pick(request.query);
          sent = rewritten({
            query: request.query.map(([name, value], i) => (i === index ? [name, next(value, at)] : [name, value])),
          });
        } else if (part <= 8 && request.headers.length > 0) {
          const index = pick(request.headers);
          sent = rewritten({
            headers: request.headers.map(([name, value], i) => (i === index ? [name, next(value, at)] : [name, value])),
          });
        } else
          sent = {
            ...honest,
            headers: honest.headers.map(([name, value]) =>
              name === "Host" ? [name, value.replace("demo", "dem0")] : [name, value],
            ),
          };
        assert.equal(outcome(sent), "SignatureDoesNotMatch");
      }),
      { numRuns: 1000 },
    );
  });

  it.each<[what: string, options: COS.COSOptions, query: Record<string, string>]>([
    ["a host", {}, {}],
    ["a host with a port", { Domain: "{Bucket}.cos.{Region}.localhost:9000" }, { "response-content-type": "a b;c" }],
    ["a path, which it signs without the bucket", { Domain: "127.0.0.1:9000/{Bucket}" }, {}],
    ["names that need encoding, which it lists unencoded", {}, { "a[b]": "c", ab: "d", "a-": "e" }],
  ])("is accepted for a presigned URL with %s", (_, options, query) => {
    const cos = new COS({ SecretId: SECRET_ID, SecretKey: SECRET_KEY, Protocol: "http:", ...options });
    const url = cos.getObjectUrl(
      { Bucket: "demo-1250000000", Region: "ap-guangzhou", Key: "docs/报告 (v1)+.txt", Query: query, Sign: true },
      () => {},
    );
    const [, host = "", target = ""] = /^http:\/\/([^/]+)(.*)$/.exec(url) ?? [];
    const nowMs = Number(/q-sign-time=(\d+)/.exec(target)?.[1]) * 1000;
    assert.equal(outcome({ target, headers: [["Host", host]], nowMs }), "signed");
    assert.equal(
      outcome({ target: target.replace("docs", "dots"), headers: [["Host", host]], nowMs }),
      "SignatureDoesNotMatch",
    );
  });

  it("is refused once any byte of its credentials differs", () => {
    const good = sign({ query: [["acl", ""]] }).authorization;
    for (let at = 0; at < good.length; at += 1) {
      for (const byte of ["0", "z", ";", "&", "="]) {
        if (good[at] === byte) continue;
        const text = good.slice(0, at) + byte + good.slice(at + 1);
        assert.notEqual(outcome({ target: "/a.txt?acl", headers: authorization(text) }), "signed", `${at} ${byte}`);
      }
    }
  });
});

describe("any Authorization at all", () => {
  it("is answered with a row of the catalogue", () => {
    const piece = fc.constantFrom(
      "q-sign-algorithm=sha1",
      "q-ak=",
      SECRET_ID,
      "q-sign-time=",
      KEY_TIME,
      "q-key-time=",
      "q-header-list=",
      "q-url-param-list=",
      "%",
      "%zz",
      "q-signature=",
      "&",
      ";",
      "=",
      "host",
      "é",
      "\u0000",
      "x",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        assert.notEqual(outcome({ headers: authorization(pieces.join("")) }), "signed");
        const odd = outcome({
          headers: authorization(
            `q-sign-algorithm=sha1&q-ak=${SECRET_ID}&q-sign-time=${KEY_TIME}&q-key-time=${KEY_TIME}&q-header-list=${pieces.join("").replaceAll("&", "")}&q-url-param-list=%zz;%;[&q-signature=x`,
          ),
        });
        assert.notEqual(odd, "signed");
      }),
      { numRuns: 1000 },
    );
  });
});
