/**
 * Appendable objects.
 *
 * Differences and decisions: stored headers and metadata are those of the append that made the object; later ones are
 * checked and not stored. The ETag changes with every append and is not the MD5 of the whole; it is in quotes, as
 * everywhere else, where the sample of the reference page has none. An append of no bytes is allowed. AppendPositionErr
 * tells the position that would do in `x-cos-next-append-position`. What becomes of them in a bucket with versions stands
 * in `versioning`.
 */

import type { Operation } from "../../operations/operation.ts";
import { appendObject } from "./append-object.ts";

export const operations: readonly Operation[] = [appendObject];
