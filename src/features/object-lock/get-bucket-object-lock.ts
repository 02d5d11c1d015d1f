/** GET Bucket object lock: for how long objects of a bucket are locked by default. */

import { operation } from "../../operations/operation.ts";
import { lockDocumentOutput } from "./model.ts";

export const getBucketObjectLock = operation(
  {
    name: "GetBucketObjectLockConfiguration",
    summary: "Tells for how long objects of a bucket are locked by default.",
    route: { method: "GET", on: "bucket", query: ["object-lock"] },
    action: "name/cos:GetBucketObjectLockConfiguration",
    authentication: ["header", "query"],
    permission: "owner",
    input: {},
    output: { configuration: lockDocumentOutput },
    status: 200,
    errors: ["NoSuchObjectLockConfiguration"],
  },
  async ({ bucket: { lock }, refuse }) => {
    if (lock === undefined)
      throw refuse("NoSuchObjectLockConfiguration", { s3: "ObjectLockConfigurationNotFoundError" });
    return { configuration: lock };
  },
);
