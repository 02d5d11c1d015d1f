/**
 * Copies of whole objects.
 *
 * Differences and decisions: a missing source bucket or key is NoSuchCopySource; a copy onto itself that replaces no
 * metadata is InvalidRequest; a source above the bound of one request is EntityTooLarge; an appendable source is
 * InvalidObjectState (409). Copies share bytes with their source. Without a directive, metadata headers of the request
 * are ignored, as the service does.
 */

import type { Operation } from "../../operations/operation.ts";
import { putObjectCopy } from "./put-object-copy.ts";

export const operations: readonly Operation[] = [putObjectCopy];
