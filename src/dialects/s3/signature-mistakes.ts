/**
 * Looks for the mistake behind an AWS signature that does not match, as for those of COS: each is made on purpose, one at
 * a time, until one gives the very signature that was sent. Bounded by the headers that are signed; run only for records
 * that are kept.
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
import type { SignatureEvidence } from "../../errors/evidence.ts";
import {
  canonicalQuery,
  EMPTY_SHA256,
  encodedPath,
  type Scope,
  signatureV4,
  signingKeyFrom,
  stringToSign,
  uriEncoded,
} from "./canonical.ts";

/** What was signed with version 4, in the parts of which the canonical request is made. */
export interface MismatchedV4 {
  readonly method: string;
  /** Decoded. */
  readonly path: string;
  readonly bucket: string | undefined;
  /** Decoded, without the signature itself. */
  readonly parameters: readonly (readonly [name: string, value: string])[];
  /** Signed names in order, with the value that was sent, undefined where none was. */
  readonly headers: readonly (readonly [name: string, value: string | undefined])[];
  readonly payload: string;
  readonly scope: Scope;
  readonly dateTime: string;
  readonly accessKeyId: string;
  readonly signature: string;
}

interface Parts {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: MismatchedV4["headers"];
  readonly payload: string;
}

const KEY_NOT_MADE: KnownMistake = {
  name: "key-not-made",
  told: "The client made its signing key of the SecretKey alone.",
  mend: "Begin the signing key with AWS4 in front of the SecretKey.",
};
const PAYLOAD_HEADER = "x-amz-content-sha256";
const PAYLOADS = ["UNSIGNED-PAYLOAD", EMPTY_SHA256, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"];

function canonicalOf({ method, path, query, headers, payload }: Parts): string {
  const lines = headers.map(([name, value]) => `${name}:${value ?? ""}\n`).join("");
  return `${method}\n${path}\n${query}\n${lines}\n${headers.map(([name]) => name).join(";")}\n${payload}`;
}

function* pathMistakes({ path, bucket }: MismatchedV4): Generator<readonly [Partial<Parts>, KnownMistake]> {
  const encoded = encodedPath(path);
  yield [
    { path: encodedPath(encoded) },
    {
      name: "path-encoded-twice",
      told: "The client signed the path percent-encoded twice, as for other services than S3.",
      mend: "Encode the path once: for the service s3 signers have a setting for it.",
    },
  ];
  yield [
    { path },
    {
      name: "path-not-encoded",
      told: "The client signed the path as it is before it is percent-encoded.",
      mend: "Percent-encode the path in the canonical request, its slashes left alone.",
    },
  ];
  yield [{ path: `/${encoded}` }, SLASH_DOUBLED];
  if (bucket === undefined) return;
  const mend = "Sign the path that is sent: with the bucket in path style, and without it where the host names it.";
  yield [
    { path: `/${bucket}${encoded}` },
    { name: "bucket-in-path", told: "The client signed the bucket as part of the path.", mend },
  ];
  if (encoded.startsWith(`/${bucket}`)) {
    yield [
      { path: encoded.slice(bucket.length + 1) || "/" },
      { name: "bucket-not-in-path", told: "The client signed the path without the bucket.", mend },
    ];
  }
}

function* headerMistakes({ headers, bucket }: MismatchedV4): Generator<readonly [Partial<Parts>, KnownMistake]> {
  for (const [at, [name, value = ""]] of headers.entries()) {
    const instead = (other: string) => ({ headers: headers.with(at, [name, other]) });
    if (name === "host") for (const [host, mistake] of otherHosts([value], bucket)) yield [instead(host), mistake];
    yield [{ headers: headers.toSpliced(at, 1) }, headerNotSigned(name, "SignedHeaders")];
    for (const [other, mistake] of otherValues(name, value)) yield [instead(other), mistake];
  }
}

function* textMistakes(sent: MismatchedV4): Generator<readonly [Partial<Parts>, KnownMistake]> {
  const { method, parameters, payload } = sent;
  yield* pathMistakes(sent);
  for (const [other, mistake] of otherMethods(method)) yield [{ method: other }, mistake];
  yield* headerMistakes(sent);
  for (const other of PAYLOADS) {
    if (other === payload) continue;
    const mistake = {
      name: "payload-hash",
      told: `The client signed the payload ${other}, and the request says ${payload}.`,
      mend: "Send in x-amz-content-sha256 what stands in the last line of the canonical request.",
    };
    yield [{ payload: other }, mistake];
    const named = ([name, value]: Parts["headers"][number]) => [name, name === PAYLOAD_HEADER ? other : value] as const;
    yield [{ payload: other, headers: sent.headers.map(named) }, mistake];
  }
  if (parameters.length === 0) return;
  const plain = (encode: (text: string) => string) => parameters.map((pair) => pair.map(encode).join("=")).join("&");
  yield [
    { query: plain(uriEncoded) },
    {
      name: "not-sorted",
      told: "The client signed parameters in the order in which they are sent, not sorted.",
      mend: "Sort the pairs of the canonical query by name.",
    },
  ];
  const query = canonicalQuery(parameters);
  yield [
    { query: query.replaceAll("%20", "+") },
    {
      name: "blank-as-plus",
      told: "The client signed blanks in parameters as a plus.",
      mend: "Encode a blank as %20 in the canonical query.",
    },
  ];
  yield [
    { query: query.replace(/=(?=&|$)/g, "") },
    {
      name: "equals-missing",
      told: "The client signed parameters without a value without their equals sign.",
      mend: "Write every parameter of the canonical query with =, also those without a value.",
    },
  ];
  yield [
    { query: "" },
    {
      name: "parameters-not-signed",
      told: "The client did not sign the parameters.",
      mend: "Put every parameter into the canonical query.",
    },
  ];
}

/** The evidence for a signature of version 4 that was refused. `encoding` is how its header bytes are read. */
export function evidenceV4(sent: MismatchedV4, secretKey: string, encoding: "utf8" | "latin1"): SignatureEvidence {
  const { accessKeyId, dateTime, headers, method, payload, scope } = sent;
  const right: Parts = {
    method,
    path: encodedPath(sent.path),
    query: canonicalQuery(sent.parameters),
    headers,
    payload,
  };
  const canonical = canonicalOf(right);
  const missing = headers.find(([, value]) => value === undefined);
  if (missing !== undefined) {
    return { kind: "signature", canonical, mistake: listedNotSent(missing[0]), tried: 0 };
  }
  const fits = sameAs(sent.signature);
  const signingKey = signingKeyFrom(`AWS4${secretKey}`, scope);
  let tried = 0;
  for (const [changes, mistake] of textMistakes(sent)) {
    tried += 1;
    const theirs = canonicalOf({ ...right, ...changes });
    if (fits(signatureV4(signingKey, stringToSign(dateTime, scope, theirs, encoding)))) {
      return { kind: "signature", canonical, mistake: { ...mistake, canonical: theirs }, tried };
    }
  }
  const toSign = stringToSign(dateTime, scope, canonical, encoding);
  const keys = [
    ...otherKeys(secretKey, accessKeyId).map(([key, mistake]) => [`AWS4${key}`, mistake] as const),
    [secretKey, KEY_NOT_MADE] as const,
  ];
  for (const [key, mistake] of keys) {
    tried += 1;
    if (fits(signatureV4(signingKeyFrom(key, scope), toSign))) {
      return { kind: "signature", canonical, mistake, tried };
    }
  }
  tried += 1;
  if (fits(signatureV4(signingKey, toSign).toUpperCase())) {
    return { kind: "signature", canonical, mistake: UPPER_CASE, tried };
  }
  return { kind: "signature", canonical, mistake: undefined, tried };
}

/** The same for version 2, of whose text only the key is tried. */
export function evidenceV2(
  {
    toSign,
    accessKeyId,
    signature,
  }: { readonly toSign: string; readonly accessKeyId: string; readonly signature: string },
  secretKey: string,
): SignatureEvidence {
  const fits = sameAs(signature);
  let tried = 0;
  for (const [key, mistake] of otherKeys(secretKey, accessKeyId)) {
    tried += 1;
    if (fits(createHmac("sha1", key).update(toSign).digest("base64"))) {
      return { kind: "signature", canonical: toSign, mistake, tried };
    }
  }
  return { kind: "signature", canonical: toSign, mistake: undefined, tried };
}
