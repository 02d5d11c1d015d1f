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
    `curl -x ${endpoint} -X ${record.method}`,
    ...kept(record).map(([name, value]) => `-H ${inShell(`${name}: ${value}`)}`),
    ...(signed ? ['-H "Authorization: $AUTHORIZATION"'] : []),
    ...(record.method === "PUT" || record.method === "POST" ? ["--data-binary @body"] : []),
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
  const body = record.method === "PUT" || record.method === "POST" ? ", Body: body" : "";
  return `await cos.request(${JSON.stringify(parameters).slice(0, -1)}${body}});`;
}
