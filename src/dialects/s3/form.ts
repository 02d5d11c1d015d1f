/** Forms as S3 has them: who has signed one, and what its fields stand for. (browser-based uploads using POST) */

import { createHmac } from "node:crypto";
import type { Credential } from "../../access/caller.ts";
import { type CosError, refuse } from "../../errors/cos-error.ts";
import type { SignedForm } from "../../http/pipeline.ts";
import { children, requiredChild, requiredText, text } from "../../xml/decode.ts";
import { parseXml, XmlFault } from "../../xml/parse.ts";
import { sameSignatureV4, signatureV4, signingKeyOf } from "./canonical.ts";
import {
  authenticateS3,
  carriesCredentials,
  type FindsKeys,
  parseBasic,
  readCredentialScope,
  refuseOtherDay,
  type S3Evidence,
  type S3SignatureOptions,
  sameBytes,
  type SignedRequest,
  timesOf,
} from "./signature.ts";
import { ownName, translatedValue } from "./translate.ts";

const V4_FIELDS = ["x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"] as const;
const V2_FIELDS = ["awsaccesskeyid", "signature"] as const;
const COS_FIELDS = ["q-sign-algorithm", "q-ak", "q-key-time", "q-signature"] as const;
const TOKEN = "x-amz-security-token";
const CREDENTIAL_FIELDS: ReadonlySet<string> = new Set([...V4_FIELDS, ...V2_FIELDS, TOKEN, "policy"]);
/** Fields that no policy need speak of. (creating a POST policy: conditions) */
const UNCOVERED: ReadonlySet<string> = new Set(["awsaccesskeyid", "bucket", "policy", "signature", "x-amz-signature"]);

const isVersion4 = (fields: ReadonlyMap<string, string>): boolean => V4_FIELDS.some((name) => fields.has(name));

const hasCosCredentials = (fields: ReadonlyMap<string, string>): boolean =>
  COS_FIELDS.some((name) => fields.has(name)) || (fields.get("signature") ?? "").includes("q-sign-algorithm=");

/** Whether a form carries credentials of S3's, or none and other fields of S3's. */
export function isS3Form(fields: ReadonlyMap<string, string>): boolean {
  if (fields.has("awsaccesskeyid") || isVersion4(fields)) return true;
  return !hasCosCredentials(fields) && [...fields.keys()].some((name) => name.startsWith("x-amz-"));
}

/** Whether a form may have a field that its policy does not speak of. */
export function mayBeUncovered(field: string): boolean {
  return UNCOVERED.has(field) || field.startsWith("x-ignore-");
}

const malformed = (message: string): CosError => refuse("InvalidArgument", { message });

/**
 * Decides who sends a form: whoever has signed its policy; otherwise whoever has signed the request, which nobody may do
 * for a form.
 *
 * Throws CosError, in this order: InvalidRequest (credentials in more than one place), InvalidArgument (a field is missing
 * or cannot be read), RequestTimeTooSkewed, what `keys` throws (ExpiredToken), InvalidAccessKeyId, SignatureDoesNotMatch;
 * and what `authenticateS3` does.
 */
export async function authenticateS3Form(
  { fields, policy }: SignedForm,
  request: SignedRequest,
  keys: FindsKeys<Found>,
  nowMs: number,
  options: S3SignatureOptions,
): Promise<S3Evidence<Credential>> {
  const v4 = isVersion4(fields);
  const v2 = V2_FIELDS.some((name) => fields.has(name));
  if (!v4 && !v2) return await authenticateS3(request, keys, nowMs, options);
  if (carriesCredentials(request) || (v4 && v2) || hasCosCredentials(fields)) {
    throw refuse("InvalidRequest", {
      message: "The request carries credentials in more than one place; sign the form, and nothing else.",
    });
  }
  const token = fields.get(TOKEN) || undefined;
  const withToken = (accessKeyId: string): Found => keys(accessKeyId, token);
  const field = (name: string): string => {
    const value = fields.get(name);
    if (value === undefined || value === "") {
      throw malformed(
        `Bucket POST must contain a field named '${name}'. If it is specified, check the order of fields.`,
      );
    }
    return value;
  };
  // What is signed is the policy as it was sent.
  const toSign = field("policy");
  if (policy === undefined) throw malformed("The form is signed and has no policy.");
  const credential = v4
    ? await verifyV4(field, toSign, withToken, nowMs, options)
    : await verifyV2(field("awsaccesskeyid"), field("signature"), toSign, withToken);
  return { kind: "signed", credential, via: "form", isSigned: () => true, seed: undefined };
}

