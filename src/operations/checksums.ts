/**
 * The checksums that S3 clients send with a body, in a header or after it, and ask for. COS has no names for them, so they
 * keep S3's: `x-amz-checksum-<algorithm>`, in Base64. (S3 user guide, checking object integrity)
 */

import { type CosError, refuse } from "../errors/cos-error.ts";
import type { ErrorId } from "../errors/catalogue.ts";
import type { RequestBody } from "../http/request.ts";
import {
  CHECKSUM_ALGORITHMS,
  CHECKSUM_BYTES,
  CHECKSUM_TYPES,
  type ChecksumAlgorithm,
  checksumOf,
  type ChecksumType,
  combines,
  type KeptChecksum,
  keptChecksum,
  runningChecksum,
} from "../store/checksums.ts";
import type { Section } from "../store/records.ts";
import type { ChecksumKind, ShownChecksum } from "./documents.ts";
import type { InputField, InputSource } from "./operation.ts";
import { out } from "./output-fields.ts";

/** What a request says of its body's checksum. */
export interface ChecksumClaim {
  readonly algorithm: ChecksumAlgorithm;
  /** Undefined where the value comes after the body. */
  readonly value: Buffer | undefined;
}

const nameOf = (algorithm: ChecksumAlgorithm): string => `x-amz-checksum-${algorithm.toLowerCase()}`;
const ALGORITHM_OF: ReadonlyMap<string, ChecksumAlgorithm> = new Map(
  CHECKSUM_ALGORITHMS.map((algorithm) => [nameOf(algorithm), algorithm]),
);
const PREFIX = "x-amz-checksum-";
/** Fields with that prefix that carry no value. */
const NO_VALUES: ReadonlySet<string> = new Set([
  "x-amz-checksum-algorithm",
  "x-amz-checksum-mode",
  "x-amz-checksum-type",
]);
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

const invalid = (message: string): CosError => refuse("InvalidRequest", { message });

function valueOf(algorithm: ChecksumAlgorithm, text: string): Buffer {
  const bytes = BASE64.test(text) ? Buffer.from(text, "base64") : Buffer.alloc(0);
  if (bytes.length !== CHECKSUM_BYTES[algorithm] || bytes.toString("base64") !== text) {
    throw invalid(`Value for ${nameOf(algorithm)} header is invalid.`);
  }
  return bytes;
}

/** Algorithms that clients name and that are not built: newer than the five that every S3 client knows. */
const UNBUILT: ReadonlySet<string> = new Set(["MD5", "SHA512", "XXHASH3", "XXHASH64", "XXHASH128"]);

function algorithmOf(text: string, header: string): ChecksumAlgorithm {
  const name = text.toUpperCase();
  const found = CHECKSUM_ALGORITHMS.find((algorithm) => algorithm === name);
  if (found !== undefined) return found;
  if (UNBUILT.has(name)) throw refuse("NotImplemented", { message: `The checksum ${name} is not implemented yet.` });
  throw invalid(`Checksum algorithm provided is unsupported: ${header}.`);
}

function readClaim({ request: { headers } }: Pick<InputSource, "request">): ChecksumClaim | undefined {
  let claim: ChecksumClaim | undefined;
  for (const [name, raw] of headers.entries()) {
    if (!name.startsWith(PREFIX) || NO_VALUES.has(name)) continue;
    const algorithm = ALGORITHM_OF.get(name) ?? algorithmOf(name.slice(PREFIX.length), name);
    if (claim !== undefined) {
      throw invalid("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.");
    }
    claim = { algorithm, value: valueOf(algorithm, raw.trim()) };
  }
  for (const name of headers.get("x-amz-trailer")?.split(",") ?? []) {
    const algorithm = ALGORITHM_OF.get(name.trim().toLowerCase());
    if (algorithm === undefined) {
      throw invalid("The value specified in the x-amz-trailer header is not supported");
    }
    if (claim !== undefined) {
      throw invalid("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.");
    }
    claim = { algorithm, value: undefined };
  }
  const named = headers.get("x-amz-sdk-checksum-algorithm");
  if (named === undefined) return claim;
  const algorithm = algorithmOf(named, "x-amz-sdk-checksum-algorithm");
  if (claim === undefined) {
    throw invalid(
      "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.",
    );
  }
  if (claim.algorithm !== algorithm) throw invalid("Value for x-amz-sdk-checksum-algorithm header is invalid.");
  return claim;
}

