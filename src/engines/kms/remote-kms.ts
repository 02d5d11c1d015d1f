/**
 * A key management service over HTTP: the KMS of the cloud, or one that speaks as it does. (KMS API, version 2019-01-18:
 * GenerateDataKey, Decrypt, DescribeKey)
 *
 * Nothing is retried but what did not come through or was a fault of the service itself; both calls change nothing there.
 */

import { createHash } from "node:crypto";
import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { LRUCache } from "lru-cache";
import type { Endpoint } from "../../config/endpoint.ts";
import type { Clock } from "../../ports/clock.ts";
import { type EncryptionContext, type Kms, type KmsFault, KmsRefusal } from "../../ports/kms.ts";
import { TC3, tc3Date, tc3Names, tc3Signature } from "../../tc3.ts";

export interface RemoteKmsOptions {
  readonly endpoint: Endpoint;
  readonly region: string;
  readonly secretId: string;
  readonly secretKey: string;
  /** The key that is used where none is named; undefined for none. */
  readonly defaultKeyId: string | undefined;
  readonly clock: Pick<Clock, "real" | "monotonic" | "after">;
  /** Within which a call is over, with its second try, ms. */
  readonly timeoutMs: number;
  /** How long an opened key is remembered, ms; 0 for not at all. */
  readonly cachedMs: number;
}

const VERSION = "2019-01-18";
const SERVICE = "kms";
const CONTENT_TYPE = "application/json";
const KEY_BYTES = 32;
/** What the port promises of a sealed key. */
const SEALED_BYTES_MAX = 2_048;
const KEY_ID_CHARS_MAX = 256;
/** What can be told in a header. */
const HEADER_TEXT = /^[\x21-\x7e]+$/;
const ANSWER_BYTES_MAX = 64 * 1024;
const CONNECTIONS_MAX = 64;
const TRIES = 2;
const CACHED_KEYS_MAX = 10_000;
const TOLD_CHARS_MAX = 200;

/** Codes by how they begin, the longest first. (error codes of the KMS, common error codes of API 3.0) */
const FAULTS: readonly (readonly [prefix: string, fault: KmsFault])[] = [
  ["ResourceUnavailable.CmkNotFound", "unknown-key"],
  ["ResourceNotFound", "unknown-key"],
  ["InvalidParameterValue.InvalidKeyId", "unknown-key"],
  ["ResourceUnavailable.CmkDisabled", "key-disabled"],
  ["ResourceUnavailable.CmkArchived", "key-disabled"],
  ["ResourceUnavailable.CmkStateNotSupport", "key-disabled"],
  ["ResourceUnavailable.KeyDisabled", "key-disabled"],
  ["ResourceUnavailable.KeyPendingDelete", "key-disabled"],
  ["RequestLimitExceeded", "throttled"],
  ["AuthFailure", "unavailable"],
  ["InternalError", "unavailable"],
  ["ServiceUnavailable", "unavailable"],
  ["UnsupportedOperation.ServiceTemporaryUnavailable", "unavailable"],
];

/** Worth another try: the service failed, which says nothing about the keys. */
const PASSING: ReadonlySet<string> = new Set([
  "InternalError",
  "ServiceUnavailable",
  "UnsupportedOperation.ServiceTemporaryUnavailable",
]);

type Answered = Readonly<Record<string, unknown>>;

/** One try that came to nothing and may be followed by another. */
class Failed extends Error {
  override readonly name = "Failed";
}

function faultOf(code: string): KmsFault {
  return FAULTS.find(([prefix]) => code === prefix || code.startsWith(`${prefix}.`))?.[1] ?? "refused";
}

/** A text of the other side's, as a line of ours may have it. */
function told(text: unknown): string {
  return String(text)
    .slice(0, TOLD_CHARS_MAX)
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "?");
}

/** The service wants the very same text when it opens what it sealed, so there is one text for a context. */
function contextText(context: EncryptionContext): string | undefined {
  const pairs = Object.entries(context).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return pairs.length === 0 ? undefined : JSON.stringify(Object.fromEntries(pairs));
}

