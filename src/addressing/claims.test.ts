import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, it } from "vitest";
import { readHeaders } from "../http/headers.ts";
import { parseTarget } from "../http/target.ts";
import { addressingRules } from "./address.ts";
import { claimsOf } from "./claims.ts";

const RULES = addressingRules({ regions: ["ap-guangzhou"], suffixes: ["myqcloud.com"], unknownHosts: "refuse" });
const BUCKET = "demo-1900000001.cos.ap-guangzhou.myqcloud.com";

interface Asked {
  readonly target?: string;
  readonly host?: string;
  readonly authorization?: string;
  readonly headers?: readonly string[];
}

function claims({ target = "/a", host = BUCKET, authorization, headers = [] }: Asked) {
  const sent = authorization === undefined ? headers : [...headers, "authorization", authorization];
  return claimsOf({ target: parseTarget("GET", target, host), headers: readHeaders(sent, 100) }, RULES);
}

describe("what a request claims", () => {
  const signed: readonly (readonly [how: string, asked: Asked])[] = [
    ["COS, in the header", { authorization: "q-sign-algorithm=sha1&q-ak=AKIDone&q-sign-time=1;2" }],
    ["COS, first in the header", { authorization: "q-ak=AKIDone&q-sign-algorithm=sha1" }],
    ["COS, in the query", { target: "/a?q-sign-algorithm=sha1&q-ak=AKIDone" }],
    ["COS, in one parameter", { target: `/a?sign=${encodeURIComponent("q-sign-algorithm=sha1&q-ak=AKIDone&x=y")}` }],
    [
      "S3 version 4",
      { authorization: "AWS4-HMAC-SHA256 Credential=AKIDone/20300101/x/s3/aws4_request, SignedHeaders=host" },
    ],
    ["S3 version 4 without a blank", { authorization: "AWS4-HMAC-SHA256 SignedHeaders=host,Credential=AKIDone/2030" }],
    ["S3 version 4, in the query", { target: "/a?X-Amz-Credential=AKIDone%2F20300101%2Fx%2Fs3%2Faws4_request" }],
    ["S3 version 2", { authorization: "AWS AKIDone:c2ln" }],
    ["S3 version 2, in the query", { target: "/a?AWSAccessKeyId=AKIDone&Signature=x" }],
    ["the STS, version 3", { authorization: "TC3-HMAC-SHA256 Credential=AKIDone/2030-01-01/sts/tc3_request, Signed" }],
    ["the STS, version 1 in the query", { target: "/?Action=GetCallerIdentity&SecretId=AKIDone" }],
  ];
  for (const [how, asked] of signed) {
    it(`tells whose key signed it: ${how}`, () => assert.equal(claims(asked).secretId, "AKIDone"));
  }

  it("tells no key where there is none, or the header is something else", () => {
    for (const authorization of [undefined, "Bearer x", "Basic eDp5", "AWS", "Credential=x", "x".repeat(20_000)]) {
      assert.equal(claims(authorization === undefined ? {} : { authorization }).secretId, undefined);
    }
    // What the header says counts, as a signature in two places is refused anyway.
    assert.equal(claims({ target: "/a?q-ak=AKIDtwo", authorization: "q-ak=AKIDone" }).secretId, "AKIDone");
  });

  it("tells the token of a temporary key", () => {
    assert.equal(claims({ headers: ["x-cos-security-token", "t"] }).token, "t");
    assert.equal(claims({ headers: ["x-amz-security-token", "t"] }).token, "t");
    assert.equal(claims({ target: "/a?X-Amz-Security-Token=t" }).token, "t");
    assert.equal(claims({ headers: ["x-tc-token", "t"] }).token, "t");
    assert.equal(claims({}).token, undefined);
  });

  it("tells the APPID of the bucket in the host or in the path, and none where there is none", () => {
    for (const [asked, appid] of [
      [{}, "1900000001"],
      [{ host: "127.0.0.1:9000", target: "/demo-1900000001/a" }, "1900000001"],
      [{ host: "demo-1900000001.localhost" }, "1900000001"],
      [{ host: "127.0.0.1:9000", target: "/demo/a" }, undefined],
      [{ host: "cos.ap-guangzhou.myqcloud.com", target: "/" }, undefined],
      [{ host: "demo-1900000001.evil.example" }, undefined],
      [{ host: "demo-1900000001.cos.nowhere.myqcloud.com" }, undefined],
    ] as const) {
      assert.equal(claims(asked).appid, appid, JSON.stringify(asked));
    }
  });

  it("never throws, whatever the header, the host and the query hold", () => {
    const text = fc.string({ unit: "binary-ascii", maxLength: 200 });
    const anything = fc.record({ path: text, host: text, authorization: text });
    fc.assert(
      fc.property(anything, ({ path, host, authorization }) => {
        let asked: Asked;
        try {
          asked = { target: `/${path}`, host, authorization };
          parseTarget("GET", `/${path}`, host);
          readHeaders(["authorization", authorization], 100);
        } catch {
          // The edge refuses it before anybody asks.
          return;
        }
        claims(asked);
      }),
      { numRuns: 500 },
    );
  });
});
