/** What the operations on multipart uploads share: ids, part lists, the ETag of the whole. Pure. */

import { createHash } from "node:crypto";
import { partyNames } from "../../access/caller.ts";
import { refuse } from "../../errors/cos-error.ts";
import type { Limits } from "../../limits.ts";
import { header, query } from "../../operations/input-fields.ts";
import type { InputField } from "../../operations/operation.ts";
import { isUploadId } from "../../store/uploads.ts";
import { type ChecksumClaim, namedChecksum } from "../../operations/checksums.ts";
import { children, faultAt, requiredInteger, requiredText, text } from "../../xml/decode.ts";
import type { XmlElement } from "../../xml/parse.ts";
import { el, leaf, type XmlNode } from "../../xml/write.ts";
import type { ByteRange } from "../object/model.ts";

const uploadIdText = query.text("uploadId", "the id that Initiate Multipart Upload answered");

/** `uploadId`. A text that cannot be one raises NoSuchUpload, as an unknown id does. */
export const uploadIdField: InputField<string> = {
  ...uploadIdText,
  required: true,
  errors: [...uploadIdText.errors, "NoSuchUpload"],
  read(source) {
    const text = uploadIdText.read(source) as string | undefined;
    if (text === undefined || !isUploadId(text)) throw refuse("NoSuchUpload");
    return text;
  },
};

/** `uploadId` of List Parts, which has a code of its own for an empty one. */
export const listedUploadIdField: InputField<string> = {
  ...uploadIdField,
  errors: [...uploadIdField.errors, "ListPartUploadIdIsEmpty"],
  read(source) {
    if (uploadIdText.read(source) === "") throw refuse("ListPartUploadIdIsEmpty");
    return uploadIdField.read(source);
  },
};

const partNumberText = query.text("partNumber", "1 to the greatest part number");

/** `partNumber`, 1 to `limits.partsMax`. Raises InvalidArgument. */
export const partNumberField: InputField<number> = {
  ...partNumberText,
  required: true,
  read(source) {
    const { limits } = source;
    const text = partNumberText.read(source) as string | undefined;
    const number = text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : 0;
    if (number < 1 || number > limits.partsMax) {
      throw refuse("InvalidArgument", {
        message: `The argument partNumber must be a whole number from 1 to ${limits.partsMax}.`,
      });
    }
    return number;
  },
};

/** A part as Complete Multipart Upload names it. */
export interface NamedPart {
  readonly number: number;
  /** Without quotes, in lower case; any text, since a wrong one is InvalidPart. */
  readonly etag: string;
  /** What the client takes for the part's checksum; undefined where it names none. */
  readonly checksum: ChecksumClaim | undefined;
}

/**
 * The parts a `<CompleteMultipartUpload>` names, strictly ascending and at least one. Gaps are accepted. Throws XmlFault
 * for a document without a part or with a part number below 1 (captured from the service: MalformedXML), and CosError
 * InvalidArgument for a number above `limits.partsMax`, InvalidPartOrder for numbers that do not ascend, InvalidRequest
 * for a checksum that is none.
 */
export function decodeNamedParts(root: XmlElement, limits: Limits): readonly NamedPart[] {
  const elements = children(root, "Part");
  if (elements.length === 0) throw faultAt(root, "expected at least one <Part>");
  let last = 0;
  return elements.map((element) => {
    const number = requiredInteger(element, "PartNumber", { min: 1, max: Number.MAX_SAFE_INTEGER });
    if (number > limits.partsMax) {
      throw refuse("InvalidArgument", {
        message: `The element PartNumber must be a whole number from 1 to ${limits.partsMax}.`,
      });
    }
    if (number <= last) throw refuse("InvalidPartOrder");
    last = number;
    return {
      number,
      etag: bareEtag(requiredText(element, "ETag")),
      checksum: namedChecksum((name) => text(element, name)),
    };
  });
}

/** An ETag as SDKs send it, with quotes or without, as it is compared. */
function bareEtag(text: string): string {
  const trimmed = text.trim();
  const quoted = trimmed.length >= 2 && trimmed.startsWith('"') && trimmed.endsWith('"');
  return (quoted ? trimmed.slice(1, -1) : trimmed).toLowerCase();
}

/**
 * The ETag of an object made of parts: MD5 of the parts' binary MD5s, `-`, and their number. The service's own is
 * opaque; this form is what S3 clients know how to check.
 */
export function etagOfParts(md5s: Iterable<string>): string {
  const hash = createHash("md5");
  let count = 0;
  for (const md5 of md5s) {
    hash.update(md5, "hex");
    count += 1;
  }
  return `${hash.digest("hex")}-${count}`;
}

/** The owner of an upload, or the one who began it, as the lists of multipart uploads name them. */
export function partyOf(element: "Owner" | "Initiator", stored: string): XmlNode {
  const { id, name } = partyNames(stored);
  return el(element, leaf("ID", id), leaf("DisplayName", name));
}

const sourceRangeText = header.text("x-cos-copy-source-range", "bytes=first-last");
const SOURCE_RANGE = /^bytes=(\d{1,15})-(\d{1,15})$/;

/** `x-cos-copy-source-range`, both ends named. Raises InvalidArgument for any other form, where GET would ignore it. */
export const sourceRangeField: InputField<ByteRange | undefined> = {
  ...sourceRangeText,
  errors: ["InvalidArgument"],
  read(source) {
    const text = sourceRangeText.read(source) as string | undefined;
    if (text === undefined) return undefined;
    const [, first = "", last = ""] = SOURCE_RANGE.exec(text) ?? [];
    if (first === "" || Number(last) < Number(first)) {
      throw refuse("InvalidArgument", {
        message: "The argument x-cos-copy-source-range must be bytes=<first>-<last>, counted from 0.",
      });
    }
    return { start: Number(first), end: Number(last) + 1 };
  },
};
