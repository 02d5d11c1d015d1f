/** The parsers alone, where a million inputs cost seconds: they read, or refuse in the words of the catalogue, at once. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { it } from "vitest";
import { addressingRules, readAddress } from "../../src/addressing/address.ts";
import { readCopySource } from "../../src/addressing/copy-source.ts";
import { signCos } from "../../src/dialects/cos/sign.ts";
import { authenticateCos, signedRequestView } from "../../src/dialects/cos/signature.ts";
import { CosError } from "../../src/errors/cos-error.ts";
import { parseHttpDate } from "../../src/http/dates.ts";
import { readHeaders } from "../../src/http/headers.ts";
import { parseTarget } from "../../src/http/target.ts";
import { readRange } from "../../src/features/object/model.ts";
import { parseXml, XmlFault } from "../../src/xml/parse.ts";
import { chanceOf, damaged, damagedText, runsOf, SEED, timeoutOf } from "./chance.ts";

/** Milliseconds that no input of 64 KiB may take. */
const INPUT_MS_MAX = 50;
const RUNS = runsOf(20_000);
const KEYS = { secretId: "AKIDfuzz0000000000000000000000000000", secretKey: "fuzzsecretkey0000000000000000000" };
const NOW_MS = 1_700_000_000_000;
const SIGN_TIME = `${NOW_MS / 1000 - 60};${NOW_MS / 1000 + 600}`;
const HOST = "demo-1250000000.cos.ap-guangzhou.myqcloud.com";
const RULES = addressingRules({ regions: ["ap-guangzhou"], suffixes: ["cos.test"], unknownHosts: "refuse" });

/** Asserts that `read` returns or refuses, soon. What seems slow is tried again: this machine may have been busy. */
function survives(input: unknown, read: () => unknown): void {
  for (let left = 4; ; left--) {
    const beginMs = performance.now();
    try {
      read();
    } catch (error) {
      if (!(error instanceof XmlFault) && !(error instanceof CosError && error.status < 500)) {
        throw new Error(`SEED=${SEED}: ${JSON.stringify(input)?.slice(0, 2000)}`, { cause: error });
      }
    }
    const tookMs = performance.now() - beginMs;
    if (tookMs <= INPUT_MS_MAX) return;
    assert.ok(left > 0, `SEED=${SEED}: ${tookMs} ms for ${JSON.stringify(input)?.slice(0, 2000)}`);
  }
}

const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 200 }),
  fc.string({ unit: fc.constantFrom(...Array.from("/%?&=#+:.@[]*,;-h2Fa0 \t")), maxLength: 200 }),
  fc.string({ unit: fc.constantFrom("a", "-", "1", ".", "/"), maxLength: 16_000 }),
);
const parameters = { seed: SEED, numRuns: Math.ceil(RUNS / 20) };

/** Fast-check's inputs, then damage to valid ones. */
function fuzz(name: string, valid: readonly string[], read: (input: string) => unknown): void {
  it(`${name}: any text is read or refused, at once`, { timeout: timeoutOf(RUNS) }, () => {
    const chance = chanceOf(name, RUNS);
    fc.assert(
      fc.property(text, (input) => survives(input, () => read(input))),
      parameters,
    );
    for (let run = 0; run < RUNS; run++) {
      const input = damagedText(chance.pick(valid), chance);
      survives(input, () => read(input));
    }
    for (const piece of [...valid, "a", "-1", "1-", "%41", "%", "..", "//", "=", "&a", ",", ";", " ", "\t"]) {
      const long = piece.repeat(Math.ceil(16_384 / piece.length));
      survives(long, () => read(long));
      survives(long, () => read(`${valid[0]}${long}`));
      survives(long, () => read(`${long}${valid[0]}`));
    }
  });
}

fuzz("target", ["/dir/a%20b?acl&prefix=a%2Fb&x=+", "http://127.0.0.1:9000/b-1/k?a=b", "*"], (input) => {
  for (const method of ["GET", "OPTIONS"]) {
    const target = parseTarget(method, input, HOST);
    assert.equal(typeof readAddress(target, RULES).kind, "string");
  }
});

fuzz("host", [HOST, "127.0.0.1:9000", "[::1]:9000", "demo-1.cos.test:80", "service.cos.myqcloud.com."], (input) =>
  readAddress(parseTarget("GET", "/b-1/k", input), RULES),
);

