/** A refusal as COS tells it: `Error` with `Code`, `Message`, extras, `Resource`, `RequestId` and `TraceId`. */

import type { CosError, ErrorsMode } from "../../errors/cos-error.ts";
import { wireForm } from "../../errors/cos-error.ts";
import type { Answer } from "../../http/answer.ts";
import type { WireRequest } from "../../http/request.ts";
import { el, leaf, xmlDocument } from "../../xml/write.ts";

/** `<host>/<key>`; the host alone for requests on a bucket, and `/` after it for requests on the service. */
export function resourceOf(request: WireRequest, bucketNamed: boolean): string {
  const { authority, path } = request.target;
  if (path === "/" || path === "*") return bucketNamed ? authority.text : `${authority.text}/`;
  return `${authority.text}${path}`;
}

/** The body of a refusal. None of its five elements is ever empty: the Python SDK gives up on an empty one. */
export function errorDocument(error: CosError, request: WireRequest, mode: ErrorsMode, bucketNamed: boolean): string {
  const { code, message } = wireForm(error, mode);
  return xmlDocument(
    el(
      "Error",
      leaf("Code", code),
      leaf("Message", message),
      ...error.extras.map(([name, value]) => leaf(name, value)),
      leaf("Resource", resourceOf(request, bucketNamed)),
      leaf("RequestId", request.ids.requestId),
      leaf("TraceId", request.ids.traceId),
    ),
  );
}

/** The whole answer of a refusal. The edge leaves the body out for HEAD. */
export function errorAnswer(error: CosError, request: WireRequest, mode: ErrorsMode, bucketNamed: boolean): Answer {
  const { status } = wireForm(error, mode);
  const own: [string, string][] = Object.entries(error.headers);
  // A 304 tells only what a cache needs: no type, no trace, no body.
  if (status === 304) return { status, headers: own };
  const headers: [string, string][] = [
    ["Content-Type", "application/xml"],
    ["x-cos-trace-id", request.ids.traceId],
    ...own,
  ];
  // Clients of a HEAD that fails expect a length of 0. (protocol reference §2.3)
  if (request.method === "HEAD") return { status, headers };
  return { status, headers, body: errorDocument(error, request, mode, bucketNamed) };
}
