/** PUT Bucket: creates a bucket in the addressed region. */

import { takesPlace } from "../../access/acl.ts";
import { aclField, setBucketAcl } from "../acl/model.ts";
import { refuse as refuseShared } from "../../errors/cos-error.ts";
import { header, xmlBody } from "../../operations/input-fields.ts";
import { operation } from "../../operations/operation.ts";
import { bucketNameFault } from "../../operations/name-rules.ts";
import type { Limits } from "../../limits.ts";
import type { BucketRecord } from "../../store/records.ts";
import { BUCKET_TAGS, type Tags } from "../../store/tags.ts";
import { child, text } from "../../xml/decode.ts";
import { bucketTagsField, bucketTagsOf } from "../tagging/model.ts";
import type { XmlElement } from "../../xml/parse.ts";

interface CreateBucketConfiguration {
  /** Region of the S3 spelling of this document; it must agree with the endpoint. */
  readonly location: string | undefined;
  readonly tags: Tags;
}

/** Refuses what is not built by its element's name, so that no bucket comes out other than it was asked for. */
function decodeConfiguration(root: XmlElement, limits: Limits): CreateBucketConfiguration {
  const plain: readonly (readonly [element: string, value: string])[] = [
    ["BucketAZConfig", "OAZ"],
    ["BucketArchConfig", "COS"],
    ["BucketStorageClass", "STANDARD"],
  ];
  for (const [element, value] of plain) {
    const given = text(root, element)?.trim();
    if (given !== undefined && given !== "" && given.toUpperCase() !== value) {
      throw refuseShared("NotImplemented", { message: `${element} other than ${value} is not implemented yet.` });
    }
  }
  for (const element of ["Bucket", "Location"]) {
    if (child(root, element) !== undefined) {
      throw refuseShared("NotImplemented", { message: `${element} of a directory bucket is not implemented.` });
    }
  }
  return { location: text(root, "LocationConstraint")?.trim(), tags: bucketTagsOf(root, limits) };
}

/** The tags of a header and those of a document. */
const tagsOf = ({
  tags,
  configuration,
}: {
  tags: Tags;
  configuration: CreateBucketConfiguration | undefined;
}): Tags => [...tags, ...(configuration?.tags ?? [])];

export const putBucket = operation(
  {
    name: "PutBucket",
    summary: "Creates a bucket.",
    route: { method: "PUT", on: "bucket" },
    action: "name/cos:PutBucket",
    authentication: ["header", "query"],
    permission: "signed",
    setsTags: tagsOf,
    input: {
      acl: aclField("bucket"),
      tags: bucketTagsField,
      // COS locks a bucket in a request of its own.
      locked: header.oneOf("x-amz-bucket-object-lock-enabled", ["true", "false"]),
      configuration: xmlBody({
        root: "CreateBucketConfiguration",
        bytesMax: (limits) => limits.xmlBytesMax,
        decode: decodeConfiguration,
      }),
    },
    output: {},
    status: 200,
    errors: [
      "AccessDenied",
      "BucketAlreadyExists",
      "BucketAlreadyOwnedByYou",
      "BucketNameTooLong",
      "InvalidBucketName",
      "InvalidLocationConstraint",
      "InvalidRequest",
      "NotImplemented",
      "PolicyFull",
      "TooManyBuckets",
    ],
  },
  async ({ bucketName, caller, limits, region, refuse, store }, input) => {
    if (caller.kind !== "account") throw new Error("PutBucket admits signed callers only");
    const location = input.configuration?.location;
    if (location !== undefined && location !== "" && location !== region) {
      const told = `The specified location constraint is not valid: this endpoint makes buckets in ${region}.`;
      throw refuse("InvalidLocationConstraint", { message: told });
    }
    const fault = bucketNameFault(bucketName, region, limits.bucketHostCharsMax);
    if (fault !== undefined) throw refuse(fault);
    // The suffix of a name is its owner's APPID, so no account can take a name of another's.
    if (!bucketName.endsWith(`-${caller.appid}`)) throw refuse("AccessDenied");

    const inDocument = input.configuration?.tags ?? [];
    if (input.tags.length > 0 && inDocument.length > 0) {
      throw refuse("InvalidRequest", { message: "The tags of the bucket are given both in a header and in the body." });
    }
    const tags = tagsOf(input);

    const locked = input.locked === "true";
    if (locked && limits.objectLockGeneration === 1) {
      throw refuse("NotImplemented", { message: "A lock of the first generation is set by PUT ?object-lock alone." });
    }
    const { acl } = input;
    if (acl === "default") throw new Error("a bucket has no default ACL");
    const { configurations } = store;
    const result = await store.buckets.create(
      { name: bucketName, ownerUin: caller.uin, ownerAppid: caller.appid, region, acl: acl?.canned ?? "private" },
      limits.bucketsPerAccount,
      tags.length === 0 ? [] : [[BUCKET_TAGS.name, BUCKET_TAGS.encode(tags)]],
      async (tx, made) => {
        // What S3 promises of such a bucket: its versioning is on, and nothing is locked by default.
        const bucket: BucketRecord = locked
          ? { ...made, versioning: "Enabled", lock: { generation: 2, days: undefined } }
          : made;
        if (locked) store.buckets.put(tx, bucket);
        if (acl !== undefined && takesPlace(acl)) await setBucketAcl({ tx, configurations, limits }, bucket, acl);
      },
    );
    if (result.kind === "full") throw refuse("TooManyBuckets");
    if (result.kind === "exists") {
      const own = result.bucket.ownerUin === caller.uin && result.bucket.region === region;
      throw refuse(own ? "BucketAlreadyOwnedByYou" : "BucketAlreadyExists");
    }
    return {};
  },
);
