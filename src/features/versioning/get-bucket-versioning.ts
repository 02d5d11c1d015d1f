/** GET Bucket versioning: the state, and an empty document where it was never configured. */

import { out } from "../../operations/output-fields.ts";
import { operation } from "../../operations/operation.ts";
import type { Versioning } from "../../store/records.ts";
import { el, optional } from "../../xml/write.ts";

export const getBucketVersioning = operation(
  {
    name: "GetBucketVersioning",
    summary: "Tells whether versioning is on, suspended, or was never configured.",
    route: { method: "GET", on: "bucket", query: ["versioning"] },
    action: "name/cos:GetBucketVersioning",
    authentication: ["header", "query"],
    permission: "owner",
    input: {},
    output: {
      versioning: out.xml("VersioningConfiguration", (status: Versioning | undefined) =>
        el("VersioningConfiguration", optional("Status", status)),
      ),
    },
    status: 200,
    errors: [],
  },
  async ({ bucket }) => ({ versioning: bucket.versioning }),
);
