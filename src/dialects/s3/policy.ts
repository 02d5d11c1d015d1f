/**
 * Bucket policies in S3's grammar: from it to COS's where each part has an exact counterpart, and back. A policy in COS's
 * own grammar passes as it is. What has no counterpart is MalformedPolicy, since a policy that came to mean something
 * else would let somebody in, or keep somebody out, whom nobody meant.
 */

import { ownClass, s3Class } from "./storage-classes.ts";
import { type CosError, refuse } from "../../errors/cos-error.ts";

/** An S3 action, the COS actions that are the same, and whether it is of objects or of the bucket. */
type ActionRow = readonly [s3: string, of: "object" | "bucket", ...cos: readonly string[]];

const ACTIONS: readonly ActionRow[] = [
  ["GetObject", "object", "GetObject", "HeadObject"],
  [
    "PutObject",
    "object",
    "PutObject",
    "PostObject",
    "AppendObject",
    "InitiateMultipartUpload",
    "UploadPart",
    "UploadPartCopy",
    "CompleteMultipartUpload",
  ],
  ["DeleteObject", "object", "DeleteObject", "DeleteMultipleObjects"],
  ["AbortMultipartUpload", "object", "AbortMultipartUpload"],
  ["ListMultipartUploadParts", "object", "ListParts"],
  ["GetObjectAcl", "object", "GetObjectACL"],
  ["PutObjectAcl", "object", "PutObjectACL"],
  ["GetObjectTagging", "object", "GetObjectTagging"],
  ["PutObjectTagging", "object", "PutObjectTagging"],
  ["DeleteObjectTagging", "object", "DeleteObjectTagging"],
  ["RestoreObject", "object", "PostObjectRestore"],
  ["ListBucket", "bucket", "GetBucket", "HeadBucket"],
  ["ListBucketVersions", "bucket", "GetBucketObjectVersions"],
  ["ListBucketMultipartUploads", "bucket", "ListMultipartUploads"],
  ["GetBucketLocation", "bucket", "GetBucketLocation"],
  ["DeleteBucket", "bucket", "DeleteBucket"],
  ["GetBucketPolicy", "bucket", "GetBucketPolicy"],
  ["PutBucketPolicy", "bucket", "PutBucketPolicy"],
  ["DeleteBucketPolicy", "bucket", "DeleteBucketPolicy"],
  ["GetBucketAcl", "bucket", "GetBucketACL"],
  ["PutBucketAcl", "bucket", "PutBucketACL"],
  ["GetBucketCORS", "bucket", "GetBucketCORS"],
  ["PutBucketCORS", "bucket", "PutBucketCORS", "DeleteBucketCORS"],
  ["GetBucketVersioning", "bucket", "GetBucketVersioning"],
  ["PutBucketVersioning", "bucket", "PutBucketVersioning"],
  ["GetBucketTagging", "bucket", "GetBucketTagging"],
  ["PutBucketTagging", "bucket", "PutBucketTagging", "DeleteBucketTagging"],
  ["GetLifecycleConfiguration", "bucket", "GetBucketLifecycle"],
  ["PutLifecycleConfiguration", "bucket", "PutBucketLifecycle", "DeleteBucketLifecycle"],
  ["GetEncryptionConfiguration", "bucket", "GetBucketEncryption"],
  ["PutEncryptionConfiguration", "bucket", "PutBucketEncryption", "DeleteBucketEncryption"],
  ["GetBucketObjectLockConfiguration", "bucket", "GetBucketObjectLockConfiguration"],
  ["PutBucketObjectLockConfiguration", "bucket", "PutBucketObjectLockConfiguration"],
  ["GetObjectRetention", "object", "GetObjectRetention"],
  ["PutObjectRetention", "object", "PutObjectRetention"],
];

