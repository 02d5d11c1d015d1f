/** From the form of an upload to the request it stands for: its fields become headers, its file the body. */

import { refuse } from "../errors/cos-error.ts";
import { isHeaderText } from "../operations/output-fields.ts";
import { headerFields } from "./headers.ts";
import { ReadRequest, type RequestBody, type WireRequest } from "./request.ts";

const FILE_NAME = "${filename}";

/** The fields with the file's name put into the key. Raises InvalidArgument for a form without a key. */
export function withFileName(fields: ReadonlyMap<string, string>, fileName: string): ReadonlyMap<string, string> {
  const key = fields.get("key");
  if (key === undefined || key === "") {
    throw refuse("InvalidArgument", {
      message: "A form must contain a field named key. If it does, look at the order of the fields.",
    });
  }
  return key.includes(FILE_NAME) ? new Map([...fields, ["key", key.replaceAll(FILE_NAME, () => fileName)]]) : fields;
}

/**
 * Header fields of a request that still hold for its form. All others are what nobody has signed: what an upload is to
 * have, its form says.
 */
const KEPT: ReadonlySet<string> = new Set(["content-length", "host", "origin", "referer", "user-agent"]);
const KEPT_PREFIX = "sec-fetch-";

const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;

/**
 * The request that a form stands for. `fields` are what of the form counts as headers, under the names of declarations.
 * Raises InvalidArgument for one that could not be sent back in a header, MalformedPOSTRequest for two of one name.
 */
export function formRequest(
  sent: WireRequest,
  fields: Iterable<readonly [name: string, value: string]>,
  file: RequestBody,
): WireRequest {
  const values = new Map<string, string>();
  for (const [name, value] of sent.headers.entries()) {
    if (KEPT.has(name) || name.startsWith(KEPT_PREFIX)) values.set(name, value);
  }
  const told = new Set<string>();
  for (const [name, value] of fields) {
    // Two fields may stand for one header, such as `acl` and `x-cos-acl`: a policy that speaks of one would not hold.
    if (told.has(name)) {
      const shown = JSON.stringify(name.slice(0, 64));
      throw refuse("MalformedPOSTRequest", { message: `The form tells ${shown} twice, under two names.` });
    }
    told.add(name);
    // As from the wire: one character for each byte.
    const bytes = Buffer.from(value, "utf8").toString("latin1");
    if (!FIELD_NAME.test(name) || !isHeaderText(bytes)) {
      const shown = JSON.stringify(name.slice(0, 64));
      throw refuse("InvalidArgument", { message: `The field ${shown} of the form cannot stand in a header.` });
    }
    values.set(name, bytes);
  }
  return new ReadRequest(sent, { headers: headerFields(values), body: file });
}