async function read(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) throw new Failed(`it answers with more than ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function isRecord(value: unknown): value is Answered {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What the service answers to a call, the refusals included. */
function responseIn(status: number | undefined, text: string): Answered {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    // Falls through to the words for what is no answer.
  }
  const response = isRecord(parsed) ? parsed["Response"] : undefined;
  if (status !== 200 || !isRecord(response))
    throw new Failed(`it answers with ${status ?? "no status"}, and not as a KMS does`);
  return response;
}

export interface RemoteKms extends Kms {
  /**
   * Asks for the key that is used where none is named, and whether it can be used; where there is no such key, for one that
   * nobody has: then it is enough that the service knows who asks.
   * @throws KmsRefusal.
   */
  check(): Promise<void>;
}

/** Of all ids the least likely one. */
const NO_KEY_ID = "00000000-0000-0000-0000-000000000000";

/** The service at an endpoint. Connections are kept, and keep no process alive. */
export function remoteKms(options: RemoteKmsOptions): RemoteKms {
  const { endpoint, region, secretId, secretKey, defaultKeyId, clock, timeoutMs, cachedMs } = options;
  const { authority, host, isSecure, port } = endpoint;
  const send = isSecure ? httpsRequest : httpRequest;
  const agent = new (isSecure ? HttpsAgent : HttpAgent)({ keepAlive: true, maxSockets: CONNECTIONS_MAX });
  const place = `the key management service at ${authority}`;
  const cache =
    cachedMs === 0
      ? undefined
      : new LRUCache<string, Buffer>({
          max: CACHED_KEYS_MAX,
          ttl: cachedMs,
          ttlResolution: 0,
          perf: { now: () => clock.monotonic() },
        });

  function headersFor(action: string, body: Buffer): Record<string, string> {
    const seconds = Math.floor(clock.real() / 1000);
    const timestamp = String(seconds);
    const date = tc3Date(seconds);
    const headers = [
      ["content-type", CONTENT_TYPE],
      ["host", authority],
    ] as const;
    const signature = tc3Signature(
      secretKey,
      { method: "POST", query: "", headers, body },
      { timestamp, date, service: SERVICE },
    ).toString("hex");
    const scope = `${date}/${SERVICE}/tc3_request`;
    return {
      ...Object.fromEntries(headers),
      "content-length": String(body.length),
      "x-tc-action": action,
      "x-tc-version": VERSION,
      "x-tc-timestamp": timestamp,
      "x-tc-region": region,
      authorization: `${TC3} Credential=${secretId}/${scope}, SignedHeaders=${tc3Names(headers)}, Signature=${signature}`,
    };
  }

  async function once(action: string, body: Buffer, signal: AbortSignal): Promise<Answered> {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const outgoing = send({
        host,
        port,
        path: "/",
        method: "POST",
        agent,
        signal,
        headers: headersFor(action, body),
      });
      outgoing.on("response", resolve);
      outgoing.on("error", reject);
      outgoing.end(body);
    });
    return responseIn(answer.statusCode, await read(answer));
  }

  /** The error of an answer, where it has one. */
  function errorIn(answered: Answered): { readonly code: string; readonly message: string } | undefined {
    const { Error: error } = answered;
    return isRecord(error) ? { code: told(error["Code"]), message: told(error["Message"]) } : undefined;
  }

  async function call(action: string, parameters: Answered): Promise<Answered> {
    const body = Buffer.from(JSON.stringify(parameters));
    const over = new AbortController();
    const timer = clock.after(timeoutMs, () => over.abort());
    try {
      for (let left = TRIES - 1; ; left--) {
        let answered: Answered;
        try {
          answered = await once(action, body, over.signal);
        } catch (error) {
          if (over.signal.aborted)
            throw new KmsRefusal("unavailable", `${place} does not answer within ${timeoutMs} ms`);
          if (left > 0) continue;
          throw new KmsRefusal("unavailable", `${place} cannot be asked: ${told((error as Error).message)}`, error);
        }
        const error = errorIn(answered);
        if (error === undefined) return answered;
        if (left > 0 && PASSING.has(error.code)) continue;
        throw new KmsRefusal(faultOf(error.code), `${place} refuses ${action}: ${error.code}, ${error.message}`);
      }
    } finally {
      timer.cancel();
    }
  }

  function keyIn(answered: Answered): Buffer {
    const { Plaintext: text } = answered;
    const key = Buffer.from(typeof text === "string" ? text : "", "base64");
    if (key.length === KEY_BYTES) return key;
    throw new KmsRefusal("unavailable", `${place} gives a key of ${key.length} bytes in place of ${KEY_BYTES}`);
  }

  const withContext = (context: EncryptionContext): Answered => {
    const text = contextText(context);
    return text === undefined ? {} : { EncryptionContext: text };
  };

  return {
    async generate(keyId = defaultKeyId, context) {
      if (keyId === undefined) {
        throw new KmsRefusal("unknown-key", "no key is named, and there is no default key: set kmsKeyId");
      }
      const answered = await call("GenerateDataKey", { KeyId: keyId, KeySpec: "AES_256", ...withContext(context) });
      const { CiphertextBlob: blob, KeyId: told } = answered;
      const sealed = Buffer.from(typeof blob === "string" ? blob : "", "utf8");
      if (sealed.length === 0 || sealed.length > SEALED_BYTES_MAX) {
        throw new KmsRefusal("unavailable", `${place} gives a sealed key of ${sealed.length} bytes`);
      }
      const isTold = typeof told === "string" && told.length <= KEY_ID_CHARS_MAX && HEADER_TEXT.test(told);
      return { keyId: isTold ? told : keyId, key: keyIn(answered), sealed };
    },

    async open(keyId, sealed, context) {
      const parameters = { CiphertextBlob: sealed.toString("utf8"), ...withContext(context) };
      const name = createHash("sha256")
        .update(JSON.stringify([keyId, parameters]))
        .digest("base64");
      const known = cache?.get(name);
      if (known !== undefined) return known;
      const key = keyIn(await call("Decrypt", parameters));
      cache?.set(name, key);
      return key;
    },

    async check() {
      try {
        const answered = await call("DescribeKey", { KeyId: defaultKeyId ?? NO_KEY_ID });
        const { KeyMetadata: key } = answered;
        const state = isRecord(key) ? told(key["KeyState"]) : "not told";
        if (defaultKeyId === undefined || state === "Enabled") return;
        throw new KmsRefusal("key-disabled", `the state of key ${defaultKeyId} of ${place} is ${state}`);
      } catch (error) {
        const isWithout = defaultKeyId === undefined && error instanceof KmsRefusal && error.fault === "unknown-key";
        if (!isWithout) throw error;
      }
    },
  };
}
