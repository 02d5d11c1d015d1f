/** HEAD Object: what GET tells about an object, without its bytes. */

import { group } from "../../operations/input-fields.ts";
import { out } from "../../operations/output-fields.ts";
import { operation } from "../../operations/operation.ts";
import { conditionFields, describeObject, evaluateConditions, objectOutput } from "./model.ts";

export const headObject = operation(
  {
    name: "HeadObject",
    summary: "Describes an object.",
    route: { method: "HEAD", on: "object" },
    action: "name/cos:HeadObject",
    authentication: ["header", "query", "anonymous"],
    permission: "read",
    loads: "object",
    input: { conditions: group(conditionFields) },
    output: {
      status: out.status("304 when a condition finds the object unchanged"),
      acceptRanges: out.text("Accept-Ranges"),
      contentLength: out.length(),
      object: out.group(objectOutput),
    },
    status: 200,
    errors: ["NoSuchKey", "PreconditionFailed"],
  },
  async ({ object, refuse }, { conditions }) => {
    if (object === undefined) throw refuse("NoSuchKey");
    const verdict = evaluateConditions(conditions, object);
    if (verdict === "failed") throw refuse("PreconditionFailed");
    const unchanged = verdict === "unchanged";
    return {
      status: unchanged ? 304 : 200,
      acceptRanges: "bytes",
      contentLength: unchanged ? undefined : object.size,
      object: describeObject(object),
    };
  },
);