const SIGNED = signCos({
  ...KEYS,
  method: "GET",
  path: "/k",
  query: [["prefix", "a b"]],
  headers: [["host", HOST]],
  signTime: SIGN_TIME,
});

fuzz("authorization", [SIGNED.authorization], (input) => {
  const sent = readHeaders(["Host", HOST, "Authorization", input, "x-cos-meta-a", "\xc3\xa9"], 200);
  const target = parseTarget("GET", "/k?prefix=a%20b", HOST);
  const view = signedRequestView({ method: "GET", target, headers: sent }, readAddress(target, RULES));
  const evidence = authenticateCos(view, (id) => (id === KEYS.secretId ? KEYS : undefined), NOW_MS);
  // Pieces that say nothing may be put in, but what was said has to stay.
  if (evidence.kind === "signed") assert.ok(input.includes(SIGNED.signature));
});

fuzz(
  "presigned query",
  [`prefix=a%20b&${SIGNED.queryString}`, `sign=${encodeURIComponent(SIGNED.authorization)}`],
  (input) => {
    const target = parseTarget("GET", `/k?${input}`, HOST);
    const view = signedRequestView(
      { method: "GET", target, headers: readHeaders(["Host", HOST], 200) },
      readAddress(target, RULES),
    );
    authenticateCos(view, (id) => (id === KEYS.secretId ? KEYS : undefined), NOW_MS);
  },
);

fuzz("range", ["bytes=0-99", "bytes=-5", "bytes=5-", "bytes=0-0,5-9"], (input) => {
  for (const size of [0, 1, 10, 2 ** 45]) {
    const range = readRange(input, size);
    if (typeof range === "string") continue;
    assert.ok(Number.isInteger(range.start) && Number.isInteger(range.end), input);
    assert.ok(0 <= range.start && range.start < range.end && range.end <= size, input);
  }
});

fuzz(
  "date",
  [
    "Fri, 10 Apr 2020 09:35:05 GMT",
    "Friday, 10-Apr-20 09:35:05 GMT",
    "Fri Apr 10 09:35:05 2020",
    "2020-04-10T09:35:05.123Z",
  ],
  (input) => {
    const ms = parseHttpDate(input);
    assert.ok(ms === undefined || !Number.isNaN(ms), input);
  },
);

fuzz(
  "copy source",
  [`${HOST}/dir/a%2Fb?versionId=x`, "/demo-1250000000/a", `http://${HOST}:80/%E6%8A%A5`, "demo-1250000000/%C3%A9"],
  (input) => {
    const { bucket, key } = readCopySource(input, RULES);
    assert.ok(bucket !== "" && key !== "" && !key.includes("\0"), input);
  },
);

const DOCUMENTS = [
  "<Delete><Quiet>false</Quiet><Object><Key>a&amp;b</Key></Object></Delete>",
  "<?xml version='1.0' encoding='utf-8' ?>\n<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>\"a\"</ETag></Part></CompleteMultipartUpload>",
  "<a xmlns='u' xmlns:x=\"v\"><x:b c='d'><![CDATA[<]]></x:b><!-- c --></a>",
];
/** Long stretches that parsers have been known to take more than their length in time for. */
const XML_STRETCHES = [
  "<a>",
  "</a>",
  "<a b='c'>",
  " b='c'",
  "&amp;",
  "&#38;",
  "&x;",
  "<![CDATA[x]]>",
  "<!-- -->",
  "<?a b?>",
  "]]>",
  "<",
  "&",
  "x",
  " ",
];

it("XML: any bytes are a tree or a fault, at once", { timeout: timeoutOf(RUNS) }, () => {
  const chance = chanceOf("xml", RUNS);
  const valid = DOCUMENTS.map((document) => Buffer.from(document));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 500 }), (bytes) => survives(bytes, () => parseXml(Buffer.from(bytes)))),
    parameters,
  );
  for (let run = 0; run < RUNS; run++) {
    const bytes = damaged(chance.pick(valid), chance);
    survives(bytes.toString("latin1"), () => parseXml(bytes));
  }
  for (const stretch of XML_STRETCHES) {
    const long = stretch.repeat(Math.floor(65_536 / stretch.length));
    for (const document of [
      long,
      `<a>${long}</a>`,
      `<a ${long}></a>`,
      `<a b="${long}"/>`,
      `<a>${long}`,
      `<a><b>${long}</b></a>`,
    ]) {
      survives(document.slice(0, 100), () => parseXml(Buffer.from(document)));
    }
  }
});