/** The checksum of the body, `x-amz-checksum-*` in a header or announced in `x-amz-trailer`. Raises InvalidRequest. */
export const checksumField: InputField<ChecksumClaim | undefined> = {
  from: "headers",
  name: PREFIX,
  required: false,
  summary: "the checksum of the body, in Base64: crc32, crc32c, crc64nvme, sha1 or sha256",
  errors: ["BadDigest", "InvalidRequest", "NotImplemented"],
  read: readClaim,
};

/** `x-amz-checksum-algorithm` of what will have a checksum: an upload in parts, a copy. */
export const checksumAlgorithmField: InputField<ChecksumAlgorithm | undefined> = {
  from: "header",
  name: "x-amz-checksum-algorithm",
  required: false,
  summary: CHECKSUM_ALGORITHMS.join(", "),
  errors: ["InvalidRequest", "NotImplemented"],
  read({ request }) {
    const text = request.headers.get("x-amz-checksum-algorithm");
    return text === undefined ? undefined : algorithmOf(text, "x-amz-checksum-algorithm");
  },
};

/** `x-amz-checksum-type` of an upload in parts. */
export const checksumTypeField: InputField<ChecksumType | undefined> = {
  from: "header",
  name: "x-amz-checksum-type",
  required: false,
  summary: CHECKSUM_TYPES.join(", "),
  errors: ["InvalidRequest"],
  read({ request }) {
    const text = request.headers.get("x-amz-checksum-type");
    const found = CHECKSUM_TYPES.find((type) => type === text?.toUpperCase());
    if (text !== undefined && found === undefined) {
      throw invalid("Value for x-amz-checksum-type header is invalid.");
    }
    return found;
  },
};

/** `x-amz-checksum-mode: ENABLED` of GET and HEAD. Any other value asks for nothing. */
export const checksumModeField: InputField<boolean> = {
  from: "header",
  name: "x-amz-checksum-mode",
  required: false,
  summary: "ENABLED answers the stored checksum",
  errors: [],
  read: ({ request }) => request.headers.get("x-amz-checksum-mode")?.toUpperCase() === "ENABLED",
};

/** The checksum that an upload in parts is to have. Raises InvalidRequest for a type that its algorithm cannot have. */
export function uploadChecksum(
  algorithm: ChecksumAlgorithm | undefined,
  type: ChecksumType | undefined,
): KeptChecksum | undefined {
  if (algorithm === undefined) {
    if (type === undefined) return undefined;
    throw invalid("The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.");
  }
  const chosen = type ?? (algorithm === "CRC64NVME" ? "FULL_OBJECT" : "COMPOSITE");
  if ((chosen === "FULL_OBJECT" && !combines(algorithm)) || (chosen === "COMPOSITE" && algorithm === "CRC64NVME")) {
    throw invalid(`The ${chosen} checksum type cannot be used with the ${algorithm.toLowerCase()} checksum algorithm.`);
  }
  return { algorithm, type: chosen, value: Buffer.alloc(0) };
}

/** What a client says of the checksum of the object that its parts make. */
export interface CompletedClaim {
  readonly algorithm: ChecksumAlgorithm;
  readonly value: Buffer;
  /** Of a checksum of parts, as `<value>-<parts>` tells it. */
  readonly parts: number | undefined;
}

/** `x-amz-checksum-*` of Complete Multipart Upload: the whole object's. Raises InvalidRequest. */
export const completedChecksumField: InputField<CompletedClaim | undefined> = {
  ...checksumField,
  summary: "the checksum of the whole object, in Base64, with -<parts> behind it where it is one of parts",
  read({ request }) {
    let claim: CompletedClaim | undefined;
    for (const [name, algorithm] of ALGORITHM_OF) {
      const text = request.headers.get(name);
      if (text === undefined) continue;
      if (claim !== undefined) {
        throw invalid("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.");
      }
      const [, value = "", parts] = /^([^-]*)(?:-(\d{1,5}))?$/.exec(text) ?? [];
      claim = { algorithm, value: valueOf(algorithm, value), parts: parts === undefined ? undefined : Number(parts) };
    }
    return claim;
  },
};

