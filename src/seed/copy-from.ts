/**
 * Copies buckets from another server, or from the service itself, by the requests that any client makes: configurations
 * that it has and that mean the same elsewhere, and the current version of each object, checked against its checksum.
 */

import { type IncomingMessage, Agent, request as httpRequest } from "node:http";
import { Agent as SecureAgent, request as httpsRequest } from "node:https";
import { policyElsewhere } from "../access/policy/policy-elsewhere.ts";
import { parseEndpoint } from "../config/endpoint.ts";
import type { SeedSource } from "../config/seed.ts";
import { SettingsError } from "../config/settings.ts";
import { signCos } from "../dialects/cos/index.ts";
import { eachAtOnce } from "../folders/files.ts";
import { child, children, text } from "../xml/decode.ts";
import { parseXml, type XmlElement, XmlFault } from "../xml/parse.ts";
import { encoded, hostOf, type SeedBody, textIn } from "./ask.ts";

/** A bucket as it was found there. */
export interface FoundBucket {
  /** Without the APPID. */
  readonly name: string;
  readonly region: string;
  readonly acl: string | undefined;
}

/** Where one goes to. */
export interface CopiedBucket {
  /** Whole name. */
  readonly name: string;
  configure(parameter: string, body: string): Promise<void>;
  /** Gives the CRC-64 that was stored, in decimal. */
  store(key: string, headers: Readonly<Record<string, string>>, body: SeedBody | Buffer): Promise<string | undefined>;
}

export interface CopyOptions {
  /** What messages begin with. */
  readonly at: string;
  /** Time to sign with, ms since 1970. */
  readonly now: () => number;
  bucket(found: FoundBucket): Promise<CopiedBucket>;
}

interface Received {
  readonly status: number;
  readonly header: (name: string) => string | undefined;
  readonly body: IncomingMessage;
}

interface Wanted {
  /** Whole name, "" for the service. */
  readonly bucket?: string;
  readonly region?: string;
  readonly key?: string;
  readonly query?: Readonly<Record<string, string>>;
}

const SERVICE_HOST = "service.cos.myqcloud.com";
const TIMEOUT_MS = 60_000;
const SIGNED_SECONDS = 3_600;
const OBJECTS_AT_ONCE = 8;
const DOCUMENT_BYTES_MAX = 16 * 1024 * 1024;
/** Configurations that are copied as they stand, in the order in which they can be put. */
const DOCUMENTS = [
  "versioning",
  "encryption",
  "cors",
  "tagging",
  "referer",
  // Objects of the tiering class, and rules that move some there, need it.
  "intelligenttiering",
  "lifecycle",
] as const;
/** Those that are answered with an empty document where there is none. */
const MAY_BE_EMPTY: ReadonlySet<string> = new Set(["versioning", "referer", "intelligenttiering"]);
/** What of an answer is an object's own. */
const OBJECT_HEADERS =
  /^(cache-control|content-disposition|content-encoding|content-language|content-type|expires|x-cos-meta-.*|x-cos-storage-class)$/;

async function textOf(body: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > DOCUMENT_BYTES_MAX) throw new SettingsError("a document is longer than any of COS");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** What makes requests to the other server. */
function client({ endpoint, secretId, secretKey, insecure = false }: SeedSource, { at, now }: CopyOptions) {
  // The service itself is reached by the names of its hosts.
  const server = parseEndpoint(endpoint);
  const secure = server?.isSecure ?? true;
  const agent = secure ? new SecureAgent({ keepAlive: true }) : new Agent({ keepAlive: true });

  function get({ bucket = "", region = "", key = "", query = {} }: Wanted): Promise<Received> {
    const host = bucket === "" ? SERVICE_HOST : hostOf(bucket, region);
    const pairs = Object.entries(query);
    const start = Math.floor(now() / 1000);
    const { authorization } = signCos({
      secretId,
      secretKey,
      method: "GET",
      path: `/${key}`,
      query: pairs,
      headers: [["host", host]],
      signTime: `${start};${start + SIGNED_SECONDS}`,
    });
    const path = `/${key.split("/").map(encoded).join("/")}`;
    const search = pairs.map(([name, value]) => `${encoded(name)}=${encoded(value)}`).join("&");
    const options = {
      host: server?.host ?? host,
      ...(server !== undefined && { port: server.port }),
      path: search === "" ? path : `${path}?${search}`,
      headers: { Host: host, Authorization: authorization },
      setHost: false,
      timeout: TIMEOUT_MS,
      agent,
    };
    return new Promise((resolve, reject) => {
      const fail = (error: Error): void =>
        reject(new SettingsError(`${at}: ${endpoint} does not answer: ${error.message}`));
      const sent = secure
        ? httpsRequest({ ...options, servername: host, rejectUnauthorized: !insecure })
        : httpRequest(options);
      sent.on("timeout", () => sent.destroy(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)));
      sent.on("error", fail);
      sent.on("response", (body) => {
        const header = (name: string): string | undefined => {
          const value = body.headers[name];
          return value === undefined ? undefined : String(value);
        };
        resolve({ status: body.statusCode ?? 0, header, body });
      });
      sent.end();
    });
  }

  async function document(wanted: Wanted, mayLack = false): Promise<string | undefined> {
    const { status, body } = await get(wanted);
    const told = await textOf(body);
    if (status === 200) return told;
    if (mayLack && (status === 404 || status === 204)) return undefined;
    const code = textIn(told, "Code") ?? String(status);
    throw new SettingsError(`${at}: ${endpoint} refuses ${wanted.bucket ?? "its list of buckets"}: ${code}`);
  }

  async function xml(wanted: Wanted): Promise<XmlElement> {
    try {
      return parseXml(Buffer.from((await document(wanted)) ?? ""));
    } catch (error) {
      if (error instanceof XmlFault) throw new SettingsError(`${at}: ${endpoint} answers no XML: ${error.message}`);
      throw error;
    }
  }

  return { get, document, xml, close: () => agent.destroy() };
}

