/**
 * Looks for the mistake behind a signature that does not match: each is made on purpose, one at a time, until one gives
 * the very signature that was sent. Bounded by the names that a signature lists; run only for records that are kept.
 */

import { createHmac } from "node:crypto";
import {
  headerNotSigned,
  type KnownMistake,
  listedNotSent,
  otherHosts,
  otherKeys,
  otherMethods,
  otherValues,
  sameAs,
  SLASH_DOUBLED,
  UPPER_CASE,
} from "../../access/signature-mistakes.ts";
import type { SignatureEvidence, SignatureMistake } from "../../errors/evidence.ts";
import { joinedRequest, joinedToSign, signatureOf, signingEncoded, signKeyOf } from "./canonical.ts";

/** What was sent, in the parts of which the signed text is made. */
export interface MismatchedSignature {
  readonly method: string;
  readonly path: string;
  readonly rawPath: string;
  readonly bucket: string | undefined;
  /** Listed names, encoded and in lower case, with the value that was sent, undefined where none was. */
  readonly parameters: readonly (readonly [name: string, value: string | undefined])[];
  readonly headers: readonly (readonly [name: string, value: string | undefined])[];
  /** Names of the listed parameters, encoded and in the case in which they were sent, in the order of `parameters`. */
  readonly sentNames: readonly string[];
  readonly hosts: readonly string[];
  readonly signTime: string;
  readonly keyTime: string;
  readonly accessKeyId: string;
  readonly signature: string;
}

type Parts = Pick<MismatchedSignature, "method" | "path"> & { readonly parameters: string; readonly headers: string };
type Pairs = MismatchedSignature["parameters"];

/** `Content-Type` for `content-type`. */
const titled = (name: string): string => name.replace(/(^|-)[a-z]/g, (first) => first.toUpperCase());

const joined = (pairs: Pairs, encode: (value: string) => string = signingEncoded): string =>
  pairs.map(([name, value]) => `${name}=${encode(value ?? "")}`).join("&");
const sorted = (pairs: Pairs): Pairs => [...pairs].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));

