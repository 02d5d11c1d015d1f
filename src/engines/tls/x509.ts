/**
 * Writes X.509 v3 certificates: as much of RFC 5280 as a local authority and its server certificates need. Node can
 * read certificates and sign, but not issue; the packages that can bring a dozen others for these lines.
 */

import { createHash, createPublicKey, type KeyObject, sign, X509Certificate } from "node:crypto";
import { isIP } from "node:net";

/** One DER element: tag, length, content. (X.690 §8.1) */
function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  if (content.length < 0x80) return Buffer.concat([Buffer.from([tag, content.length]), content]);
  const hex = content.length.toString(16);
  const length = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex");
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, content]);
}

const sequence = (...parts: readonly Buffer[]) => der(0x30, ...parts);
const octets = (content: Buffer) => der(0x04, content);
const TRUE = der(0x01, Buffer.from([0xff]));

/** `bits` from the most significant on; the unused rest of the last byte is 0. */
function bitString(content: Buffer, unused = 0): Buffer {
  return der(0x03, Buffer.from([unused]), content);
}

/** An unsigned number. A leading bit of 1 would make it negative. */
function integer(content: Buffer): Buffer {
  let start = 0;
  while (start < content.length - 1 && content[start] === 0) start++;
  const digits = content.subarray(start);
  return der(0x02, (digits[0] ?? 0) & 0x80 ? Buffer.concat([Buffer.from([0]), digits]) : digits);
}

function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const bytes = [first * 40 + second];
  for (const part of rest) {
    const groups = [part & 0x7f];
    for (let high = part >>> 7; high > 0; high >>>= 7) groups.unshift((high & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return der(0x06, Buffer.from(bytes));
}

/** UTCTime up to 2049, GeneralizedTime from then on. (RFC 5280 §4.1.2.5) */
function time(ms: number): Buffer {
  const text = new Date(ms).toISOString().replaceAll(/[-:T]|\.\d+/g, "");
  return Number(text.slice(0, 4)) < 2050 ? der(0x17, Buffer.from(text.slice(2))) : der(0x18, Buffer.from(text));
}

function commonName(name: string): Buffer {
  return sequence(der(0x31, sequence(oid("2.5.4.3"), der(0x0c, Buffer.from(name)))));
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return critical ? sequence(oid(id), TRUE, octets(value)) : sequence(oid(id), octets(value));
}

/** The 4 or 16 bytes of an IP address. */
function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split(".").map(Number));
  const [head = "", tail] = address.split("::");
  const words = (text: string) => (text === "" ? [] : text.split(":").map((word) => Number.parseInt(word, 16)));
  const before = words(head);
  const after = tail === undefined ? [] : words(tail);
  const middle = tail === undefined ? [] : Array.from({ length: 8 - before.length - after.length }, () => 0);
  const bytes = Buffer.alloc(16);
  for (const [at, word] of [...before, ...middle, ...after].entries()) bytes.writeUInt16BE(word, at * 2);
  return bytes;
}

function subjectAlternativeName(names: readonly string[]): Buffer {
  return sequence(
    ...names.map((name) => (isIP(name) === 0 ? der(0x82, Buffer.from(name)) : der(0x87, addressBytes(name)))),
  );
}

const ECDSA_WITH_SHA256 = sequence(oid("1.2.840.10045.4.3.2"));

function subjectPublicKey(key: KeyObject): Buffer {
  return key.export({ type: "spki", format: "der" });
}

/** 20 bytes that name a key. Any method will do, so long as issuer and issued agree. (RFC 5280 §4.2.1.2) */
function keyIdentifier(key: KeyObject): Buffer {
  return createHash("sha256").update(subjectPublicKey(key)).digest().subarray(0, 20);
}

export interface CertificateFacts {
  readonly subject: string;
  readonly issuer: string;
  /** A P-256 key. */
  readonly publicKey: KeyObject;
  /** The issuer's private P-256 key. */
  readonly signingKey: KeyObject;
  /** Milliseconds since 1970, both ends included. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** Host names, with `*` for one first label, and IP addresses; none for an authority. */
  readonly names?: readonly string[];
}

/** A certificate in PEM: of an authority that may sign servers when there are no `names`, of a server otherwise. */
export function issueCertificate(facts: CertificateFacts): string {
  const { issuer, names, notAfter, notBefore, publicKey, signingKey, subject } = facts;
  const purpose =
    names === undefined
      ? [
          extension("2.5.29.19", true, sequence(TRUE, integer(Buffer.from([0])))),
          extension("2.5.29.15", true, bitString(Buffer.from([0b0000_0110]), 1)),
        ]
      : [
          extension("2.5.29.19", true, sequence()),
          extension("2.5.29.15", true, bitString(Buffer.from([0b1000_0000]), 7)),
          extension("2.5.29.37", false, sequence(oid("1.3.6.1.5.5.7.3.1"))),
          extension("2.5.29.17", false, subjectAlternativeName(names)),
        ];
  const identifiers = [
    extension("2.5.29.14", false, octets(keyIdentifier(publicKey))),
    extension("2.5.29.35", false, sequence(der(0x80, keyIdentifier(createPublicKey(signingKey))))),
  ];
  // Unique within the authority, as it must be: no two certificates share key, validity and names.
  const serial = createHash("sha256")
    .update(JSON.stringify([subject, issuer, notBefore, notAfter, names]))
    .update(subjectPublicKey(publicKey))
    .digest()
    .subarray(0, 16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;

  const toBeSigned = sequence(
    der(0xa0, integer(Buffer.from([2]))),
    integer(serial),
    ECDSA_WITH_SHA256,
    commonName(issuer),
    sequence(time(notBefore), time(notAfter)),
    commonName(subject),
    subjectPublicKey(publicKey),
    der(0xa3, sequence(...purpose, ...identifiers)),
  );
  const signature = sign("sha256", toBeSigned, signingKey);
  return new X509Certificate(sequence(toBeSigned, ECDSA_WITH_SHA256, bitString(signature))).toString();
}