/** S3's actions on versions, and those without which they have no counterpart: an action of COS's is on versions too. */
const ON_VERSIONS: ReadonlyMap<string, string> = new Map([
  ["getobjectversion", "getobject"],
  ["deleteobjectversion", "deleteobject"],
  ["getobjectversionacl", "getobjectacl"],
  ["putobjectversionacl", "putobjectacl"],
  ["getobjectversiontagging", "getobjecttagging"],
  ["putobjectversiontagging", "putobjecttagging"],
  ["deleteobjectversiontagging", "deleteobjecttagging"],
]);

const OPERATORS: ReadonlyMap<string, string> = new Map([
  ["StringEquals", "string_equal"],
  ["StringNotEquals", "string_not_equal"],
  ["StringEqualsIgnoreCase", "string_equal_ignore_case"],
  ["StringNotEqualsIgnoreCase", "string_not_equal_ignore_case"],
  ["StringLike", "string_like"],
  ["StringNotLike", "string_not_like"],
  ["IpAddress", "ip_equal"],
  ["NotIpAddress", "ip_not_equal"],
  ["NumericEquals", "numeric_equal"],
  ["NumericNotEquals", "numeric_not_equal"],
  ["NumericLessThan", "numeric_less_than"],
  ["NumericLessThanEquals", "numeric_less_than_equal"],
  ["NumericGreaterThan", "numeric_greater_than"],
  ["NumericGreaterThanEquals", "numeric_greater_than_equal"],
  ["DateEquals", "date_equal"],
  ["DateNotEquals", "date_not_equal"],
  ["DateLessThan", "date_less_than"],
  ["DateLessThanEquals", "date_less_than_equal"],
  ["DateGreaterThan", "date_greater_than"],
  ["DateGreaterThanEquals", "date_greater_than_equal"],
  ["Bool", "bool_equal"],
]);
/**
 * To S3 a negative operator holds where the request has no such key, as one of COS's does only with `_if_exist`. (IAM user
 * guide, condition operators)
 */
const NEGATIVE = /Not/;

const CONDITION_KEYS: ReadonlyMap<string, string> = new Map([
  ["aws:SourceIp", "qcs:ip"],
  ["aws:CurrentTime", "qcs:current_time"],
  ["aws:SecureTransport", "cos:secure-transport"],
  ["s3:TlsVersion", "cos:tls-version"],
  ["s3:prefix", "cos:prefix"],
  ["s3:delimiter", "cos:delimiter"],
  ["s3:max-keys", "cos:max-keys"],
  ["s3:x-amz-acl", "cos:x-cos-acl"],
  ["s3:x-amz-storage-class", "cos:x-cos-storage-class"],
]);
/** Its values have names of their own in S3. */
const S3_CLASS_KEY = "s3:x-amz-storage-class";
const CLASS_KEY = "cos:x-cos-storage-class";

type Scalar = string | number | boolean;
const isScalar = (value: unknown): value is Scalar => ["string", "number", "boolean"].includes(typeof value);

/** A value, or each value of a list, in another form; what is neither is left to whoever reads the policy. */
function eachText(value: unknown, rename: (text: string) => string): unknown {
  if (isScalar(value)) return rename(String(value));
  return Array.isArray(value) ? value.map((one: unknown) => (isScalar(one) ? rename(String(one)) : one)) : value;
}

/** How names of buckets are written: whole in COS, perhaps bare in S3. */
export interface PolicyNames {
  readonly whole: (name: string) => string;
  readonly bare: (name: string) => string;
}

function malformed(place: string, why: string): CosError {
  return refuse("MalformedPolicy", { message: `${place}: ${why}.` });
}

type Json = Readonly<Record<string, unknown>>;

function objectAt(value: unknown, place: string): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw malformed(place, "expected an object");
  return value as Json;
}

function textsAt(value: unknown, place: string): readonly string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (list.length === 0 || !list.every((one) => typeof one === "string")) throw malformed(place, "expected texts");
  return list as readonly string[];
}

const VERSIONS: ReadonlySet<unknown> = new Set(["2012-10-17", "2008-10-17"]);

