/** The ways that `cos-nodejs-sdk-v5` can be pointed at a server: its options, and nothing of the SDK changed. */

import dns, { type LookupAddress } from "node:dns";
import { rm } from "node:fs/promises";
import { request } from "node:http";
import COS from "cos-nodejs-sdk-v5";
import type { Cosbox } from "../../src/library.ts";

export interface Way {
  readonly name: string;
  options(cosbox: Cosbox): COS.COSOptions;
  /** What a plain HTTP client puts on its request line for a URL that the SDK has signed. */
  readonly target: "absolute" | "path";
}

export const WAYS: readonly Way[] = [
  {
    name: "Proxy",
    options: ({ endpoint }) => ({ Protocol: "http:", Proxy: endpoint }),
    target: "absolute",
  },
  {
    name: "Ip",
    options: ({ port }) => ({ Protocol: "http:", Ip: `127.0.0.1:${port}` }),
    target: "path",
  },
  {
    name: "Domain with virtual hosts",
    options: ({ port }) => ({
      Domain: `http://{Bucket}.cos.{Region}.localhost:${port}`,
      ServiceDomain: `http://service.cos.localhost:${port}`,
    }),
    target: "path",
  },
  {
    name: "Domain with the bucket in the path",
    options: ({ port }) => ({
      Domain: `http://127.0.0.1:${port}/{Bucket}`,
      ServiceDomain: `http://127.0.0.1:${port}`,
    }),
    target: "path",
  },
];

/** The SDK as a user makes it for this server. `folder` keeps what it remembers of unfinished uploads. */
export function sdk(way: Way, cosbox: Cosbox, folder: string, more: COS.COSOptions = {}): COS {
  const { secretId, secretKey } = cosbox.credentials;
  return new COS({ SecretId: secretId, SecretKey: secretKey, ConfCwd: folder, ...way.options(cosbox), ...more });
}

/** Removes the folder of `sdk`, into which the SDK may still be writing: it notes its uploads 400 ms after they end. */
export async function removeSdkFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, maxRetries: 10 });
}

type Found = (error: Error | null, address: string | readonly LookupAddress[], family?: number) => void;

/**
 * Resolves names below `localhost` to loopback in this process, as systemd-resolved does and glibc does not, and
 * gives back what restores the resolver.
 */
export function resolveLocalhostNames(): () => void {
  const original = dns.lookup;
  const lookup = (name: string, options: unknown, found: Found): void => {
    if (!name.endsWith(".localhost")) return Reflect.apply(original, dns, [name, options, found]);
    const all = typeof options === "object" && options !== null && "all" in options && options.all === true;
    const local = { address: "127.0.0.1", family: 4 };
    process.nextTick(() => (all ? found(null, [local]) : found(null, local.address, local.family)));
  };
  Object.assign(dns, { lookup });
  return () => {
    Object.assign(dns, { lookup: original });
  };
}

export interface PlainAnswer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: Buffer;
}

/** Asks for a URL as curl would that is told `--proxy` or `--connect-to`: nothing of it is parsed or written anew. */
export function fetchUrl(
  { target }: Way,
  { port }: Cosbox,
  url: string,
  { method = "GET", body }: { readonly method?: string; readonly body?: Buffer } = {},
): Promise<PlainAnswer> {
  const [, host = "", path = ""] = /^http:\/\/([^/]+)(\/.*)$/.exec(url) ?? [];
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { host: "127.0.0.1", port, method, path: target === "absolute" ? url : path, headers: { host } },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.on("error", reject);
        incoming.on("end", () => {
          resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: Buffer.concat(chunks) });
        });
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}
