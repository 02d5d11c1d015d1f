/** A recorded request as something to run again: a curl command, and a call of the Node.js SDK. Pure. */

import type { DecisionRecord } from "./record.ts";

/** Fields that a client makes by itself, or that are signatures of that moment. */
const MADE_ANEW: ReadonlySet<string> = new Set([
  "accept-encoding",
  "authorization",
  "connection",
  "content-length",
  "date",
  "expect",
  "host",
  "proxy-connection",
  "transfer-encoding",
  "user-agent",
  "x-amz-content-sha256",
  "x-amz-date",
]);
const SIGNATURES = /^(q-|sign$|signature$|x-amz-(algorithm|credential|date|expires|signature|signedheaders))/i;

function kept({ headers }: DecisionRecord): (readonly [string, string])[] {
  return headers.filter(([name, value]) => !MADE_ANEW.has(name) && value !== "(removed)");
}

/** Whether a body came along; which, is not kept. */
function hasBody({ headers }: DecisionRecord): boolean {
  return headers.some(
    ([name, value]) => name === "transfer-encoding" || (name === "content-length" && Number(value) > 0),
  );
}

/** A field as curl takes it; without a value it would leave the field out. */
function field([name, value]: readonly [string, string]): string {
  return `-H ${inShell(value === "" ? `${name};` : `${name}: ${value}`)}`;
}

/** With `-X HEAD` curl would wait for a body. */
function method({ method: name }: DecisionRecord): string {
  return name === "HEAD" ? "-I" : `-X ${name}`;
}

/** What curl would not do by itself: take no type for granted, and say that a body is empty. */
function bodyOf(record: DecisionRecord): readonly string[] {
  if (!hasBody(record)) return record.method === "PUT" || record.method === "POST" ? ["-H 'Content-Length: 0'"] : [];
  const typed = record.headers.some(([name]) => name === "content-type");
  return [...(typed ? [] : ["-H Content-Type:"]), "--data-binary @body"];
}

function inShell(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Splits the recorded target into its path and its decoded parameters without what signs. */
function parted(target: string): { readonly path: string; readonly query: readonly (readonly [string, string])[] } {
  const [path = "/", text = ""] = target.split("?", 2);
  const query = text
    .split("&")
    .filter((pair) => pair !== "")
    .map((pair) => {
      const [name = "", value = ""] = pair.split("=", 2);
      return [decodeURIComponent(name), decodeURIComponent(value)] as const;
    });
  return { path, query: query.filter(([name]) => !SIGNATURES.test(name)) };
}

/** @param endpoint of the server, such as `http://127.0.0.1:9000`. A body is not kept, so it is `@body`. */
export function asCurl(record: DecisionRecord, endpoint: string): string {
  const { path, query } = parted(record.target);
  const pairs = query.map(([name, value]) => {
    return value === "" ? encodeURIComponent(name) : `${encodeURIComponent(name)}=${encodeURIComponent(value)}`;
  });
  const url = `http://${record.host}${path}${pairs.length === 0 ? "" : `?${pairs.join("&")}`}`;
  const signed = record.headers.some(([name]) => name === "authorization");
  return [
    `curl -x ${endpoint} ${method(record)}`,
    ...kept(record).map(field),
    ...(signed ? ['-H "Authorization: $AUTHORIZATION"'] : []),
    ...bodyOf(record),
    inShell(url),
  ].join(" ");
}

/** The call of `cos-nodejs-sdk-v5` that sends the same; undefined for a request to no bucket. */
export function asNodeCall(record: DecisionRecord, region: string): string | undefined {
  if (record.bucket === undefined) return undefined;
  const { query } = parted(record.target);
  const fields = kept(record);
  const parameters = {
    Method: record.method,
    Bucket: record.bucket,
    Region: region,
    ...(record.key === undefined ? {} : { Key: record.key }),
    ...(query.length === 0 ? {} : { Query: Object.fromEntries(query) }),
    ...(fields.length === 0 ? {} : { Headers: Object.fromEntries(fields) }),
  };
  const body = hasBody(record) ? ", Body: body" : "";
  return `await cos.request(${JSON.stringify(parameters).slice(0, -1)}${body}});`;
}
