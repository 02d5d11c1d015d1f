/**
 * Bucket policies in S3's grammar: from it to COS's where each part has an exact counterpart, and back. A policy in COS's
 * own grammar passes as it is. What has no counterpart is MalformedPolicy, since a policy that came to mean something
 * else would let somebody in, or keep somebody out, whom nobody meant.
 */

import { repeatedName } from "../../access/policy/repeated-name.ts";
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
  ["GetIntelligentTieringConfiguration", "bucket", "GetBucketIntelligentTiering", "ListBucketIntelligentTiering"],
  ["PutIntelligentTieringConfiguration", "bucket", "PutBucketIntelligentTiering", "DeleteBucketIntelligentTiering"],
  ["GetEncryptionConfiguration", "bucket", "GetBucketEncryption"],
  ["PutEncryptionConfiguration", "bucket", "PutBucketEncryption", "DeleteBucketEncryption"],
  ["GetBucketObjectLockConfiguration", "bucket", "GetBucketObjectLockConfiguration"],
  ["PutBucketObjectLockConfiguration", "bucket", "PutBucketObjectLockConfiguration"],
  ["GetObjectRetention", "object", "GetObjectRetention"],
  ["PutObjectRetention", "object", "PutObjectRetention"],
];

/** What `s3:*` means of objects beside these rows. Of a bucket it is everything, which COS can say. */
const OTHER_OBJECT_ACTIONS: readonly string[] = [
  "OptionsObject",
  "SelectObjectContent",
  "PutSymlink",
  "GetSymlink",
  "RenameObject",
  "PutObjectLegalHold",
  "GetObjectLegalHold",
  "GetObjectTorrent",
  "UpdateObjectEncryption",
  "PutObjectAnnotation",
  "GetObjectAnnotation",
  "DeleteObjectAnnotation",
];

const OBJECT_ACTIONS: readonly string[] = [
  ...ACTIONS.flatMap(([, of, ...cos]) => (of === "object" ? cos : [])),
  ...OTHER_OBJECT_ACTIONS,
];

/**
 * S3's actions on the current version alone, and those on versions that a request names. An action of COS's is on both;
 * which of them is a condition: the id is empty where a request names none.
 */
const ON_VERSIONS: ReadonlyMap<string, string> = new Map([
  ["GetObject", "GetObjectVersion"],
  ["DeleteObject", "DeleteObjectVersion"],
  ["GetObjectAcl", "GetObjectVersionAcl"],
  ["PutObjectAcl", "PutObjectVersionAcl"],
  ["GetObjectTagging", "GetObjectVersionTagging"],
  ["PutObjectTagging", "PutObjectVersionTagging"],
  ["DeleteObjectTagging", "DeleteObjectVersionTagging"],
]);
const VERSION_KEY = "cos:versionid";
/** The operators that, with an empty id, tell a statement on current versions from one on named versions. */
const VERSION_OPERATORS = { current: "string_equal", versions: "string_not_equal" } as const;

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
  const repeated = repeatedName(text);
  if (repeated !== undefined) throw malformed("Policy", `the element ${repeated} is there twice`);
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
 * One statement, as one to four: S3's actions on a bucket never speak of its objects nor the other way round, while a
 * pattern of COS's for all objects takes in the bucket; and those on current versions alone and on named ones alone have
 * a condition each.
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
  const conditions = condition === undefined ? undefined : conditionFrom(condition, `${place}.Condition`);
  const sid = statement["Sid"];
  const made: Json[] = [];
  for (const kind of ["bucket", "object", "current", "versions"] as const) {
    const of = resources[kind === "bucket" ? "bucket" : "object"];
    if (actions[kind].length === 0 || of.length === 0) continue;
    const own = kind === "bucket" || kind === "object" ? conditions : withVersions(conditions, kind);
    made.push({
      ...(sid === undefined ? {} : { Sid: sid }),
      Principal: principal,
      Effect: effect.toLowerCase(),
      Action: actions[kind],
      Resource: of,
      ...(own === undefined ? {} : { Condition: own }),
    });
  }
  if (made.length === 0) throw malformed(place, "Action does not apply to any resource(s) in statement");
  return made;
}

