/** The documents that a decision goes by, as the store keeps them. */

import type { ConfigurationKind, Configurations } from "../store/configurations.ts";
import type { BucketRecord, ObjectRecord, VersionRecord } from "../store/records.ts";
import { parseVersionId, type VersionId } from "../store/version-id.ts";
import { BUCKET_TAGS, keptTags, NO_TAGS, type Tags } from "../store/tags.ts";
import { type AclGrants, allGrants, CANNED_GRANTS, decodeGrants, encodeGrants, type Grant, ownAcl } from "./acl.ts";
import { type AccessDocuments, type AccessQuestion, asksFor, RESOURCE_TAGS } from "./authorise.ts";
import type { Caller } from "./caller.ts";
import type { Policy } from "./policy/policy.ts";
import { readPolicy } from "./policy/read-policy.ts";

/** A bucket's policy and those it had before. */
export interface PolicyVersions {
  readonly current: Policy;
  /** Documents, the oldest first, the current one last. */
  readonly texts: readonly string[];
}

/** Makes the versions of these documents; the last is the current one and a policy of a bucket that was read before. */
export function policyVersions(texts: readonly string[]): PolicyVersions {
  const current = readPolicy(texts.at(-1) ?? "", {
    principal: "required",
    bytesMax: Number.MAX_SAFE_INTEGER,
    kept: true,
  });
  return { current, texts };
}

export const BUCKET_POLICY: ConfigurationKind<PolicyVersions> = {
  name: "policy",
  decode: (document) => policyVersions(JSON.parse(document.toString("utf8")) as string[]),
  encode: ({ texts }) => Buffer.from(JSON.stringify(texts)),
};

/** Whether the decision can differ from key to key of one bucket. */
export function dependsOnKey(caller: Caller, { bucketPolicy }: AccessDocuments): boolean {
  if (bucketPolicy !== undefined) return true;
  return caller.kind === "account" && (caller.policies.length > 0 || caller.session?.policy !== undefined);
}

/** The grants of a bucket's ACL beside its canned one, which its record holds. */
export const BUCKET_GRANTS: ConfigurationKind<AclGrants> = {
  name: "acl",
  decode: (document) => decodeGrants(JSON.parse(document.toString("utf8"))),
  encode: (grants) => Buffer.from(JSON.stringify(encodeGrants(grants))),
};

/** Marks a bucket in which a folder, an object whose key ends in a slash, has or had an ACL: others inherit it. */
export const FOLDER_ACLS: ConfigurationKind<true> = {
  name: "folder-acls",
  decode: () => true,
  encode: () => Buffer.alloc(0),
};

/** What documents are read from. */
export interface DocumentStore {
  readonly configurations: Configurations;
  readonly objects: {
    /** The current objects under several keys, in the order asked; undefined where there is none. */
    findMany(bucketId: string, keys: readonly string[]): Promise<readonly (ObjectRecord | undefined)[]>;
    /** A version of an object, the current one where none is named; undefined where there is none. */
    findVersion(
      bucket: BucketRecord,
      key: string,
      id: VersionId | undefined,
    ): Promise<{ readonly record: VersionRecord } | undefined>;
  };
}

type DocumentQuestion = Pick<AccessQuestion, "bucket" | "caller" | "key" | "object" | "permission" | "versionId">;

const NONE: AccessDocuments = { bucketPolicy: undefined, grants: [], tags: NO_TAGS };

/** The documents for a question; a promise only where one has to be read. */
export function documentsFor(
  question: DocumentQuestion,
  store: DocumentStore,
): AccessDocuments | Promise<AccessDocuments> {
  const { bucket, object } = question;
  if (bucket === undefined) return NONE;
  if (bucket.configurations.revisions.size > 0 || asksForTags(question, undefined)) {
    return readDocuments(question, bucket, store);
  }
  return { bucketPolicy: undefined, grants: plainGrants(question, bucket), tags: tagsOf(NO_TAGS, object) };
}

function tagsOf(bucketTags: Tags, object: ObjectRecord | undefined): Tags {
  const objectTags = object === undefined || object.sections.length === 0 ? NO_TAGS : keptTags(object.sections);
  return objectTags.length === 0 ? bucketTags : [...bucketTags, ...objectTags];
}

/** The grants where the bucket has nothing but its canned ACL, and none of its folders has one. */
function plainGrants({ object, permission }: DocumentQuestion, bucket: BucketRecord): readonly Grant[] {
  const own = permission === "write" || object === undefined ? undefined : ownAcl(object.sections);
  return own === undefined ? CANNED_GRANTS[bucket.acl] : allGrants(own);
}

async function readDocuments(
  question: DocumentQuestion,
  bucket: BucketRecord,
  store: DocumentStore,
): Promise<AccessDocuments> {
  const { configurations } = store;
  const policy = await configurations.find(bucket, BUCKET_POLICY);
  const tags = (await configurations.find(bucket, BUCKET_TAGS)) ?? NO_TAGS;
  const grants = await grantsFor(question, bucket, store);
  const object = asksForTags(question, policy?.current) ? await addressed(question, bucket, store) : question.object;
  return { bucketPolicy: policy?.current, grants, tags: tagsOf(tags, object) };
}

/** Whether the decision needs the tags of an object that nobody has read yet. */
function asksForTags({ caller, key, object }: DocumentQuestion, bucketPolicy: Policy | undefined): boolean {
  return key !== undefined && object === undefined && asksFor(RESOURCE_TAGS, caller, bucketPolicy);
}

/** The object that is there now, or the version that is named. */
async function addressed(
  { key = "", versionId = "" }: DocumentQuestion,
  bucket: BucketRecord,
  { objects }: DocumentStore,
): Promise<ObjectRecord | undefined> {
  const found = await objects.findVersion(bucket, key, versionId === "" ? undefined : parseVersionId(versionId));
  return found?.record.type === "delete-marker" ? undefined : found?.record;
}

/**
 * The grants that count: for writing the bucket's; else those of the object's own ACL, of the nearest folder around it
 * that has one, or the bucket's. (ACL overview: objects inherit)
 */
async function grantsFor(
  { key, object, permission }: DocumentQuestion,
  bucket: BucketRecord,
  { configurations, objects }: DocumentStore,
): Promise<readonly Grant[]> {
  if (permission !== "write" && key !== undefined) {
    const own = object && ownAcl(object.sections);
    if (own !== undefined) return allGrants(own);
    const folders = configurations.has(bucket, FOLDER_ACLS) ? foldersAround(key) : [];
    if (folders.length > 0) {
      for (const folder of await objects.findMany(bucket.id, folders)) {
        const acl = folder && ownAcl(folder.sections);
        if (acl !== undefined) return allGrants(acl);
      }
    }
  }
  const more = await configurations.find(bucket, BUCKET_GRANTS);
  return more === undefined ? CANNED_GRANTS[bucket.acl] : [...CANNED_GRANTS[bucket.acl], ...more.grants];
}

/** Folders deeper than this give nothing on: a key may be made of slashes alone. */
const FOLDERS_MAX = 64;

/** `a/b/` and `a/` for `a/b/c` and for `a/b/`, but not the key itself; the nearest first, the topmost ones at most. */
function foldersAround(key: string): readonly string[] {
  const folders: string[] = [];
  for (let at = key.indexOf("/"); at >= 0 && at < key.length - 1; at = key.indexOf("/", at + 1)) {
    folders.push(key.slice(0, at + 1));
    if (folders.length === FOLDERS_MAX) break;
  }
  return folders.reverse();
}
