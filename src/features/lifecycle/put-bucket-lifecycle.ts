/** PUT Bucket lifecycle: sets what becomes of the objects of a bucket in time, in place of the rules it had. */

import { operation } from "../../operations/operation.ts";
import { bucketEvidence } from "../../store/state-evidence.ts";
import { refuseClass } from "../storage-class/model.ts";
import { LIFECYCLE_ERRORS, lifecycleBody } from "./document.ts";
import { BUCKET_LIFECYCLE } from "./rules.ts";

export const putBucketLifecycle = operation(
  {
    name: "PutBucketLifecycle",
    summary: "Sets the rules by which objects of a bucket change their class and go.",
    route: { method: "PUT", on: "bucket", query: ["lifecycle"] },
    action: "name/cos:PutBucketLifecycle",
    authentication: ["header", "query"],
    permission: "owner",
    input: { rules: lifecycleBody },
    output: {},
    status: 200,
    errors: [...LIFECYCLE_ERRORS, "BucketLocked", "NoSuchBucket"],
  },
  async ({ bucket, clock, random, refuse, store }, { rules: given }) => {
    const rules = given.map((rule) => ({ ...rule, id: rule.id ?? random.bytes(16).toString("hex") }));
    await store.configurations.change(bucket, BUCKET_LIFECYCLE, (_tx, present) => {
      if (present.lock?.generation === 1) throw refuse("BucketLocked", { evidence: () => bucketEvidence(present) });
      for (const { transitions, noncurrentTransitions } of rules) {
        for (const { to } of [...transitions, ...noncurrentTransitions]) refuseClass(store, present, to);
      }
      return { setMs: clock.now(), rules };
    });
    return {};
  },
);
