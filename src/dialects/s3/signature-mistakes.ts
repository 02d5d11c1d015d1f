/**
 * Looks for the mistake behind an AWS signature that does not match, as for those of COS: each is made on purpose, one at
 * a time, until one gives the very signature that was sent. Bounded by the headers that are signed; run only for records
 * that are kept.
 */

import { createHmac, hash, timingSafeEqual } from "node:crypto";
import type { SignatureEvidence, SignatureMistake } from "../../errors/evidence.ts";
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

type Mistake = Omit<SignatureMistake, "canonical">;

const METHODS = ["GET", "PUT", "POST", "HEAD", "DELETE"];
const PAYLOAD_HEADER = "x-amz-content-sha256";
const PAYLOADS = ["UNSIGNED-PAYLOAD", EMPTY_SHA256, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"];

function canonicalOf({ method, path, query, headers, payload }: Parts): string {
  const lines = headers.map(([name, value]) => `${name}:${value ?? ""}\n`).join("");
  return `${method}\n${path}\n${query}\n${lines}\n${headers.map(([name]) => name).join(";")}\n${payload}`;
}

function* pathMistakes({ path, bucket }: MismatchedV4): Generator<readonly [Partial<Parts>, Mistake]> {
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
  yield [
    { path: `/${encoded}` },
    {
      name: "slash-doubled",
      told: "The client signed the path with a doubled leading slash.",
      mend: "Give the key without a leading slash.",
    },
  ];
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

function* headerMistakes({ headers, bucket }: MismatchedV4): Generator<readonly [Partial<Parts>, Mistake]> {
  for (const [at, [name, value = ""]] of headers.entries()) {
    const instead = (other: string) => ({ headers: headers.with(at, [name, other]) });
    const changed = (told: string): Mistake => ({
      name: "header-changed",
      told,
      mend: `Set ${name} in full before signing; a proxy has to pass it on unchanged.`,
    });
    if (name === "host") {
      const bare = value.replace(/:\d*$/, "");
      const other =
        bucket === undefined
          ? []
          : [bare.startsWith(`${bucket}.`) ? bare.slice(bucket.length + 1) : `${bucket}.${bare}`];
      const ports = [":80", ":443", ":9000"].map((port) => bare + port);
      for (const host of [...ports, "localhost", "127.0.0.1", "localhost:9000", "127.0.0.1:9000", ...other]) {
        yield [
          instead(host),
          {
            name: "host-changed",
            told: `The client signed the host ${host}, and the request names ${value}.`,
            mend: "Sign the host that is sent; a proxy has to pass the Host header on unchanged.",
          },
        ];
      }
    }
    yield [
      { headers: headers.toSpliced(at, 1) },
      {
        name: "header-not-signed",
        told: `The client lists the header ${name} and did not sign it.`,
        mend: `Take ${name} out of SignedHeaders, or sign its value.`,
      },
    ];
    yield [instead(""), changed(`The client signed the header ${name} without a value; something on the way set it.`)];
    yield [instead(value.toLowerCase()), changed(`The client signed the value of ${name} in lower case.`)];
    const [main = ""] = value.split(";");
    yield [
      instead(main),
      changed(`The client signed ${name} without its parameters; something on the way added them.`),
    ];
  }
}

function* textMistakes(sent: MismatchedV4): Generator<readonly [Partial<Parts>, Mistake]> {
  const { method, parameters, payload } = sent;
  yield* pathMistakes(sent);
  for (const other of METHODS) {
    if (other === method) continue;
    yield [
      { method: other },
      {
        name: "method-changed",
        told: `The client signed ${other} and the request is ${method}.`,
        mend: `Sign for ${method}, or send ${other}.`,
      },
    ];
  }
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

/** Texts in the place of `AWS4` and the SecretKey. */
function keyMistakes(secretKey: string, accessKeyId: string): readonly (readonly [key: string, mistake: Mistake])[] {
  const mend = "Set the SecretKey exactly as it was issued.";
  const told = (how: string): Mistake => ({
    name: "secret-key",
    told: `The client signed with a SecretKey ${how}.`,
    mend,
  });
  return [
    [`AWS4${secretKey}\n`, told("with a line break at its end")],
    [`AWS4${secretKey}\r\n`, told("with a line break at its end")],
    [`AWS4 ${secretKey}`, told("with a blank before it")],
    [`AWS4${secretKey} `, told("with a blank after it")],
    [`AWS4"${secretKey}"`, told("in quotation marks")],
    [`AWS4${accessKeyId}`, told("that is the SecretId itself")],
    [
      secretKey,
      {
        name: "key-not-made",
        told: "The client made its signing key of the SecretKey alone.",
        mend: "Begin the signing key with AWS4 in front of the SecretKey.",
      },
    ],
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
    const [name] = missing;
    const mistake = {
      name: "listed-not-sent",
      told: `The signature lists ${name}, which the request does not have: it was not sent, or something on the way took it out.`,
      mend: `Send ${name}, or take it out of the signature.`,
    };
    return { kind: "signature", canonical, mistake, tried: 0 };
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
  for (const [key, mistake] of keyMistakes(secretKey, accessKeyId)) {
    tried += 1;
    if (fits(signatureV4(signingKeyFrom(key, scope), toSign))) {
      return { kind: "signature", canonical, mistake, tried };
    }
  }
  tried += 1;
  if (fits(signatureV4(signingKey, toSign).toUpperCase())) {
    const mistake = {
      name: "upper-case",
      told: "The client sent the signature in upper case.",
      mend: "Send it in lower case.",
    };
    return { kind: "signature", canonical, mistake, tried };
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
  for (const [key, mistake] of keyMistakes(secretKey, accessKeyId)) {
    if (!key.startsWith("AWS4")) continue;
    tried += 1;
    if (fits(createHmac("sha1", key.slice("AWS4".length)).update(toSign).digest("base64"))) {
      return { kind: "signature", canonical: toSign, mistake, tried };
    }
  }
  return { kind: "signature", canonical: toSign, mistake: undefined, tried };
}

/** Of hashes, so that the time it takes says nothing of the signatures themselves. */
function sameAs(given: string): (signature: string) => boolean {
  const hashed = hash("sha256", given, "buffer");
  return (signature) => timingSafeEqual(hash("sha256", signature, "buffer"), hashed);
}
