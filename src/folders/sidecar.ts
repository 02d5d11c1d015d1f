/** The list that an export carries beside its files: what a folder cannot say of an object. */

import type { StoredGrant } from "../access/acl.ts";
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { SettingsError } from "../config/settings.ts";
import type { ListedSettings } from "./bucket-settings.ts";
import { shownEncryption, withoutEncryption } from "../store/encryption.ts";
import {
  CANNED_ACLS,
  type CannedAcl,
  type ContentHeaders,
  type ObjectHead,
  type ObjectRecord,
} from "../store/records.ts";

const SIDECAR_FORMAT = 1;

/** The first line. */
export interface SidecarBucket extends ListedSettings {
  readonly cosboxExport: number;
  readonly bucket: string;
  readonly region: string;
  readonly acl: CannedAcl;
  /** The grants of its ACL beside the canned one; absent in exports of before there were any. */
  readonly grants?: readonly StoredGrant[];
}

/** The line of an object. */
export interface SidecarObject {
  readonly key: string;
  /** Relative to the folder, with `/` between its steps. */
  readonly file: string;
  readonly size: number;
  readonly etag: string;
  /** In decimal, as on the wire. */
  readonly crc64: string;
  /** Milliseconds since 1970. */
  readonly modifiedMs: number;
  readonly type: ObjectHead["type"];
  readonly storageClass: string;
  readonly headers: ContentHeaders;
  readonly metadata: ObjectRecord["metadata"];
  /** How it was encrypted, and will be again; absent where it was not. */
  readonly encryption?: "service" | "kms" | undefined;
  /** Tags and Base64 of what later features have stored. */
  readonly sections: readonly (readonly [tag: number, bytes: string])[];
}

/** The last line: a list without it is cut short. */
interface SidecarEnd {
  readonly end: true;
  readonly objects: number;
}

export function bucketLine(bucket: Omit<SidecarBucket, "cosboxExport">): string {
  return line({ cosboxExport: SIDECAR_FORMAT, ...bucket } satisfies SidecarBucket);
}

export function objectLine(key: string, file: string, record: ObjectRecord): string {
  const encryption = shownEncryption(record.sections)?.kind;
  const { size, etag, crc64, modifiedMs, type, storageClass, headers, metadata, sections } = record;
  return line({
    key,
    file,
    size,
    etag,
    crc64: String(crc64),
    modifiedMs,
    type,
    storageClass,
    headers,
    metadata,
    ...(encryption !== undefined && encryption !== "customer" && { encryption }),
    sections: withoutEncryption(sections).map(({ tag, bytes }) => [tag, bytes.toString("base64")] as const),
  } satisfies SidecarObject);
}

export function endLine(objects: number): string {
  return line({ end: true, objects } satisfies SidecarEnd);
}

function line(value: object): string {
  return `${JSON.stringify(value)}\n`;
}

export interface Sidecar {
  readonly bucket: SidecarBucket;
  /** The objects, to be read once. */
  objects(): AsyncIterable<SidecarObject>;
}

/**
 * Reads the list. What does not fit its form is a SettingsError that names the line, here or while iterating; a list
 * that was cut short is one at its end.
 */
export async function readSidecar(file: string): Promise<Sidecar> {
  const lines = createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })[
    Symbol.asyncIterator
  ]();
  let number = 0;
  const damaged = (why: string): SettingsError => new SettingsError(`${file}:${number}: ${why}`);
  async function next(): Promise<Record<string, unknown> | undefined> {
    const { value, done } = await lines.next();
    if (done === true) return undefined;
    number += 1;
    try {
      const parsed: unknown = JSON.parse(value);
      if (typeof parsed === "object" && parsed !== null) return parsed as Record<string, unknown>;
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
    throw damaged("this line is damaged");
  }

  const head = await next();
  const format = head?.["cosboxExport"];
  if (typeof format === "number" && format > SIDECAR_FORMAT) {
    throw damaged(`a newer version of cosbox made this export (format ${format}): import it with that version`);
  }
  if (head === undefined || format !== SIDECAR_FORMAT || !isBucket(head)) {
    throw damaged("this is not the list of an export");
  }
  return {
    bucket: head,
    async *objects() {
      for (let count = 0; ; count++) {
        const found = await next();
        if (found === undefined) throw damaged("the list is cut short");
        if (found["end"] === true) {
          if (found["objects"] !== count)
            throw damaged(`the list has ${count} objects, not ${String(found["objects"])}`);
          return;
        }
        if (!isObject(found)) throw damaged("this line is damaged");
        yield found;
      }
    },
  };
}

function isBucket(found: object): found is SidecarBucket {
  const { bucket, region, acl, lock, configurations = [] } = found as Partial<SidecarBucket>;
  return (
    typeof bucket === "string" &&
    typeof region === "string" &&
    CANNED_ACLS.includes(acl as CannedAcl) &&
    (lock === undefined || (typeof lock === "object" && lock !== null)) &&
    Array.isArray(configurations) &&
    configurations.every(
      (pair) => Array.isArray(pair) && pair.length === 2 && pair.every((one) => typeof one === "string"),
    )
  );
}

function isObject(found: object): found is SidecarObject {
  const { key, file, size, etag, crc64, modifiedMs, type, storageClass, headers, metadata, encryption, sections } =
    found as Partial<SidecarObject>;
  return (
    typeof key === "string" &&
    key !== "" &&
    !key.includes("\0") &&
    typeof file === "string" &&
    Number.isSafeInteger(size) &&
    /^[0-9a-f]{32}(-[1-9][0-9]{0,4})?$/.test(String(etag)) &&
    /^[0-9]{1,20}$/.test(String(crc64)) &&
    Number.isSafeInteger(modifiedMs) &&
    (type === "normal" || type === "appendable") &&
    typeof storageClass === "string" &&
    typeof headers === "object" &&
    headers !== null &&
    Object.values(headers).every((value) => typeof value === "string") &&
    Array.isArray(metadata) &&
    metadata.every(
      (pair) => Array.isArray(pair) && pair.length === 2 && pair.every((one) => typeof one === "string"),
    ) &&
    (encryption === undefined || encryption === "service" || encryption === "kms") &&
    Array.isArray(sections) &&
    sections.every((one) => Array.isArray(one) && Number.isInteger(one[0]) && typeof one[1] === "string")
  );
}
