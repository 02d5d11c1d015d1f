/** What names of buckets and objects may be. */

/** Lower-case letters, digits and hyphens, no hyphen at the ends of the user's part, then the APPID. (bucket naming page) */
const BUCKET_NAME = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?-[0-9]+$/;
/** A leading `/` or `\`, and the bytes CAN, EM, SUB and ESC. (object naming page) */
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const NOT_TO_BE_STORED = /^[/\\]|[\x18-\x1b]/;

/** The user's part alone, at least three characters as S3 has it. */
const BARE_BUCKET_NAME = /^[a-z0-9][a-z0-9-]+[a-z0-9]$/;

/** True for what an APPID makes a bucket's name of. */
export function isBareBucketName(name: string): boolean {
  return BARE_BUCKET_NAME.test(name);
}

/** True for a name that a bucket can have. */
export function isBucketName(name: string): boolean {
  return BUCKET_NAME.test(name);
}

/**
 * What is wrong with the name of a bucket to be made, or undefined. The length counts the whole host that the live
 * service would give it, `<bucket>.cos.<region>.myqcloud.com`, however this request was addressed.
 */
export function bucketNameFault(
  name: string,
  region: string,
  hostCharsMax: number,
): "InvalidBucketName" | "BucketNameTooLong" | undefined {
  if (!isBucketName(name)) return "InvalidBucketName";
  return `${name}.cos.${region}.myqcloud.com`.length > hostCharsMax ? "BucketNameTooLong" : undefined;
}

/**
 * What is wrong with a key, or undefined. Names that may not be stored are still looked up, and not found: only a write
 * is told `InvalidObjectName`.
 */
export function keyFault(
  key: string,
  forWrite: boolean,
  keyBytesMax: number,
): "KeyTooLong" | "InvalidObjectName" | undefined {
  // UTF-8 takes at most three bytes for one UTF-16 unit, so short keys need no counting.
  if (key.length * 3 > keyBytesMax && Buffer.byteLength(key) > keyBytesMax) return "KeyTooLong";
  return forWrite && NOT_TO_BE_STORED.test(key) ? "InvalidObjectName" : undefined;
}
