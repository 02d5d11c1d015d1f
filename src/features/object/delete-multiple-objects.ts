/** POST ?delete: deletes up to 1,000 objects or versions and tells the fate of each. */

import { CosError, refuse as refuseShared } from "../../errors/cos-error.ts";
import type { DeletionDocument } from "../../operations/documents.ts";
import { header, required, xmlBody } from "../../operations/input-fields.ts";
import { out } from "../../operations/output-fields.ts";
import { keyFault } from "../../operations/name-rules.ts";
import { operation } from "../../operations/operation.ts";
import type { Removed } from "../../store/objects.ts";
import { parseVersionId, textOfVersionId } from "../../store/version-id.ts";
import { boolean, children, faultAt, requiredText, text } from "../../xml/decode.ts";
import type { XmlElement } from "../../xml/parse.ts";
import { el, leaf, nodes, optional, type XmlNode } from "../../xml/write.ts";
import { TransactionContended } from "../../store/transact.ts";
import { absentVersionsField } from "./model.ts";
import { isMissing, REMOVALS_MAX, removeObjects } from "./remove-objects.ts";
import type { Limits } from "../../limits.ts";

/** What one `<Object>` names; the version as the client wrote it. */
interface Named {
  readonly key: string;
  readonly versionId: string | undefined;
  /** The ETag that it must have, where S3 clients name one. */
  readonly etag: string | undefined;
}

interface Deletion {
  readonly quiet: boolean;
  readonly objects: readonly Named[];
}

/** What became of one of them: removed, or why not. */
type Fate = { readonly removed: Removed; readonly fault?: undefined } | { readonly fault: CosError };

function decodeDelete(root: XmlElement, limits: Limits): Deletion {
  const objects = children(root, "Object");
  if (objects.length === 0) throw faultAt(root, "expected at least one <Object>");
  if (objects.length > limits.deleteObjectsMax) {
    throw faultAt(root, `expected at most ${limits.deleteObjectsMax} <Object> elements`);
  }
  return {
    quiet: boolean(root, "Quiet") ?? false,
    objects: objects.map((object) => {
      for (const name of ["LastModifiedTime", "Size"]) {
        if (text(object, name) !== undefined) {
          throw refuseShared("NotImplemented", { message: `The element ${name} of an Object is not implemented yet.` });
        }
      }
      return {
        key: requiredText(object, "Key"),
        versionId: text(object, "VersionId") || undefined,
        etag: text(object, "ETag") || undefined,
      };
    }),
  };
}

function deleteResult({ deleted, faults }: DeletionDocument): XmlNode {
  return el(
    "DeleteResult",
    nodes(
      deleted.map(({ key, versionId, markerVersionId }) =>
        el(
          "Deleted",
          leaf("Key", key),
          optional("DeleteMarker", markerVersionId === undefined ? undefined : true),
          optional("DeleteMarkerVersionId", markerVersionId),
          optional("VersionId", versionId),
        ),
      ),
    ),
    nodes(
      faults.map(({ key, versionId, error }) =>
        el(
          "Error",
          leaf("Key", key),
          optional("VersionId", versionId),
          leaf("Code", error.code),
          leaf("Message", error.message),
        ),
      ),
    ),
  );
}

/**
 * What each of the keys is held against: the name in CAM's list, and that of the page on policies and of the scopes that
 * the Node SDK asks keys for. Who may not delete an object may not delete it among others.
 */
const ACTION = "name/cos:DeleteMultipleObjects";
const ALIASES = ["name/cos:DeleteObject"] as const;
/** The versions wanted of each key, each once, in groups for one transaction; a key stands once in a group. */
function* groupsOf(objects: Iterable<Named>): Iterable<Map<string, Map<string, Named>>> {
  const byKey = new Map<string, Map<string, Named>>();
  for (const named of objects) {
    const versions = byKey.get(named.key) ?? new Map<string, Named>();
    versions.set(named.versionId ?? "", named);
    byKey.set(named.key, versions);
  }
  let group = new Map<string, Map<string, Named>>();
  let count = 0;
  for (const [key, versions] of byKey) {
    for (const [text, named] of versions) {
      if (count === REMOVALS_MAX) {
        yield group;
        group = new Map();
        count = 0;
      }
      group.set(key, (group.get(key) ?? new Map<string, Named>()).set(text, named));
      count += 1;
    }
  }
  if (count > 0) yield group;
}

