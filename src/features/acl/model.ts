/** What ACL operations, and operations that bring an ACL along, share: headers, documents, places of the account. */

import {
  type Acl,
  aclSections,
  type AclPermission,
  allGrants,
  type Grant,
  type Grantee,
  OBJECT_CANNED_ACLS,
  type ObjectCannedAcl,
  ownAcl,
  takesPlace,
} from "../../access/acl.ts";
import { callerId } from "../../access/caller.ts";
import { BUCKET_GRANTS, FOLDER_ACLS } from "../../access/documents.ts";
import type { ErrorId } from "../../errors/catalogue.ts";
import { refuse } from "../../errors/cos-error.ts";
import type { Limits } from "../../limits.ts";
import { header, xmlBody } from "../../operations/input-fields.ts";
import { out } from "../../operations/output-fields.ts";
import type { InputField } from "../../operations/operation.ts";
import type { AclDocument } from "../../operations/documents.ts";
import { attach, detach } from "../../store/attachments.ts";
import { attachedVersion } from "../../store/key-versions.ts";
import type { Configurations } from "../../store/configurations.ts";
import {
  type BucketRecord,
  CANNED_ACLS,
  type CannedAcl,
  type ObjectRecord,
  type Section,
} from "../../store/records.ts";
import type { Transaction } from "../../store/transact.ts";
import { children, faultAt, requiredChild, requiredText, text } from "../../xml/decode.ts";
import type { XmlElement } from "../../xml/parse.ts";
import { el, leaf, nodes, withAttributes, type XmlNode } from "../../xml/write.ts";

/** What an ACL can be set on. */
export type AclHolder = "bucket" | "object";

type CannedOf<H extends AclHolder> = H extends "bucket" ? CannedAcl : ObjectCannedAcl;

/** An ACL that a request brings; `default` takes an object's own away. */
export type GivenAcl<H extends AclHolder> = Acl<CannedOf<H>> | "default";

/** The headers of grants, and what each grants. */
const GRANT_HEADERS: readonly (readonly [name: string, permission: AclPermission])[] = [
  ["x-cos-grant-read", "READ"],
  ["x-cos-grant-write", "WRITE"],
  ["x-cos-grant-read-acp", "READ_ACP"],
  ["x-cos-grant-write-acp", "WRITE_ACP"],
  ["x-cos-grant-full-control", "FULL_CONTROL"],
];

/** Group URIs by what they end in; the S3 names stand for the same. */
const GROUP_URI = /^http:\/\/(?:cam\.qcloud\.com|acs\.amazonaws\.com)\/groups\/global\/(AllUsers|AuthenticatedUsers)$/;
const IDENTITY = /^qcs::cam::uin\/(\d{1,20}):uin\/(\d{1,20})$/;
const NUMBERS = /^(\d{1,20})(?:\/(\d{1,20}))?$/;
const ANYONE = new Set(["qcs::cam::anyone:anyone", "qcs::cam::anonymous:anonymous"]);

/** Whom an id names: `100000000002`, `100000000002/100000000022` or `qcs::cam::uin/…:uin/…`; undefined for no id. */
function readId(id: string): Grantee | undefined {
  if (ANYONE.has(id)) return { kind: "everyone" };
  const [, uin, user] = IDENTITY.exec(id) ?? NUMBERS.exec(id) ?? [];
  return uin === undefined ? undefined : { kind: "user", uin, user: user ?? uin };
}

function readGroup(uri: string): Grantee | undefined {
  const [, group] = GROUP_URI.exec(uri) ?? [];
  if (group === undefined) return undefined;
  return { kind: group === "AllUsers" ? "everyone" : "signed" };
}

const ENTRY = /^\s*(id|uri)\s*=\s*"([^"]*)"\s*$/i;

function readGrantHeader(name: string, value: string, permission: AclPermission): readonly Grant[] {
  return value.split(",").map((entry) => {
    const [, kind = "", named = ""] = ENTRY.exec(entry) ?? [];
    const grantee = kind.toLowerCase() === "uri" ? readGroup(named) : readId(named);
    if (grantee === undefined) {
      throw refuse("InvalidArgument", {
        message: `The argument ${name} must name grantees as id="100000000001" or id="qcs::cam::uin/<root>:uin/<user>".`,
      });
    }
    return { grantee, permission };
  });
}

function refuseGrants(count: number, limits: Limits): void {
  if (count > limits.aclGrantsMax) {
    throw refuse("AttachmentFull", {
      message: `An ACL may hold ${limits.aclGrantsMax} grants; this one has ${count}.`,
    });
  }
}

/**
 * The ACL that named values bring, be they headers or the fields of a form; undefined where none of them speaks of one.
 * Raises InvalidArgument and AttachmentFull.
 */
