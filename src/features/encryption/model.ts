/** What operations share that encrypt objects or decrypt them: the headers, the bucket's default, the data keys. */

import { createHash } from "node:crypto";
import { refuse } from "../../errors/cos-error.ts";
import type { ErrorId } from "../../errors/catalogue.ts";
import type { DefaultEncryptionDocument } from "../../operations/documents.ts";
import { header, required, xmlBody } from "../../operations/input-fields.ts";
import type { InputField, InputFields, InputOf, InputSource, OperationContext } from "../../operations/operation.ts";
import { out } from "../../operations/output-fields.ts";
import { ByteReader, ByteWriter } from "../../store/bytes.ts";
import type { ConfigurationKind } from "../../store/configurations.ts";
import {
  type DataKey,
  type EncryptionMethod,
  isCustomerKey,
  KMS_ERRORS,
  type ShownEncryption,
  shownEncryption,
} from "../../store/encryption.ts";
import { RecordFromNewerVersion, type BucketRecord, type ObjectRecord, type Section } from "../../store/records.ts";
import { children, faultAt, only, requiredText, text } from "../../xml/decode.ts";
import type { XmlElement } from "../../xml/parse.ts";
import { el, leaf, optional, type XmlNode } from "../../xml/write.ts";

/** The refusals of `keyToStore`, for the declarations of operations that store bytes. */
export const ENCRYPT_ERRORS = [
  ...KMS_ERRORS,
  "InvalidArgument",
  "SSEContentNotSupported",
] as const satisfies readonly ErrorId[];

/** The refusals of `keyToRead`, for the declarations of operations that read bytes. */
export const DECRYPT_ERRORS = [
  ...KMS_ERRORS,
  "AccessDenied",
  "InvalidRequest",
  "SSEContentNotSupported",
  "SsecDecryptHeaderInvalid",
] as const satisfies readonly ErrorId[];

const METHOD = "x-cos-server-side-encryption";
const KEY_ID = `${METHOD}-cos-kms-key-id`;
const CONTEXT = `${METHOD}-context`;
const CUSTOMER = `${METHOD}-customer`;
const SOURCE_CUSTOMER = "x-cos-copy-source-server-side-encryption-customer";

const CUSTOMER_KEY_BYTES = 32;
/** Bytes of a context, as JSON. (KMS pages) */
const CONTEXT_BYTES_MAX = 1_024;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
const KEY_ID_CHARS_MAX = 256;

const customerFields = (prefix: string) => ({
  algorithm: header.text(`${prefix}-algorithm`, "AES256"),
  key: header.text(`${prefix}-key`, "Base64 of the 32 bytes of the client's key"),
  keyMd5: header.text(`${prefix}-key-MD5`, "Base64 of the MD5 of the key"),
});

const storedFields = {
  method: header.text(METHOD, "AES256 or cos/kms"),
  keyId: header.text(KEY_ID, "the key to encrypt with; the default key without it"),
  context: header.text(CONTEXT, "Base64 of a flat JSON object"),
  ...customerFields(CUSTOMER),
};

type CustomerValues = InputOf<ReturnType<typeof customerFields>>;

/** Fields that are read as one value. */
function joined<F extends InputFields, T>(
  fields: F,
  errors: readonly ErrorId[],
  join: (values: InputOf<F>) => T,
): InputField<T> {
  return {
    from: "group",
    name: "",
    required: false,
    summary: "",
    errors,
    fields,
    read(source: InputSource) {
      const values: Record<string, unknown> = {};
      for (const name in fields) values[name] = (fields[name] as InputField<unknown>).read(source);
      return join(values as InputOf<F>);
    },
  };
}

function bytesOf(base64: string, length: number): Buffer | undefined {
  const bytes = BASE64.test(base64) ? Buffer.from(base64, "base64") : Buffer.alloc(0);
  return bytes.length === length && bytes.toString("base64") === base64 ? bytes : undefined;
}

