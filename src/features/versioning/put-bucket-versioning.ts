/** PUT Bucket versioning: switches versioning on, or suspends it; once configured it is never unconfigured. */

import { refuse } from "../../errors/cos-error.ts";
import { required, xmlBody } from "../../operations/input-fields.ts";
import { operation } from "../../operations/operation.ts";
import { bucketKey } from "../../store/keys.ts";
import { type Versioning, VERSIONINGS } from "../../store/records.ts";
import { bucketEvidence } from "../../store/state-evidence.ts";
import { text } from "../../xml/decode.ts";
import type { XmlElement } from "../../xml/parse.ts";

/** A status that is none of the two is InvalidArgument, and not MalformedXML. (versioning reference page) */
function decodeVersioning(root: XmlElement): Versioning {
  if (text(root, "MfaDelete")?.trim() === "Enabled") {
    throw refuse("NotImplemented", { message: "MfaDelete is not implemented." });
  }
  const status = text(root, "Status");
  const found = VERSIONINGS.find((versioning) => versioning === status);
  if (found === undefined) {
    throw refuse("InvalidArgument", { message: `The element Status must be one of: ${VERSIONINGS.join(", ")}.` });
  }
  return found;
}

export const putBucketVersioning = operation(
  {
    name: "PutBucketVersioning",
    summary: "Switches versioning on, or suspends it.",
    route: { method: "PUT", on: "bucket", query: ["versioning"] },
    action: "name/cos:PutBucketVersioning",
    authentication: ["header", "query"],
    permission: "owner",
    input: {
      versioning: required(
        xmlBody({
          root: "VersioningConfiguration",
          bytesMax: (limits) => limits.xmlBytesMax,
          decode: decodeVersioning,
        }),
        "MissingRequestBodyError",
      ),
    },
    output: {},
    status: 200,
    errors: ["InvalidArgument", "InvalidBucketState", "NoSuchBucket", "NotImplemented"],
  },
  async ({ bucket, refuse, store }, { versioning }) => {
    // Every write reads the bucket's row in its transaction, so it sees the state before this one or the state after.
    await store.transact([bucketKey(bucket.name)], async (tx) => {
      const present = await store.buckets.requireSame(tx, bucket);
      if (present.lock !== undefined && (versioning === "Suspended" || present.lock.generation === 1)) {
        throw refuse("InvalidBucketState", {
          message: "The versioning of a bucket with object lock cannot be set like that.",
          evidence: () => bucketEvidence(present),
        });
      }
      if (present.versioning !== versioning) store.buckets.put(tx, { ...present, versioning });
    });
    return {};
  },
);
