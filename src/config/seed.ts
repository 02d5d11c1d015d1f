/** What a server may begin with, as people write it in YAML, in JSON and in the library. */

import type { ConfiguredAccount } from "./settings.ts";

/** An object. Its body is what one of `text`, `base64`, `json` and `file` says; nothing where none is told. */
export interface SeedObject {
  readonly key: string;
  readonly text?: string | undefined;
  readonly base64?: string | undefined;
  /** Any value; the body is its JSON. */
  readonly json?: unknown;
  /** Path of a file. */
  readonly file?: string | undefined;
  /** By the end of the key unless told. */
  readonly contentType?: string | undefined;
  /** As a request to store it has them, such as `Cache-Control` or `x-cos-meta-colour`. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
  /** A canned ACL, such as `public-read`. */
  readonly acl?: string | undefined;
  /** Such as `ARCHIVE`. */
  readonly storageClass?: string | undefined;
}

export interface SeedCorsRule {
  readonly origins: readonly string[];
  readonly methods: readonly string[];
  readonly headers?: readonly string[] | undefined;
  readonly exposeHeaders?: readonly string[] | undefined;
  readonly maxAgeSeconds?: number | undefined;
}

/** A bucket. One that is there already is taken as it is, and gets what is told here. */
export interface SeedBucket {
  /** With or without the APPID at its end. */
  readonly name: string;
  readonly region?: string | undefined;
  /** SecretId of whoever makes it; the root account's unless told. */
  readonly owner?: string | undefined;
  readonly acl?: string | undefined;
  readonly versioning?: "Enabled" | "Suspended" | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
  /** JSON, or the same as a value. */
  readonly policy?: unknown;
  readonly cors?: readonly SeedCorsRule[] | undefined;
  /** Any other configuration as a request has it, by its parameter: `lifecycle`, `referer`, `encryption`, `object-lock` … */
  readonly documents?: Readonly<Record<string, string>> | undefined;
  /** Path of a folder whose files become objects; one that `cosbox export` wrote becomes exactly what it was. */
  readonly folder?: string | undefined;
  readonly objects?: readonly SeedObject[] | undefined;
}

/** Another server that buckets are copied from. */
export interface SeedSource {
  /** Where to connect, such as `http://127.0.0.1:9000`; `cloud` for the service itself. */
  readonly endpoint: string;
  readonly secretId: string;
  readonly secretKey: string;
  /** Whole names there; all that the key's account has unless told. */
  readonly buckets?: readonly string[] | undefined;
  /** Only objects whose keys begin so. */
  readonly prefix?: string | undefined;
  /** Certificates are not checked, such as those of `--tls dev`. */
  readonly insecure?: boolean | undefined;
}

/** A seed. */
export interface SeedDocument {
  readonly accounts?:
    | readonly (Omit<ConfiguredAccount, "appid"> & { readonly appid?: string | undefined })[]
    | undefined;
  readonly buckets?: readonly SeedBucket[] | undefined;
  /** Path of a folder of which each sub-folder is a bucket. */
  readonly folder?: string | undefined;
  readonly from?: SeedSource | undefined;
}

/** A seed that has been checked, its paths absolute. */
export interface CheckedSeed {
  readonly document: SeedDocument;
  /** How messages call a place in it, such as `seed.yaml:12: buckets[0].name`. */
  readonly place: (where: readonly PropertyKey[]) => string;
}