type Field = (name: string) => string;
type Found = Credential | undefined | Promise<Credential | undefined>;

async function verifyV4(
  field: Field,
  toSign: string,
  keys: (accessKeyId: string) => Found,
  nowMs: number,
  { skewMs, presentFor = () => nowMs }: S3SignatureOptions,
): Promise<Credential> {
  if (field("x-amz-algorithm") !== "AWS4-HMAC-SHA256") {
    throw malformed("X-Amz-Algorithm only supports AWS4-HMAC-SHA256.");
  }
  const { accessKeyId, scope } = readCredentialScope(field("x-amz-credential"), malformed);
  const dateTime = field("x-amz-date");
  const dateMs = parseBasic(dateTime);
  if (dateMs === undefined) throw malformed("X-Amz-Date must be of the form yyyyMMdd'T'HHmmss'Z'.");
  refuseOtherDay(scope, dateTime, malformed);
  const presentMs = presentFor(dateMs, "link");
  if (dateMs > presentMs + skewMs) {
    throw refuse("RequestTimeTooSkewed", { extras: timesOf(dateMs, { nowMs, skewMs }) });
  }
  const given = field("x-amz-signature");
  const credential = await known(keys, accessKeyId);
  if (!sameSignatureV4(signatureV4(signingKeyOf(credential.secretKey, scope), toSign), given)) {
    throw mismatch(accessKeyId, given, toSign);
  }
  return credential;
}

async function verifyV2(
  accessKeyId: string,
  given: string,
  toSign: string,
  keys: (accessKeyId: string) => Found,
): Promise<Credential> {
  const credential = await known(keys, accessKeyId);
  if (!sameBytes(createHmac("sha1", credential.secretKey).update(toSign).digest(), given)) {
    throw mismatch(accessKeyId, given, toSign);
  }
  return credential;
}

async function known(keys: (accessKeyId: string) => Found, accessKeyId: string): Promise<Credential> {
  const credential = await keys(accessKeyId);
  if (credential === undefined) throw refuse("InvalidAccessKeyId", { extras: [["AWSAccessKeyId", accessKeyId]] });
  return credential;
}

function mismatch(accessKeyId: string, given: string, toSign: string): CosError {
  return refuse("SignatureDoesNotMatch", {
    extras: [
      ["AWSAccessKeyId", accessKeyId],
      ["StringToSign", toSign],
      ["SignatureProvided", given],
    ],
  });
}

/** Fields that are called as the headers they stand for; all of `x-amz-` are as well. */
const AS_HEADERS: ReadonlySet<string> = new Set([
  "cache-control",
  "content-disposition",
  "content-encoding",
  "content-language",
  "content-md5",
  "content-type",
  "expires",
  "success_action_redirect",
  "success_action_status",
]);
const RENAMED: ReadonlyMap<string, string> = new Map([
  ["acl", "x-cos-acl"],
  ["content-length", "x-amz-decoded-content-length"],
  ["redirect", "success_action_redirect"],
]);

/** What of a form counts as headers. Raises MalformedXML for tags that are none, InvalidRequest for a field twice. */
export function s3FormHeaders(fields: ReadonlyMap<string, string>): Iterable<readonly [name: string, value: string]> {
  const headers = new Map<string, string>();
  for (const [name, value] of fields) {
    if (CREDENTIAL_FIELDS.has(name)) continue;
    const tagging = name === "tagging";
    const own = tagging ? "x-cos-tagging" : (RENAMED.get(name) ?? ownName(name));
    if (own === name && !AS_HEADERS.has(name) && !/^x-(amz|cos)-/.test(name)) continue;
    if (headers.has(own)) throw refuse("InvalidRequest", { message: `The field ${name} is sent under two names.` });
    headers.set(own, tagging ? tagsOf(value) : translatedValue(own, value));
  }
  return headers;
}

/** The field `tagging`, a document, as the header that declarations read. */
function tagsOf(document: string): string {
  try {
    const root = parseXml(Buffer.from(document), { depthMax: 8, elementsMax: 1000 });
    const tags = children(requiredChild(root, "TagSet"), "Tag");
    return tags
      .map((tag) => [requiredText(tag, "Key"), text(tag, "Value") ?? ""].map(encodeURIComponent).join("="))
      .join("&");
  } catch (error) {
    if (error instanceof XmlFault) throw refuse("MalformedXML", { cause: error });
    throw error;
  }
}