/** The client's key, undefined where none of the three headers is there; what is wrong with them is thrown as `fault`. */
function customerKeyOf(
  { algorithm, key, keyMd5 }: CustomerValues,
  fault: (message: string) => Error,
): Buffer | undefined {
  if (algorithm === undefined && key === undefined && keyMd5 === undefined) return undefined;
  if (algorithm !== undefined && algorithm.toUpperCase() !== "AES256") throw refuse("SSEContentNotSupported");
  if (algorithm === undefined || key === undefined || keyMd5 === undefined) {
    throw fault("A key of your own needs three headers: its algorithm, the key and the MD5 of the key.");
  }
  const bytes = bytesOf(key, CUSTOMER_KEY_BYTES);
  if (bytes === undefined) throw fault("The key must be the Base64 form of 32 bytes.");
  if (md5Of(bytes) !== keyMd5) throw fault("The MD5 of the key is not that of the key.");
  return bytes;
}

/** Base64 of the MD5 that tells a client's key back. */
function md5Of(customerKey: Buffer): string {
  return createHash("md5").update(customerKey).digest("base64");
}

function invalidArgument(message: string): Error {
  return refuse("InvalidArgument", { message });
}

/** How a request wants what it stores to be encrypted; undefined where it says nothing. */
export const encryptionField: InputField<EncryptionMethod | undefined> = joined(
  storedFields,
  ["InvalidArgument", "KmsException", "SSEContentNotSupported"],
  ({ method, keyId, context, ...customer }): EncryptionMethod | undefined => {
    const key = customerKeyOf(customer, invalidArgument);
    if (key !== undefined && method !== undefined) throw refuse("SSEContentNotSupported");
    const kind = method?.toLowerCase();
    if (kind !== "cos/kms" && (keyId !== undefined || context !== undefined)) {
      throw invalidArgument(`The headers ${KEY_ID} and ${CONTEXT} belong to the encryption cos/kms.`);
    }
    if (key !== undefined) return { kind: "customer", key };
    if (kind === undefined) return undefined;
    if (kind === "aes256") return { kind: "service" };
    if (kind !== "cos/kms") throw refuse("SSEContentNotSupported");
    if (keyId !== undefined && keyId.length > KEY_ID_CHARS_MAX) throw refuse("KmsKeyNotExist");
    return { kind: "kms", keyId, context, parsed: context === undefined ? {} : parsedContext(context) };
  },
);

/** Raises KmsException for what is no flat object of texts. */
function parsedContext(base64: string): Readonly<Record<string, string>> {
  const fault = (): Error =>
    refuse("KmsException", { message: `${CONTEXT} is not the Base64 form of a flat JSON object.` });
  const bytes = BASE64.test(base64) ? Buffer.from(base64, "base64") : Buffer.alloc(0);
  if (bytes.length === 0 || bytes.length > CONTEXT_BYTES_MAX) throw fault();
  let parsed: unknown;
  try {
    parsed = JSON.parse(bytes.toString("utf8"));
  } catch {
    throw fault();
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) throw fault();
  if (!Object.values(parsed).every((value) => typeof value === "string")) throw fault();
  return parsed as Record<string, string>;
}

const decrypting = (prefix: string): InputField<Buffer | undefined> =>
  joined(customerFields(prefix), ["SSEContentNotSupported", "SsecDecryptHeaderInvalid"], (values) =>
    customerKeyOf(values, (message) => refuse("SsecDecryptHeaderInvalid", { message })),
  );

/** The client's key for what is read, or for a part of what an upload makes. */
export const customerKeyField = decrypting(CUSTOMER);
/** The client's key for the source of a copy. */
export const sourceKeyField = decrypting(SOURCE_CUSTOMER);

/** The header fields that tell how something is encrypted. */
export const encryptionOutput = out.headers("how it is encrypted");

