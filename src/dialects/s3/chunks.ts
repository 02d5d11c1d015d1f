/**
 * Takes the framing of `aws-chunked` bodies apart: chunks with their sizes and, where they are signed, signatures, then
 * trailing fields. Signed bytes are handed on only once their chunk's signature holds, each over the one before, so that
 * no chunk can be changed, left out, repeated or moved. (AWS: signature calculation for transferring payload in chunks)
 */

import { type CosError, refuse } from "../../errors/cos-error.ts";
import { EMPTY_SHA256, sameSignatureV4, scopeText, sha256Hex, signatureV4 } from "./canonical.ts";
import type { SeedV4 } from "./signature.ts";

export interface ChunkOptions {
  /** What the chain of signatures begins with; undefined for chunks that carry none. */
  readonly seed: SeedV4 | undefined;
  /** Lower-case names that may follow the last chunk, all of which must; undefined where nothing may. */
  readonly trailers: readonly string[] | undefined;
  /** Bytes of the body without its framing, as the client told. */
  readonly decodedLength: number;
  /** Takes the trailing fields, once their signature holds. */
  readonly onTrailers: (fields: ReadonlyMap<string, string>) => void;
}

/** A chunk that is signed is held until its signature has been seen. The greatest one clients send has 1 MiB. */
const SIGNED_CHUNK_BYTES_MAX = 16 * 1024 * 1024;
/** Characters of a size, or of one trailing field. */
const LINE_CHARS_MAX = 1024;
const TRAILERS_MAX = 16;

const SIGNED_SIZE = /^([0-9a-fA-F]{1,12});chunk-signature=([0-9a-f]{64})$/;
const PLAIN_SIZE = /^([0-9a-fA-F]{1,12})$/;

/**
 * The bytes of the body. The last of them come only when everything after them has been read and holds, so whoever has
 * all bytes has a whole body.
 *
 * Throws CosError IncompleteBody (the framing ends early, or has fewer bytes than were told), EntitySizeNotMatch (more
 * than were told), InvalidRequest (no framing, a chunk too large to be checked, trailing fields other than announced)
 * and SignatureDoesNotMatch; and whatever the source throws.
 */
export async function* decodedChunks(source: AsyncIterable<Buffer>, options: ChunkOptions): AsyncGenerator<Buffer> {
  const { seed, trailers, decodedLength } = options;
  const feed = new Feed(source[Symbol.asyncIterator]());
  const chain = seed === undefined ? undefined : new Chain(seed);
  let total = 0;
  let held: Buffer | undefined;
  try {
    for (;;) {
      const line = await feed.line();
      const [, digits, signature = ""] = (chain === undefined ? PLAIN_SIZE : SIGNED_SIZE).exec(line) ?? [];
      if (digits === undefined) throw malformed("A chunk does not begin with its size as it must.");
      const size = Number.parseInt(digits, 16);
      if (size === 0) {
        chain?.check(EMPTY_SHA256, signature);
        break;
      }
      total += size;
      if (total > decodedLength) throw refuse("EntitySizeNotMatch");
      if (chain === undefined) {
        for (let left = size; left > 0; ) {
          const bytes = await feed.some(left);
          left -= bytes.length;
          if (held !== undefined) yield held;
          held = bytes;
        }
      } else {
        if (size > SIGNED_CHUNK_BYTES_MAX) {
          throw malformed(`A signed chunk may have ${SIGNED_CHUNK_BYTES_MAX} bytes at most.`);
        }
        const bytes = await feed.exactly(size);
        chain.check(sha256Hex(bytes), signature);
        if (held !== undefined) yield held;
        held = bytes;
      }
      if ((await feed.line()) !== "") throw malformed("A chunk is longer than its size says.");
    }
    if (total !== decodedLength) throw refuse("IncompleteBody");
    if (trailers === undefined) {
      if ((await feed.line()) !== "") throw malformed("Nothing may follow the last chunk.");
    } else {
      options.onTrailers(await readTrailers(feed, trailers, chain));
    }
    if (!(await feed.ended())) throw malformed("Nothing may follow the end of the body.");
    if (held !== undefined) yield held;
  } finally {
    await feed.close();
  }
}

function malformed(message: string): CosError {
  return refuse("InvalidRequest", { message });
}

function malformedTrailer(message: string): CosError {
  return refuse("InvalidRequest", { message, s3: "MalformedTrailerError" });
}

const SIGNATURE_TRAILER = "x-amz-trailer-signature";

