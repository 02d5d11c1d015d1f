/** Abort Multipart Upload: ends an upload and gives its parts back. */

import { operation } from "../../operations/operation.ts";
import { uploadKey } from "../../store/keys.ts";
import { uploadIdField } from "./model.ts";
import { requireUpload, uploadName } from "./open-upload.ts";

export const abortMultipartUpload = operation(
  {
    name: "AbortMultipartUpload",
    summary: "Ends an upload and removes its parts.",
    route: { method: "DELETE", on: "object", query: ["uploadId"] },
    action: "name/cos:AbortMultipartUpload",
    authentication: ["header", "query", "anonymous"],
    permission: "write",
    input: { uploadId: uploadIdField },
    output: {},
    status: 204,
    errors: ["NoSuchBucket", "NoSuchUpload"],
  },
  async (context, { uploadId }) => {
    const { bucket, key, store } = context;
    const name = uploadName(context, uploadId);
    await store.transact([uploadKey(bucket.id, key, uploadId)], async (tx) => {
      await requireUpload(tx, context, name);
      store.uploads.abort(tx, name);
    });
    return {};
  },
);
