/**
 * Makes temporary keys. Their pair is bound to a token that says who asked for it and what it may do at most; what it may
 * do is also bounded by what its issuer, or its role, may do at the moment it is used.
 */

import type { Credential } from "../access/caller.ts";
import { ATTACHED, evaluate, type Naming, namesCaller } from "../access/policy/evaluate.ts";
import type { Policy } from "../access/policy/policy.ts";
import type { RequestValues } from "../access/policy/condition.ts";
import { PolicyFault, readPolicy } from "../access/policy/read-policy.ts";
import type { Limits } from "../limits.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import type { Directory } from "./directory.ts";
import type { Sealing } from "./seal.ts";
import { newSecretId, sealSession, type SessionContent, sessionKeyOf, TOKEN_CHARS_MAX } from "./session-token.ts";

/** Why no temporary key is made, in the STS's own words. (GetFederationToken and AssumeRole pages: error codes) */
export type SessionFault =
  | "AuthFailure.UnauthorizedOperation"
  | "InvalidParameter.StrategyFormatError"
  | "InvalidParameter.StrategyInvalid"
  | "InvalidParameterValue"
  | "ResourceNotFound.RoleNotFound";

export class SessionRefused extends Error {
  override readonly name = "SessionRefused";
  readonly code: SessionFault;
  constructor(code: SessionFault, message: string) {
    super(message);
    this.code = code;
  }
}

/** A temporary key pair. */
export interface TemporaryKey {
  readonly secretId: string;
  readonly secretKey: string;
  readonly token: string;
  /** Milliseconds since 1970, a whole second. */
  readonly expiresMs: number;
}

/** What bounds one, as it is asked for. */
export interface SessionWish {
  readonly name: string;
  /** JSON; undefined for all that the issuer or the role has. */
  readonly policy: string | undefined;
  /** Undefined for the action's own default. */
  readonly seconds: number | undefined;
  /** What conditions of policies ask of the request. */
  readonly values: RequestValues;
}

export interface Sessions {
  /** GetFederationToken: a key with the permissions of its issuer within a policy. @throws SessionRefused */
  federate(issuer: Credential, wish: SessionWish & { readonly policy: string }): Promise<TemporaryKey>;
  /** AssumeRole: a key with the permissions of a role. `arn` as `qcs::cam::uin/<uin>:roleName/<name>`. @throws SessionRefused */
  assume(issuer: Credential, arn: string, wish: SessionWish): Promise<TemporaryKey>;
}

export interface SessionsParts {
  readonly directory: Directory;
  readonly sealing: Sealing;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: Pick<Limits, "accountPolicyBytesMax" | "rootSessionSecondsMax" | "userSessionSecondsMax">;
}

const FEDERATION_SECONDS = 1800;
const ROLE_SECONDS = 7200;
const ARN = /^qcs::cam::uin\/(\d{1,20}):roleName\/([\w+=,.@-]{1,128})$/;

/** The maker of temporary keys. */
export function sessions({ directory, sealing, clock, random, limits }: SessionsParts): Sessions {
  function checkPolicy(policy: string): void {
    try {
      readPolicy(policy, { principal: "ignored", bytesMax: limits.accountPolicyBytesMax });
    } catch (error) {
      if (!(error instanceof PolicyFault)) throw error;
      throw new SessionRefused("InvalidParameter.StrategyFormatError", `The Policy is not valid: ${error.message}.`);
    }
  }

  function secondsOf(seconds: number | undefined, usual: number, most: number): number {
    const asked = seconds ?? Math.min(usual, most);
    if (asked >= 1 && asked <= most) return asked;
    throw new SessionRefused("InvalidParameterValue", `DurationSeconds must be from 1 to ${most} here.`);
  }

  async function issue(content: Omit<SessionContent, "keyId" | "expiresMs">, seconds: number): Promise<TemporaryKey> {
    const seal = await sealing.needed();
    const secretId = newSecretId(random);
    const expiresMs = (Math.floor(clock.now() / 1000) + seconds) * 1000;
    const token = sealSession(seal, { ...content, keyId: secretId, expiresMs });
    if (token.length > TOKEN_CHARS_MAX) {
      throw new SessionRefused("InvalidParameter.StrategyInvalid", "The Policy is too long for a token.");
    }
    return { secretId, secretKey: sessionKeyOf(seal, secretId), token, expiresMs };
  }

  /** A root account may ask for what it likes; its users need to be allowed to. */
  function refuseUnpermitted(
    { uin, user, policies, session }: Credential,
    action: string,
    values: RequestValues,
    role?: string,
  ): void {
    if (session !== undefined) {
      throw new SessionRefused("AuthFailure.UnauthorizedOperation", "Temporary keys cannot ask for temporary keys.");
    }
    if (user === uin || allows(policies, { action, values, role }, ATTACHED)) return;
    const message = `You are not authorized to perform operation (${action.slice("name/".length)}).`;
    throw new SessionRefused("AuthFailure.UnauthorizedOperation", message);
  }

  return {
    async federate(issuer, { name, policy, seconds, values }) {
      const { secretId, uin, user } = issuer;
      refuseUnpermitted(issuer, "name/sts:GetFederationToken", values);
      checkPolicy(policy);
      const most = user === uin ? limits.rootSessionSecondsMax : limits.userSessionSecondsMax;
      const lasting = secondsOf(seconds, FEDERATION_SECONDS, most);
      return await issue({ uin, issuer: secretId, role: undefined, roleMadeMs: undefined, policy, name }, lasting);
    },
    async assume(issuer, arn, { name, policy, seconds, values }) {
      const action = "name/sts:AssumeRole";
      refuseUnpermitted(issuer, action, values, arn);
      const [, uin, roleName] = ARN.exec(arn) ?? [];
      if (uin === undefined || roleName === undefined) {
        const message = "RoleArn must be of the form qcs::cam::uin/<uin>:roleName/<name>.";
        throw new SessionRefused("InvalidParameterValue", message);
      }
      const role = await directory.role(uin, roleName);
      if (role === undefined) throw new SessionRefused("ResourceNotFound.RoleNotFound", `There is no role ${arn}.`);
      const trust = readPolicy(role.row.trust, {
        principal: "required",
        resource: "refused",
        bytesMax: Infinity,
        kept: true,
      });
      const { secretKey: _secretKey, ...open } = issuer;
      const caller = { kind: "account", via: "header", ...open } as const;
      // The root account in a trust stands for its users as well, whoever's the role is.
      const named = namesCaller(caller, "");
      const trusted: Naming = (principal) => principal.kind === "anyone" || named(principal);
      if (!allows([trust], { action, values, role: arn }, trusted)) {
        const message = `The role ${arn} does not trust its caller.`;
        throw new SessionRefused("AuthFailure.UnauthorizedOperation", message);
      }
      if (policy !== undefined) checkPolicy(policy);
      const lasting = secondsOf(seconds, ROLE_SECONDS, role.row.sessionSecondsMax);
      return await issue({ uin, issuer: undefined, role: roleName, roleMadeMs: role.madeMs, policy, name }, lasting);
    },
  };
}

interface Wanted {
  readonly action: string;
  readonly values: RequestValues;
  /** The role that is to be taken on: what statements about roles name. */
  readonly role: string | undefined;
}

function allows(policies: readonly Policy[], { action, values, role }: Wanted, naming: Naming): boolean {
  const request = { action, resource: { bucket: undefined, key: undefined, elsewhere: role }, values };
  return evaluate(policies, request, naming).effect === "allow";
}