async function readTrailers(
  feed: Feed,
  announced: readonly string[],
  chain: Chain | undefined,
): Promise<ReadonlyMap<string, string>> {
  const fields = new Map<string, string>();
  let canonical = "";
  let signature: string | undefined;
  for (;;) {
    // The empty line at the very end is left out by some clients.
    const line = (await feed.ended()) ? "" : await feed.line();
    if (line === "") break;
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(0, colon)).toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (!/^[a-z0-9-]{1,128}$/.test(name)) throw malformedTrailer("A trailing field has no name.");
    if (signature !== undefined) throw malformedTrailer("Nothing may follow the signature of the trailing fields.");
    if (chain !== undefined && name === SIGNATURE_TRAILER) {
      signature = value;
      continue;
    }
    if (!announced.includes(name) || fields.has(name) || fields.size === TRAILERS_MAX) {
      throw malformedTrailer(`The trailing field ${name} is not announced once in x-amz-trailer.`);
    }
    fields.set(name, value);
    canonical += `${name}:${value}\n`;
  }
  for (const name of announced) {
    if (!fields.has(name)) throw malformedTrailer(`The trailing field ${name} is announced and does not come.`);
  }
  if (chain !== undefined) chain.checkTrailers(sha256Hex(canonical), signature ?? "");
  return fields;
}

/** The chain of signatures: each is made over the one before. */
class Chain {
  readonly #seed: SeedV4;
  #previous: string;

  constructor(seed: SeedV4) {
    this.#seed = seed;
    this.#previous = seed.signature;
  }

  check(hash: string, given: string): void {
    this.#hold("AWS4-HMAC-SHA256-PAYLOAD", `${EMPTY_SHA256}\n${hash}`, given);
  }

  checkTrailers(hash: string, given: string): void {
    this.#hold("AWS4-HMAC-SHA256-TRAILER", hash, given);
  }

  #hold(algorithm: string, what: string, given: string): void {
    const { signingKey, dateTime, scope } = this.#seed;
    const text = `${algorithm}\n${dateTime}\n${scopeText(scope)}\n${this.#previous}\n${what}`;
    if (!sameSignatureV4(signatureV4(signingKey, text), given)) {
      throw refuse("SignatureDoesNotMatch", {
        message: "The signature of a chunk or of the trailing fields does not match.",
      });
    }
    this.#previous = given;
  }
}

const CR = 0x0d;
const LF = 0x0a;

/** Bytes of a stream, taken by line and by number. What is taken is a view of what the stream gave where that is whole. */
class Feed {
  readonly #source: AsyncIterator<Buffer>;
  #bytes: Buffer = Buffer.alloc(0);
  #ended = false;

  constructor(source: AsyncIterator<Buffer>) {
    this.#source = source;
  }

  async #more(): Promise<boolean> {
    while (!this.#ended) {
      const next = await this.#source.next();
      if (next.done === true) this.#ended = true;
      else if (next.value.length > 0) {
        this.#bytes = this.#bytes.length === 0 ? next.value : Buffer.concat([this.#bytes, next.value]);
        return true;
      }
    }
    return false;
  }

  /** Whether nothing is left. */
  async ended(): Promise<boolean> {
    return this.#bytes.length === 0 && !(await this.#more());
  }

  /** The next line, as Latin-1, without its CRLF. */
  async line(): Promise<string> {
    for (let from = 0; ; ) {
      const at = this.#bytes.indexOf(LF, from);
      if (at !== -1) {
        if (at === 0 || this.#bytes[at - 1] !== CR) throw malformed("A line of the framing does not end in CR LF.");
        const line = this.#bytes.toString("latin1", 0, at - 1);
        this.#bytes = this.#bytes.subarray(at + 1);
        if (line.length > LINE_CHARS_MAX) throw malformed("A line of the framing is too long.");
        return line;
      }
      from = this.#bytes.length;
      if (from > LINE_CHARS_MAX) throw malformed("A line of the framing is too long.");
      if (!(await this.#more())) throw refuse("IncompleteBody");
    }
  }

  /** At least one byte, at most `max`. */
  async some(max: number): Promise<Buffer> {
    if (this.#bytes.length === 0 && !(await this.#more())) throw refuse("IncompleteBody");
    const taken = this.#bytes.subarray(0, max);
    this.#bytes = this.#bytes.subarray(taken.length);
    return taken;
  }

  /** Exactly so many bytes. */
  async exactly(count: number): Promise<Buffer> {
    const first = await this.some(count);
    if (first.length === count) return first;
    const pieces = [first];
    for (let left = count - first.length; left > 0; ) {
      const next = await this.some(left);
      pieces.push(next);
      left -= next.length;
    }
    return Buffer.concat(pieces, count);
  }

  async close(): Promise<void> {
    await this.#source.return?.();
  }
}
