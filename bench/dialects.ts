/**
 * How each kind of server is spoken to: heads of requests as bytes, freshly signed. Written against the published
 * signature pages, on `node:crypto` alone; only the COS signer is the product's own.
 */

import { createHash, createHmac } from "node:crypto";
import { signCos } from "../src/dialects/cos/sign.ts";

/** What a row of the benchmark asks of a server. */
export type Ask =
  | { readonly kind: "make-bucket"; readonly bucket: string }
  | { readonly kind: "put"; readonly bucket: string; readonly key: string; readonly length: number }
  | { readonly kind: "get" | "head" | "delete" | "initiate"; readonly bucket: string; readonly key: string }
  | { readonly kind: "list"; readonly bucket: string; readonly marker?: string; readonly delimiter?: string }
  | {
      readonly kind: "part";
      readonly bucket: string;
      readonly key: string;
      readonly length: number;
      readonly uploadId: string;
      readonly number: number;
    }
  | {
      readonly kind: "complete";
      readonly bucket: string;
      readonly key: string;
      readonly length: number;
      readonly uploadId: string;
    };

/** Names of the dialects, and with `plain` of the probes, which read no signature. */
export type DialectName = "cos" | "s3" | "azure" | "plain";

export interface Credentials {
  readonly id: string;
  readonly secret: string;
}

/** A request before it is signed. Query values are decoded. */
interface Draft {
  readonly method: string;
  readonly path: string;
  readonly query: readonly (readonly [string, string])[];
  readonly headers: readonly (readonly [string, string])[];
}

/** Writes the head of a request; `serial` makes the signature of two requests for the same thing differ. */
export type HeadWriter = (ask: Ask, serial: number) => Buffer;

export const PAGE_KEYS = 1000;

export function headWriter(dialect: DialectName, authority: string, credentials: Credentials): HeadWriter {
  switch (dialect) {
    case "cos":
      return cosWriter(authority, credentials);
    case "s3":
      return s3Writer(authority, credentials);
    case "azure":
      return azureWriter(authority, credentials);
    case "plain":
      return (ask) => rendered(s3Draft(ask), authority, []);
  }
}

function rendered({ method, path, query, headers }: Draft, authority: string, more: Draft["headers"]): Buffer {
  const search = query.map(([name, value]) => (value === "" ? name : `${name}=${encodeURIComponent(value)}`)).join("&");
  let text = `${method} ${path}${search === "" ? "" : `?${search}`} HTTP/1.1\r\nHost: ${authority}\r\n`;
  for (const [name, value] of [...headers, ...more]) text += `${name}: ${value}\r\n`;
  return Buffer.from(`${text}\r\n`, "latin1");
}

/** S3's shape of a request, which COS shares; keys of the benchmark need no escapes. */
function s3Draft(ask: Ask): Draft {
  const bucket = `/${ask.bucket}`;
  switch (ask.kind) {
    case "make-bucket":
      return { method: "PUT", path: bucket, query: [], headers: [["Content-Length", "0"]] };
    case "put":
      return { method: "PUT", path: `${bucket}/${ask.key}`, query: [], headers: bodyHeaders(ask.length) };
    case "get":
    case "head":
    case "delete":
      return { method: ask.kind.toUpperCase(), path: `${bucket}/${ask.key}`, query: [], headers: [] };
    case "list": {
      const query: [string, string][] = [];
      if (ask.delimiter !== undefined) query.push(["delimiter", ask.delimiter]);
      if (ask.marker !== undefined) query.push(["marker", ask.marker]);
      return { method: "GET", path: `${bucket}/`, query: [...query, ["max-keys", String(PAGE_KEYS)]], headers: [] };
    }
    case "initiate":
      return { method: "POST", path: `${bucket}/${ask.key}`, query: [["uploads", ""]], headers: bodyHeaders(0) };
    case "part": {
      const query = [["partNumber", String(ask.number)] as const, ["uploadId", ask.uploadId] as const];
      return { method: "PUT", path: `${bucket}/${ask.key}`, query, headers: bodyHeaders(ask.length) };
    }
    case "complete": {
      const query = [["uploadId", ask.uploadId] as const];
      return { method: "POST", path: `${bucket}/${ask.key}`, query, headers: bodyHeaders(ask.length) };
    }
  }
}

function bodyHeaders(length: number): [string, string][] {
  return [
    ["Content-Length", String(length)],
    ["Content-Type", "application/octet-stream"],
  ];
}

function cosWriter(authority: string, { id, secret }: Credentials): HeadWriter {
  const now = Math.floor(Date.now() / 1000);
  // Clients that sign a thousand times a second sign with the key of one period, and so does this one.
  const keyTime = `${now - 60};${now + 86_400}`;
  return (ask, serial) => {
    const draft = s3Draft(ask);
    const signTime = `${now - 60};${now + 3600 + (serial % 80_000)}`;
    const headers: [string, string][] = [["host", authority], ...(draft.headers as [string, string][])];
    const { authorization } = signCos({
      secretId: id,
      secretKey: secret,
      method: draft.method,
      path: draft.path,
      query: draft.query,
      headers,
      signTime,
      keyTime,
    });
    return rendered(draft, authority, [["Authorization", authorization]]);
  };
}

const hmac = (key: string | Buffer, text: string): Buffer => createHmac("sha256", key).update(text, "utf8").digest();

