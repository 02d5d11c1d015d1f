/**
 * The dialect `sts`: the Security Token Service as its clients call it, on the listener of everything else. It translates
 * and decides nothing.
 *
 * A request speaks it when it asks a host `sts.…tencentcloudapi.com`, or when it asks for no bucket and says so: by a
 * header `X-TC-Action`, a TC3 signature, or a form or query with `Action`. Some helpers insist on HTTPS: `--tls dev`.
 *
 * - `GetFederationToken`, `AssumeRole` and `GetCallerIdentity`; other actions are `InvalidAction`. Answers are HTTP 200 and
 *   JSON, refusals as well.
 * - A user needs a policy that allows `sts:GetFederationToken` on `*`, or `sts:AssumeRole` on `*` or the role's own name; a
 *   root account needs none.
 * - Temporary keys may only ask who they are. The service lets those of roles take on further roles.
 * - A key of GetFederationToken ends with the key that asked for it: a disabled one takes its sessions along.
 * - A token of more than 4,096 characters is not made: a policy that long is `InvalidParameter.StrategyInvalid`.
 * - There is no endpoint of version 2 (`sts.api.qcloud.com`), none of instance metadata, and no web identity.
 */

import { type Caller, callerWith, type Credential } from "../../access/caller.ts";
import { isForeignPage } from "../../access/foreign-page.ts";
import { presentFor } from "../../access/signing-time.ts";
import type { Directory } from "../../accounts/directory.ts";
import type { RequestValues } from "../../access/policy/condition.ts";
import { requestValues } from "../../http/condition-values.ts";
import { type SessionFault, SessionRefused, type Sessions, type TemporaryKey } from "../../accounts/sessions.ts";
import { type AddressingRules, readAddress } from "../../addressing/address.ts";
import { CosError } from "../../errors/cos-error.ts";
import type { Answer } from "../../http/answer.ts";
import { formatIsoSeconds } from "../../http/dates.ts";
import type { Outcome } from "../../http/pipeline.ts";
import { collectedBody, type WireRequest, withBody } from "../../http/request.ts";
import type { Limits } from "../../limits.ts";
import type { Clock } from "../../ports/clock.ts";
import { credentialsV1, credentialsV3, SignatureUnreadable, type StsCredentials } from "./signature.ts";

export interface StsParts {
  readonly rules: AddressingRules;
  readonly directory: Directory;
  readonly sessions: Sessions;
  readonly clock: Clock;
  readonly limits: Pick<Limits, "stsBytesMax" | "stsSkewMs">;
  /** Told of every fault of our own. */
  readonly onFault: (error: unknown, request: WireRequest) => void;
  /** Told of every answer. */
  readonly onAnswer: (request: WireRequest, answer: Answer, outcome: Outcome) => void;
}

export interface Sts {
  /** Whether the request is for the STS. */
  claims(request: WireRequest): boolean;
  /**
   * Who signed a request that `claims`, where only its form says so. The form is read for it, and what is given back is the
   * same request with what was read. Never rejects.
   */
  signer(request: WireRequest): Promise<{
    readonly request: WireRequest;
    readonly secretId: string | undefined;
    readonly token: string | undefined;
  }>;
  /** Answers it. Never rejects. */
  answer(request: WireRequest): Promise<Answer>;
}

/** Every code that is told. (common error codes of API 3.0; STS error codes) */
type StsCode =
  | SessionFault
  | "AuthFailure.InvalidAuthorization"
  | "AuthFailure.SecretIdNotFound"
  | "AuthFailure.SignatureExpire"
  | "AuthFailure.SignatureFailure"
  | "AuthFailure.TokenFailure"
  | "InternalError"
  | "InvalidAction"
  | "InvalidParameter"
  | "MissingParameter"
  | "NoSuchVersion"
  | "RequestSizeLimitExceeded";

class StsRefusal extends Error {
  readonly code: StsCode;
  constructor(code: StsCode, message: string) {
    super(message);
    this.code = code;
  }
}

const VERSION = "2018-08-13";
const STS_HOST = /^sts(\.[a-z0-9-]{1,63}){0,3}\.tencentcloudapi\.com$/;
const FORM = /^application\/x-www-form-urlencoded\s*(;|$)/i;

/** Parameters by name, with their values as text. */
type Parameters = ReadonlyMap<string, string>;

/** What a caller asks for, once it is known who that is. */
type Act = (
  caller: Credential,
  parameters: Parameters,
  values: RequestValues,
) => Promise<Readonly<Record<string, unknown>>>;

