/** The parsers of the S3 dialect alone: signatures and chunks read, or refuse in the words of the catalogue. */

import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, it } from "vitest";
import { decodedChunks } from "../../src/dialects/s3/chunks.ts";
import { policyFromS3 } from "../../src/dialects/s3/policy.ts";
import { authenticateS3, type SeedV4 } from "../../src/dialects/s3/signature.ts";
import { CosError } from "../../src/errors/cos-error.ts";
import { readHeaders } from "../../src/http/headers.ts";
import { parseTarget } from "../../src/http/target.ts";
import { runsOf, SEED, timeoutOf } from "./chance.ts";

const parameters = { seed: SEED, numRuns: Math.ceil(runsOf(20_000) / 10) };
const NOW_MS = Date.UTC(2026, 10, 26, 12);
const KEYS = { secretKey: "fuzzsecretkey0000000000000000000" };
const HOST = "demo-1250000000.cos.ap-guangzhou.myqcloud.com";

function refuses(error: unknown): true {
  if (error instanceof CosError && error.status < 500) return true;
  throw new Error(`SEED=${SEED}`, { cause: error });
}

function authenticate(method: string, target: string, headers: Readonly<Record<string, string>>): string {
  try {
    const request = {
      method,
      target: parseTarget(method, target, HOST),
      headers: readHeaders(Object.entries({ host: HOST, ...headers }).flat(), 200),
    };
    return authenticateS3(request, (id) => (id === "AKIDfuzz" ? KEYS : undefined), NOW_MS, {
      skewMs: 900_000,
      hostBucket: undefined,
    }).kind;
  } catch (error) {
    refuses(error);
    return "refused";
  }
}

const piece = fc.oneof(
  fc.constantFrom(
    "AWS4-HMAC-SHA256",
    "AWS ",
    "Credential=AKIDfuzz/20261126/us-east-1/s3/aws4_request",
    "SignedHeaders=host;x-amz-date",
    "SignedHeaders=",
    `Signature=${"0".repeat(64)}`,
    "AKIDfuzz:",
    ",",
    " ",
    "=",
    "/",
    ";",
    "__proto__=1",
  ),
  fc.string({ maxLength: 20 }),
);
const parameter = fc.tuple(
  fc.constantFrom(
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
    "x-amz-content-sha256",
    "AWSAccessKeyId",
    "Signature",
    "Expires",
    "sign",
    "q-ak",
    "acl",
  ),
  fc.oneof(
    fc.constantFrom(
      "AWS4-HMAC-SHA256",
      "AKIDfuzz/20261126/us-east-1/s3/aws4_request",
      "20261126T120000Z",
      "600",
      "host",
      "0".repeat(64),
      "AKIDfuzz",
      "1",
      "9".repeat(400),
    ),
    fc.string({ unit: "binary", maxLength: 30 }),
  ),
);

describe("S3 signatures", () => {
  it("hold for nothing that nobody has signed", { timeout: timeoutOf(60_000) }, () => {
    const dates = fc.constantFrom("20261126T120000Z", "Thu, 26 Nov 2026 12:00:00 GMT", "x");
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 8 }),
        dates,
        fc.array(parameter, { maxLength: 8 }),
        (pieces, date, query) => {
          const search = query
            .map(([name, value]) => `${name}=${encodeURIComponent(Buffer.from(value, "utf8").toString("utf8"))}`)
            .join("&");
          const authorization = pieces.join("").replace(/[^\t\x20-\x7e]/g, "");
          const headers = { "x-amz-date": date, "x-amz-content-sha256": "UNSIGNED-PAYLOAD" };
          const outcomes = [
            authenticate("GET", `/k?${search}`, headers),
            authenticate("PUT", "/k", { ...headers, authorization }),
            authenticate("PUT", `/k?${search}`, { authorization }),
          ];
          assert.ok(!outcomes.includes("signed"), `SEED=${SEED}: ${authorization} ${search}`);
        },
      ),
      parameters,
    );
  });
});

const SEED_V4: SeedV4 = {
  signature: "5".repeat(64),
  signingKey: Buffer.alloc(32, 7),
  scope: { date: "20261126", region: "r" },
  dateTime: "20261126T120000Z",
};
const sha256 = (data: Buffer | string): string => createHash("sha256").update(data).digest("hex");

function framed(chunks: readonly Buffer[], signed: boolean, trailers: Readonly<Record<string, string>>): Buffer {
  const pieces: Buffer[] = [];
  let previous = SEED_V4.signature;
  const sign = (text: string): string => createHmac("sha256", SEED_V4.signingKey).update(text).digest("hex");
  const prefix = (kind: string): string => `${kind}\n${SEED_V4.dateTime}\n20261126/r/s3/aws4_request\n`;
  for (const chunk of [...chunks.filter(({ length }) => length > 0), Buffer.alloc(0)]) {
    const size = chunk.length.toString(16);
    if (signed) {
      previous = sign(`${prefix("AWS4-HMAC-SHA256-PAYLOAD")}${previous}\n${sha256("")}\n${sha256(chunk)}`);
      pieces.push(Buffer.from(`${size};chunk-signature=${previous}\r\n`));
    } else pieces.push(Buffer.from(`${size}\r\n`));
    if (chunk.length > 0) pieces.push(chunk, Buffer.from("\r\n"));
  }
  let canonical = "";
  for (const [name, value] of Object.entries(trailers)) {
    pieces.push(Buffer.from(`${name}:${value}\r\n`));
    canonical += `${name}:${value}\n`;
  }
  if (signed && canonical !== "") {
    const signature = sign(`${prefix("AWS4-HMAC-SHA256-TRAILER")}${previous}\n${sha256(canonical)}`);
    pieces.push(Buffer.from(`x-amz-trailer-signature:${signature}\r\n`));
  }
  return Buffer.concat([...pieces, Buffer.from("\r\n")]);
}

