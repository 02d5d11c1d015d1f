/**
 * Headers of a signed URL that stand in its query. Presigners of S3 put what a command says of an object there (its class,
 * ACL, metadata, tags, lock), so that whoever uses the URL sends none of it; the signature covers all parameters.
 */

import { refuse } from "../../errors/cos-error.ts";
import { headerFields } from "../../http/headers.ts";
import type { HeaderFields, WireRequest } from "../../http/request.ts";
import { isHeaderText } from "../../operations/output-fields.ts";
import { hasSignatureV4, isSignatureParameter } from "./signature.ts";

type Asked = Pick<WireRequest, "headers" | "target">;

const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;

/**
 * Whether a parameter stays one: those of the signature, and checksums, which presigners compute of the body that they
 * have, and that is none; S3 passes over them too.
 */
function isParameter(name: string): boolean {
  return (
    !name.startsWith("x-amz-") ||
    isSignatureParameter(name) ||
    name.startsWith("x-amz-checksum-") ||
    name.startsWith("x-amz-sdk-")
  );
}

/** Whether a signed URL carries the header of that name, as S3 has it, in its query. */
export function isHoisted({ target: { query } }: Pick<Asked, "target">, name: string): boolean {
  return hasSignatureV4(query) && !isParameter(name) && query.has(name);
}

/**
 * The headers of a request with those of its query; what is sent as a header counts. Throws CosError InvalidArgument for a
 * parameter that could be no header, or comes twice.
 */
export function withHoisted({ headers, target: { query } }: Asked): HeaderFields {
  if (query.entries.length === 0 || !hasSignatureV4(query)) return headers;
  let values: Map<string, string> | undefined;
  for (const [written, text] of query.entries) {
    const name = written.toLowerCase();
    if (isParameter(name) || headers.raw(name) !== undefined) continue;
    // Headers are held as the bytes that go over the wire.
    const value = Buffer.from(text, "utf8").toString("latin1");
    if (!TOKEN.test(name) || !isHeaderText(value)) {
      throw refuse("InvalidArgument", { message: "An argument of the URL holds what no header can." });
    }
    if (query.repeated(name)) {
      throw refuse("InvalidArgument", { message: `The argument ${name} is given more than once.` });
    }
    values ??= new Map(headers.entries());
    values.set(name, value);
  }
  return values === undefined ? headers : headerFields(values);
}