export function readAclValues<H extends AclHolder>(
  holder: H,
  value: (name: string) => string | undefined,
  limits: Limits,
  cannedName = "x-cos-acl",
): GivenAcl<H> | undefined {
  const grants: Grant[] = [];
  for (const [name, permission] of GRANT_HEADERS) {
    const given = value(name);
    if (given === undefined || given === "") continue;
    if (holder === "object" && permission === "WRITE") {
      throw refuse("InvalidArgument", { message: `The argument ${name} is for buckets alone.` });
    }
    grants.push(...readGrantHeader(name, given, permission));
  }
  const written = value(cannedName);
  const named = written === undefined || written === "" ? undefined : written.toLowerCase();
  if (named === undefined && grants.length === 0) return undefined;
  const known: readonly string[] = holder === "bucket" ? CANNED_ACLS : [...OBJECT_CANNED_ACLS, "default"];
  if (named !== undefined && !known.includes(named)) {
    throw refuse("InvalidArgument", { message: `The argument ${cannedName} must be one of: ${known.join(", ")}.` });
  }
  if (named === "default" && grants.length === 0) return "default";
  const canned = (named === undefined || named === "default" ? "private" : named) as CannedOf<H>;
  // Whoever names others is told of them, and of the owner where he has named him. (published tests of the Node SDK)
  const acl: Acl<CannedOf<H>> = { canned, grants, ...(grants.length > 0 && canned === "private" ? { owner: [] } : {}) };
  refuseGrants(allGrants(acl).length, limits);
  return acl;
}

/** The headers that bring an ACL. */
export function aclField<H extends AclHolder>(holder: H): InputField<GivenAcl<H> | undefined> {
  const canned = holder === "bucket" ? CANNED_ACLS : [...OBJECT_CANNED_ACLS, "default"];
  const grants = GRANT_HEADERS.filter(([, permission]) => holder === "bucket" || permission !== "WRITE");
  return {
    from: "group",
    name: "",
    required: false,
    summary: "",
    errors: ["AttachmentFull", "InvalidArgument"],
    fields: {
      canned: header.text("x-cos-acl", canned.join(", ")),
      ...Object.fromEntries(grants.map(([name]) => [name, header.text(name, 'id="…", id="…"')])),
    },
    read: ({ request, limits }) => readAclValues(holder, (name) => request.headers.get(name), limits),
  };
}

const PERMISSIONS: ReadonlySet<string> = new Set(["READ", "WRITE", "READ_ACP", "WRITE_ACP", "FULL_CONTROL"]);

function decodeGrant(grant: XmlElement, holder: AclHolder): Grant {
  const element = requiredChild(grant, "Grantee");
  // The kind is in `xsi:type`; older clients spell it in other ways, and what is inside tells as much.
  const uri = text(element, "URI");
  const id = text(element, "ID");
  const grantee = uri !== undefined && uri !== "" ? readGroup(uri) : readId(id ?? "");
  if (grantee === undefined && id !== undefined && id !== "")
    throw refuse("InvalidArgument", { message: "Invalid id" });
  if (grantee === undefined) throw faultAt(element, "expected <ID> or <URI> of somebody who can be granted something");
  const permission = requiredText(grant, "Permission");
  if (!PERMISSIONS.has(permission) || (holder === "object" && permission === "WRITE")) {
    throw faultAt(grant, `expected <Permission> that ${holder === "object" ? "an object" : "a bucket"} knows`);
  }
  return { grantee, permission: permission as AclPermission };
}

/** What an ACL document says. */
export interface DecodedAcl {
  readonly owner: Grantee;
  readonly grants: readonly Grant[];
}

/** The document of an ACL; undefined when the request has none. */
export function aclBody(holder: AclHolder): InputField<DecodedAcl | undefined> {
  return xmlBody({
    root: "AccessControlPolicy",
    bytesMax: (limits) => limits.xmlBytesMax,
    decode(root, limits): DecodedAcl {
      const owner = requiredChild(root, "Owner");
      const named = readId(requiredText(owner, "ID"));
      if (named === undefined) throw faultAt(owner, "expected <ID> of an account");
      const grants = children(requiredChild(root, "AccessControlList"), "Grant");
      refuseGrants(grants.length, limits);
      return { owner: named, grants: grants.map((grant) => decodeGrant(grant, holder)) };
    },
  });
}

export const ACL_INPUT_ERRORS = ["AccessDenied", "InvalidArgument", "MissingRequestBodyError", "PolicyFull"] as const;

/**
 * The ACL that a PUT of one sets: that of its headers, where it has any, else that of its document. Raises
 * MissingRequestBodyError where there is neither, and AccessDenied for a document that names another owner: nobody gives
 * a resource away.
 */
export function givenAcl<H extends AclHolder>(
  headers: GivenAcl<H> | undefined,
  document: DecodedAcl | undefined,
  { ownerUin }: BucketRecord,
): GivenAcl<H> {
  if (headers !== undefined) return headers;
  if (document === undefined) throw refuse("MissingRequestBodyError");
  const { owner, grants } = document;
  if (owner.kind !== "user" || owner.uin !== ownerUin || owner.user !== ownerUin) {
    throw refuse("AccessDenied", { message: "The Owner of the ACL is not the owner of the resource." });
  }
  const others = grants.filter(({ grantee }) => !isOwner(grantee, ownerUin));
  const own = grants.filter(({ grantee }) => isOwner(grantee, ownerUin)).map(({ permission }) => permission);
  const isUsual = own.length === 1 && own[0] === "FULL_CONTROL";
  return { canned: "private" as CannedOf<H>, grants: others, owner: isUsual ? undefined : own };
}

