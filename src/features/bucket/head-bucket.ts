/** HEAD Bucket: whether a bucket is there and may be read. */

import { out } from "../../operations/output-fields.ts";
import { operation } from "../../operations/operation.ts";

export const headBucket = operation(
  {
    name: "HeadBucket",
    summary: "Tells whether a bucket exists and the caller may read it.",
    route: { method: "HEAD", on: "bucket" },
    action: "name/cos:HeadBucket",
    authentication: ["header", "query", "anonymous"],
    permission: "read",
    input: {},
    output: { region: out.text("x-cos-bucket-region") },
    status: 200,
    errors: [],
  },
  async ({ bucket }) => ({ region: bucket.region }),
);