type Client = ReturnType<typeof client>;

/** The canned ACL that lets everybody do as much as this one does. */
function cannedOf(acl: XmlElement): string | undefined {
  const grants = children(child(acl, "AccessControlList") ?? acl, "Grant");
  const everybody = grants.flatMap((grant) => {
    const uri = text(child(grant, "Grantee") ?? grant, "URI") ?? "";
    return uri.endsWith("/AllUsers") ? [text(grant, "Permission") ?? ""] : [];
  });
  if (everybody.some((one) => one === "WRITE" || one === "FULL_CONTROL")) return "public-read-write";
  return everybody.includes("READ") ? "public-read" : undefined;
}

async function* keysOf(there: Client, bucket: string, region: string, prefix: string): AsyncGenerator<string> {
  for (let marker = ""; ; ) {
    const query = { prefix, marker, "encoding-type": "url", "max-keys": "1000" };
    const page = await there.xml({ bucket, region, query });
    const keys = children(page, "Contents").map((one) => decodeURIComponent(text(one, "Key") ?? ""));
    yield* keys;
    const next = decodeURIComponent(text(page, "NextMarker") ?? "") || keys.at(-1);
    if (text(page, "IsTruncated") !== "true" || next === undefined) return;
    marker = next;
  }
}

async function copyObject(
  there: Client,
  from: { readonly bucket: string; readonly region: string },
  key: string,
  to: CopiedBucket,
  at: string,
): Promise<void> {
  const { status, header, body } = await there.get({ ...from, key });
  if (status !== 200) {
    const code = textIn(await textOf(body), "Code") ?? String(status);
    // It has gone since it was listed.
    if (status === 404) return;
    throw new SettingsError(`${at}: ${from.bucket}/${key} cannot be read: ${code}`);
  }
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(body.headers)) {
    // A parser gives bytes beyond ASCII one character each.
    if (OBJECT_HEADERS.test(name)) headers[name] = Buffer.from(String(value), "latin1").toString("utf8");
  }
  if (Number(header("x-cos-tagging-count") ?? 0) > 0) {
    const tagging = await there.xml({ ...from, key, query: { tagging: "" } });
    const tags = children(child(tagging, "TagSet") ?? tagging, "Tag");
    const pairs = tags.map((tag): [string, string] => [text(tag, "Key") ?? "", text(tag, "Value") ?? ""]);
    headers["x-cos-tagging"] = new URLSearchParams(pairs).toString();
  }
  const length = Number(header("content-length") ?? 0);
  const stored = await to.store(key, headers, { length, chunks: body });
  const expected = header("x-cos-hash-crc64ecma");
  if (expected !== undefined && stored !== undefined && expected !== stored) {
    throw new SettingsError(`${at}: ${from.bucket}/${key} came with other bytes than those of its checksum`);
  }
}

/** Copies what a source names. @throws SettingsError */
export async function copyFrom(source: SeedSource, options: CopyOptions): Promise<void> {
  const there = client(source, options);
  const { at } = options;
  try {
    const service = await there.xml({});
    const all = children(child(service, "Buckets") ?? service, "Bucket").map((one) => ({
      bucket: text(one, "Name") ?? "",
      region: text(one, "Location") ?? "",
    }));
    const { buckets } = source;
    const missing = buckets?.find((name) => !all.some((one) => one.bucket === name));
    if (missing !== undefined) throw new SettingsError(`${at}: ${source.endpoint} lists no bucket ${missing}`);
    for (const from of all) {
      if (buckets !== undefined && !buckets.includes(from.bucket)) continue;
      const { bucket, region } = from;
      const name = bucket.replace(/-\d+$/, "");
      const acl = cannedOf(await there.xml({ ...from, query: { acl: "" } }));
      const to = await options.bucket({ name, region, acl });
      const document = (parameter: string): Promise<string | undefined> =>
        there.document({ ...from, query: { [parameter]: "" } }, true);
      for (const parameter of DOCUMENTS) {
        const found = await document(parameter);
        if (found === undefined || (MAY_BE_EMPTY.has(parameter) && !found.includes("<Status>"))) continue;
        await to.configure(parameter, found);
      }
      await eachAtOnce(keysOf(there, bucket, region, source.prefix ?? ""), OBJECTS_AT_ONCE, (key) =>
        copyObject(there, from, key, to, at),
      );
      // Last, since it may deny what came before.
      const policy = await document("policy");
      if (policy !== undefined) await to.configure("policy", policyElsewhere(policy, bucket, to.name));
    }
  } finally {
    there.close();
  }
}