/** The text of a policy in COS's grammar. Raises MalformedPolicy. */
export function policyFromS3(text: string, names: PolicyNames): string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw refuse("MalformedPolicy", { message: "Policies must be valid JSON and the first byte must be '{'" });
  }
  const document = objectAt(value, "Policy");
  if ("version" in document) return text;
  for (const name of Object.keys(document)) {
    if (!["Version", "Id", "Statement"].includes(name)) throw malformed("Policy", `there is no element ${name}`);
  }
  if ("Version" in document && !VERSIONS.has(document["Version"])) {
    throw malformed("Version", 'expected "2012-10-17" or "2008-10-17"');
  }
  const given = document["Statement"];
  const list: readonly unknown[] = Array.isArray(given) ? given : given === undefined ? [] : [given];
  if (list.length === 0) throw malformed("Statement", "expected at least one");
  return JSON.stringify({
    Statement: list.flatMap((one, at) => statementsFrom(objectAt(one, `Statement[${at}]`), `Statement[${at}]`, names)),
    version: "2.0",
  });
}

const ELEMENTS: ReadonlySet<string> = new Set(["Sid", "Effect", "Principal", "Action", "Resource", "Condition"]);

/**
 * One statement, as one or two: S3's actions on a bucket never speak of its objects nor the other way round, while a
 * pattern of COS's for all objects takes in the bucket.
 */
function statementsFrom(statement: Json, place: string, names: PolicyNames): Json[] {
  for (const name of Object.keys(statement)) {
    if (!ELEMENTS.has(name)) throw malformed(place, `the element ${name} has no counterpart in COS`);
  }
  const effect = statement["Effect"];
  if (effect !== "Allow" && effect !== "Deny") throw malformed(`${place}.Effect`, "expected Allow or Deny");
  const principal = principalFrom(statement["Principal"], `${place}.Principal`);
  if (effect === "Deny" && (principal["qcs"] as readonly string[]).includes("*")) {
    throw malformed(
      `${place}.Principal`,
      "to deny everyone has no counterpart in COS, whose * leaves out those whom the policy allows by name",
    );
  }
  const actions = actionsFrom(textsAt(statement["Action"], `${place}.Action`), `${place}.Action`);
  const resources = resourcesFrom(textsAt(statement["Resource"], `${place}.Resource`), `${place}.Resource`, names);
  const condition = statement["Condition"];
  const conditions = condition === undefined ? {} : { Condition: conditionFrom(condition, `${place}.Condition`) };
  const sid = statement["Sid"];
  const made: Json[] = [];
  for (const kind of ["bucket", "object"] as const) {
    if (actions[kind].length === 0 || resources[kind].length === 0) continue;
    made.push({
      ...(sid === undefined ? {} : { Sid: sid }),
      Principal: principal,
      Effect: effect.toLowerCase(),
      Action: actions[kind],
      Resource: resources[kind],
      ...conditions,
    });
  }
  if (made.length === 0) throw malformed(place, "Action does not apply to any resource(s) in statement");
  return made;
}

function principalFrom(value: unknown, place: string): Json {
  if (value === undefined) throw malformed(place, "expected it to be there");
  if (value === "*") return { qcs: ["*"] };
  const members = objectAt(value, place);
  const ids: string[] = [];
  for (const [name, given] of Object.entries(members)) {
    const at = `${place}.${name}`;
    if (name === "qcs") ids.push(...textsAt(given, at));
    else if (name === "AWS" || name === "CanonicalUser") {
      ids.push(...textsAt(given, at).map((text) => identityFrom(text, at)));
    } else throw malformed(at, "a principal of this kind has no counterpart in COS");
  }
  if (ids.length === 0) throw malformed(place, "expected at least one");
  return { qcs: ids };
}

function identityFrom(text: string, place: string): string {
  if (text === "*" || text.startsWith("qcs::cam::")) return text;
  const [, root, user] = /^(?:arn:aws:iam::)?(\d{5,20})(?::root|:user\/(\d{5,20}))?$/.exec(text) ?? [];
  if (root === undefined) throw malformed(place, "expected the UIN of an account, arn:aws:iam::<UIN>:root or *");
  return `qcs::cam::uin/${root}:uin/${user ?? root}`;
}

