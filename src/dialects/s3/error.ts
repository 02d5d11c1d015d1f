/** A refusal as S3 tells it: `Error` with `Code`, `Message`, extras, `Resource`, `RequestId` and `HostId`. */

import { type CosError, type RefusalSubject, s3Form } from "../../errors/cos-error.ts";
import type { Answer } from "../../http/answer.ts";
import type { WireRequest } from "../../http/request.ts";
import { el, leaf, xmlDocument } from "../../xml/write.ts";
import { s3Class } from "./storage-classes.ts";

/** The body of a refusal. It names what the refusal is about: the source of a copy, or else what was addressed. */
export function errorDocument(error: CosError, request: WireRequest, addressed: RefusalSubject): string {
  const { code, message } = s3Form(error);
  const { bucket, key } = error.about ?? addressed;
  // Messages that name a header mean the one that was sent.
  const told = message.replaceAll("x-cos-", "x-amz-");
  const named: [string, string][] = [];
  if (bucket !== undefined && /^(NoSuchBucket|Bucket)/.test(code)) named.push(["BucketName", bucket]);
  if (code === "InvalidObjectState") named.push(...archived(error));
  if (key !== undefined && /^(NoSuchKey|NoSuchVersion|MethodNotAllowed)$/.test(code)) named.push(["Key", key]);
  return xmlDocument(
    el(
      "Error",
      leaf("Code", code),
      leaf("Message", told),
      ...named.map(([name, value]) => leaf(name, value)),
      ...error.extras.map(([name, value]) => leaf(name, value)),
      leaf("Resource", request.target.path),
      leaf("RequestId", request.ids.requestId),
      leaf("HostId", request.ids.traceId),
    ),
  );
}

/** The class of an archived object, and the archive tier of one of the tiering class. (S3 GetObject page) */
function* archived({ headers }: CosError): Iterable<[string, string]> {
  const storageClass = headers["x-cos-storage-class"];
  if (storageClass !== undefined) yield ["StorageClass", s3Class(storageClass)];
  const tier = headers["x-cos-storage-tier"];
  if (tier !== undefined) yield ["AccessTier", tier];
}

/** The ids of an answer under S3's names. */
export function idHeaders({ ids }: WireRequest): [string, string][] {
  return [
    ["x-amz-request-id", ids.requestId],
    ["x-amz-id-2", ids.traceId],
  ];
}

/** The whole answer of a refusal. The edge leaves the body out for HEAD. */
export function errorAnswer(error: CosError, request: WireRequest, subject: RefusalSubject): Answer {
  const { status } = s3Form(error);
  const own = Object.entries(error.headers).map(([name, value]): [string, string] => [
    name.startsWith("x-cos-") ? `x-amz-${name.slice(6)}` : name,
    name === "x-cos-storage-class" ? s3Class(value) : value,
  ]);
  const headers: [string, string][] = [...idHeaders(request), ...own];
  if (status === 304) return { status, headers };
  headers.unshift(["Content-Type", "application/xml"]);
  if (request.method === "HEAD") return { status, headers };
  return { status, headers, body: errorDocument(error, request, subject) };
}
