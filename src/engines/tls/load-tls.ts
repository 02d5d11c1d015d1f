/** Where the server's certificate comes from, and how it is exchanged while the server runs. */

import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { hostname, networkInterfaces } from "node:os";
import { isIP } from "node:net";
import { createSecureContext } from "node:tls";
import { isLoopback, reachableHost } from "../../config/listen-address.ts";
import { REGIONS, SUFFIXES } from "../../config/places.ts";
import { type Settings, SettingsError } from "../../config/settings.ts";
import type { Clock, Timer } from "../../ports/clock.ts";
import { developmentCaPath } from "./ca-path.ts";
import { developmentAuthority, serverCertificate } from "./development-authority.ts";

/** What `https.createServer` and `server.setSecureContext` take. */
export interface TlsPair {
  /** PEM, the server's own certificate first. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
}

export interface LoadedTls extends TlsPair {
  /** Path of the authority that clients have to trust, with `--tls dev`. */
  readonly caPath?: string;
  /** Stops looking for changes. */
  close(): void;
}

export interface TlsEvents {
  /** The pair to use from now on; it has been checked. */
  onReload(pair: TlsPair): void;
  /** The files changed to something unusable; the pair in use stays. One line. */
  onRefused?(why: string): void;
}

/** How often the files are looked at. A look is two `stat` calls; it follows links, which watching a file does not. */
const LOOK_MS = 2000;
/** A certificate of the local authority is replaced this long before its end. */
const RENEW_BEFORE_MS = 30 * 24 * 60 * 60 * 1000;

/** Certificates are judged by the clocks of other programs, so their dates follow the real time, not the port's. */
function realTime(): number {
  return Date.now();
}

async function readPem(file: string, flag: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    const why = new Map([
      ["ENOENT", "there is no such file"],
      ["EACCES", "this user may not read it"],
      ["EISDIR", "it is a folder"],
    ]).get(code);
    throw new SettingsError(`${flag}: cannot read ${file}: ${why ?? (code || String(error))}`);
  }
}

/** Reads and checks the pair. Throws SettingsError with one line that names the flag and the file. */
async function readPair({ tlsCert, tlsKey }: Settings): Promise<TlsPair> {
  const [cert, key] = await Promise.all([readPem(tlsCert, "--tls-cert"), readPem(tlsKey, "--tls-key")]);
  const refuse = (flag: string, file: string, why: string) => new SettingsError(`${flag}: ${file} ${why}`);

  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(cert);
  } catch {
    throw refuse("--tls-cert", tlsCert, "holds no certificate; expected PEM that begins with BEGIN CERTIFICATE");
  }
  let belongs: boolean;
  try {
    belongs = certificate.checkPrivateKey(createPrivateKey(key));
  } catch {
    throw refuse("--tls-key", tlsKey, "holds no private key without a passphrase; expected PEM, BEGIN PRIVATE KEY");
  }
  if (!belongs) throw refuse("--tls-key", tlsKey, `is not the key of the certificate in ${tlsCert}`);
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    throw refuse("--tls-cert", tlsCert, `cannot be used: ${oneLine(error)}`);
  }
  return { cert, key };
}

/** Tells one state of the files from another: certificates are replaced by rename, by link, or in place. */
async function fileState({ tlsCert, tlsKey }: Settings): Promise<string> {
  const states = await Promise.all(
    [tlsCert, tlsKey].map(async (file) => {
      try {
        const { ino, mtimeMs, size } = await stat(file);
        return `${ino} ${mtimeMs} ${size}`;
      } catch {
        return "absent";
      }
    }),
  );
  return states.join("; ");
}

function oneLine(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Runs `look` every LOOK_MS until closed, one look at a time. What a look throws goes to `failed`. */
function every(clock: Clock, look: () => Promise<void>, failed: (error: unknown) => void): () => void {
  let timer: Timer | undefined;
  let closed = false;
  function next(): void {
    if (closed) return;
    timer = clock.after(LOOK_MS, () => void look().catch(failed).finally(next));
  }
  next();
  return () => {
    closed = true;
    timer?.cancel();
  };
}

async function filesTls(settings: Settings, clock: Clock, events: TlsEvents): Promise<LoadedTls> {
  // The state before the reading: a change in between shows at the first look.
  let used = await fileState(settings);
  const pair = await readPair(settings);
  let refused: { state: string; told: boolean } | undefined;

  let state = used;
  const look = async () => {
    state = await fileState(settings);
    if (state === used) return;
    const next = await readPair(settings);
    [used, refused] = [state, undefined];
    events.onReload(next);
  };
  const close = every(clock, look, (error) => {
    // A pair that is just being replaced is half new at one look and whole at the next.
    const before = refused;
    refused = { state, told: before?.state === state };
    if (before?.state === state && !before.told) events.onRefused?.(oneLine(error));
  });
  return { ...pair, close };
}

/** Every name under which a client may reach the server. A wildcard stands for one label: the bucket. */
export function certificateNames(settings: Settings): string[] {
  const names = new Set(["localhost", "*.localhost", "127.0.0.1", "::1"]);
  for (const suffix of [...SUFFIXES, ...settings.suffix]) {
    names.add(`service.cos.${suffix}`);
    for (const region of [...REGIONS, ...settings.regions, "accelerate"]) {
      names.add(`cos.${region}.${suffix}`);
      names.add(`*.cos.${region}.${suffix}`);
    }
  }
  for (const inside of ["", "internal."]) names.add(`sts.${inside}tencentcloudapi.com`);
  const { host } = settings.listen;
  if (isLoopback(host)) return [...names];
  if (reachableHost(host) === host) return [...names.add(host)];
  names.add(hostname());
  for (const addresses of Object.values(networkInterfaces())) {
    for (const { address } of addresses ?? []) names.add(address);
  }
  return [...names].filter((name) => isIP(name) !== 0 || /^[A-Za-z0-9*.-]+$/.test(name));
}

function developmentTls(settings: Settings, clock: Clock, events: TlsEvents): LoadedTls {
  const names = certificateNames(settings);
  let current = serverCertificate(developmentAuthority(settings.data, realTime()), names, realTime());
  const { cert, key } = current;

  const look = async () => {
    if (current.notAfter - realTime() > RENEW_BEFORE_MS) return;
    current = serverCertificate(developmentAuthority(settings.data, realTime()), names, realTime());
    events.onReload({ cert: current.cert, key: current.key });
  };
  const close = every(clock, look, (error) => events.onRefused?.(oneLine(error)));
  return { cert, key, caPath: developmentCaPath(settings.data), close };
}

/**
 * The certificate to serve, or undefined for plain HTTP. Later changes arrive through `events`, until `close`. Throws
 * SettingsError, one line, for files that cannot be read or do not belong together.
 */
export async function loadTls(settings: Settings, clock: Clock, events: TlsEvents): Promise<LoadedTls | undefined> {
  if (settings.tlsCert !== "") return filesTls(settings, clock, events);
  if (settings.tls === "dev") return developmentTls(settings, clock, events);
  return undefined;
}
