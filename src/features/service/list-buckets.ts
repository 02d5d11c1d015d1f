/** GET Service: the buckets of the caller's account. */

import { callerId } from "../../access/caller.ts";
import { formatIsoSeconds } from "../../http/dates.ts";
import type { BucketsDocument } from "../../operations/documents.ts";
import { query } from "../../operations/input-fields.ts";
import { out } from "../../operations/output-fields.ts";
import { operation } from "../../operations/operation.ts";
import type { BucketRecord } from "../../store/records.ts";
import { BUCKET_TAGS, NO_TAGS } from "../../store/tags.ts";
import { el, leaf, nodes, optional, type XmlNode } from "../../xml/write.ts";

const SECONDS_MAX = 2 ** 40;
const PAGE_SIZE_MAX = 2 ** 31 - 1;

function listAllMyBucketsResult(page: BucketsDocument): XmlNode {
  return el(
    "ListAllMyBucketsResult",
    el("Owner", leaf("ID", callerId(page.uin)), leaf("DisplayName", page.uin)),
    optional("Marker", page.marker),
    optional("MaxKeys", page.maxKeys),
    el(
      "Buckets",
      nodes(
        page.buckets.map((bucket) =>
          el(
            "Bucket",
            leaf("Name", bucket.name),
            leaf("Location", bucket.region),
            leaf("CreationDate", formatIsoSeconds(bucket.createdMs)),
            leaf("BucketType", "cos"),
          ),
        ),
      ),
    ),
    leaf("IsTruncated", page.nextMarker !== undefined),
    optional("NextMarker", page.nextMarker),
  );
}

const COMPARISONS = {
  lt: (created: number, limit: number) => created < limit,
  lte: (created: number, limit: number) => created <= limit,
  gt: (created: number, limit: number) => created > limit,
  gte: (created: number, limit: number) => created >= limit,
} as const;

export const listBuckets = operation(
  {
    name: "GetService",
    summary: "Lists the caller's buckets in order of name, of all regions or of the one the host names.",
    route: { method: "GET", on: "service" },
    action: "name/cos:GetService",
    authentication: ["header", "query"],
    permission: "signed",
    input: {
      region: query.text("region", "a region"),
      createTime: query.integer("create-time", { min: 0, max: SECONDS_MAX }),
      range: query.oneOf("range", ["lt", "lte", "gt", "gte"]),
      prefix: query.text("prefix", "S3 clients: what names begin with"),
      marker: query.text("marker", "a bucket's name"),
      maxKeys: query.integer("max-keys", { min: 1, max: PAGE_SIZE_MAX }),
      tagKey: query.text("tagkey", "a tag's key"),
      tagValue: query.text("tagvalue", "the tag's value"),
    },
    output: { page: out.xml("ListAllMyBucketsResult", listAllMyBucketsResult) },
    status: 200,
    errors: ["InvalidArgument"],
  },
  async ({ caller, region, regional, store, limits, refuse }, input) => {
    if (caller.kind !== "account") throw new Error("GetService admits signed callers only");
    if ((input.createTime === undefined) !== (input.range === undefined)) {
      throw refuse("InvalidArgument", { message: "The arguments create-time and range go together." });
    }
    const { tagKey, tagValue } = input;
    if (tagValue !== undefined && tagKey === undefined) {
      throw refuse("InvalidArgument", { message: "The argument tagvalue is sent without tagkey." });
    }
    const isTagged = async (bucket: BucketRecord): Promise<boolean> => {
      const tags = (await store.configurations.find(bucket, BUCKET_TAGS)) ?? NO_TAGS;
      return tags.some(([key, value]) => key === tagKey && (tagValue === undefined || value === tagValue));
    };
    const compare = COMPARISONS[input.range ?? "gte"];
    const pageSize = Math.min(input.maxKeys ?? limits.listBucketsMax, limits.listBucketsMax);
    const admitted = (bucket: BucketRecord): boolean =>
      (!regional || bucket.region === region) &&
      (input.prefix === undefined || bucket.name.startsWith(input.prefix)) &&
      (input.region === undefined || input.region === "" || bucket.region === input.region) &&
      (input.createTime === undefined || compare(Math.floor(bucket.createdMs / 1000), input.createTime));

    // Filters may pass over most of a page, so pages of the store are read until one of the answer is full.
    const found: BucketRecord[] = [];
    let marker = input.marker;
    for (let more = true; more && found.length <= pageSize; ) {
      const page = await store.buckets.list(caller.uin, marker, pageSize);
      for (const bucket of page.buckets) {
        if (admitted(bucket) && (tagKey === undefined || (await isTagged(bucket)))) found.push(bucket);
      }
      marker = page.buckets.at(-1)?.name;
      more = page.truncated;
    }
    const buckets = found.slice(0, pageSize);
    return {
      page: {
        uin: caller.uin,
        prefix: input.prefix,
        marker: input.marker,
        maxKeys: input.maxKeys,
        buckets,
        nextMarker: found.length > pageSize ? buckets.at(-1)?.name : undefined,
      },
    };
  },
);