/** Signature Version 4 with the payload unsigned, region us-east-1. (S3 reference, "Authenticating requests") */
function s3Writer(authority: string, { id, secret }: Credentials): HeadWriter {
  const began = Date.now();
  const day = new Date(began).toISOString().slice(0, 10).replaceAll("-", "");
  const scope = `${day}/us-east-1/s3/aws4_request`;
  const key = ["us-east-1", "s3", "aws4_request"].reduce<Buffer>(hmac, hmac(`AWS4${secret}`, day));
  const signed = "host;x-amz-content-sha256;x-amz-date";
  return (ask, serial) => {
    const draft = s3Draft(ask);
    const at = new Date(began - (serial % 300) * 1000).toISOString();
    const stamp = `${at.slice(0, 19).replace(/[-:]/g, "")}Z`;
    const query = draft.query
      .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
      .sort()
      .join("&");
    const named = `host:${authority}\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:${stamp}\n`;
    const canonical = `${draft.method}\n${draft.path}\n${query}\n${named}\n${signed}\nUNSIGNED-PAYLOAD`;
    const hash = createHash("sha256").update(canonical).digest("hex");
    const signature = hmac(key, `AWS4-HMAC-SHA256\n${stamp}\n${scope}\n${hash}`).toString("hex");
    return rendered(draft, authority, [
      ["x-amz-date", stamp],
      ["x-amz-content-sha256", "UNSIGNED-PAYLOAD"],
      ["Authorization", `AWS4-HMAC-SHA256 Credential=${id}/${scope}, SignedHeaders=${signed}, Signature=${signature}`],
    ]);
  };
}

const AZURE_VERSION = "2021-10-04";

/** Shared Key of the blob service, with the account in the path as its emulator has it. ("Authorize with Shared Key") */
function azureWriter(authority: string, { id, secret }: Credentials): HeadWriter {
  const key = Buffer.from(secret, "base64");
  const began = Date.now();
  return (ask, serial) => {
    const draft = azureDraft(ask, `/${id}`);
    const date = new Date(began - (serial % 300) * 1000).toUTCString();
    const own: (readonly [string, string])[] = [
      ["x-ms-date", date],
      ["x-ms-version", AZURE_VERSION],
    ];
    if (ask.kind === "put") own.push(["x-ms-blob-type", "BlockBlob"]);
    const value = (name: string): string => draft.headers.find(([known]) => known === name)?.[1] ?? "";
    const length = value("Content-Length");
    const resource = [...draft.query].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, text]) => `\n${name}:${text}`);
    const text = [
      `${draft.method}\n\n\n${length === "0" ? "" : length}\n\n${value("Content-Type")}\n\n\n\n\n\n`,
      ...own.map(([name, text]) => `${name}:${text}`).sort(),
      `/${id}${draft.path}${resource.join("")}`,
    ].join("\n");
    const signature = createHmac("sha256", key).update(text, "utf8").digest("base64");
    return rendered(draft, authority, [...own, ["Authorization", `SharedKey ${id}:${signature}`]]);
  };
}

function azureDraft(ask: Ask, account: string): Draft {
  const container = `${account}/${ask.bucket}`;
  switch (ask.kind) {
    case "make-bucket":
      return { method: "PUT", path: container, query: [["restype", "container"]], headers: [["Content-Length", "0"]] };
    case "list": {
      const query: [string, string][] = [
        ["comp", "list"],
        ["maxresults", String(PAGE_KEYS)],
        ["restype", "container"],
      ];
      if (ask.delimiter !== undefined) query.push(["delimiter", ask.delimiter]);
      return { method: "GET", path: container, query, headers: [] };
    }
    case "part": {
      const block = Buffer.from(String(ask.number).padStart(6, "0")).toString("base64");
      const query = [["blockid", block] as const, ["comp", "block"] as const];
      return { method: "PUT", path: `${container}/${ask.key}`, query, headers: bodyHeaders(ask.length) };
    }
    case "complete":
      return {
        method: "PUT",
        path: `${container}/${ask.key}`,
        query: [["comp", "blocklist"]],
        headers: bodyHeaders(ask.length),
      };
    default: {
      const { method, path, headers } = s3Draft(ask);
      return { method, path: `${account}${path}`, query: [], headers };
    }
  }
}

/** The document that joins parts into an object. `tags` are the ETags of the parts, as the server gave them. */
export function completion(dialect: DialectName, tags: readonly string[]): Buffer {
  if (dialect === "azure") {
    const blocks = tags.map((_, at) => Buffer.from(String(at + 1).padStart(6, "0")).toString("base64"));
    const latest = blocks.map((block) => `<Latest>${block}</Latest>`).join("");
    return Buffer.from(`<?xml version="1.0" encoding="utf-8"?><BlockList>${latest}</BlockList>`);
  }
  const parts = tags.map((tag, at) => `<Part><PartNumber>${at + 1}</PartNumber><ETag>${tag}</ETag></Part>`).join("");
  return Buffer.from(`<CompleteMultipartUpload>${parts}</CompleteMultipartUpload>`);
}

/** The status of a success. */
export function expectedStatus(dialect: DialectName, { kind }: Ask): number {
  if (dialect === "azure") {
    if (kind === "delete") return 202;
    return kind === "get" || kind === "head" || kind === "list" ? 200 : 201;
  }
  return kind === "delete" && dialect !== "plain" ? 204 : 200;
}

/** How many keys, or with `grouped` common prefixes, a page of a listing shows. */
export function entriesOf(dialect: DialectName, document: Buffer, grouped: boolean): number {
  const azure = dialect === "azure";
  const mark = grouped ? (azure ? "<BlobPrefix>" : "<CommonPrefixes>") : azure ? "<Blob>" : "<Contents>";
  let count = 0;
  for (let at = document.indexOf(mark); at >= 0; at = document.indexOf(mark, at + mark.length)) count += 1;
  return count;
}
