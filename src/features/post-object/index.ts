/**
 * POST Object: uploads from the form of a page.
 *
 * Differences and decisions: a form is signed in its fields alone; credentials in the header or the query are refused,
 * those of `post /` in a field `Signature`, as clients for mini programs send them, are taken. Header fields of the
 * request that would describe the object count for nothing: only the form's do. Fields after the file are read and
 * ignored, a second file is IncorrectNumberOfFilesInPostRequest; parts of other names than `file` are fields, also where
 * they have the name of a file; a field that comes twice is MalformedPOSTRequest. A field `Content-Length` must tell the file's length, else EntitySizeNotMatch.
 * A policy without a signature is held against its form all the same. It need not name `q-ak`, `q-sign-algorithm` and
 * `q-sign-time`. An unknown `success_action_status` counts as 204, and a `success_action_redirect` that is no http(s) URL
 * as absent, as in S3. `x-cos-tagging` and the digests of PUT Object are taken as fields too, which the page does not list.
 */

import type { Operation } from "../../operations/operation.ts";
import { postObject } from "./post-object.ts";

export const operations: readonly Operation[] = [postObject];
