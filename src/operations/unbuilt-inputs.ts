/**
 * Headers and parameters of features that are not built yet. A request that carries one is answered `NotImplemented`
 * with its name: nothing is accepted and ignored. A feature that arrives takes its line away.
 */

import { refuse } from "../errors/cos-error.ts";
import type { WireRequest } from "../http/request.ts";

const HEADERS: readonly string[] = [
  "pic-operations",
  "x-cos-callback",
  "x-cos-callback-var",
  "x-cos-forbid-overwrite",
  "x-cos-return-body",
  "x-cos-symlink-target",
  "x-cos-website-redirect-location",
  "x-ci-security-token",
  "x-amz-bucket-namespace",
  "x-amz-mfa",
  "x-amz-object-ownership",
  // Rules of a lifecycle move objects of any size, unless they say otherwise.
  "x-amz-transition-default-minimum-object-size",
  "x-amz-write-offset-bytes",
  "x-cos-object-lock-legal-hold",
  // A key that many objects of a bucket share for a while: it would change what nobody sees.
  "x-cos-server-side-encryption-bucket-key-enabled",
];

/** Values that ask for nothing but what is so anyway. */
const MEANING_NOTHING: ReadonlyMap<string, string> = new Map([
  ["x-amz-bucket-namespace", "global"],
  ["x-amz-object-ownership", "objectwriter"],
  ["x-cos-server-side-encryption-bucket-key-enabled", "false"],
]);

const HEADER_PREFIXES: readonly string[] = ["x-cos-object-retention", "x-amz-if-match-"];

const PARAMETERS: readonly string[] = ["ci-process", "recursive"];

/** Image processing parameters stand at the beginning of a name: `?imageMogr2/thumbnail/100x`. */
const PARAMETER_PREFIXES: readonly string[] = [
  "exif",
  "imageave",
  "imageinfo",
  "imagemogr2",
  "imageview2",
  "watermark/",
];

const HEADER_SET: ReadonlySet<string> = new Set(HEADERS);
const PARAMETER_SET: ReadonlySet<string> = new Set(PARAMETERS);

/**
 * Raises InvalidArgument for a version that is named where the operation is about none: what the client meant would
 * happen to another version than it thinks. An empty name counts as absent, as coscli sends it.
 */
export function refuseVersion({ target: { query } }: Pick<WireRequest, "target">, declared: ReadonlySet<string>): void {
  if (declared.has("versionid") || query.all("versionid").every((value) => value === "")) return;
  throw refuse("InvalidArgument", { message: "The operation takes no versionId." });
}

const PROTECTING = /^x-cos-(?:object-lock-|(?:copy-source-)?(server-side-encryption))/;

/**
 * Raises SSEHeaderNotAllowed for a header about encryption, and InvalidArgument for one about locks, that the operation
 * does not declare: what is taken for encrypted or locked would not be.
 */
export function refuseMisplaced({ headers }: Pick<WireRequest, "headers">, declared: ReadonlySet<string>): void {
  for (const [name, value] of headers.entries()) {
    if (value === "" || declared.has(name) || HEADER_SET.has(name)) continue;
    const found = PROTECTING.exec(name);
    if (found === null) continue;
    const id = found[1] === undefined ? "InvalidArgument" : "SSEHeaderNotAllowed";
    throw refuse(id, { message: `The operation does not take the header ${name}.` });
  }
}

/** Raises NotImplemented, naming the first header or parameter of an unbuilt feature that `declared` does not name. */
export function refuseUnbuiltInputs(
  request: Pick<WireRequest, "headers" | "target">,
  declared: ReadonlySet<string>,
): void {
  for (const [name, value] of request.headers.entries()) {
    if (value === "" || declared.has(name)) continue;
    if (MEANING_NOTHING.get(name) === value.toLowerCase()) continue;
    if (HEADER_SET.has(name) || (/^x-(cos|amz)-/.test(name) && HEADER_PREFIXES.some((p) => name.startsWith(p)))) {
      throw refuse("NotImplemented", {
        message: `The header ${name} belongs to a feature that is not implemented yet.`,
      });
    }
  }
  const { query } = request.target;
  for (const name of query.names()) {
    if (declared.has(name)) continue;
    if (PARAMETER_SET.has(name) || PARAMETER_PREFIXES.some((p) => name.startsWith(p))) {
      const shown = name.slice(0, 64);
      throw refuse("NotImplemented", {
        message: `The parameter ${shown} belongs to a feature that is not implemented yet.`,
      });
    }
  }
}
