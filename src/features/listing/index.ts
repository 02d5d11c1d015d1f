/**
 * Lists of a bucket's objects.
 *
 * Differences: lists show every acknowledged write at once, where the service's are eventual. `max-keys` above the bound
 * is lowered to it, and 0 gives an empty page that is not truncated. Keys that XML 1.0 cannot carry make the whole page
 * percent-encoded, and it says so in `EncodingType`.
 */

import type { Operation } from "../../operations/operation.ts";
import { listObjects } from "./list-objects.ts";

export const operations: readonly Operation[] = [listObjects];
