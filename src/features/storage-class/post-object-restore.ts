/** POST Object restore: makes a copy of an archived object that can be read for some days. */

import { refuse as refuseShared } from "../../errors/cos-error.ts";
import type { Limits } from "../../limits.ts";
import { required, xmlBody } from "../../operations/input-fields.ts";
import { operation } from "../../operations/operation.ts";
import { out } from "../../operations/output-fields.ts";
import { versionIdField } from "../../operations/version-field.ts";
import { objectKey } from "../../store/keys.ts";
import {
  DAY_MS,
  isArchive,
  isArchiveTier,
  midnightFrom,
  RESTORE_TIERS,
  restoreOf,
  type RestoreTier,
  tierOf,
  withRestore,
} from "../../store/storage-class.ts";
import { objectEvidence } from "../../store/state-evidence.ts";
import { child, faultAt, integer, oneOf } from "../../xml/decode.ts";
import type { XmlElement } from "../../xml/parse.ts";
import { tieringFor } from "./model.ts";
import { absence, ABSENCE_ERRORS, shownVersionId, versionIdOutput } from "../versioning/model.ts";

interface RestoreRequest {
  /** Undefined for an object of the tiering class, which stays restored until nobody has read it for long. */
  readonly days: number | undefined;
  readonly tier: RestoreTier;
}

/** What S3 clients may ask a restore for besides. */
const UNBUILT = ["OutputLocation", "SelectParameters", "Type"];

function decodeRestore(root: XmlElement, { restoreDaysMax }: Limits): RestoreRequest {
  for (const element of UNBUILT) {
    if (child(root, element) === undefined) continue;
    throw refuseShared("NotImplemented", { message: `The element ${element} of a restore is not implemented.` });
  }
  const days = integer(root, "Days", { min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER });
  if (days !== undefined && (days < 1 || days > restoreDaysMax)) {
    throw refuseShared("InvalidArgument", { message: `The element Days must be from 1 to ${restoreDaysMax}.` });
  }
  const parameters = child(root, "CASJobParameters");
  // S3 knows the tier beside the parameters too.
  if (parameters === undefined) return { days, tier: oneOf(root, "Tier", RESTORE_TIERS) ?? "Standard" };
  const tier = oneOf(parameters, "Tier", RESTORE_TIERS);
  if (tier === undefined) throw faultAt(parameters, "expected <Tier> in <CASJobParameters>");
  return { days, tier };
}

/**
 * How long a restore takes, ms, out of a class or an access tier; undefined for a tier of restores that it does not have.
 * (restore page)
 */
function thawMs(from: string, tier: RestoreTier, limits: Limits): number | undefined {
  if (from.startsWith("DEEP_ARCHIVE")) {
    return { Expedited: undefined, Standard: limits.restoreDeepStandardMs, Bulk: limits.restoreDeepBulkMs }[tier];
  }
  return {
    Expedited: limits.restoreExpeditedMs,
    Standard: limits.restoreStandardMs,
    Bulk: limits.restoreBulkMs,
  }[tier];
}

export const postObjectRestore = operation(
  {
    name: "PostObjectRestore",
    summary: "Restores an archived object, or one version of it, for some days.",
    route: { method: "POST", on: "object", query: ["restore"] },
    action: "name/cos:PostObjectRestore",
    // The name in the scopes that the Node SDK asks keys for.
    aliases: ["name/cos:RestoreObject"],
    authentication: ["header", "query"],
    permission: "owner",
    loads: "version",
    input: {
      versionId: versionIdField,
      restore: required(
        xmlBody({ root: "RestoreRequest", bytesMax: (limits) => limits.xmlBytesMax, decode: decodeRestore }),
        "MissingRequestBodyError",
      ),
    },
    output: { status: out.status("200 where the restored copy is there already"), versionId: versionIdOutput },
    status: 202,
    errors: [
      ...ABSENCE_ERRORS,
      "InvalidArgument",
      "MalformedXML",
      "NoSuchBucket",
      "NotImplemented",
      "RestoreAlreadyInProgress",
      "RestoreNonArchiveObject",
    ],
  },
  async ({ bucket, clock, key, limits, refuse, store }, { versionId, restore: { days, tier } }) =>
    store.transact([objectKey(bucket.id, key)], async (tx) => {
      const present = await store.buckets.requireSame(tx, bucket);
      const found = await store.objects.findVersionIn(tx, present, key, versionId);
      const record = found?.record;
      if (found === undefined || record === undefined) throw absence(versionId, undefined);
      if (record.type === "delete-marker") throw absence(versionId, record);
      const nowMs = clock.now();
      const access = tierOf(record, key, await tieringFor(store, present, [record]), nowMs);
      const evidence = () => objectEvidence(record, present.lock, nowMs, access);
      const isTiered = isArchiveTier(access);
      if (!isTiered && !isArchive(record.storageClass)) throw refuse("RestoreNonArchiveObject", { evidence });
      if (!isTiered && days === undefined) {
        throw refuse("MalformedXML", { message: "expected <Days> in <RestoreRequest>" });
      }
      const from = isTiered ? access : record.storageClass;
      const thaw = thawMs(from, tier, limits);
      if (thaw === undefined) {
        throw refuse("InvalidArgument", { message: `The tier ${tier} is not available for ${from}.` });
      }
      const before = restoreOf(record, nowMs);
      if (before !== undefined && nowMs < before.readyMs) throw refuse("RestoreAlreadyInProgress", { evidence });
      // A copy that is there stays, and lasts from now on as long as is asked for.
      const readyMs = before?.readyMs ?? nowMs + thaw;
      const requestedMs = before?.requestedMs ?? nowMs;
      const expiresMs =
        isTiered || days === undefined
          ? readyMs
          : midnightFrom((before === undefined ? readyMs : nowMs) + days * DAY_MS);
      const restored = { tier: before?.tier ?? tier, requestedMs, readyMs, expiresMs };
      store.objects.update(tx, found.row, { ...record, sections: withRestore(record.sections, restored) });
      return { status: before === undefined ? undefined : 200, versionId: shownVersionId(present, record) };
    }),
);