async function decode(
  body: Buffer,
  decodedLength: number,
  signed: boolean,
  trailers: readonly string[] | undefined,
  cut: number,
): Promise<Buffer | undefined> {
  async function* source() {
    for (let at = 0; at < body.length; at += cut) yield body.subarray(at, at + cut);
  }
  const chunks: Buffer[] = [];
  try {
    const options = { seed: signed ? SEED_V4 : undefined, trailers, decodedLength, onTrailers: () => undefined };
    for await (const chunk of decodedChunks(source(), options)) chunks.push(chunk);
    return Buffer.concat(chunks);
  } catch (error) {
    refuses(error);
    return undefined;
  }
}

const bodies = fc.array(
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  { maxLength: 6 },
);

describe("aws-chunked bodies", () => {
  it("come out as they went in, however they are cut", { timeout: timeoutOf(60_000) }, async () => {
    await fc.assert(
      fc.asyncProperty(
        bodies,
        fc.boolean(),
        fc.boolean(),
        fc.integer({ min: 1, max: 700 }),
        async (chunks, signed, trailer, cut) => {
          const whole = Buffer.concat(chunks);
          const fields: Record<string, string> = trailer ? { "x-amz-checksum-crc32": "AAAAAA==" } : {};
          const body = framed(chunks, signed, fields);
          const out = await decode(body, whole.length, signed, trailer ? Object.keys(fields) : undefined, cut);
          assert.ok(out?.equals(whole), `SEED=${SEED}`);
          assert.equal(
            await decode(body, whole.length + 1, signed, trailer ? Object.keys(fields) : undefined, cut),
            undefined,
          );
        },
      ),
      parameters,
    );
  });

  it("that are signed give nothing but what was signed, whatever is done to them", {
    timeout: timeoutOf(60_000),
  }, async () => {
    await fc.assert(
      fc.asyncProperty(
        bodies,
        fc.nat(),
        fc.uint8Array({ maxLength: 40 }),
        fc.nat({ max: 60 }),
        async (chunks, place, inserted, removed) => {
          const whole = Buffer.concat(chunks);
          const body = framed(chunks, true, {});
          const at = place % (body.length + 1);
          const damaged = Buffer.concat([body.subarray(0, at), inserted, body.subarray(at + removed)]);
          const out = await decode(damaged, whole.length, true, undefined, 64);
          assert.ok(out === undefined || out.equals(whole), `SEED=${SEED}`);
        },
      ),
      parameters,
    );
  });

  it("of any bytes at all are read or refused", { timeout: timeoutOf(60_000) }, async () => {
    const text = fc.string({
      unit: fc.constantFrom(...Array.from("0123af;:\r\n-x"), "chunk-signature="),
      maxLength: 300,
    });
    await fc.assert(
      fc.asyncProperty(text, fc.nat({ max: 50 }), fc.boolean(), async (bytes, length, signed) => {
        const out = await decode(Buffer.from(bytes), length, signed, signed ? undefined : ["x"], 7);
        assert.ok(out === undefined || (out.length === length && (!signed || length === 0)), `SEED=${SEED}`);
      }),
      parameters,
    );
  });
});

describe("policies in S3's grammar", () => {
  it("of any JSON are read or refused", { timeout: timeoutOf(60_000) }, () => {
    const names = { whole: (name: string) => name, bare: (name: string) => name };
    const value = fc.oneof(
      fc.constantFrom<unknown>(
        "*",
        "s3:*",
        "s3:GetObject",
        "Allow",
        "Deny",
        "arn:aws:s3:::b/*",
        { AWS: "*" },
        "100000000001",
      ),
      fc.jsonValue({ maxDepth: 2 }),
    );
    const statement = fc.dictionary(
      fc.constantFrom("Sid", "Effect", "Principal", "Action", "Resource", "Condition", "__proto__", "Other"),
      value,
    );
    const document = fc.dictionary(
      fc.constantFrom("Version", "Id", "Statement", "version"),
      fc.oneof(fc.constantFrom<unknown>("2012-10-17", "2.0"), value, statement, fc.array(statement, { maxLength: 3 })),
    );
    fc.assert(
      fc.property(fc.oneof(document, fc.jsonValue()), (written) => {
        try {
          policyFromS3(JSON.stringify(written), names);
        } catch (error) {
          refuses(error);
        }
      }),
      parameters,
    );
  });
});