/** The value of `encryptionOutput`; `customerKey` is the client's key, where he told it. */
export function encryptionHeaders(
  shown: ShownEncryption | undefined,
  customerKey: Buffer | undefined,
): readonly (readonly [string, string])[] | undefined {
  switch (shown?.kind) {
    case undefined:
      return undefined;
    case "service":
      return [[METHOD, "AES256"]];
    case "kms":
      return [
        [METHOD, "cos/kms"],
        [KEY_ID, shown.keyId],
      ];
    case "customer":
      if (customerKey === undefined) return undefined;
      return [
        [`${CUSTOMER}-algorithm`, "AES256"],
        [`${CUSTOMER}-key-MD5`, md5Of(customerKey)],
      ];
  }
}

/** The client's key that a method brings, for `encryptionHeaders`. */
export function customerKeyIn(method: EncryptionMethod | undefined): Buffer | undefined {
  return method?.kind === "customer" ? method.key : undefined;
}

type StoreContext = Pick<OperationContext, "bucket" | "store">;

/**
 * How something new in a bucket is to be encrypted: as the request wants, or as the bucket has it for what says nothing.
 * Undefined where neither says anything.
 */
export function methodFor(
  { bucket, store }: StoreContext,
  requested: EncryptionMethod | undefined,
): EncryptionMethod | undefined | Promise<EncryptionMethod | undefined> {
  if (requested !== undefined || !store.configurations.has(bucket, BUCKET_ENCRYPTION)) return requested;
  return defaultOf({ bucket, store });
}

async function defaultOf({ bucket, store }: StoreContext): Promise<EncryptionMethod | undefined> {
  const found = await store.configurations.find(bucket, BUCKET_ENCRYPTION);
  if (found === undefined) return undefined;
  if (found.algorithm === "AES256") return { kind: "service" };
  return { kind: "kms", keyId: found.keyId, context: undefined, parsed: {} };
}

/** A data key for what a request stores; undefined where it is not to be encrypted. Raises ENCRYPT_ERRORS. */
export async function keyToStore(
  context: StoreContext,
  requested: EncryptionMethod | undefined,
): Promise<DataKey | undefined> {
  const method = await methodFor(context, requested);
  return method && (await context.store.encryption.create(method));
}

interface Reading extends Pick<OperationContext, "caller" | "store"> {
  readonly bucket: Pick<BucketRecord, "id">;
  readonly key: string;
}

/**
 * Refuses to read an object for want of the right key, without asking anybody for it: SsecDecryptHeaderInvalid,
 * InvalidRequest for a key that the object does not take, and AccessDenied for what a key management service guards and
 * nobody signed for.
 */
export function refuseReading(
  { caller }: Pick<OperationContext, "caller">,
  { sections }: { readonly sections: readonly Section[] },
  customerKey: Buffer | undefined,
): void {
  if (sections.length === 0 && customerKey === undefined) return;
  const shown = shownEncryption(sections);
  if (shown?.kind === "customer") {
    if (!isCustomerKey(sections, customerKey)) {
      const sent = customerKey === undefined ? "none was sent" : "another one was sent";
      throw refuse("SsecDecryptHeaderInvalid", { cause: `the object is encrypted with a client's key, and ${sent}` });
    }
    return;
  }
  if (customerKey !== undefined) {
    throw refuse("InvalidRequest", { message: "The object is not encrypted with a key of your own." });
  }
  if (shown?.kind === "kms" && caller.kind === "anonymous") throw refuse("AccessDenied");
}

/** The data key of an object that is read; undefined where it is not encrypted. Raises DECRYPT_ERRORS. */
export function keyToRead(
  context: Reading,
  object: Pick<ObjectRecord, "sections" | "sequence">,
  customerKey: Buffer | undefined,
): undefined | Promise<DataKey | undefined> {
  const { sections, sequence } = object;
  refuseReading(context, object, customerKey);
  if (sections.length === 0) return undefined;
  return context.store.encryption.open(
    sections,
    { bucketId: context.bucket.id, key: context.key, sequence },
    customerKey,
  );
}

