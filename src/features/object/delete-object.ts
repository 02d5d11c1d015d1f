/** DELETE Object: forgets the object under a key; a key that holds none is no fault. */

import { operation } from "../../operations/operation.ts";
import { removeObjects } from "./remove-objects.ts";

export const deleteObject = operation(
  {
    name: "DeleteObject",
    summary: "Deletes an object; succeeds as well when there is none.",
    route: { method: "DELETE", on: "object" },
    action: "name/cos:DeleteObject",
    authentication: ["header", "query", "anonymous"],
    permission: "write",
    input: {},
    output: {},
    status: 204,
    errors: ["NoSuchBucket"],
  },
  async ({ bucket, key, store }) => {
    await removeObjects(store, bucket, [key]);
    return {};
  },
);
