/** The shape of a seed. Each message completes "expected …". */

import * as z from "zod";
import { ACCOUNT } from "./account-shape.ts";
import { parseEndpoint } from "./endpoint.ts";

const NAMES_MAX = 10_000;
const line = (expected: string) => z.string(expected).regex(/^[^\0\r\n]*$/, expected);
const path = z.string("a path").regex(/^[^\0]+$/, "a path");

/** Whole numbers and words that YAML reads as something else are meant as they are written. */
const word = z
  .union([z.string(), z.number(), z.boolean()], "a text")
  .transform(String)
  .pipe(line("a text of one line"));
const words = (of: string) => z.record(z.string(), word, `${of}, each as name: value`);

/** What a request says of itself is not a seed's to tell. */
const OWN_HEADERS = new Set([
  ...["authorization", "connection", "content-length", "content-md5", "expect", "host", "transfer-encoding"],
  ...["x-cos-security-token", "x-cosbox-fault"],
]);
const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}$/;
const headers = words("headers").refine(
  (given) => Object.keys(given).every((name) => HEADER_NAME.test(name) && !OWN_HEADERS.has(name.toLowerCase())),
  "headers of the object, such as Cache-Control or x-cos-meta-colour",
);

const BODIES = ["text", "base64", "json", "file"] as const;

const object = z
  .strictObject(
    {
      key: z.string("the key of an object").min(1, "the key of an object"),
      text: word.or(z.string()).optional(),
      base64: z
        .string("Base64")
        .regex(/^[A-Za-z0-9+/\s]*={0,2}\s*$/, "Base64")
        .optional(),
      json: z.unknown().optional(),
      file: path.optional(),
      contentType: line("a content type, such as text/plain").optional(),
      headers: headers.optional(),
      tags: words("tags").optional(),
      acl: line("a canned ACL, such as public-read").optional(),
      storageClass: line("a storage class, such as ARCHIVE").optional(),
    },
    "an object with a key",
  )
  .refine(
    (one) => BODIES.filter((name) => one[name] !== undefined).length <= 1,
    `one body: ${BODIES.join(", ")}; nothing for an empty one`,
  );

const list = (of: string) => z.array(line(of), `a list of ${of}`);

const bucket = z.strictObject(
  {
    name: z
      .string("the name of a bucket, such as demo")
      .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/, "the name of a bucket, such as demo"),
    region: line("a region, such as ap-guangzhou").optional(),
    owner: line("a SecretId").optional(),
    acl: line("a canned ACL, such as public-read").optional(),
    versioning: z.enum(["Enabled", "Suspended"], "Enabled or Suspended").optional(),
    tags: words("tags").optional(),
    policy: z.union([z.string(), z.record(z.string(), z.unknown())], "a policy, as JSON or as a map").optional(),
    cors: z
      .array(
        z.strictObject(
          {
            origins: list("origins"),
            methods: list("methods"),
            headers: list("headers").optional(),
            exposeHeaders: list("headers").optional(),
            maxAgeSeconds: z.int("a number of seconds").nonnegative("a number of seconds").optional(),
          },
          "a CORS rule with origins and methods",
        ),
        "a list of CORS rules, each with origins and methods",
      )
      .optional(),
    documents: z
      .record(
        z.string().regex(/^[a-z][a-z-]*$/, "the parameter of a configuration, such as lifecycle"),
        z.string("a document as a request has it"),
        "documents, each as parameter: text, such as lifecycle",
      )
      .optional(),
    folder: path.optional(),
    objects: z.array(object, "a list of objects, each with a key").optional(),
  },
  "a bucket with a name",
);

const ENDPOINT = "where to connect, such as http://127.0.0.1:9000, or cloud";
const from = z.strictObject(
  {
    endpoint: z
      .string(ENDPOINT)
      .refine((written) => written === "cloud" || parseEndpoint(written) !== undefined, ENDPOINT),
    secretId: line("a SecretId"),
    secretKey: line("a SecretKey"),
    buckets: list("names of buckets").max(NAMES_MAX).optional(),
    prefix: z.string("a prefix of keys").optional(),
    insecure: z.boolean("true or false").optional(),
  },
  "another server, with endpoint, secretId and secretKey",
);

/** A seed. */
export const SEED = z.strictObject(
  {
    accounts: z.array(ACCOUNT, "a list of accounts, each with uin and appid").optional(),
    buckets: z.array(bucket, "a list of buckets, each with a name").optional(),
    folder: path.optional(),
    from: from.optional(),
  },
  "a seed with buckets, accounts, folder or from",
);

const notSent = (what: string) => z.never(`nothing: ${what} for a request`).optional();

/** A seed that names nothing of this machine's and no other machine, for callers who may not see either. */
export const SEED_SENT = SEED.extend({
  folder: notSent("no folder of the server's is read"),
  from: notSent("no other server is called"),
  buckets: z
    .array(
      bucket.extend({
        folder: notSent("no folder of the server's is read"),
        objects: z
          .array(
            object.safeExtend({ file: notSent("no file of the server's is read") }),
            "a list of objects, each with a key",
          )
          .optional(),
      }),
      "a list of buckets, each with a name",
    )
    .optional(),
});

/** Every name that may stand in a seed, at any depth. */
export const SEED_NAMES = [
  ...Object.keys(SEED.shape),
  ...Object.keys(bucket.shape),
  ...Object.keys(object.shape),
  ...Object.keys(from.shape),
  ...["origins", "methods", "exposeHeaders", "maxAgeSeconds"],
];
