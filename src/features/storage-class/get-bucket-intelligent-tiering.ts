/** GET Bucket intelligent tiering: after how many days without a read objects count as infrequently read. */

import { operation } from "../../operations/operation.ts";
import { BUCKET_TIERING } from "../../store/storage-class.ts";
import { tieringOutput } from "./tiering-document.ts";

export const getBucketIntelligentTiering = operation(
  {
    name: "GetBucketIntelligentTiering",
    summary: "Tells the intelligent tiering of a bucket; the document is empty where it was never enabled.",
    route: { method: "GET", on: "bucket", query: ["intelligenttiering"] },
    action: "name/cos:GetBucketIntelligentTiering",
    authentication: ["header", "query"],
    permission: "owner",
    input: {},
    output: { tiering: tieringOutput },
    status: 200,
    errors: [],
  },
  async ({ bucket, store }) => ({ tiering: await store.configurations.find(bucket, BUCKET_TIERING) }),
);