interface Parted {
  readonly bucket: readonly string[];
  readonly object: readonly string[];
}

const cosAction = (name: string): string => `name/cos:${name}`;

function actionsFrom(texts: readonly string[], place: string): Parted {
  const found = { bucket: new Set<string>(), object: new Set<string>() };
  for (const text of texts) {
    if (text === "*" || text === "s3:*") {
      for (const [, of, ...cos] of ACTIONS) for (const name of cos) found[of].add(cosAction(name));
      continue;
    }
    if (/^(name\/)?cos:/.test(text)) {
      const bare = text.replace(/^(name\/)?cos:/, "").toLowerCase();
      const row = ACTIONS.find(([, , ...cos]) => cos.some((name) => name.toLowerCase() === bare));
      if (row === undefined) throw malformed(place, `the action ${text} has no counterpart in S3`);
      found[row[1]].add(text);
      continue;
    }
    const name = /^s3:(\w+)$/i.exec(text)?.[1]?.toLowerCase();
    const beside = ON_VERSIONS.get(name ?? "");
    if (beside !== undefined && texts.some((other) => other.toLowerCase() === `s3:${beside}`)) continue;
    const row = ACTIONS.find(([s3]) => s3.toLowerCase() === name);
    if (row === undefined) throw malformed(place, `the action ${text} has no exact counterpart in COS`);
    const [, of, ...cos] = row;
    for (const one of cos) found[of].add(cosAction(one));
  }
  return { bucket: [...found.bucket], object: [...found.object] };
}

