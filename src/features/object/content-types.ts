/**
 * The types of files by the end of their names, for objects whose upload named none. That the service looks at the key
 * is seen in the published suite of its Node SDK (`1.zip` is stored as application/zip, `1.txt` as text/plain without
 * a charset, `1` as application/octet-stream). Its table is not published; the registered types stand in for it.
 */

import { createRequire } from "node:module";
import type { lookup } from "mime-types";

/** Type of an object whose key tells none. */
const CONTENT_TYPE_DEFAULT = "application/octet-stream";

// A thousand types are not worth the milliseconds of every start, so they come with the first object without one.
let look: typeof lookup | undefined;

/** The type to store for an object of this key whose upload named none. */
export function contentTypeOf(key: string): string {
  const name = key.slice(key.lastIndexOf("/") + 1);
  if (!name.includes(".")) return CONTENT_TYPE_DEFAULT;
  look ??= (createRequire(import.meta.url)("mime-types") as { lookup: typeof lookup }).lookup;
  return look(name) || CONTENT_TYPE_DEFAULT;
}
