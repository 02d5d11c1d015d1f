/**
 * CORS: which web pages may use a bucket from a browser.
 *
 * Differences and decisions: a change takes effect at once. An unknown element or method is MalformedXML; a bad origin
 * (to S3 any text with one `*` is a good one), header name or age, and more rules than are allowed, are InvalidArgument. Origins compare in any case, headers too,
 * and one `*` may stand in each of both. A preflight request without `Origin` or `Access-Control-Request-Method` is
 * InvalidRequest; one that no rule admits is AccessForbidden; the service itself has none, and answers MethodNotAllowed. Where an allowed header has a
 * `*`, the names that were asked for are told back, otherwise the rule's whole list. Requests that no rule admits are
 * served without the headers, but for development keys that are the published ones: those refuse pages that no rule
 * admits. Answers that the HTTP edge itself refuses, before a bucket is known, carry no CORS headers.
 */

import type { Operation } from "../../operations/operation.ts";
import { deleteBucketCors } from "./delete-bucket-cors.ts";
import { getBucketCors } from "./get-bucket-cors.ts";
import { optionsBucket, optionsObject } from "./options-object.ts";
import { putBucketCors } from "./put-bucket-cors.ts";

export const operations: readonly Operation[] = [
  putBucketCors,
  getBucketCors,
  deleteBucketCors,
  optionsBucket,
  optionsObject,
];