/** The evidence for a signature that `verifySignature` has refused. */
export function signatureEvidence(sent: MismatchedSignature, secretKey: string): SignatureEvidence {
  const { method, path, rawPath, parameters, headers, hosts, signTime, keyTime } = sent;
  const right: Parts = { method, path, parameters: joined(sorted(parameters)), headers: joined(sorted(headers)) };
  const text = (parts: Parts): string => joinedRequest(parts.method, parts.path, parts.parameters, parts.headers);
  const signKey = signKeyOf(secretKey, keyTime);
  const isGiven = sameAs(sent.signature);
  let tried = 0;
  const fits = (signature: string): boolean => {
    tried += 1;
    return isGiven(signature);
  };

  function* texts(): Generator<readonly [changes: Partial<Parts>, mistake: KnownMistake]> {
    const path2 = "sign the path as it is before it is percent-encoded, such as /a b";
    yield [
      { path: rawPath },
      { name: "path-encoded", told: "The client signed the path percent-encoded.", mend: `Decoded: ${path2}.` },
    ];
    const twice = path.split("/").map(signingEncoded).join("/");
    yield [
      { path: twice },
      { name: "path-encoded", told: "The client signed the path percent-encoded.", mend: `Decoded: ${path2}.` },
    ];
    yield [
      { path: twice.split("/").map(signingEncoded).join("/") },
      {
        name: "path-encoded-twice",
        told: "The client signed the path percent-encoded twice.",
        mend: `Not at all: ${path2}.`,
      },
    ];
    try {
      yield [
        { path: decodeURIComponent(path) },
        {
          name: "path-sent-encoded-twice",
          told: "The path was encoded twice on its way here.",
          mend: "Encode the path once when the URL is made.",
        },
      ];
    } catch {
      // The path holds a percent sign of its own.
    }
    yield [{ path: `/${path}` }, SLASH_DOUBLED];
    yield [
      { path: path.slice(1) },
      {
        name: "slash-missing",
        told: "The client signed the path without its leading slash.",
        mend: "Begin the signed path with /.",
      },
    ];
    if (sent.bucket !== undefined) {
      yield [
        { path: `/${sent.bucket}${path}` },
        {
          name: "bucket-in-path",
          told: "The client signed the bucket as part of the path.",
          mend: "Leave the bucket out of the signed path when the host names it.",
        },
      ];
    }
    for (const [other, mistake] of otherMethods(method)) yield [{ method: other }, mistake];
    for (const [at, [name, value]] of headers.entries()) {
      const others = headers.filter((_, place) => place !== at);
      const without = { headers: joined(sorted(others)) };
      const instead = (other: string) => ({ headers: joined(sorted([...others, [name, other] as const])) });
      if (name === "host") for (const [host, mistake] of otherHosts(hosts, sent.bucket)) yield [instead(host), mistake];
      yield [without, headerNotSigned(name, "q-header-list")];
      for (const [other, mistake] of value === undefined ? [] : otherValues(name, value))
        yield [instead(other), mistake];
    }
    yield [
      { headers: joined(sorted(headers), String) },
      {
        name: "values-not-encoded",
        told: "The client signed the values of headers without percent-encoding them.",
        mend: "Encode names and values (RFC 3986) in the signed text.",
      },
    ];
    yield [
      { headers: joined(headers) },
      {
        name: "not-sorted",
        told: "The client signed headers in the order of its list, not sorted.",
        mend: "Sort the signed pairs by name.",
      },
    ];
    yield [
      { headers: joined([...sorted(headers)].reverse()) },
      {
        name: "not-sorted",
        told: "The client signed headers in reverse order.",
        mend: "Sort the signed pairs by name.",
      },
    ];
    const notLower = (what: string) => ({
      name: "not-lower-case",
      told: `The client signed the names of ${what} with capitals.`,
      mend: "Write names in lower case in the signed text, and in its lists.",
    });
    yield [{ headers: joined(sorted(headers).map(([name, value]) => [titled(name), value])) }, notLower("headers")];
    if (parameters.length === 0) return;
    const asSent = parameters.map(([listed, value], at) => [listed, sent.sentNames[at] ?? listed, value] as const);
    asSent.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    yield [{ parameters: joined(asSent.map(([, name, value]) => [name, value])) }, notLower("parameters")];
    yield [
      { parameters: joined(parameters) },
      {
        name: "not-sorted",
        told: "The client signed parameters in the order of its list, not sorted.",
        mend: "Sort the signed pairs by name.",
      },
    ];
    yield [
      { parameters: joined([...sorted(parameters)].reverse()) },
      {
        name: "not-sorted",
        told: "The client signed parameters in reverse order.",
        mend: "Sort the signed pairs by name.",
      },
    ];
    yield [
      { parameters: joined(sorted(parameters), String) },
      {
        name: "values-not-encoded",
        told: "The client signed the values of parameters without percent-encoding them.",
        mend: "Encode names and values (RFC 3986) in the signed text.",
      },
    ];
    yield [
      { parameters: joined(sorted(parameters), (value) => signingEncoded(value).replaceAll("%20", "+")) },
      {
        name: "blank-as-plus",
        told: "The client signed blanks in parameters as a plus.",
        mend: "Encode a blank as %20 in the signed text.",
      },
    ];
    yield [
      { parameters: "" },
      {
        name: "parameters-not-signed",
        told: "The client lists parameters and did not sign them.",
        mend: "Sign every name of q-url-param-list, or leave it empty.",
      },
    ];
  }

  function find(): SignatureMistake | undefined {
    for (const [changes, mistake] of texts()) {
      const canonical = text({ ...right, ...changes });
      if (fits(signatureOf(signKey, joinedToSign(signTime, canonical)))) return { ...mistake, canonical };
    }
    const canonical = text(right);
    const toSign = joinedToSign(signTime, canonical);
    for (const [key, mistake] of otherKeys(secretKey, sent.accessKeyId)) {
      if (fits(signatureOf(signKeyOf(key, keyTime), toSign))) return mistake;
    }
    if (keyTime !== signTime && fits(signatureOf(signKeyOf(secretKey, signTime), toSign))) {
      return {
        name: "key-time",
        told: "The client made its key from q-sign-time, not from q-key-time.",
        mend: "Make the key from q-key-time, or send the same period twice.",
      };
    }
    if (keyTime !== signTime && fits(signatureOf(signKey, joinedToSign(keyTime, canonical)))) {
      return {
        name: "sign-time",
        told: "The client signed q-key-time in the place of q-sign-time.",
        mend: "Sign q-sign-time.",
      };
    }
    const raw = createHmac("sha1", Buffer.from(signKey, "hex")).update(toSign).digest("hex");
    if (fits(raw)) {
      return {
        name: "key-as-bytes",
        told: "The client used the bytes of its signing key.",
        mend: "Use the 40 hex digits of the key as text.",
      };
    }
    if (fits(createHmac("sha1", signKey).update(`sha1\n${signTime}\n${canonical}\n`).digest("hex"))) {
      return {
        name: "not-hashed",
        told: "The client signed the text itself where its SHA-1 belongs.",
        mend: "Put the SHA-1 of the text, in hex, into the string to sign.",
      };
    }
    if (fits(signatureOf(signKey, toSign).toUpperCase())) return UPPER_CASE;
    return undefined;
  }

  const missing =
    headers.find(([, value]) => value === undefined) ?? parameters.find(([, value]) => value === undefined);
  const mistake = missing === undefined ? find() : listedNotSent(missing[0]);
  return { kind: "signature", canonical: text(right), mistake, tried };
}