/** The STS of a server. */
export function stsDialect(parts: StsParts): Sts {
  const { rules, directory, sessions, clock, limits, onFault, onAnswer } = parts;

  function needed(parameters: Parameters, name: string, form: RegExp, shape: string): string {
    const value = parameters.get(name) ?? "";
    if (value === "") throw new StsRefusal("MissingParameter", `The request is missing the parameter ${name}.`);
    if (!form.test(value)) throw new StsRefusal("InvalidParameterValue", `${name} must be ${shape}.`);
    return value;
  }

  function secondsOf(parameters: Parameters): number | undefined {
    const text = parameters.get("DurationSeconds") ?? "";
    if (text === "") return undefined;
    if (!/^\d{1,9}$/.test(text)) throw new StsRefusal("InvalidParameterValue", "DurationSeconds must be a number.");
    return Number(text);
  }

  const told = ({ secretId, secretKey, token, expiresMs }: TemporaryKey) => ({
    Credentials: { Token: token, TmpSecretId: secretId, TmpSecretKey: secretKey },
    ExpiredTime: expiresMs / 1000,
    Expiration: formatIsoSeconds(expiresMs),
  });

  const actions: ReadonlyMap<string, Act> = new Map<string, Act>([
    [
      "GetFederationToken",
      async (caller, parameters, values) => {
        const name = needed(parameters, "Name", /^[\w+=,.@-]{1,128}$/, "1 to 128 letters, digits or _ + = , . @ -");
        const policy = decodedPolicy(needed(parameters, "Policy", /^[^]*$/, "a policy"));
        return told(await sessions.federate(caller, { name, policy, seconds: secondsOf(parameters), values }));
      },
    ],
    [
      "AssumeRole",
      async (caller, parameters, values) => {
        const arn = needed(parameters, "RoleArn", /^[^]{1,512}$/, "at most 512 characters");
        const name = needed(
          parameters,
          "RoleSessionName",
          /^[\w+=,.@-]{2,128}$/,
          "2 to 128 letters, digits or _ + = , . @ -",
        );
        const policy = decodedPolicy(parameters.get("Policy") ?? "") || undefined;
        return told(await sessions.assume(caller, arn, { name, policy, seconds: secondsOf(parameters), values }));
      },
    ],
    [
      "GetCallerIdentity",
      async ({ uin, user }) => {
        const isRole = user.includes("/");
        return {
          Arn: isRole
            ? `qcs::sts:::assumed-role/${user.slice(user.indexOf("/") + 1)}`
            : `qcs::cam::uin/${uin}:uin/${user}`,
          AccountId: uin,
          UserId: isRole ? user.slice(user.indexOf("/") + 1) : user,
          PrincipalId: isRole ? uin : user,
          Type: isRole ? "CAMRole" : user === uin ? "CAMRoot" : "CAMUser",
        };
      },
    ],
  ]);

  async function callerOf(request: WireRequest, credentials: StsCredentials): Promise<Credential> {
    const { secretId, token, timestamp, verify } = credentials;
    const signedMs = timestamp * 1000;
    if (Math.abs(presentFor(clock, signedMs, "request", limits.stsSkewMs) - signedMs) > limits.stsSkewMs) {
      throw new StsRefusal("AuthFailure.SignatureExpire", "The signature has expired: its time is too far from ours.");
    }
    let credential: Credential | undefined;
    try {
      credential = await directory.find(secretId, token);
    } catch (error) {
      if (!(error instanceof CosError)) throw error;
      throw new StsRefusal("AuthFailure.TokenFailure", error.message);
    }
    if (credential === undefined) {
      if (token !== undefined) throw new StsRefusal("AuthFailure.TokenFailure", "The token is not the SecretId's.");
      throw new StsRefusal("AuthFailure.SecretIdNotFound", "The SecretId is not found, or it is disabled.");
    }
    if (!verify(credential.secretKey)) {
      throw new StsRefusal(
        "AuthFailure.SignatureFailure",
        "The provided credentials could not be validated. Please check your signature is correct.",
      );
    }
    const { method, headers } = request;
    const page = { method: method === "GET" ? "POST" : method, header: (name: string) => headers.get(name) };
    if (isForeignPage(page, callerWith(credential, "header"))) {
      throw new StsRefusal("AuthFailure.UnauthorizedOperation", "Web pages may not use the development keys.");
    }
    return credential;
  }

  async function read(request: WireRequest): Promise<{ parameters: Parameters; credentials: StsCredentials }> {
    const { headers, target, method } = request;
    const v3 = isV3(request);
    const body = method === "POST" ? await bodyOf(request) : Buffer.alloc(0);
    const type = headers.get("content-type") ?? "";
    const parameters =
      method === "GET"
        ? onlyOnce(target.query.entries)
        : FORM.test(type)
          ? onlyOnce(new URLSearchParams(body.toString("utf8")))
          : jsonParameters(body);
    for (const [header, name] of [
      ["x-tc-action", "Action"],
      ["x-tc-version", "Version"],
    ] as const) {
      const value = headers.get(header);
      if (value !== undefined) parameters.set(name, value);
    }
    return { parameters, credentials: v3 ? credentialsV3(request, body) : credentialsV1(request, parameters) };
  }

  async function bodyOf(request: WireRequest): Promise<Buffer> {
    try {
      return await request.body.collect(limits.stsBytesMax, "EntityTooLarge");
    } catch (error) {
      if (!(error instanceof CosError)) throw error;
      const isLarge = error.id === "EntityTooLarge";
      throw new StsRefusal(isLarge ? "RequestSizeLimitExceeded" : "InvalidParameter", error.message);
    }
  }

  async function run(
    request: WireRequest,
    known: (caller: Credential) => void,
  ): Promise<Readonly<Record<string, unknown>>> {
    const { parameters, credentials } = await read(request);
    const action = parameters.get("Action") ?? "";
    if (action === "") throw new StsRefusal("MissingParameter", "The request is missing the parameter Action.");
    const act = actions.get(action);
    if (act === undefined) throw new StsRefusal("InvalidAction", `There is no action ${action.slice(0, 64)} here.`);
    const version = parameters.get("Version") ?? "";
    if (version !== VERSION) throw new StsRefusal("NoSuchVersion", `The version must be ${VERSION}.`);
    const caller = await callerOf(request, credentials);
    known(caller);
    return await act(caller, parameters, requestValues(request));
  }

  function refusalOf(error: unknown, request: WireRequest): { readonly Code: StsCode; readonly Message: string } {
    if (error instanceof StsRefusal || error instanceof SessionRefused) {
      return { Code: error.code, Message: error.message };
    }
    if (error instanceof SignatureUnreadable) {
      return { Code: isV3(request) ? "AuthFailure.InvalidAuthorization" : "MissingParameter", Message: error.message };
    }
    onFault(error, request);
    return { Code: "InternalError", Message: "An internal error has occurred. Please try again." };
  }

  /** Whether the host names no bucket; one that cannot be read is for the others to refuse. */
  function isServiceAddress(request: WireRequest): boolean {
    try {
      return readAddress(request.target, rules).kind === "service";
    } catch {
      return false;
    }
  }

  return {
    async signer(request) {
      if (request.method !== "POST" || !FORM.test(request.headers.get("content-type") ?? "")) {
        return { request, secretId: undefined, token: undefined };
      }
      try {
        const bytes = await request.body.collect(limits.stsBytesMax, "EntityTooLarge");
        const parameters = new URLSearchParams(bytes.toString("utf8"));
        return {
          request: withBody(request, collectedBody(request.body, { bytes })),
          secretId: parameters.get("SecretId") ?? undefined,
          token: parameters.get("Token") ?? undefined,
        };
      } catch (error) {
        const body = collectedBody(request.body, { error });
        return { request: withBody(request, body), secretId: undefined, token: undefined };
      }
    },
    claims(request) {
      const { method, target, headers } = request;
      if (target.path !== "/" || (method !== "POST" && method !== "GET")) return false;
      if (STS_HOST.test(target.authority.host)) return true;
      const speaks =
        isV3(request) ||
        (method === "GET"
          ? target.query.has("action") && target.query.has("secretid")
          : target.query.entries.length === 0 &&
            headers.get("authorization") === undefined &&
            FORM.test(headers.get("content-type") ?? ""));
      return speaks && isServiceAddress(request);
    },
    async answer(request) {
      let response: Readonly<Record<string, unknown>>;
      let caller: Caller | undefined;
      try {
        response = await run(request, (credential) => {
          caller = callerWith(credential, "header");
        });
      } catch (error) {
        response = { Error: refusalOf(error, request) };
      }
      const body = JSON.stringify({ Response: { ...response, RequestId: request.ids.requestId } });
      const answer: Answer = { status: 200, headers: [["Content-Type", "application/json"]], body };
      onAnswer(request, answer, { ...UNKNOWN, caller });
      return answer;
    },
  };
}

