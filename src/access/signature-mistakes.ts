/** Mistakes that clients make with signatures of any kind, as the evidence of a refusal tells of them. */

import { hash, timingSafeEqual } from "node:crypto";
import type { SignatureMistake } from "../errors/evidence.ts";

/** A mistake before it is known what was signed with it. */
export type KnownMistake = Omit<SignatureMistake, "canonical">;

/** Compares with the signature that was sent; of hashes, so that the time it takes says nothing of the signatures themselves. */
export function sameAs(given: string): (signature: string) => boolean {
  const hashed = hash("sha256", given, "buffer");
  return (signature) => timingSafeEqual(hash("sha256", signature, "buffer"), hashed);
}

export const SLASH_DOUBLED: KnownMistake = {
  name: "slash-doubled",
  told: "The client signed the path with a doubled leading slash.",
  mend: "Give the key without a leading slash.",
};

export const UPPER_CASE: KnownMistake = {
  name: "upper-case",
  told: "The client sent the signature in upper case.",
  mend: "Send it in lower case.",
};

/** A name that is signed, and that the request does not have. */
export function listedNotSent(name: string): KnownMistake {
  return {
    name: "listed-not-sent",
    told: `The signature lists ${name}, which the request does not have: it was not sent, or something on the way took it out.`,
    mend: `Send ${name}, or take it out of the signature.`,
  };
}

/** The methods that may have been signed in place of the one that was sent. */
export function otherMethods(method: string): readonly (readonly [method: string, mistake: KnownMistake])[] {
  return ["GET", "PUT", "POST", "HEAD", "DELETE", "OPTIONS"]
    .filter((other) => other !== method)
    .map((other) => [
      other,
      {
        name: "method-changed",
        told: `The client signed ${other} and the request is ${method}.`,
        mend: `Sign for ${method}, or send ${other}.`,
      },
    ]);
}

/** The hosts that may have been signed in place of those that were sent, which stand for each other; `bucket` may begin one. */
export function otherHosts(
  sent: readonly string[],
  bucket: string | undefined,
): readonly (readonly [host: string, mistake: KnownMistake])[] {
  const bare = sent.map((host) => host.replace(/:\d*$/, ""));
  const local = ["localhost", "127.0.0.1", "localhost:9000", "127.0.0.1:9000"];
  const ofBucket = (host: string): string =>
    host.startsWith(`${bucket}.`) ? host.slice((bucket ?? "").length + 1) : `${bucket}.${host}`;
  const all = [
    ...bare.flatMap((host) => [":80", ":443", ":9000"].map((port) => host + port)),
    ...local,
    ...(bucket === undefined ? [] : bare.map(ofBucket)),
  ];
  return all.map((host) => [
    host,
    {
      name: "host-changed",
      told: `The client signed the host ${host}, and the request names ${sent[0] ?? "none"}.`,
      mend: "Sign the host that is sent; a proxy has to pass the Host header on unchanged.",
    },
  ]);
}

/** The values that a header may have had when it was signed. */
export function otherValues(name: string, value: string): readonly (readonly [value: string, mistake: KnownMistake])[] {
  const changed = (told: string): KnownMistake => ({
    name: "header-changed",
    told,
    mend: `Set ${name} in full before signing; a proxy has to pass it on unchanged.`,
  });
  const [main = ""] = value.split(";");
  return [
    ["", changed(`The client signed the header ${name} without a value; something on the way set it.`)],
    [value.toLowerCase(), changed(`The client signed the value of ${name} in lower case.`)],
    [main, changed(`The client signed ${name} without its parameters; something on the way added them.`)],
  ];
}

/** The header is in `list`, the signature's own, and not in the signed text. */
export function headerNotSigned(name: string, list: string): KnownMistake {
  return {
    name: "header-not-signed",
    told: `The client lists the header ${name} and did not sign it.`,
    mend: `Take ${name} out of ${list}, or sign its value.`,
  };
}

/** What may have been taken for the SecretKey. */
export function otherKeys(
  secretKey: string,
  secretId: string,
): readonly (readonly [key: string, mistake: KnownMistake])[] {
  const told = (how: string): KnownMistake => ({
    name: "secret-key",
    told: `The client signed with a SecretKey ${how}.`,
    mend: "Set the SecretKey exactly as it was issued.",
  });
  return [
    [`${secretKey}\n`, told("with a line break at its end")],
    [`${secretKey}\r\n`, told("with a line break at its end")],
    [` ${secretKey}`, told("with a blank before it")],
    [`${secretKey} `, told("with a blank after it")],
    [`"${secretKey}"`, told("in quotation marks")],
    [secretId, told("that is the SecretId itself")],
  ];
}
