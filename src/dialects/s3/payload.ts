/**
 * The body of a request as its signature speaks of it: hashed as a whole, in chunks with or without signatures, or not at
 * all. What is handed on is the object's own bytes, and the last of them only once the whole holds.
 */

import { createHash } from "node:crypto";
import type { ErrorId } from "../../errors/catalogue.ts";
import { type CosError, refuse } from "../../errors/cos-error.ts";
import type { RequestBody, WireRequest } from "../../http/request.ts";
import { EMPTY_SHA256 } from "./canonical.ts";
import { decodedChunks } from "./chunks.ts";
import { payloadWord, type SeedV4 } from "./signature.ts";

const UNSIGNED = "UNSIGNED-PAYLOAD";
const HEX_64 = /^[0-9a-f]{64}$/;

/** Each way of sending a body in chunks: whether they are signed, and whether fields follow. */
const STREAMING: ReadonlyMap<string, { readonly signed: boolean; readonly trailer: boolean }> = new Map([
  ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", { signed: true, trailer: false }],
  ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", { signed: true, trailer: true }],
  ["STREAMING-UNSIGNED-PAYLOAD-TRAILER", { signed: false, trailer: true }],
]);

/**
 * The body to be read by the operation.
 *
 * Throws CosError InvalidRequest for a word that says nothing or a hash that is none, NotImplemented for chunks that are
 * signed with asymmetric keys and, with `strict`, for every framing in chunks, MissingContentLength where the length
 * without the framing is not told, and BadDigest for an empty body that was signed as another. Reading may throw what
 * `decodedChunks` does, and BadDigest where the hash is another.
 */
export function payloadOf(
  request: Pick<WireRequest, "headers" | "target" | "body">,
  seed: SeedV4 | undefined,
  strict: boolean,
): RequestBody {
  const { body, headers } = request;
  const word = payloadWord(request);
  const streaming = word === undefined ? undefined : STREAMING.get(word);
  if (streaming === undefined && headers.get("x-amz-trailer") !== undefined) {
    throw refuse("InvalidRequest", { message: "The header x-amz-trailer goes with a body in chunks." });
  }
  if (word === undefined || word === UNSIGNED) return body;
  if (streaming !== undefined) {
    if (strict) {
      throw refuse("NotImplemented", { message: `The service takes no bodies in aws-chunked encoding: ${word}.` });
    }
    if (streaming.signed && seed === undefined) {
      throw refuse("InvalidRequest", {
        message: "Only a signature of version 4 in the Authorization header can sign chunks.",
      });
    }
    return chunkedBody(body, headers, streaming.signed ? seed : undefined, streaming.trailer);
  }
  if (word.startsWith("STREAMING-AWS4-ECDSA-")) {
    throw refuse("NotImplemented", { message: "Signatures with asymmetric keys (SigV4A) are not implemented." });
  }
  if (!HEX_64.test(word)) {
    throw refuse("InvalidRequest", {
      message:
        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, STREAMING-UNSIGNED-PAYLOAD-TRAILER or a valid sha256 value.",
    });
  }
  if (body.announced) return new HashedBody(body, word);
  if (word === EMPTY_SHA256) return body;
  throw mismatch(word, EMPTY_SHA256);
}

function mismatch(told: string, computed: string): CosError {
  return refuse("BadDigest", {
    message: "The provided 'x-amz-content-sha256' header does not match what was computed.",
    s3: "XAmzContentSHA256Mismatch",
    extras: [
      ["ClientComputedContentSHA256", told],
      ["S3ComputedContentSHA256", computed],
    ],
  });
}

/** A body whose SHA-256 was signed. */
class HashedBody implements RequestBody {
  readonly declaredLength: number | undefined;
  readonly chunked: boolean;
  readonly announced = true;
  readonly #sent: RequestBody;
  readonly #told: string;

  constructor(sent: RequestBody, told: string) {
    this.#sent = sent;
    this.#told = told;
    this.declaredLength = sent.declaredLength;
    this.chunked = sent.chunked;
  }

  async *stream(): AsyncGenerator<Buffer> {
    const hash = createHash("sha256");
    let held: Buffer | undefined;
    for await (const chunk of this.#sent.stream()) {
      hash.update(chunk);
      if (held !== undefined) yield held;
      held = chunk;
    }
    this.#hold(hash.digest("hex"));
    if (held !== undefined) yield held;
  }

  async collect(bytesMax: number, over: ErrorId): Promise<Buffer> {
    const bytes = await this.#sent.collect(bytesMax, over);
    this.#hold(createHash("sha256").update(bytes).digest("hex"));
    return bytes;
  }

  #hold(computed: string): void {
    if (computed !== this.#told) throw mismatch(this.#told, computed);
  }
}

function chunkedBody(
  sent: RequestBody,
  headers: WireRequest["headers"],
  seed: SeedV4 | undefined,
  trailer: boolean,
): RequestBody {
  const told = headers.get("x-amz-decoded-content-length");
  if (told === undefined) throw refuse("MissingContentLength");
  if (!/^\d{1,15}$/.test(told)) {
    throw refuse("InvalidArgument", { message: "The header x-amz-decoded-content-length is not a number of bytes." });
  }
  const announced = headers.get("x-amz-trailer");
  if (announced !== undefined && !trailer) {
    throw refuse("InvalidRequest", {
      message: "The header x-amz-trailer goes with an x-amz-content-sha256 that ends in -TRAILER.",
    });
  }
  const names = announced === undefined ? [] : announced.split(",").map((name) => name.trim().toLowerCase());
  if (names.some((name) => !/^[a-z0-9-]{1,128}$/.test(name)) || new Set(names).size !== names.length) {
    throw refuse("InvalidRequest", { message: "The header x-amz-trailer is no list of names." });
  }
  return new ChunkedBody(sent, Number(told), seed, trailer ? names : undefined);
}

/** A body in `aws-chunked` encoding, without it. */
class ChunkedBody implements RequestBody {
  readonly declaredLength: number;
  readonly chunked = false;
  readonly announced: boolean;
  trailers: ReadonlyMap<string, string> | undefined;
  readonly #sent: RequestBody;
  readonly #seed: SeedV4 | undefined;
  readonly #names: readonly string[] | undefined;

  constructor(
    sent: RequestBody,
    decodedLength: number,
    seed: SeedV4 | undefined,
    names: readonly string[] | undefined,
  ) {
    this.#sent = sent;
    this.#seed = seed;
    this.#names = names;
    this.declaredLength = decodedLength;
    // Also nothing at all is framed, and its signature is to be checked.
    this.announced = sent.announced || decodedLength > 0;
    this.trailers = names === undefined ? undefined : new Map();
  }

  stream(): AsyncIterable<Buffer> {
    return decodedChunks(this.#sent.stream(), {
      seed: this.#seed,
      trailers: this.#names,
      decodedLength: this.declaredLength,
      onTrailers: (fields) => {
        this.trailers = fields;
      },
    });
  }

  async collect(bytesMax: number, over: ErrorId): Promise<Buffer> {
    if (this.declaredLength > bytesMax) throw refuse(over);
    const chunks: Buffer[] = [];
    // Never more than the length that was told, which is within the bound.
    for await (const chunk of this.stream()) chunks.push(chunk);
    return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
  }
}