function resourcesFrom(texts: readonly string[], place: string, names: PolicyNames): Parted {
  const bucket: string[] = [];
  const object: string[] = [];
  for (const text of texts) {
    const path = /^arn:aws(?:-[a-z-]+)?:s3:::(.+)$/s.exec(text)?.[1];
    if (path === undefined) throw malformed(place, "expected arn:aws:s3:::<bucket> or arn:aws:s3:::<bucket>/<key>");
    if (/[?]|\$\{/.test(path)) throw malformed(place, "? and variables have no counterpart in COS");
    const slash = path.indexOf("/");
    const name = slash < 0 ? path : path.slice(0, slash);
    const whole = name.includes("*") ? name : names.whole(name);
    const written = `qcs::cos:*:*:${whole}${slash < 0 ? "" : path.slice(slash)}`;
    if (slash < 0) bucket.push(written);
    // A star at the end of a bucket's name runs on into keys.
    if (slash >= 0 || path.endsWith("*")) object.push(written);
  }
  return { bucket, object };
}

function conditionFrom(value: unknown, place: string): Json {
  const made: Record<string, Json> = {};
  for (const [operator, keys] of Object.entries(objectAt(value, place))) {
    const exists = operator.endsWith("IfExists");
    const plain = OPERATORS.get(exists ? operator.slice(0, -"IfExists".length) : operator);
    if (plain === undefined) throw malformed(place, `the operator ${operator} has no counterpart in COS`);
    const found: Record<string, unknown> = {};
    for (const [key, given] of Object.entries(objectAt(keys, `${place}.${operator}`))) {
      const own = [...CONDITION_KEYS].find(([s3]) => s3.toLowerCase() === key.toLowerCase())?.[1];
      if (own === undefined) throw malformed(place, `the key ${key} has no counterpart in COS`);
      // Numbers and truth values may stand there as they are.
      const values = eachText(given, (text) => text);
      refusePatterns(values, operator, `${place}.${operator}.${key}`);
      found[own] = own === CLASS_KEY ? eachText(values, ownClass) : values;
    }
    const name = exists || NEGATIVE.test(operator) ? `${plain}_if_exist` : plain;
    // `StringNotEquals` and `StringNotEqualsIfExists` are the same: every condition on each of their keys has to hold.
    for (const own of Object.keys(found)) {
      if (made[name]?.[own] !== undefined)
        throw malformed(place, `the key ${own} stands in two operators that are the same`);
    }
    made[name] = { ...made[name], ...found };
  }
  return made;
}

/** Refuses what S3 reads otherwise in a value than COS: variables, and in patterns `?`. */
function refusePatterns(values: unknown, operator: string, place: string): void {
  const bad = /Like/.test(operator) ? /[?]|\$\{/ : /\$\{/;
  for (const value of Array.isArray(values) ? (values as readonly unknown[]) : [values]) {
    if (typeof value === "string" && bad.test(value)) {
      throw malformed(place, "? and variables have no counterpart in COS");
    }
  }
}

/** The text of a policy in S3's grammar, from one that COS answers; parts without a counterpart keep their names. */
export function policyToS3(text: string, names: PolicyNames): string {
  const { Statement } = JSON.parse(text) as { readonly Statement: readonly Json[] };
  return JSON.stringify({
    Version: "2012-10-17",
    Statement: Statement.map((statement) => {
      const effect = statement["Effect"];
      const condition = statement["Condition"];
      return {
        ...(statement["Sid"] === undefined ? {} : { Sid: statement["Sid"] }),
        Effect: effect === "deny" ? "Deny" : "Allow",
        Principal: principalTo(statement["Principal"] as Json),
        Action: actionsTo(statement["Action"] as readonly string[]),
        Resource: (statement["Resource"] as readonly string[]).map((one) => resourceTo(one, names)),
        ...(condition === undefined ? {} : { Condition: conditionTo(condition as Json) }),
      };
    }),
  });
}

function principalTo(principal: Json): unknown {
  const ids = (principal["qcs"] ?? []) as readonly string[];
  if (ids.length === 1 && (ids[0] === "*" || ids[0] === "qcs::cam::anyone:anyone")) return "*";
  return {
    AWS: ids.map((id) => {
      const [, root, user] = /^qcs::cam::uin\/(\d+):uin\/(\d+)$/.exec(id) ?? [];
      if (root === undefined) return id;
      return `arn:aws:iam::${root}:${user === root ? "root" : `user/${user}`}`;
    }),
  };
}

function actionsTo(texts: readonly string[]): readonly string[] {
  const left = new Map(texts.map((text) => [text.replace(/^(name\/)?cos:/, "").toLowerCase(), text]));
  if (left.has("*")) return ["s3:*"];
  const made: string[] = [];
  for (const [s3, , ...cos] of ACTIONS) {
    const keys = cos.map((name) => name.toLowerCase());
    if (!keys.every((key) => left.has(key))) continue;
    made.push(`s3:${s3}`);
    for (const key of keys) left.delete(key);
  }
  return [...made, ...left.values()];
}

function resourceTo(text: string, names: PolicyNames): string {
  if (text === "*") return "arn:aws:s3:::*";
  const path = text.split(":").slice(5).join(":");
  const slash = path.indexOf("/");
  const name = slash < 0 ? path : path.slice(0, slash);
  return `arn:aws:s3:::${names.bare(name)}${slash < 0 ? "" : path.slice(slash)}`;
}

function conditionTo(condition: Json): Json {
  const made: Record<string, Json> = {};
  for (const [operator, keys] of Object.entries(condition)) {
    const exists = operator.endsWith("_if_exist");
    const plain = exists ? operator.slice(0, -"_if_exist".length) : operator;
    const s3 = s3Operator(plain, exists);
    const pairs = Object.entries(keys as Json).map(([key, value]) => {
      const own = [...CONDITION_KEYS].find(([, cos]) => cos === key.toLowerCase())?.[0];
      return [own ?? key, own === S3_CLASS_KEY ? eachText(value, s3Class) : value] as const;
    });
    made[s3 ?? operator] = Object.fromEntries(pairs);
  }
  return made;
}

/** Undefined for a negative that does not hold where the key is absent: S3 has none of these. */
function s3Operator(plain: string, exists: boolean): string | undefined {
  const name = [...OPERATORS].find(([, cos]) => cos === plain)?.[0];
  if (name === undefined || !NEGATIVE.test(name)) return name === undefined || !exists ? name : `${name}IfExists`;
  return exists ? name : undefined;
}
