/** POST Object: stores the file of a form. Its fields stand for headers of their names. (POST Object page) */

import { header } from "../../operations/input-fields.ts";
import { operation } from "../../operations/operation.ts";
import { out } from "../../operations/output-fields.ts";
import { el, leaf, type XmlNode } from "../../xml/write.ts";
import type { PostedDocument } from "../../operations/documents.ts";
import { NEW_OBJECT_ERRORS, newObjectFields, newObjectOutput, storeNew } from "../object/store-object.ts";

const STATUSES: ReadonlyMap<string | undefined, number> = new Map([
  ["200", 200],
  ["201", 201],
]);

/** Where a page goes after its upload: the URL with what was stored in its query; undefined for what is no URL. */
function redirection(text: string | undefined, facts: Readonly<Record<string, string>>): string | undefined {
  if (text === undefined || !/^https?:\/\/[^/?#\s]/i.test(text)) return undefined;
  const [rest = "", ...fragment] = text.split("#");
  const query = Object.entries(facts).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  const joined = `${rest}${rest.includes("?") ? "&" : "?"}${query.join("&")}`;
  return [joined, ...fragment].join("#");
}

const encodedKey = (key: string): string => key.split("/").map(encodeURIComponent).join("/");

export const postObject = operation(
  {
    name: "PostObject",
    summary: "Stores the file of a form that a page sends; the fields of the form stand for headers.",
    route: { method: "POST", on: "bucket" },
    action: "name/cos:PostObject",
    authentication: ["form", "anonymous"],
    permission: "write",
    uploads: true,
    input: {
      ...newObjectFields,
      redirect: header.text("success_action_redirect", "the URL that a success leads to"),
      status: header.text("success_action_status", "200, 201 or 204, the status of a success"),
    },
    output: {
      ...newObjectOutput,
      location: out.text("Location"),
      status: out.status("200, 201 or 303, where the form asks for it"),
      document: out.optionalXml(
        "PostResponse",
        ({ location, bucket, key, etag }: PostedDocument): XmlNode =>
          el(
            "PostResponse",
            leaf("Location", location),
            leaf("Bucket", bucket),
            leaf("Key", key),
            leaf("ETag", `"${etag}"`),
          ),
      ),
    },
    status: 204,
    errors: NEW_OBJECT_ERRORS,
  },
  async (context, input) => {
    const stored = await storeNew(context, input);
    const { baseUrl, bucketName: bucket, key, shownBucketName } = context;
    const { etag } = stored;
    const next = redirection(input.redirect, { bucket: shownBucketName, key, etag: `"${etag}"` });
    const location = `${baseUrl}/${encodedKey(key)}`;
    if (next !== undefined) return { ...stored, location: next, status: 303, document: undefined };
    const status = STATUSES.get(input.status);
    const document = status === 201 ? { location, bucket, key, etag } : undefined;
    return { ...stored, location, status, document };
  },
);