const UNKNOWN: Outcome = {
  dialect: "sts",
  operation: undefined,
  caller: undefined,
  address: undefined,
  refusal: undefined,
  access: undefined,
  fault: undefined,
  times: [],
};

function isV3({ headers }: WireRequest): boolean {
  return headers.get("x-tc-action") !== undefined || headers.get("authorization")?.startsWith("TC3-") === true;
}

/** A parameter that is there twice could be read in two ways. */
function onlyOnce(entries: Iterable<readonly [string, string]>): Map<string, string> {
  const parameters = new Map<string, string>();
  for (const [name, value] of entries) {
    if (parameters.has(name)) {
      throw new StsRefusal("InvalidParameter", `The parameter ${name.slice(0, 64)} is there twice.`);
    }
    parameters.set(name, value);
  }
  return parameters;
}

function jsonParameters(body: Buffer): Map<string, string> {
  let value: unknown = {};
  try {
    if (body.length > 0) value = JSON.parse(body.toString("utf8"));
  } catch {
    throw new StsRefusal("InvalidParameter", "The body must be JSON.");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new StsRefusal("InvalidParameter", "The body must be a JSON object.");
  }
  const parameters = new Map<string, string>();
  for (const [name, one] of Object.entries(value)) {
    if (typeof one === "string" || typeof one === "number") parameters.set(name, String(one));
  }
  return parameters;
}

/** The helpers encode the policy once more before it goes into the form; the Java one does not. */
function decodedPolicy(text: string): string {
  if (!text.includes("%") || text.trimStart().startsWith("{")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    throw new StsRefusal("InvalidParameter.StrategyFormatError", "The Policy is neither JSON nor encoded JSON.");
  }
}
