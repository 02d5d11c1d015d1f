/** Sends what no SDK would send to a COS endpoint, the live service's or any other, and tells what came back. */

import { createHash } from "node:crypto";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { signCos } from "../dialects/cos/index.ts";

export interface Target {
  /** Where to connect, such as `http://127.0.0.1:9000`; undefined for the hosts that requests name, over HTTPS. */
  readonly endpoint: string | undefined;
  readonly region: string;
  readonly appid: string;
  readonly secretId: string;
  readonly secretKey: string;
  /** The time to sign with, ms since 1970. */
  readonly now: () => number;
  /** Certificates are not checked. */
  readonly insecure?: boolean;
}

export interface Probe {
  readonly method?: string;
  /** Decoded, `/` by default. */
  readonly path?: string;
  /** As it goes on the wire, in place of `path` and `query`; `path` is signed then. */
  readonly target?: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** Whole name of a bucket; the suite's by default, "" for the service. */
  readonly bucket?: string;
  /** The host, in place of the bucket's. */
  readonly host?: string;
  /** False for an anonymous request; or how the signature is not as it should be. */
  readonly sign?: false | Signing;
  /** A body goes out without its length. */
  readonly chunked?: true;
}

export interface Signing {
  readonly secretId?: string;
  readonly secretKey?: string;
  /** Seconds by which the signature's time lies apart from now. */
  readonly shiftSeconds?: number;
  /** Changes the finished `Authorization`. */
  readonly alter?: (authorization: string) => string;
}

export interface Told {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  /** Text of the first element of that name in the body. */
  element(name: string): string | undefined;
}

export interface Prober {
  /** The bucket that the suite has made. */
  readonly bucket: string;
  /** Another name of a bucket, which nobody has. */
  readonly unusedBucket: string;
  send(probe: Probe): Promise<Told>;
  /** What was sent last, as a command to paste; what is secret in it is a variable of the shell. */
  readonly lastAsCurl: string;
}

const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);

function targetOf({ path = "/", query = {}, target }: Probe): string {
  if (target !== undefined) return target;
  const pairs = Object.entries(query).map(([name, value]) =>
    value === undefined ? encode(name) : `${encode(name)}=${encode(value)}`,
  );
  const encoded = path.split("/").map(encode).join("/");
  return pairs.length === 0 ? encoded : `${encoded}?${pairs.join("&")}`;
}

/** Base64 of the MD5, as `Content-MD5` takes it. */
export function contentMd5(text: string): string {
  return createHash("md5").update(text).digest("base64");
}

/** Texts of all elements of that name that hold text alone. */
export function elementsOf(document: string, name: string): string[] {
  const [opening, closing] = [`<${name}>`, `</${name}>`];
  const found: string[] = [];
  for (let at = document.indexOf(opening); at >= 0; at = document.indexOf(opening, at + 1)) {
    const from = at + opening.length;
    const to = document.indexOf("<", from);
    if (to >= 0 && document.startsWith(closing, to)) found.push(document.slice(from, to));
  }
  return found;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

const TIMEOUT_MS = 30_000;

/** @param suffix tells this run's buckets from others': lower-case letters and digits. */
export function prober(target: Target, suffix: string): Prober {
  const { endpoint, region, appid, insecure = false } = target;
  const bucket = `cbc-${suffix}-${appid}`;
  let lastAsCurl = "";

  function compose(probe: Probe) {
    const { method = "GET", path = "/", query = {}, bucket: name = bucket, sign } = probe;
    const host = probe.host ?? (name === "" ? "service.cos.myqcloud.com" : `${name}.cos.${region}.myqcloud.com`);
    const headers: Record<string, string> = { host, ...probe.headers };
    if (sign !== false) {
      const { secretId, secretKey, shiftSeconds = 0, alter = (text: string) => text } = sign ?? {};
      const now = Math.floor(target.now() / 1000) + shiftSeconds;
      const { authorization } = signCos({
        secretId: secretId ?? target.secretId,
        secretKey: secretKey ?? target.secretKey,
        method,
        path,
        query: Object.entries(query).map(([one, value]) => [one, value ?? ""] as const),
        headers: Object.entries(headers),
        signTime: `${now - 60};${now + 600}`,
      });
      headers["authorization"] = alter(authorization);
    }
    return { method, host, headers, target: targetOf(probe) };
  }

  function curlOf({ method, host, target: path, headers }: ReturnType<typeof compose>, probe: Probe): string {
    const fields = Object.entries(headers).filter(([name]) => name !== "host" && name !== "authorization");
    const shown = [
      ...fields.map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`),
      ...(headers["authorization"] === undefined ? [] : ['-H "Authorization: $AUTHORIZATION"']),
      ...(probe.chunked === true ? ['-H "Transfer-Encoding: chunked"'] : []),
    ];
    const text = typeof probe.body === "string" ? probe.body : undefined;
    const body =
      text === undefined ? [] : [`--data-binary ${quoted(text.length > 400 ? `${text.slice(0, 400)}…` : text)}`];
    return [`curl -x http://127.0.0.1:9000 -X ${method}`, ...shown, ...body, quoted(`http://${host}${path}`)].join(" ");
  }

  return {
    bucket,
    unusedBucket: `cbu-${suffix}-${appid}`,
    get lastAsCurl() {
      return lastAsCurl;
    },
    send(probe) {
      const composed = compose(probe);
      lastAsCurl = curlOf(composed, probe);
      const { method, host, headers, target: path } = composed;
      const [scheme, rest = ""] = (endpoint ?? `https://${host}`).split("://");
      const [, name = rest, port] = /^(.*?)(?::(\d+))?\/?$/.exec(rest) ?? [];
      const secure = scheme === "https";
      const bytes = typeof probe.body === "string" ? Buffer.from(probe.body) : probe.body;
      if (probe.chunked === true) headers["transfer-encoding"] = "chunked";
      else if (bytes !== undefined || method === "PUT" || method === "POST") {
        headers["content-length"] ??= String(bytes?.length ?? 0);
      }
      const options = {
        host: name.replace(/^\[|\]$/g, ""),
        ...(port === undefined ? {} : { port }),
        method,
        path,
        headers,
        setHost: false,
        timeout: TIMEOUT_MS,
        agent: false,
      } as const;
      return new Promise((resolve, reject) => {
        const sent = secure
          ? httpsRequest({ ...options, servername: host.replace(/:\d+$/, ""), rejectUnauthorized: !insecure })
          : httpRequest(options);
        sent.on("timeout", () => sent.destroy(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)));
        sent.on("error", reject);
        sent.on("response", (answer) => {
          const chunks: Buffer[] = [];
          answer.on("data", (chunk: Buffer) => chunks.push(chunk));
          answer.on("error", reject);
          answer.on("end", () => {
            const text = Buffer.concat(chunks).toString("utf8");
            const told = Object.entries(answer.headers).map(([field, value]) => [field, String(value)] as const);
            resolve({
              status: answer.statusCode ?? 0,
              headers: Object.fromEntries(told),
              text,
              element: (field) => elementsOf(text, field)[0],
            });
          });
        });
        sent.end(bytes);
      });
    },
  };
}
