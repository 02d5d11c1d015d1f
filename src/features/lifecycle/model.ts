/** What an answer about an object tells of its end. */

import { formatHttpDate } from "../../http/dates.ts";
import { out } from "../../operations/output-fields.ts";
import type { BucketRecord, ObjectHead } from "../../store/records.ts";
import type { Store } from "../../store/store.ts";
import { BUCKET_LIFECYCLE, expiryOf, type Lifecycle } from "./rules.ts";

export { BUCKET_LIFECYCLE } from "./rules.ts";

/** `x-cos-expiration`: when the lifecycle of the bucket removes the object, and by which rule. */
export const expirationOutput = out.text("x-cos-expiration", "expiry-date and rule-id of the lifecycle");

/** The value of `expirationOutput` for a current object; undefined where no rule removes it. */
export function shownExpiration(
  { configurations }: Pick<Store, "configurations">,
  bucket: BucketRecord,
  key: string,
  object: Pick<ObjectHead, "modifiedMs" | "sections" | "size" | "type">,
): string | undefined | Promise<string | undefined> {
  if (!configurations.has(bucket, BUCKET_LIFECYCLE)) return undefined;
  const found = configurations.find(bucket, BUCKET_LIFECYCLE);
  return found instanceof Promise ? found.then((lifecycle) => told(lifecycle, key, object)) : told(found, key, object);
}

function told(
  lifecycle: Lifecycle | undefined,
  key: string,
  object: Parameters<typeof expiryOf>[2],
): string | undefined {
  const expiry = lifecycle && expiryOf(lifecycle, key, object);
  return expiry && `expiry-date="${formatHttpDate(expiry.dueMs)}", rule-id="${encodeURIComponent(expiry.ruleId)}"`;
}
