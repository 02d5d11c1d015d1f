/** `x-cos-copy-source`: which object a copy takes, in every spelling that official clients send. */

import { isUtf8 } from "node:buffer";
import { refuse } from "../errors/cos-error.ts";
import { Query } from "../http/target.ts";
import { isBareBucketName } from "../operations/name-rules.ts";
import type { SourceAddress } from "../operations/operation.ts";
import { type AddressingRules, readAddress } from "./address.ts";

const BUCKET_AND_KEY = /^([a-z0-9][a-z0-9-]*-[0-9]+)\/(.+)$/s;

/**
 * Reads `<bucket>.cos.<region>.<suffix>/<key>`, with `http(s)://` or a `/` before it if a client puts them there, and
 * `<bucket>/<key>`, as S3 clients do; the key is percent-encoded, `%2F` for its slashes included, and `?versionId=` may
 * follow. The service's own suffixes are always known: the Node SDK refuses to send others.
 * Throws CosError InvalidCopySource for anything else.
 * @param complete Makes the whole name of a bucket of one that may lack its APPID; without it names have to be whole.
 */
export function readCopySource(
  text: string,
  rules: AddressingRules,
  complete?: (bareName: string) => string,
): SourceAddress {
  const bare = text.replace(/^https?:\/\//i, "");
  const mark = bare.indexOf("?");
  const path = decoded(mark < 0 ? bare : bare.slice(0, mark)).replace(/^\/+/, "");
  const versionId = mark < 0 ? undefined : versionOf(bare.slice(mark + 1));

  const [, bucket, key = ""] = BUCKET_AND_KEY.exec(path) ?? [];
  if (bucket !== undefined) {
    const whole = complete?.(bucket) ?? bucket;
    return checked({ bucket: whole, writtenBucket: bucket, key, region: undefined, versionId });
  }

  const slash = path.indexOf("/");
  if (slash <= 0) throw refuse("InvalidCopySource");
  const first = path.slice(0, slash);
  if (complete !== undefined && isBareBucketName(first) && slash < path.length - 1) {
    const key = path.slice(slash + 1);
    return checked({ bucket: complete(first), writtenBucket: first, key, region: undefined, versionId });
  }
  const host = path
    .slice(0, slash)
    .toLowerCase()
    .replace(/:\d{1,5}$/, "")
    .replace(/\.$/, "");
  if (!rules.suffixes.some((suffix) => host.endsWith(`.${suffix}`))) throw refuse("InvalidCopySource");
  const address = located(host, path.slice(slash), rules);
  return checked({ ...address, writtenBucket: address.bucket, versionId });
}

/** Bytes beyond ASCII reach us as Latin-1; a client that sends a key unencoded means UTF-8. */
function decoded(text: string): string {
  const bytes = Buffer.from(text, "latin1");
  try {
    return decodeURIComponent(isUtf8(bytes) ? bytes.toString("utf8") : text);
  } catch {
    throw refuse("InvalidCopySource");
  }
}

function versionOf(query: string): string | undefined {
  try {
    // An empty one counts as absent, as an empty header does.
    return Query.parse(query).get("versionId") || undefined;
  } catch {
    throw refuse("InvalidCopySource");
  }
}

function located(host: string, path: string, rules: AddressingRules) {
  const authority = { host, port: undefined, text: host, spellings: [] };
  try {
    const address = readAddress({ authority, path, form: "origin" }, rules);
    if (address.kind === "object") return { bucket: address.bucket, key: address.key, region: address.region };
  } catch (cause) {
    throw refuse("InvalidCopySource", { cause });
  }
  throw refuse("InvalidCopySource");
}

function checked(source: SourceAddress): SourceAddress {
  if (source.key.includes("\0")) throw refuse("InvalidCopySource");
  return source;
}
