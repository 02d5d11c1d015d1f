/** PUT Object retention: locks a version, or locks it for longer. */

import { operation } from "../../operations/operation.ts";
import { versionIdField } from "../../operations/version-field.ts";
import { objectKey } from "../../store/keys.ts";
import { lockedUntil, withRetention } from "../../store/locks.ts";
import { absence, ABSENCE_ERRORS } from "../versioning/model.ts";
import { refuseEnd, refuseUnlockable, retentionBody } from "./model.ts";

export const putObjectRetention = operation(
  {
    name: "PutObjectRetention",
    summary: "Locks an object until a date, which may lie later than the present one and never earlier.",
    route: { method: "PUT", on: "object", query: ["retention"] },
    action: "name/cos:PutObjectRetention",
    authentication: ["header", "query"],
    permission: "owner",
    input: { versionId: versionIdField, untilMs: retentionBody },
    output: {},
    status: 200,
    errors: [
      ...ABSENCE_ERRORS,
      "InvalidArgument",
      "InvalidLockedTime",
      "InvalidRequest",
      "NoSuchBucket",
      "NotImplemented",
    ],
  },
  async ({ bucket, clock, key, store }, { untilMs, versionId }) => {
    await store.transact([objectKey(bucket.id, key)], async (tx) => {
      const present = await store.buckets.requireSame(tx, bucket);
      refuseUnlockable(present);
      const found = await store.objects.findVersionIn(tx, present, key, versionId);
      if (found === undefined) throw absence(versionId, undefined);
      const { record, row } = found;
      if (record.type === "delete-marker") throw absence(versionId, record);
      refuseEnd(untilMs, lockedUntil(record, present.lock), clock.now());
      store.objects.update(tx, row, { ...record, sections: withRetention(record.sections, untilMs) });
    });
    return {};
  },
);
