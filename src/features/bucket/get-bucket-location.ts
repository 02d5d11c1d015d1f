/** GET Bucket location: the region a bucket lives in. */

import { out } from "../../operations/output-fields.ts";
import { operation } from "../../operations/operation.ts";
import { leaf } from "../../xml/write.ts";

export const getBucketLocation = operation(
  {
    name: "GetBucketLocation",
    summary: "Tells the region of a bucket.",
    route: { method: "GET", on: "bucket", query: ["location"] },
    action: "name/cos:GetBucketLocation",
    authentication: ["header", "query"],
    permission: "owner",
    input: {},
    output: { location: out.xml("LocationConstraint", (region: string) => leaf("LocationConstraint", region)) },
    status: 200,
    errors: [],
  },
  async ({ bucket }) => ({ location: bucket.region }),
);
