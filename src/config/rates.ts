/** Limits on how often requests may come, as people write them. */

import * as z from "zod";

const RATES_MAX = 100;
const PER_SECOND_MAX = 1_000_000;
const name = (expected: string) => z.string(expected).regex(/^[A-Za-z0-9_.-]{1,255}$/, expected);

const RATE = z.strictObject(
  {
    id: name("letters, digits, - or _").optional(),
    per: z.enum(["bucket", "account", "server"], "bucket, account or server"),
    operations: z.array(name("the name of an operation"), "a list of names of operations").min(1).max(200).optional(),
    bucket: name("the whole name of a bucket").optional(),
    account: z
      .union([z.int().transform(String), z.string()], "the UIN of an account")
      .pipe(z.string().regex(/^[1-9][0-9]{4,19}$/, "the UIN of an account"))
      .optional(),
    perSecond: z
      .number("a number of requests in a second")
      .gt(0, "more than 0 requests in a second")
      .max(PER_SECOND_MAX, `${PER_SECOND_MAX} requests in a second or fewer`),
    burst: z
      .int("a whole number of requests at once")
      .min(1, "1 request at once or more")
      .max(PER_SECOND_MAX, `${PER_SECOND_MAX} requests at once or fewer`)
      .optional(),
  },
  "a limit with per and perSecond",
);

/**
 * What the service allows in its mainland regions: of requests to a bucket, of lists of one, of restores in one, and of
 * making, deleting and listing an account's buckets. (limits page)
 */
const SERVICE: readonly z.output<typeof RATE>[] = [
  { id: "bucket", per: "bucket", perSecond: 30_000 },
  {
    id: "lists",
    per: "bucket",
    operations: ["GetBucket", "GetBucketObjectVersions", "ListMultipartUploads"],
    perSecond: 1_000,
  },
  { id: "restores", per: "bucket", operations: ["PostObjectRestore"], perSecond: 100 },
  { id: "buckets", per: "account", operations: ["PutBucket", "DeleteBucket", "GetService"], perSecond: 50 },
];

const LIST =
  "a list of limits, each with per (bucket, account or server) and perSecond, or service for the service's own";

/** A list of limits, or `service` for the service's own. */
export const RATES = z
  .union([z.literal("service").transform((): unknown[] => [...SERVICE]), z.array(z.unknown())], LIST)
  .pipe(
    z
      .array(RATE)
      .max(RATES_MAX, `${RATES_MAX} limits or fewer`)
      .refine(
        (rates) => new Set(rates.map(({ id }, at) => id ?? `rate-${at + 1}`)).size === rates.length,
        "limits with different ids",
      ),
  );