function isOwner(grantee: Grantee, ownerUin: string): boolean {
  return grantee.kind === "user" && grantee.uin === ownerUin && grantee.user === ownerUin;
}

/** The canned ACL that grants amount to, as clients read them. */
function cannedName(grants: readonly Grant[], own: boolean): string {
  if (!own) return "default";
  const everyone = new Set(grants.filter(({ grantee }) => grantee.kind === "everyone").map((one) => one.permission));
  if (everyone.has("FULL_CONTROL") || (everyone.has("READ") && everyone.has("WRITE"))) return "public-read-write";
  if (everyone.has("READ")) return "public-read";
  const signed = grants.some(({ grantee, permission }) => grantee.kind === "signed" && permission === "READ");
  return signed ? "authenticated-read" : "private";
}

/** Output of an operation that answers with an ACL. */
export const aclOutput = {
  canned: out.text("x-cos-acl", "the canned ACL that the grants amount to; `default` for an object without its own"),
  acl: out.xml("AccessControlPolicy", aclNode),
};

/** The values of `aclOutput`. `acl` is undefined for an object without one of its own. */
export function describeAcl(acl: Acl | undefined, { ownerUin }: BucketRecord) {
  const grants = acl === undefined ? [] : allGrants(acl);
  const grantee: Grantee = { kind: "user", uin: ownerUin, user: ownerUin };
  const own = (acl?.owner ?? ["FULL_CONTROL"]).map((permission): Grant => ({ grantee, permission }));
  const document: AclDocument = { ownerUin, grants: [...own, ...grants] };
  return { canned: cannedName(grants, acl !== undefined), acl: document };
}

const GROUPS = { everyone: "AllUsers", signed: "AuthenticatedUsers" } as const;
const XSI = ["xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance"] as const;

function granteeNode(grantee: Grantee): XmlNode {
  if (grantee.kind !== "user") {
    const uri = leaf("URI", `http://cam.qcloud.com/groups/global/${GROUPS[grantee.kind]}`);
    return withAttributes("Grantee", [XSI, ["xsi:type", "Group"]], uri);
  }
  const id = callerId(grantee.uin, grantee.user);
  return withAttributes("Grantee", [XSI, ["xsi:type", "CanonicalUser"]], leaf("ID", id), leaf("DisplayName", id));
}

function aclNode({ ownerUin, grants }: AclDocument): XmlNode {
  const owner = callerId(ownerUin);
  return el(
    "AccessControlPolicy",
    el("Owner", leaf("ID", owner), leaf("DisplayName", owner)),
    el(
      "AccessControlList",
      nodes(grants.map(({ grantee, permission }) => el("Grant", granteeNode(grantee), leaf("Permission", permission)))),
    ),
  );
}

/** The sections for the ACL that a request brings along with an object. */
export function givenSections(acl: GivenAcl<"object"> | undefined): readonly Section[] {
  return acl === undefined || acl === "default" ? [] : aclSections(acl);
}

interface Placed {
  readonly tx: Transaction;
  readonly configurations: Configurations;
  readonly limits: Limits;
}

/** Raised by what places an ACL. */
export const ACL_PLACE_ERRORS = ["PolicyFull"] as const satisfies readonly ErrorId[];

/**
 * Takes the account's place for the ACL of a version that this transaction has stored, or gives it back where the ACL
 * takes none, and marks the bucket of a folder with an ACL. `bucket` was required in the transaction. Raises PolicyFull.
 */
export async function placeObjectAcl(
  { tx, configurations, limits }: Placed,
  bucket: BucketRecord,
  key: string,
  record: Pick<ObjectRecord, "sections" | "sequence" | "versioned">,
): Promise<void> {
  const acl = ownAcl(record.sections);
  if (acl === undefined) return;
  const attached = attachedVersion(key, record);
  if (!takesPlace(acl)) detach(tx, bucket, attached);
  else if (!(await attach(tx, bucket, attached, limits.attachmentsPerAccount))) throw refuse("PolicyFull");
  if (key.endsWith("/") && !configurations.has(bucket, FOLDER_ACLS)) configurations.put(tx, bucket, FOLDER_ACLS, true);
}

/**
 * Sets a bucket's ACL in a transaction that has required or made the bucket, and takes or gives back the account's place
 * for it. Raises PolicyFull.
 */
export async function setBucketAcl(
  { tx, configurations, limits }: Placed,
  bucket: BucketRecord,
  acl: Acl<CannedAcl>,
): Promise<void> {
  if (takesPlace(acl)) {
    if (!(await attach(tx, bucket, { of: "acl" }, limits.attachmentsPerAccount))) throw refuse("PolicyFull");
  } else {
    detach(tx, bucket, { of: "acl" });
  }
  const changed = { ...bucket, acl: acl.canned };
  configurations.put(tx, changed, BUCKET_GRANTS, acl.grants.length === 0 && acl.owner === undefined ? undefined : acl);
}
