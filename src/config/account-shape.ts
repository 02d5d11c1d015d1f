/** The shape of an account with everything in it, and of what it is made of. Each message completes "expected …". */

import * as z from "zod";
import { PolicyFault, type PolicyRules, readPolicy } from "../access/policy/read-policy.ts";
import { LIMITS } from "../limits.ts";
import type { ConfiguredAccount } from "./settings.ts";

/** A text of a form. */
export function text(form: RegExp, expected: string) {
  return z.string(expected).regex(form, expected);
}

/** Digits, also as a YAML number; 9,007,199,254,740,991 has 16 of them, so a longer number would already be another. */
function digits(expected: string) {
  const number = z.int(expected).nonnegative(expected).transform(String);
  return z.union([number, text(/^[0-9]{1,20}$/, expected)], expected).pipe(text(/^[1-9][0-9]{4,19}$/, expected));
}

/** A whole number, also written as text. */
export function wholeNumber(min: number, max: number, expected: string) {
  const typed = z.int(expected);
  const written = text(/^[0-9]{1,16}$/, expected).transform(Number);
  return z.union([typed, written], expected).pipe(z.int(expected).min(min, expected).max(max, expected));
}

const TRUE = new Set(["true", "yes", "on", "1"]);
const FALSE = new Set(["false", "no", "off", "0"]);

export const yesOrNo = z.union(
  [
    z.boolean(),
    z
      .string()
      .refine((word) => TRUE.has(word) || FALSE.has(word))
      .transform((word) => TRUE.has(word)),
  ],
  "true or false",
);

export const secretId = text(
  /^[A-Za-z0-9_-]{8,128}$/,
  "8 to 128 letters, digits, - or _, such as a SecretId of the cloud",
);
export const secretKey = text(/^[\x21-\x7e]{8,128}$/, "8 to 128 printable ASCII characters without spaces");
export const appid = digits("5 to 20 digits, such as 1250000000");
export const uin = digits("5 to 20 digits, such as 100000000001");

const principalName = text(/^[\w+=,.@-]{1,64}$/, "1 to 64 letters, digits or any of _ + = , . @ -");
const optionalName = text(/^[^\p{Cc}]{0,64}$/u, "a name of up to 64 characters");

/** A policy as a YAML map or as JSON text; it becomes JSON text. */
function policy(rules: PolicyRules, expected: string) {
  return z.unknown().transform((given, context) => {
    try {
      const document = typeof given === "string" ? given : (JSON.stringify(given) ?? "");
      readPolicy(document, rules);
      return document;
    } catch (error) {
      if (!(error instanceof PolicyFault)) throw error;
      context.addIssue(`${expected} (${error.message})`);
      return z.NEVER;
    }
  });
}

const listOf = <Schema extends z.ZodType>(schema: Schema, of: string) => z.array(schema, `a list of ${of}`).default([]);
const keyPairs = listOf(
  z.strictObject({ secretId, secretKey, enabled: yesOrNo.optional() }, "a key pair"),
  "key pairs, each with secretId and secretKey",
);
const policyNames = listOf(principalName, "names of policies");
/** As it is unless the limit is set otherwise, which is another setting. */
const POLICY_BYTES_MAX = LIMITS.accountPolicyBytesMax;
/** 43,200 s, half a day. (AssumeRole page) */
const SESSION_SECONDS_MAX = 43_200;
const sessionSecondsMax = wholeNumber(1, SESSION_SECONDS_MAX, `seconds from 1 to ${SESSION_SECONDS_MAX}`);

/** Says which of an account's names name nothing. */
function refuseLooseNames(account: Omit<ConfiguredAccount, "appid">, context: z.RefinementCtx): void {
  const known = { policies: new Set(account.policies.map(({ name }) => name)), groups: new Set<string>() };
  for (const { name } of account.groups) known.groups.add(name);
  const check = (kind: "policies" | "groups", names: readonly string[], path: PropertyKey[]): void => {
    const at = names.findIndex((name) => !known[kind].has(name));
    if (at < 0) return;
    const message = `the name of one of this account's ${kind}`;
    context.addIssue({ code: "custom", message, path: [...path, kind, at] });
  };
  for (const kind of ["groups", "roles", "users"] as const) {
    for (const [at, { policies }] of account[kind].entries()) check("policies", policies, [kind, at]);
  }
  for (const [at, { groups }] of account.users.entries()) check("groups", groups, ["users", at]);
  for (const kind of ["policies", "groups", "roles"] as const) {
    const names = account[kind].map(({ name }) => name);
    const twice = names.findIndex((name, at) => names.indexOf(name) !== at);
    if (twice < 0) continue;
    context.addIssue({ code: "custom", message: "each name once", path: [kind, twice, "name"] });
  }
}

/** An account with everything in it; `appid` may be left out where keys of the settings stand for it. */
export const ACCOUNT = z
  .strictObject(
    {
      uin,
      appid: appid.optional(),
      name: optionalName.default(""),
      keys: keyPairs,
      policies: listOf(
        z.strictObject(
          {
            name: principalName,
            document: policy({ principal: "refused", bytesMax: POLICY_BYTES_MAX }, "a policy in CAM's grammar"),
          },
          "a policy",
        ),
        "policies, each with name and document",
      ),
      groups: listOf(
        z.strictObject({ name: principalName, policies: policyNames }, "a group"),
        "groups, each with name and policies",
      ),
      users: listOf(
        z.strictObject(
          {
            uin,
            name: optionalName.default(""),
            groups: listOf(principalName, "names of groups"),
            policies: policyNames,
            keys: keyPairs,
          },
          "a user",
        ),
        "users, each with uin",
      ),
      roles: listOf(
        z.strictObject(
          {
            name: principalName,
            trust: policy(
              { principal: "required", resource: "refused", bytesMax: POLICY_BYTES_MAX },
              "a policy that says who may take the role on",
            ),
            policies: policyNames,
            sessionSecondsMax: sessionSecondsMax.default(SESSION_SECONDS_MAX),
          },
          "a role",
        ),
        "roles, each with name and trust",
      ),
    },
    "an account",
  )
  .superRefine((value, context) => refuseLooseNames(value, context));
