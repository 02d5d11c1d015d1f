/** Forms as COS has them: who has signed one, and what its fields stand for. (POST Object page) */

import { hash } from "node:crypto";
import type { Credential } from "../../access/caller.ts";
import { refuse } from "../../errors/cos-error.ts";
import type { SignedForm } from "../../http/pipeline.ts";
import { headerFields } from "../../http/headers.ts";
import { signatureOf, signKeyOf } from "./canonical.ts";
import { formEvidence } from "./form-mistakes.ts";
import {
  authenticateCos,
  carriesCredentials,
  checkTimes,
  type CosEvidence,
  type FindsKeys,
  malformed,
  sameSignature,
  type SignatureOptions,
  type SignedRequestView,
} from "./signature.ts";

const FIELDS = ["q-sign-algorithm", "q-ak", "q-key-time", "q-signature"] as const;
type Field = (typeof FIELDS)[number];
/** The whole of an Authorization in one field, as clients for mini programs and older pages send it. */
const WHOLE = "signature";
const TOKEN = "x-cos-security-token";
/** Fields that carry credentials; what they say is nothing to store. */
const CREDENTIAL_FIELDS: ReadonlySet<string> = new Set([...FIELDS, WHOLE, TOKEN, "policy"]);

/** Whether a form carries credentials of COS's. */
export function isCosForm(fields: ReadonlyMap<string, string>): boolean {
  return FIELDS.some((name) => fields.has(name)) || (fields.get(WHOLE) ?? "").includes("q-sign-algorithm=");
}

/**
 * Decides who sends a form: whoever has signed its policy, or `post /` in its field `Signature`; otherwise whoever has
 * signed the request, which nobody may do for a form.
 *
 * Throws CosError, in this order: InvalidRequest (credentials in more than one place), and what `authenticateCos` does;
 * AccessDenied also for a signature without a policy.
 */
export async function authenticateCosForm(
  { fields, policy }: SignedForm,
  request: SignedRequestView,
  keys: FindsKeys<Credential | undefined | Promise<Credential | undefined>>,
  nowMs: number,
  options: SignatureOptions,
): Promise<CosEvidence<Credential>> {
  const whole = fields.get(WHOLE);
  const apart = FIELDS.some((name) => fields.has(name));
  if (whole === undefined && !apart) return await authenticateCos(request, keys, nowMs, options);
  if (carriesCredentials(request) || (whole !== undefined && apart)) {
    throw refuse("InvalidRequest", {
      message: "The request carries credentials in more than one place; sign the form, and nothing else.",
    });
  }
  // No header of the request stands in for a field of the form.
  const token = fields.get(TOKEN) || undefined;
  if (whole !== undefined) {
    if (options.strictSigning === true) {
      throw refuse("AccessDenied", {
        message: "Strict signature missing fields of the form that must be signed: policy",
      });
    }
    const headers = headerFields(
      new Map([...request.headers.entries(), ["authorization", whole], [TOKEN, token ?? ""]]),
    );
    const evidence = await authenticateCos({ ...request, headers }, keys, nowMs, options);
    return evidence.kind === "signed" ? { ...evidence, via: "form" } : evidence;
  }
  const field = (name: Field): string => {
    const text = fields.get(name);
    if (text === undefined || text === "") throw malformed(`The form lacks the field ${name}.`, nowMs);
    return text;
  };
  if (field("q-sign-algorithm") !== "sha1") throw refuse("VerifyAlgorithmNotSupported");
  const accessKeyId = field("q-ak");
  const keyTime = field("q-key-time");
  const signature = field("q-signature");
  if (policy === undefined) throw malformed("The form is signed and has no policy.", nowMs);
  checkTimes(keyTime, keyTime, nowMs, options, "link");
  const credential = await keys(accessKeyId, token);
  if (credential === undefined) throw refuse("InvalidAccessKeyId");
  const stringToSign = hash("sha1", policy.text);
  const { secretKey } = credential;
  if (!sameSignature(signatureOf(signKeyOf(secretKey, keyTime), stringToSign), signature)) {
    const sent = { encoded: fields.get("policy") ?? "", policy: policy.text, keyTime, accessKeyId, signature };
    throw refuse("SignatureDoesNotMatch", {
      extras: [["StringToSign", stringToSign]],
      evidence: () => formEvidence(sent, secretKey),
    });
  }
  return {
    kind: "signed",
    accessKeyId,
    credential,
    via: "form",
    isSigned: () => true,
    formatString: policy.text,
    stringToSign,
  };
}

/** Fields that are called as the headers they stand for; all of `x-cos-` are as well. */
const AS_HEADERS: ReadonlySet<string> = new Set([
  "cache-control",
  "content-disposition",
  "content-encoding",
  "content-language",
  "content-md5",
  "content-type",
  "expires",
  "pic-operations",
  "success_action_redirect",
  "success_action_status",
]);
const RENAMED: ReadonlyMap<string, string> = new Map([
  ["acl", "x-cos-acl"],
  ["content-length", "x-amz-decoded-content-length"],
]);

/** Whether a form may have a field that its policy does not speak of: any, unless everything has to be signed. */
export function mayBeUncovered(field: string, strictSigning: boolean): boolean {
  return !strictSigning || CREDENTIAL_FIELDS.has(field);
}

/** What of a form counts as headers. */
export function* cosFormHeaders(
  fields: ReadonlyMap<string, string>,
): Generator<readonly [name: string, value: string]> {
  for (const [name, value] of fields) {
    const own = RENAMED.get(name) ?? name;
    if (CREDENTIAL_FIELDS.has(name)) continue;
    if (own !== name || AS_HEADERS.has(name) || /^x-(cos|ci)-|^x-amz-checksum-/.test(name)) yield [own, value];
  }
}
