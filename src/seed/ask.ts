/** Requests that a seed makes, signed like any other, to the server it is for: without a socket and without faults. */

import { createHash } from "node:crypto";
import { signCos } from "../dialects/cos/index.ts";
import { CosError, refuse } from "../errors/cos-error.ts";
import type { Answer, Handler } from "../http/answer.ts";
import { readHeaders } from "../http/headers.ts";
import { requestIds } from "../http/ids.ts";
import type { RequestBody } from "../http/request.ts";
import { parseTarget } from "../http/target.ts";
import type { Limits } from "../limits.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";

/** Whose request it is. */
export interface Keys {
  readonly secretId: string;
  readonly secretKey: string;
}

/** Bytes of which the length is known. */
export interface SeedBody {
  readonly length: number;
  readonly chunks: AsyncIterable<Buffer>;
}

export interface Asked {
  readonly method: "GET" | "PUT";
  /** Whole name. */
  readonly bucket: string;
  readonly region: string;
  /** Of an object; the bucket itself unless told. */
  readonly key?: string | undefined;
  /** The parameter that says what of it is meant, such as `cors`. */
  readonly parameter?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: string | Buffer | SeedBody | undefined;
  readonly keys: Keys;
}

export interface Told {
  readonly status: number;
  /** The code and message of a refusal. */
  readonly code: string | undefined;
  readonly message: string;
  header(name: string): string | undefined;
}

export interface AskParts {
  readonly handler: Handler;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: Pick<Limits, "headersMax">;
}

/** Seconds for which a signature is good. */
const SIGNED_SECONDS = 600;

/** A path or parameter as it stands in a request. */
export const encoded = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);

/** The host that names a bucket. */
export const hostOf = (bucket: string, region: string): string => `${bucket}.cos.${region}.myqcloud.com`;

function bodyOf(body: Buffer | SeedBody): RequestBody {
  const declaredLength = body.length;
  async function* chunks(): AsyncGenerator<Buffer> {
    let length = 0;
    for await (const chunk of Buffer.isBuffer(body) ? [body] : body.chunks) {
      length += chunk.length;
      if (length > declaredLength) break;
      yield chunk;
    }
    // A file may change while it is read, and a connection end.
    if (length !== declaredLength) throw refuse("IncompleteBody");
  }
  return {
    declaredLength,
    chunked: false,
    announced: declaredLength > 0,
    stream: chunks,
    async collect(bytesMax, over) {
      if (declaredLength > bytesMax) throw refuse(over);
      if (Buffer.isBuffer(body)) return body;
      const all: Buffer[] = [];
      for await (const chunk of chunks()) all.push(Buffer.from(chunk));
      return Buffer.concat(all);
    },
  };
}

/** The text of the first element of this name, as a refusal has it; undefined where there is none. */
export function textIn(document: string, name: string): string | undefined {
  const start = document.indexOf(`<${name}>`);
  const end = document.indexOf(`</${name}>`, start);
  return start < 0 || end < 0 ? undefined : document.slice(start + name.length + 2, end);
}

async function textOf({ body, later }: Answer): Promise<string> {
  let text = "";
  if (typeof body === "string" || Buffer.isBuffer(body)) text = body.toString();
  else if (body !== undefined) for await (const chunk of body.chunks) text += chunk.toString("latin1");
  return later === undefined ? text : text + (await later);
}

/** What makes these requests. A refusal is an answer like any other. */
export function asker({ handler, clock, random, limits }: AskParts): (asked: Asked) => Promise<Told> {
  const nextIds = requestIds(random);
  return async ({ method, bucket, region, key = "", parameter, headers = {}, body = "", keys }) => {
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    const host = hostOf(bucket, region);
    // What is no ASCII goes out as its bytes, one character each, as a socket would bring it.
    const given = Object.entries(headers).map(
      ([name, value]) => [name, Buffer.from(value).toString("latin1")] as const,
    );
    const digest: [string, string][] = Buffer.isBuffer(bytes)
      ? [["Content-MD5", createHash("md5").update(bytes).digest("base64")]]
      : [];
    const fields = [["Host", host] as const, ["Content-Length", String(bytes.length)] as const, ...given, ...digest];
    const start = Math.floor(clock.real() / 1000);
    const { authorization } = signCos({
      ...keys,
      method,
      path: `/${key}`,
      query: parameter === undefined ? [] : [[parameter, ""]],
      headers: fields,
      signTime: `${start};${start + SIGNED_SECONDS}`,
    });
    const raw = [...fields, ["Authorization", authorization] as const].flat();
    const target = `/${key.split("/").map(encoded).join("/")}${parameter === undefined ? "" : `?${encoded(parameter)}`}`;
    try {
      const answer = await handler({
        method,
        target: parseTarget(method, target, host),
        headers: readHeaders(raw, limits.headersMax),
        body: bodyOf(bytes),
        ids: nextIds(clock.now()),
        secure: false,
        tlsVersion: undefined,
        remoteAddress: "127.0.0.1",
        receivedAt: clock.now(),
      });
      const text = await textOf(answer);
      return {
        status: answer.status,
        code: answer.status < 300 ? undefined : (textIn(text, "Code") ?? String(answer.status)),
        message: textIn(text, "Message") ?? "",
        header: (name) => answer.headers.find(([one]) => one.toLowerCase() === name.toLowerCase())?.[1],
      };
    } catch (error) {
      // What the edge refuses: a target or a header that cannot be.
      if (!(error instanceof CosError)) throw error;
      return { status: 400, code: error.id, message: error.message, header: () => undefined };
    }
  };
}
