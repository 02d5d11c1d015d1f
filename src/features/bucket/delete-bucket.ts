/** DELETE Bucket: removes a bucket that holds nothing, not even an unfinished upload. */

import { query } from "../../operations/input-fields.ts";
import { operation } from "../../operations/operation.ts";
import { uploadKey } from "../../store/keys.ts";
import type { BucketRecord } from "../../store/records.ts";
import type { Store } from "../../store/store.ts";

/** Attempts at a bucket in which others keep beginning uploads. */
const ATTEMPTS_MAX = 5;
const PAGE_UPLOADS = 1000;

/** Ends every unfinished upload of a bucket that holds nothing else; false, without ending any, where it does. */
async function endUploads(store: Store, bucket: BucketRecord): Promise<boolean> {
  const everything = { prefix: "", marker: "", delimiter: undefined };
  const held = await store.objects.listVersions(bucket, { ...everything, limit: 1, versionMarker: undefined });
  if (held.versions.length > 0) return false;
  for (let more = true; more; ) {
    const page = await store.uploads.list(bucket.id, { ...everything, limit: PAGE_UPLOADS });
    for (const { key, uploadId } of page.uploads) {
      const name = { bucketId: bucket.id, key, uploadId };
      await store.transact([uploadKey(bucket.id, key, uploadId)], async (tx) => {
        await store.buckets.requireSame(tx, bucket);
        if ((await store.uploads.require(tx, name)) !== undefined) store.uploads.abort(tx, name);
      });
    }
    more = page.truncated;
  }
  return true;
}

export const deleteBucket = operation(
  {
    name: "DeleteBucket",
    summary: "Deletes an empty bucket.",
    route: { method: "DELETE", on: "bucket" },
    action: "name/cos:DeleteBucket",
    authentication: ["header", "query"],
    permission: "owner",
    input: {
      // To S3 a bucket with nothing but unfinished uploads is empty; to COS it is not.
      ending: query.text("x-amz-end-uploads", "of the S3 dialect: ends unfinished uploads where there is nothing else"),
    },
    output: {},
    status: 204,
    errors: ["BucketNotEmpty", "NoSuchBucket"],
  },
  async ({ bucket, refuse, store }, { ending }) => {
    const remove = () =>
      store.buckets.remove(bucket.name, (present) => {
        if (present.id !== bucket.id) throw refuse("NoSuchBucket");
      });
    let result = await remove();
    for (let attempt = 1; result === "not-empty" && ending !== undefined && attempt <= ATTEMPTS_MAX; attempt++) {
      if (!(await endUploads(store, bucket))) break;
      result = await remove();
    }
    if (result === "not-empty") throw refuse("BucketNotEmpty");
    if (result === "absent") throw refuse("NoSuchBucket");
    return {};
  },
);
