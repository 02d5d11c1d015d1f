/**
 * What a request has for the keys of policy conditions. Every value comes from the request as the edge has read it: no
 * header can stand in for what the server itself knows, such as the address of the peer. (policy page: condition keys)
 */

import { isUtf8 } from "node:buffer";
import type { RequestValue, RequestValues } from "../access/policy/condition.ts";
import type { Tags } from "../store/tags.ts";
import { formatIsoSeconds } from "./dates.ts";
import type { WireRequest } from "./request.ts";

/** A parameter as policies write it, encoded, and decoded as well. */
function spelt(value: string): RequestValue {
  const encoded = encodeURIComponent(value);
  return encoded === value ? value : [encoded, value];
}

type Reader = (request: WireRequest) => readonly RequestValue[] | undefined;

const fromHeader =
  (name: string): Reader =>
  ({ headers }) => {
    const value = headers.get(name);
    return value === undefined ? undefined : [value];
  };

/** A header of which operations take the value in any case: as written, and as they understand it. */
const fromHeaderInAnyCase =
  (name: string, understood: (value: string) => string): Reader =>
  ({ headers }) => {
    const value = headers.get(name);
    return value === undefined ? undefined : [[value, understood(value)]];
  };

const fromQuery =
  (name: string): Reader =>
  ({ target }) => {
    const value = target.query.get(name);
    return value === undefined ? undefined : [spelt(value)];
  };

/** `key&value` for each tag of `x-cos-tagging`, decoded as the operations decode it: bytes beyond ASCII mean UTF-8. */
const requestTags: Reader = ({ headers }) => {
  const tagging = headers.get("x-cos-tagging");
  if (tagging === undefined) return undefined;
  // A copy takes the tags of its source unless it says otherwise.
  const isCopy = headers.get("x-cos-copy-source") !== undefined;
  if (isCopy && !/^replaced?$/i.test(headers.get("x-cos-tagging-directive") ?? "")) return undefined;
  const bytes = Buffer.from(tagging, "latin1");
  return [...new URLSearchParams(isUtf8(bytes) ? bytes.toString("utf8") : tagging)].map(spelledTag);
};

const spelledTag = ([key, value]: readonly [string, string]): string => `${key}&${value}`;

/** What a request brings of tags. */
export const REQUEST_TAG = "qcs:request_tag";

const READERS: ReadonlyMap<string, Reader> = new Map([
  ["qcs:ip", ({ remoteAddress }) => [remoteAddress]],
  ["qcs:current_time", ({ receivedAt }) => [formatIsoSeconds(receivedAt)]],
  [REQUEST_TAG, requestTags],
  ["cos:secure-transport", ({ secure }) => [String(secure)]],
  ["cos:tls-version", ({ tlsVersion }) => (tlsVersion === undefined ? undefined : [tlsVersion])],
  ["cos:x-cos-storage-class", fromHeaderInAnyCase("x-cos-storage-class", (value) => value.toUpperCase())],
  ["cos:x-cos-acl", fromHeaderInAnyCase("x-cos-acl", (value) => value.toLowerCase())],
  ["cos:content-type", fromHeader("content-type")],
  // The file of a form tells no length; its whole form does, which is never less.
  [
    "cos:content-length",
    ({ body, headers }) => {
      const length = body.declaredLength ?? headers.get("content-length");
      return length === undefined ? undefined : [String(length)];
    },
  ],
  // An empty one means the same as none.
  ["cos:versionid", ({ target }) => [spelt(target.query.get("versionid") ?? "")]],
  ["cos:prefix", fromQuery("prefix")],
  ["cos:delimiter", fromQuery("delimiter")],
  ["cos:max-keys", fromQuery("max-keys")],
  ["cos:response-content-type", fromQuery("response-content-type")],
]);

/**
 * The values of a request, each read when it is asked for. `tags` are those of its document, where it has one of tags:
 * then no header stands in for them.
 */
export function requestValues(request: WireRequest, tags?: Tags): RequestValues {
  return (key) => {
    if (key === REQUEST_TAG && tags !== undefined) return tags.length === 0 ? undefined : tags.map(spelledTag);
    return READERS.get(key)?.(request);
  };
}
