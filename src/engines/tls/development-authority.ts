/** The local authority of `--tls dev`: made once, kept in the data folder, and trusted by whoever chooses to. */

import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from "node:crypto";
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { makeFolder } from "../../config/make-folder.ts";
import { SettingsError } from "../../config/settings.ts";
import { developmentCaPath } from "./ca-path.ts";
import { issueCertificate } from "./x509.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const AUTHORITY_DAYS = 3650;
/** Clients of Apple's refuse server certificates that are valid for more than 398 days. */
const SERVER_DAYS = 390;
/** A clock that is a little behind must not find a certificate from the future. */
const BACKDATED_MS = DAY_MS;

export interface Authority {
  /** PEM. */
  readonly certificate: string;
  readonly key: KeyObject;
  readonly subject: string;
}

/** A certificate and its private key, both PEM. */
export interface ServerCertificate {
  readonly cert: string;
  readonly key: string;
  /** Milliseconds since 1970. */
  readonly notAfter: number;
}

function newKeyPair(): { publicKey: KeyObject; privateKey: KeyObject } {
  return generateKeyPairSync("ec", { namedCurve: "P-256" });
}

function pem(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }).toString();
}

function newAuthority(now: number): { pair: string; certificate: string } {
  const { privateKey, publicKey } = newKeyPair();
  // The year and a few digits of the key tell two authorities apart in a trust store.
  const digits = publicKey.export({ type: "spki", format: "der" }).subarray(-4).toString("hex");
  const subject = `cosbox development authority ${new Date(now).getUTCFullYear()} ${digits}`;
  const certificate = issueCertificate({
    subject,
    issuer: subject,
    publicKey,
    signingKey: privateKey,
    notBefore: now - BACKDATED_MS,
    notAfter: now + AUTHORITY_DAYS * DAY_MS,
  });
  return { pair: `${certificate}${pem(privateKey)}`, certificate };
}

function readAuthority(file: string, now: number): Authority | undefined {
  let pair: string;
  try {
    pair = readFileSync(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw new SettingsError(`cannot read the local authority ${file}: ${(error as Error).message}`);
  }
  try {
    const certificate = new X509Certificate(pair);
    const key = createPrivateKey(pair);
    if (!certificate.checkPrivateKey(key)) throw new Error("key and certificate do not belong together");
    // One that ends within the life of a server certificate is replaced, and has to be trusted anew.
    if (Date.parse(certificate.validTo) < now + SERVER_DAYS * DAY_MS) return undefined;
    return { certificate: certificate.toString(), key, subject: certificate.subject.replace(/^CN=/, "") };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new SettingsError(`the local authority ${file} is damaged (${why}); remove the file to have a new one made`);
  }
}

/** Writes a file that is either there whole or not at all. */
function place(file: string, content: string, mode: number, how: (from: string, to: string) => void): void {
  const draft = `${file}.${process.pid}`;
  try {
    writeFileSync(draft, content, { mode });
    how(draft, file);
  } finally {
    rmSync(draft, { force: true });
  }
}

/**
 * The authority kept in `<data>/tls`, made when there is none. Of several processes that start at once, one makes it
 * and the others use it. Throws SettingsError when the folder cannot be used or what it holds is damaged.
 */
export function developmentAuthority(data: string, now: number): Authority {
  const folder = path.join(data, "tls");
  const file = path.join(folder, "authority.pem");
  try {
    makeFolder(folder);
    let authority = readAuthority(file, now);
    if (authority === undefined) {
      const { pair } = newAuthority(now);
      try {
        // A link fails when another process was first, where a rename would replace what that process already uses.
        place(file, pair, 0o600, linkSync);
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
        // Either another process made it just now, or it is there but about to end.
        if (readAuthority(file, now) === undefined) place(file, pair, 0o600, renameSync);
      }
      authority = readAuthority(file, now);
    }
    if (authority === undefined) throw new Error("it could not be read back");
    place(developmentCaPath(data), authority.certificate, 0o644, renameSync);
    return authority;
  } catch (error) {
    if (error instanceof SettingsError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new SettingsError(`cannot keep the local authority in ${folder}: ${why}`);
  }
}

/** A server certificate for `names`, with a key of its own that is never written anywhere. */
export function serverCertificate(authority: Authority, names: readonly string[], now: number): ServerCertificate {
  const { privateKey, publicKey } = newKeyPair();
  const notAfter = now + SERVER_DAYS * DAY_MS;
  const cert = issueCertificate({
    subject: "cosbox",
    issuer: authority.subject,
    publicKey,
    signingKey: authority.key,
    notBefore: now - BACKDATED_MS,
    notAfter,
    names,
  });
  return { cert, key: pem(privateKey), notAfter };
}
