/**
 * Recognises requests that a browser makes for a web page of somebody else, by the fields a page has no say in.
 * (Fetch standard: `Origin`; Fetch Metadata: `Sec-Fetch-Site` and `Sec-Fetch-Dest`)
 */

import type { Caller } from "./caller.ts";

/** What a request tells of where it comes from. */
export interface PageRequest {
  readonly method: string;
  /** A header's value by its lower-case name. */
  readonly header: (name: string) => string | undefined;
}

/**
 * What a page may show or link to without learning what is in it. Scripts, styles and `fetch` are not among them: with
 * `response-content-type` any object could be run as a script, or its text be drawn into a page's own styles.
 */
const SHOWN: ReadonlySet<string> = new Set([
  "audio",
  "document",
  "embed",
  "frame",
  "iframe",
  "image",
  "object",
  "video",
]);

const READS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/**
 * True for a request that is to be refused because any page in the browser of this machine's user could have made it,
 * on a server that accepts the published development keys. Not asked for an origin that a CORS rule of the bucket admits.
 *
 * Signed with those keys, a request with an `Origin` is refused, and one from another site unless it only shows
 * something. Unsigned ones are refused where they write: a page that may put a document into a public bucket here has a
 * script in this server's own origin, whose reads carry no `Origin` any more.
 */
export function isForeignPage({ method, header }: PageRequest, caller: Caller): boolean {
  const anonymous = caller.kind === "anonymous";
  if (!anonymous && !caller.published) return false;
  if (anonymous && READS.has(method)) return false;
  if (header("origin") !== undefined) return true;
  if (header("sec-fetch-site") !== "cross-site") return false;
  return !READS.has(method) || !SHOWN.has(header("sec-fetch-dest") ?? "");
}
