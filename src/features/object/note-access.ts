/** The transaction that notes when an object of the tiering class was read. */

import type { OperationContext } from "../../operations/operation.ts";
import { objectKey } from "../../store/keys.ts";
import { withAccess } from "../../store/storage-class.ts";
import type { VersionId } from "../../store/version-id.ts";
import { isAccessNews } from "../storage-class/model.ts";

/** Notes a read at `nowMs`, milliseconds since 1970, unless the object has gone or has been read meanwhile. */
export async function noteAccess(
  { bucket, key, store }: Pick<OperationContext, "bucket" | "key" | "store">,
  versionId: VersionId | undefined,
  nowMs: number,
): Promise<void> {
  await store.transact([objectKey(bucket.id, key)], async (tx) => {
    const found = await store.objects.findVersionIn(tx, bucket, key, versionId);
    if (found === undefined || found.record.type === "delete-marker" || !isAccessNews(found.record, nowMs)) return;
    const { record, row } = found;
    store.objects.update(tx, row, { ...record, sections: withAccess(record.sections, nowMs) });
  });
}
