/**
 * Storage classes: archived objects and their restore, intelligent tiering.
 *
 * Differences and decisions: buckets are in one availability zone, so a class of several is
 * MAZOperationNotSupportOnOAZBucket; COLD is NotImplemented. A restore takes the least time that the service names for
 * its tier (settings `restore…Ms`); the restored copy lasts until the midnight of GMT+8 after its days. A second restore
 * of a copy that is there answers 200 and sets its days anew. A restore without a tier is Standard. Conditions are held
 * against an archived object before it is refused. To copy an object onto itself while it is being restored is
 * InvalidObjectState (409). No bytes can be appended to an archived object, and none to one of the tiering class.
 * Of intelligent tiering both forms are built; `?intelligenttiering` and the rule `default` of `?intelligent-tiering` are
 * one. Archive tiers begin after days in the bounds of S3 (90 and 180 to 730), and are worked out from the rules that are
 * there: without its rule an object is read again. A restore from one needs no days, and brings the object to the frequent
 * tier. A rule that is not there is told as an empty document, since the error page has no code for it, and to S3 clients is
 * NoSuchConfiguration; other rules than `default` before that one are InvalidRequest. A read is noted once a day, which is enough to tell 30 days from 31; it
 * alters no other fact of the object. A copy is a read of its source. What comes from STANDARD_IA begins in the infrequent
 * tier, and the days of archive tiers count from when it came.
 */

import type { Operation } from "../../operations/operation.ts";
import { deleteTieringRule } from "./delete-tiering-rule.ts";
import { getBucketIntelligentTiering } from "./get-bucket-intelligent-tiering.ts";
import { getTieringRule } from "./get-tiering-rule.ts";
import { listTieringRules } from "./list-tiering-rules.ts";
import { postObjectRestore } from "./post-object-restore.ts";
import { putBucketIntelligentTiering } from "./put-bucket-intelligent-tiering.ts";
import { putTieringRule } from "./put-tiering-rule.ts";

export const operations: readonly Operation[] = [
  postObjectRestore,
  putBucketIntelligentTiering,
  getBucketIntelligentTiering,
  putTieringRule,
  getTieringRule,
  listTieringRules,
  deleteTieringRule,
];
