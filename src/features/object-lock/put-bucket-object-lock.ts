/** PUT Bucket object lock: lets the objects of a bucket be locked, for good, and says for how long by default. */

import { operation } from "../../operations/operation.ts";
import { bucketKey } from "../../store/keys.ts";
import { bucketEvidence } from "../../store/state-evidence.ts";
import { BUCKET_TIERING } from "../../store/storage-class.ts";
import { lockBody } from "./model.ts";

export const putBucketObjectLock = operation(
  {
    name: "PutBucketObjectLockConfiguration",
    summary: "Enables object lock, which cannot be taken back, and sets for how long objects are locked by default.",
    route: { method: "PUT", on: "bucket", query: ["object-lock"] },
    action: "name/cos:PutBucketObjectLockConfiguration",
    authentication: ["header", "query"],
    permission: "owner",
    input: { lock: lockBody },
    output: {},
    status: 200,
    errors: [
      "InvalidArgument",
      "InvalidBucketState",
      "InvalidLockedTime",
      "MalformedXML",
      "NoSuchBucket",
      "NotImplemented",
    ],
  },
  async ({ bucket, limits, refuse, store }, { lock: { days } }) => {
    // Every write reads the bucket's row in its transaction, so it sees the lock before this one or the lock after.
    await store.transact([bucketKey(bucket.name)], async (tx) => {
      const present = await store.buckets.requireSame(tx, bucket);
      const generation = present.lock?.generation ?? (limits.objectLockGeneration === 1 ? 1 : 2);
      const { versioning } = present;
      const evidence = () => bucketEvidence(present);
      if (versioning === "Suspended" || (generation === 1 && versioning !== undefined)) {
        throw refuse("InvalidBucketState", {
          message: "Object lock does not go together with the versioning of the bucket.",
          evidence,
        });
      }
      if (store.configurations.has(present, BUCKET_TIERING)) {
        throw refuse("InvalidBucketState", {
          message: "Object lock does not go together with intelligent tiering.",
          evidence,
        });
      }
      if (generation === 1) {
        if (store.configurations.has(present, { name: "lifecycle" })) {
          throw refuse("InvalidBucketState", {
            message: "Object lock does not go together with lifecycle rules.",
            evidence,
          });
        }
        if (days === undefined)
          throw refuse("MalformedXML", { message: "expected <Rule> in <ObjectLockConfiguration>" });
        if (days < (present.lock?.days ?? 0)) throw refuse("InvalidLockedTime", { evidence });
      }
      store.buckets.put(tx, { ...present, lock: { generation, days } });
    });
    return {};
  },
);
