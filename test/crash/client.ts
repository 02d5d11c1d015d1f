/** A client that signs every request, holds to a deadline, and expects to be cut off. */
import { Agent, request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { signCos } from "../../src/dialects/cos/sign.ts";
import { encodePath, encodeQuery } from "../fixtures/server.ts";

export const REGION = "ap-guangzhou";
const SECRET_ID = "AKIDcosboxdevelopment000000000000000";
const SECRET_KEY = "cosboxdevelopmentsecretkey000000";

export interface Asked {
  readonly method: string;
  readonly bucket: string;
  /** Decoded, without a leading slash; the bucket itself by default. */
  readonly key?: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly headers?: Readonly<Record<string, string | number>>;
  readonly body?: Buffer | string;
  /** How long the whole answer may take, ms; a minute by default. */
  readonly withinMs?: number;
}

export interface Answered {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** The code of a refusal, `ok`, or the status as text where a refusal has no body. */
  readonly code: string;
}

/** Raised when there is no whole answer: nobody knows whether the request was carried out. */
export class Unanswered extends Error {}

export interface Client {
  /** @throws Unanswered */
  ask(asked: Asked): Promise<Answered>;
  close(): void;
}

/** A client for the server that listens on `port` of loopback. */
export function clientOf(port: number): Client {
  const agent = new Agent({ keepAlive: true });
  return {
    ask({ method, bucket, key = "", query, headers = {}, body, withinMs = 60_000 }) {
      const path = `/${key}`;
      const host = `${bucket}.cos.${REGION}.myqcloud.com`;
      const sent = body === undefined ? undefined : Buffer.from(body);
      const all: Record<string, string | number> = { host, ...headers };
      if (sent !== undefined || method === "PUT" || method === "POST") all["content-length"] = sent?.length ?? 0;
      const now = Math.floor(Date.now() / 1000);
      const { authorization } = signCos({
        secretId: SECRET_ID,
        secretKey: SECRET_KEY,
        method,
        path,
        query: Object.entries(query ?? {}).map(([name, value]) => [name, String(value ?? "")] as const),
        headers: Object.entries(all).map(([name, value]) => [name, String(value)] as const),
        signTime: `${now - 60};${now + 600}`,
      });
      const text = encodeQuery(query);
      const target = encodePath(path) + (text === "" ? "" : `?${text}`);
      return new Promise((resolve, reject) => {
        const outgoing = httpRequest({
          host: "127.0.0.1",
          port,
          method,
          path: target,
          headers: { ...all, authorization },
          agent,
          setHost: false,
        });
        const lost = (why: string): void => {
          clearTimeout(timer);
          reject(new Unanswered(`${method} ${target}: ${why}`));
        };
        const timer = setTimeout(() => outgoing.destroy(new Error("no answer in time")), withinMs);
        outgoing.on("error", (error) => lost(error.message));
        outgoing.on("response", (incoming) => {
          const chunks: Buffer[] = [];
          incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
          incoming.on("error", (error) => lost(error.message));
          incoming.on("close", () => {
            if (!incoming.complete) return lost("the answer was cut off");
            clearTimeout(timer);
            const bytes = Buffer.concat(chunks);
            const status = incoming.statusCode ?? 0;
            const refusal = /^[^]{0,200}<Error><Code>([^<]*)/.exec(bytes.toString("latin1", 0, 400))?.[1];
            const code = refusal ?? (status < 300 ? "ok" : String(status));
            resolve({ status, headers: incoming.headers, body: bytes, code });
          });
        });
        outgoing.end(sent);
      });
    },
    close() {
      agent.destroy();
    },
  };
}

/** The texts of all elements of that name, unescaped. */
export function elements(body: Buffer, name: string): string[] {
  const found = body.toString("utf8").matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, "g"));
  return [...found].map(([, text = ""]) =>
    text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"').replaceAll("&amp;", "&"),
  );
}
