/**
 * The service itself: the list of buckets.
 *
 * Differences: the service host and a bare address list all regions, a regional host its own (as the service does).
 * `create-time` compares in whole seconds, and goes together with `range`, or the answer is InvalidArgument.
 */

import type { Operation } from "../../operations/operation.ts";
import { listBuckets } from "./list-buckets.ts";

export const operations: readonly Operation[] = [listBuckets];