export const deleteMultipleObjects = operation(
  {
    name: "DeleteMultipleObjects",
    summary: "Deletes up to 1,000 objects in one request.",
    route: { method: "POST", on: "bucket", query: ["delete"] },
    action: ACTION,
    aliases: ALIASES,
    authentication: ["header", "query", "anonymous"],
    permission: "write",
    perKey: true,
    input: {
      absent: absentVersionsField,
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
    errors: [
      "AccessDenied",
      "KeyTooLong",
      "InvalidObjectName",
      "NoSuchBucket",
      "NoSuchVersion",
      "NotImplemented",
      "ObjectLocked",
      "PathConflict",
      "PreconditionFailed",
    ],
  },
  async (context, { absent, deletion }) => {
    const { bucket, limits, may, refuse } = context;
    const fateOf = ({ versionId }: Named, removed: Removed): Fate => {
      if (removed.locked) return { fault: refuse("ObjectLocked") };
      const missing = isMissing(bucket, versionId, removed);
      if (!missing || (absent !== undefined && textOfVersionId(parseVersionId(versionId ?? "")) !== undefined)) {
        return { removed };
      }
      return { fault: refuse("NoSuchVersion") };
    };
    const labelOf = ({ key, versionId = "", etag = "" }: Named): string => `${key}\0${versionId}\0${etag}`;
    const fates = new Map<string, Fate>();

    const wanted: Named[] = [];
    for (const named of deletion.objects) {
      const { key, versionId = "" } = named;
      const wrong = keyFault(key, false, limits.keyBytesMax);
      if (wrong !== undefined) fates.set(labelOf(named), { fault: refuse(wrong) });
      else if (
        await may({ action: ACTION, aliases: ALIASES, permission: "write", bucket, key, object: undefined, versionId })
      )
        wanted.push(named);
      else fates.set(labelOf(named), { fault: refuse("AccessDenied") });
    }
    // Who may delete none of them is told what everybody is told who may not do this at all.
    if (wanted.length === 0 && [...fates.values()].every(({ fault }) => fault?.id === "AccessDenied")) {
      throw refuse("AccessDenied");
    }
    const remove = async (named: Named): Promise<Fate> => {
      const { etag, key, versionId } = named;
      const version = versionId === undefined ? undefined : parseVersionId(versionId);
      try {
        const [[removed] = []] = await removeObjects(context, [{ key, versions: [version] }], etag);
        return fateOf(named, removed as Removed);
      } catch (error) {
        if (error instanceof TransactionContended) return { fault: refuse("PathConflict") };
        if (error instanceof CosError && error.id === "PreconditionFailed") return { fault: error };
        throw error;
      }
    };
    // One that must have a certain ETag stands or falls alone.
    for (const named of wanted) if (named.etag !== undefined) fates.set(labelOf(named), await remove(named));
    for (const group of groupsOf(wanted.filter(({ etag }) => etag === undefined))) {
      const names = [...group.values()].flatMap((versions) => [...versions.values()]);
      try {
        const removals = [...group].map(([key, versions]) => ({
          key,
          versions: [...versions.values()].map(({ versionId }) =>
            versionId === undefined ? undefined : parseVersionId(versionId),
          ),
        }));
        const removed = (await removeObjects(context, removals)).flat();
        for (const [at, named] of names.entries()) fates.set(labelOf(named), fateOf(named, removed[at] as Removed));
      } catch (error) {
        if (!(error instanceof TransactionContended)) throw error;
        for (const named of names) fates.set(labelOf(named), { fault: refuse("PathConflict") });
      }
    }

    const deleted: DeletionDocument["deleted"][number][] = [];
    const faults: DeletionDocument["faults"][number][] = [];
    for (const named of deletion.objects) {
      const fate = fates.get(labelOf(named)) as Fate;
      if (fate.fault !== undefined) faults.push({ ...named, error: fate.fault });
      else {
        const { deleteMarker, versionId } = fate.removed;
        deleted.push({ ...named, markerVersionId: deleteMarker ? versionId : undefined });
      }
    }
    return { result: { deleted: deletion.quiet ? [] : deleted, faults } };
  },
);
