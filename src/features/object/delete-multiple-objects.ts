/** POST ?delete: deletes up to 1,000 objects and tells the fate of each. */

import { type CosError, refuse } from "../../errors/cos-error.ts";
import type { DeletionDocument } from "../../operations/documents.ts";
import { header, required, xmlBody } from "../../operations/input-fields.ts";
import { out } from "../../operations/output-fields.ts";
import { keyFault } from "../../operations/name-rules.ts";
import { operation } from "../../operations/operation.ts";
import { boolean, children, faultAt, requiredText, text } from "../../xml/decode.ts";
import type { XmlElement } from "../../xml/parse.ts";
import { el, leaf, nodes, type XmlNode } from "../../xml/write.ts";
import { TransactionContended } from "../../store/transact.ts";
import { REMOVALS_MAX, removeObjects } from "./remove-objects.ts";
import type { Limits } from "../../limits.ts";

interface Deletion {
  readonly quiet: boolean;
  readonly keys: readonly string[];
}

function decodeDelete(root: XmlElement, limits: Limits): Deletion {
  const objects = children(root, "Object");
  if (objects.length === 0) throw faultAt(root, "expected at least one <Object>");
  if (objects.length > limits.deleteObjectsMax) {
    throw faultAt(root, `expected at most ${limits.deleteObjectsMax} <Object> elements`);
  }
  return {
    quiet: boolean(root, "Quiet") ?? false,
    keys: objects.map((object) => {
      const version = text(object, "VersionId");
      if (version !== undefined && version !== "") {
        throw refuse("NotImplemented", { message: "Deleting a VersionId is not implemented yet." });
      }
      return requiredText(object, "Key");
    }),
  };
}

function deleteResult({ deleted, faults }: DeletionDocument): XmlNode {
  return el(
    "DeleteResult",
    nodes(deleted.map((key) => el("Deleted", leaf("Key", key)))),
    nodes(
      faults.map(({ key, error }) =>
        el("Error", leaf("Key", key), leaf("Code", error.code), leaf("Message", error.message)),
      ),
    ),
  );
}

/** What each of the keys is held against, as the service documents it. (API permissions page) */
const ACTION = "name/cos:DeleteMultipleObjects";

export const deleteMultipleObjects = operation(
  {
    name: "DeleteMultipleObjects",
    summary: "Deletes up to 1,000 objects in one request.",
    route: { method: "POST", on: "bucket", query: ["delete"] },
    action: ACTION,
    authentication: ["header", "query", "anonymous"],
    permission: "write",
    perKey: true,
    input: {
      deletion: required(
        xmlBody({
          root: "Delete",
          bytesMax: (limits) => limits.xmlDeleteBytesMax,
          decode: decodeDelete,
          contentMd5: required(
            header.md5("Content-MD5"),
            "InvalidRequest",
            "Missing required header for this request: Content-MD5",
          ),
        }),
        "MissingRequestBodyError",
      ),
    },
    output: { result: out.xml("DeleteResult", deleteResult) },
    status: 200,
    errors: ["AccessDenied", "KeyTooLong", "InvalidObjectName", "NoSuchBucket", "NotImplemented", "PathConflict"],
  },
  async ({ bucket, limits, may, refuse, store }, { deletion }) => {
    const faults: { key: string; error: CosError }[] = [];
    const fault = (key: string, error: CosError) => faults.push({ key, error });

    const wanted: string[] = [];
    for (const key of deletion.keys) {
      const wrong = keyFault(key, false, limits.keyBytesMax);
      if (wrong !== undefined) fault(key, refuse(wrong));
      else if (await may({ action: ACTION, permission: "write", bucket, key, object: undefined })) wanted.push(key);
      else fault(key, refuse("AccessDenied"));
    }
    // Who may delete none of them is told what everybody is told who may not do this at all.
    if (wanted.length === 0 && faults.every(({ error }) => error.id === "AccessDenied")) throw refuse("AccessDenied");
    const deleted: string[] = [];
    for (let at = 0; at < wanted.length; at += REMOVALS_MAX) {
      const keys = wanted.slice(at, at + REMOVALS_MAX);
      try {
        await removeObjects(store, bucket, keys);
        deleted.push(...keys);
      } catch (error) {
        if (!(error instanceof TransactionContended)) throw error;
        for (const key of keys) fault(key, refuse("PathConflict"));
      }
    }
    return { result: { deleted: deletion.quiet ? [] : deleted, faults } };
  },
);