/** A checksum as a `<Part>` of a document names it: `<ChecksumCRC32>` and so on. */
export function namedChecksum(text: (element: string) => string | undefined): ChecksumClaim | undefined {
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    const value = text(`Checksum${algorithm}`);
    if (value !== undefined) return { algorithm, value: valueOf(algorithm, value.trim()) };
  }
  return undefined;
}

/** Header fields that tell which checksum an upload is to have. */
export function uploadChecksumHeaders(
  checksum: KeptChecksum | undefined,
): readonly (readonly [string, string])[] | undefined {
  if (checksum === undefined) return undefined;
  return [
    ["x-amz-checksum-algorithm", checksum.algorithm],
    ["x-amz-checksum-type", checksum.type],
  ];
}

/** Raised by whatever holds a body against its checksum. */
export function checksumMismatch(algorithm: ChecksumAlgorithm): CosError {
  return refuse("BadDigest", { message: `The ${algorithm} you specified did not match the calculated checksum.` });
}

/** A body whose checksum is computed while it is read. */
export interface SummedBody extends Pick<RequestBody, "declaredLength" | "stream" | "collect"> {
  /**
   * The checksum, once the body has been read to its end, held against what the client said.
   * Throws CosError BadDigest for another one, InvalidRequest for a value after the body that is none.
   */
  checksum(): KeptChecksum;
}

/** The body with the checksum that `claim` is about; without a value it is computed all the same. */
export function summedBody(body: RequestBody, claim: ChecksumClaim): SummedBody {
  const running = runningChecksum(claim.algorithm);
  const { declaredLength } = body;
  return {
    declaredLength,
    async *stream() {
      for await (const chunk of body.stream()) {
        running.update(chunk);
        yield chunk;
      }
    },
    async collect(bytesMax: number, over: ErrorId) {
      const bytes = await body.collect(bytesMax, over);
      running.update(bytes);
      return bytes;
    },
    checksum() {
      const value = running.digest();
      const told = toldValue(body, claim);
      if (told !== undefined && !told.equals(value)) throw checksumMismatch(claim.algorithm);
      return { algorithm: claim.algorithm, type: "FULL_OBJECT", value };
    },
  };
}

function toldValue(body: Pick<RequestBody, "trailers">, { algorithm, value }: ChecksumClaim): Buffer | undefined {
  if (value !== undefined) return value;
  const trailing = body.trailers?.get(nameOf(algorithm));
  return trailing === undefined ? undefined : valueOf(algorithm, trailing);
}

/** Holds a document that was collected against its checksum; raises BadDigest. */
export function verifyDocument(bytes: Buffer, body: Pick<RequestBody, "trailers">, claim: ChecksumClaim): void {
  const told = toldValue(body, claim);
  if (told !== undefined && !told.equals(checksumOf(claim.algorithm, bytes))) throw checksumMismatch(claim.algorithm);
}

/** The text of a checksum: Base64, and for one of parts their number. */
export function checksumText({ type, value }: KeptChecksum, parts: number | undefined): string {
  return type === "COMPOSITE" && parts !== undefined
    ? `${value.toString("base64")}-${parts}`
    : value.toString("base64");
}

/** A checksum for a document. */
export function shownChecksum(checksum: KeptChecksum | undefined, parts?: number): ShownChecksum | undefined {
  if (checksum === undefined) return undefined;
  const { algorithm, type } = checksum;
  return { algorithm, type, value: checksumText(checksum, parts) };
}

/** Which checksum a record keeps, without its value. */
export function checksumKind({ sections }: { readonly sections: readonly Section[] }): ChecksumKind | undefined {
  return sections.length === 0 ? undefined : keptChecksum(sections);
}

/** Header fields of an answer that tells a checksum. */
export const checksumOutput = out.headers("x-amz-checksum-*, the checksum, and x-amz-checksum-type");

/** The value of `checksumOutput`; `parts` is the number of parts an object was made of. */
export function checksumHeaders(
  checksum: KeptChecksum | undefined,
  parts?: number,
): readonly (readonly [string, string])[] | undefined {
  if (checksum === undefined) return undefined;
  return [
    [nameOf(checksum.algorithm), checksumText(checksum, parts)],
    ["x-amz-checksum-type", checksum.type],
  ];
}