const ALGORITHMS = ["AES256", "KMS"] as const;

export const BUCKET_ENCRYPTION: ConfigurationKind<DefaultEncryptionDocument> = {
  name: "encryption",
  encode: ({ algorithm, keyId }) =>
    new ByteWriter(64)
      .u8(ALGORITHMS.indexOf(algorithm))
      .text(keyId ?? "")
      .finish(),
  decode(bytes) {
    const reader = new ByteReader(bytes);
    const algorithm = ALGORITHMS[reader.u8()];
    const keyId = reader.text() || undefined;
    if (algorithm === undefined) throw new RecordFromNewerVersion("a bucket's encryption");
    reader.end();
    return { algorithm, keyId };
  },
};

const ROOT = "ServerSideEncryptionConfiguration";
/** The second is what the Node SDK's pages and its published tests send. */
const BY_DEFAULT = ["ApplyServerSideEncryptionByDefault", "ApplySideEncryptionConfiguration"];

function decode(root: XmlElement): DefaultEncryptionDocument {
  only(root, ["Rule"]);
  const [rule, ...others] = children(root, "Rule");
  if (rule === undefined || others.length > 0) throw faultAt(root, `expected one <Rule> in <${ROOT}>`);
  only(rule, [...BY_DEFAULT, "BucketKeyEnabled"]);
  const bucketKey = text(rule, "BucketKeyEnabled");
  if (bucketKey !== undefined && bucketKey.toLowerCase() !== "false") {
    throw refuse("NotImplemented", { message: "Bucket keys are not implemented: BucketKeyEnabled." });
  }
  const [byDefault, ...more] = BY_DEFAULT.flatMap((name) => children(rule, name));
  if (byDefault === undefined || more.length > 0) {
    throw faultAt(rule, "expected one <ApplyServerSideEncryptionByDefault> in <Rule>");
  }
  only(byDefault, ["SSEAlgorithm", "KMSMasterKeyID", "KMSAlgorithm"]);
  const named = requiredText(byDefault, "SSEAlgorithm").trim();
  const keyId = text(byDefault, "KMSMasterKeyID")?.trim() || undefined;
  const cipher = text(byDefault, "KMSAlgorithm")?.trim().toUpperCase() || "AES256";
  if (named.toUpperCase() === "SM4" || cipher === "SM4") {
    throw refuse("NotImplemented", { message: "The cipher SM4 is not implemented." });
  }
  const algorithm = NAMED.get(named.toLowerCase());
  if (algorithm === undefined || cipher !== "AES256") {
    throw faultAt(byDefault, `expected ${ALGORITHMS.join(" or ")} in <SSEAlgorithm>`);
  }
  if (keyId !== undefined && (algorithm !== "KMS" || keyId.length > KEY_ID_CHARS_MAX)) {
    throw invalidArgument("KMSMasterKeyID names a key of the algorithm KMS.");
  }
  return { algorithm, keyId };
}

const NAMED: ReadonlyMap<string, DefaultEncryptionDocument["algorithm"]> = new Map([
  ["aes256", "AES256"],
  ["kms", "KMS"],
  ["cos/kms", "KMS"],
  ["aws:kms", "KMS"],
]);

/** The document of a request. Raises InvalidArgument and NotImplemented besides what a document raises. */
export const defaultEncryptionBody = required(
  xmlBody({ root: ROOT, bytesMax: (limits) => limits.xmlBytesMax, decode }),
  "MissingRequestBodyError",
);

/** The document of an answer. */
export const defaultEncryptionOutput = out.xml(
  ROOT,
  ({ algorithm, keyId }: DefaultEncryptionDocument): XmlNode =>
    el(
      ROOT,
      el(
        "Rule",
        el("ApplyServerSideEncryptionByDefault", leaf("SSEAlgorithm", algorithm), optional("KMSMasterKeyID", keyId)),
      ),
    ),
);
