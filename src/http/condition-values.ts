/**
 * What a request has for the keys of policy conditions. Every value comes from the request as the edge has read it: no
 * header can stand in for what the server itself knows, such as the address of the peer. (policy page: condition keys)
 */

import type { RequestValue, RequestValues } from "../access/policy/condition.ts";
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

const fromQuery =
  (name: string): Reader =>
  ({ target }) => {
    const value = target.query.get(name);
    return value === undefined ? undefined : [spelt(value)];
  };

/** `key&value` for each tag of `x-cos-tagging`, decoded. */
const requestTags: Reader = ({ headers }) => {
  const tagging = headers.get("x-cos-tagging");
  if (tagging === undefined) return undefined;
  return [...new URLSearchParams(tagging)].map(([key, value]) => `${key}&${value}`);
};

const READERS: ReadonlyMap<string, Reader> = new Map([
  ["qcs:ip", ({ remoteAddress }) => [remoteAddress]],
  ["qcs:current_time", ({ receivedAt }) => [formatIsoSeconds(receivedAt)]],
  ["qcs:request_tag", requestTags],
  ["cos:secure-transport", ({ secure }) => [String(secure)]],
  ["cos:tls-version", ({ tlsVersion }) => (tlsVersion === undefined ? undefined : [tlsVersion])],
  ["cos:x-cos-storage-class", fromHeader("x-cos-storage-class")],
  ["cos:x-cos-acl", fromHeader("x-cos-acl")],
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

/** The values of a request, each read when it is asked for. */
export function requestValues(request: WireRequest): RequestValues {
  return (key) => READERS.get(key)?.(request);
}