function withVersions(conditions: Json | undefined, which: "current" | "versions"): Json {
  const operator = VERSION_OPERATORS[which];
  return { ...conditions, [operator]: { ...(conditions?.[operator] as Json | undefined), [VERSION_KEY]: "" } };
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

interface PartedActions extends Parted {
  /** Those of objects that are on current versions alone. */
  readonly current: readonly string[];
  /** Those of objects that are on named versions alone. */
  readonly versions: readonly string[];
}

const cosAction = (name: string): string => `name/cos:${name}`;

const sameName = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase();

/** What an action of COS's is of, where S3 has it. */
function kindOf(name: string): "object" | "bucket" | undefined {
  if (OBJECT_ACTIONS.some((one) => sameName(one, name))) return "object";
  return ACTIONS.find(([, , ...cos]) => cos.some((one) => sameName(one, name)))?.[1];
}

function actionsFrom(texts: readonly string[], place: string): PartedActions {
  const found = {
    bucket: new Set<string>(),
    object: new Set<string>(),
    current: new Set<string>(),
    versions: new Set<string>(),
  };
  for (const text of texts) {
    if (text === "*" || text === "s3:*") {
      // Everything on what names a bucket is its own actions; where a pattern goes on into keys, theirs are meant too.
      found.bucket.add(cosAction("*"));
      for (const name of OBJECT_ACTIONS) found.object.add(cosAction(name));
      continue;
    }
    if (/^(name\/)?cos:/.test(text)) {
      const kind = kindOf(text.replace(/^(name\/)?cos:/, ""));
      if (kind === undefined) throw malformed(place, `the action ${text} has no counterpart in S3`);
      found[kind].add(text);
      continue;
    }
    const name = /^s3:(\w+)$/i.exec(text)?.[1] ?? "";
    const row = ACTIONS.find(([s3]) => sameName(s3, name) || sameName(ON_VERSIONS.get(s3) ?? s3, name));
    if (row === undefined) throw malformed(place, `the action ${text} has no exact counterpart in COS`);
    const [s3, of, ...cos] = row;
    const version = ON_VERSIONS.get(s3);
    const kind = version === undefined ? of : sameName(s3, name) ? "current" : "versions";
    const beside = kind === "current" ? version : kind === "versions" ? s3 : undefined;
    const both = beside !== undefined && texts.some((other) => sameName(other, `s3:${beside}`));
    for (const one of cos) found[both ? of : kind].add(cosAction(one));
  }
  const { bucket, object, current, versions } = found;
  const besideAll = (names: ReadonlySet<string>): string[] => [...names].filter((name) => !object.has(name));
  return {
    bucket: bucket.has(cosAction("*")) ? [cosAction("*")] : [...bucket],
    object: [...object],
    current: besideAll(current),
    versions: besideAll(versions),
  };
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
      if (found[own] !== undefined) throw malformed(place, `the key ${key} is there twice`);
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

/** A statement as it is answered. */
type Written = Json & { readonly Action: readonly string[] };

/** The text of a policy in S3's grammar, from one that COS answers; parts without a counterpart keep their names. */
export function policyToS3(text: string, names: PolicyNames): string {
  const { Statement } = JSON.parse(text) as { readonly Statement: readonly Json[] };
  const made: Written[] = [];
  let before: string | undefined;
  for (const statement of Statement) {
    const { Action, ...rest } = statementTo(statement, names);
    const beside = JSON.stringify(rest);
    // What differs in the actions alone may have been one statement, and means the same as one.
    const last = beside === before ? made.pop() : undefined;
    made.push({ ...rest, Action: [...new Set([...(last?.Action ?? []), ...Action])] });
    before = beside;
  }
  return JSON.stringify({ Version: "2012-10-17", Statement: made });
}

function statementTo(statement: Json, names: PolicyNames): Written {
  const resources = statement["Resource"] as readonly string[];
  const actions = statement["Action"] as readonly string[];
  const { which, rest } = versionsOf(actions, statement["Condition"] as Json | undefined);
  const ofKeys = resources.every((one) => one.split(":").slice(5).join(":").includes("/"));
  return {
    ...(statement["Sid"] === undefined ? {} : { Sid: statement["Sid"] }),
    Effect: statement["Effect"] === "deny" ? "Deny" : "Allow",
    Principal: principalTo(statement["Principal"] as Json),
    Action: ofKeys && isEveryOfObjects(actions) ? ["s3:*"] : actionsTo(actions, which),
    Resource: resources.map((one) => resourceTo(one, names)),
    ...(rest === undefined ? {} : { Condition: conditionTo(rest) }),
  };
}

const bareAction = (text: string): string => text.replace(/^(name\/)?cos:/, "").toLowerCase();

function isEveryOfObjects(texts: readonly string[]): boolean {
  const given = new Set(texts.map(bareAction));
  return given.size === OBJECT_ACTIONS.length && OBJECT_ACTIONS.every((name) => given.has(name.toLowerCase()));
}

type Versions = "both" | "current" | "versions";

/**
 * Which versions a statement is on, and its other conditions. Where one of its actions has no form for some versions
 * alone, the condition stays one.
 */
function versionsOf(
  actions: readonly string[],
  condition: Json | undefined,
): { readonly which: Versions; readonly rest: Json | undefined } {
  const left = new Set(actions.map(bareAction));
  for (const [s3, , ...cos] of ACTIONS) {
    const keys = cos.map((name) => name.toLowerCase());
    if (ON_VERSIONS.has(s3) && keys.every((key) => left.has(key))) for (const key of keys) left.delete(key);
  }
  if (condition === undefined || left.size > 0) return { which: "both", rest: condition };
  for (const which of ["current", "versions"] as const) {
    const { [VERSION_OPERATORS[which]]: keys, ...others } = condition;
    const { [VERSION_KEY]: id, ...besides } = (keys ?? {}) as Json;
    if (id !== "" && !(Array.isArray(id) && id.length === 1 && id[0] === "")) continue;
    const rest = Object.keys(besides).length === 0 ? others : { ...condition, [VERSION_OPERATORS[which]]: besides };
    return { which, rest: Object.keys(rest).length === 0 ? undefined : rest };
  }
  return { which: "both", rest: condition };
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

function actionsTo(texts: readonly string[], which: Versions): readonly string[] {
  const left = new Map(texts.map((text) => [bareAction(text), text]));
  if (left.has("*")) return ["s3:*"];
  const made: string[] = [];
  for (const [s3, , ...cos] of ACTIONS) {
    const keys = cos.map((name) => name.toLowerCase());
    if (!keys.every((key) => left.has(key))) continue;
    const version = ON_VERSIONS.get(s3);
    if (version === undefined || which !== "versions") made.push(`s3:${s3}`);
    if (version !== undefined && which !== "current") made.push(`s3:${version}`);
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
