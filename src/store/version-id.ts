/**
 * Version ids: Base64, without padding, of the decimal digits of 2^64 - 1 - t, where t is the version's sequence, in
 * microseconds since 1970. Newer versions sort first. (decoded from the samples of the reference pages)
 */

/** Which version of a key: the one with this sequence, or the one that has no id of its own. */
export type VersionId = number | "null";

const INVERTED_MAX = 2n ** 64n - 1n;
const VERSION_ID = /^[A-Za-z0-9+/]{26,27}$/;
const DIGITS = /^\d{19,20}$/;
/** No version has it. */
const NO_SEQUENCE = 0;

/** The id that clients see. */
export function versionIdOf({
  sequence,
  versioned,
}: {
  readonly sequence: number;
  readonly versioned: boolean;
}): string {
  if (!versioned) return "null";
  return Buffer.from(String(INVERTED_MAX - BigInt(sequence)))
    .toString("base64")
    .replaceAll("=", "");
}

/** Which version of its key this is. */
export function idOfVersion({
  sequence,
  versioned,
}: {
  readonly sequence: number;
  readonly versioned: boolean;
}): VersionId {
  return versioned ? sequence : "null";
}

/** The text of an id that a client has named; undefined for what no version ever had. */
export function textOfVersionId(id: VersionId): string | undefined {
  if (id === NO_SEQUENCE) return undefined;
  return versionIdOf(id === "null" ? { sequence: NO_SEQUENCE, versioned: false } : { sequence: id, versioned: true });
}

/** The version that a client's text names. A text that is no id of ours names one that no key has. */
export function parseVersionId(text: string): VersionId {
  if (text === "null") return text;
  const digits = VERSION_ID.test(text) ? Buffer.from(text, "base64").toString("latin1") : "";
  if (!DIGITS.test(digits)) return NO_SEQUENCE;
  const sequence = INVERTED_MAX - BigInt(digits);
  // A second spelling of an id is no id: every version has one.
  const genuine =
    sequence > 0n &&
    sequence <= BigInt(Number.MAX_SAFE_INTEGER) &&
    versionIdOf({ sequence: Number(sequence), versioned: true }) === text;
  return genuine ? Number(sequence) : NO_SEQUENCE;
}
