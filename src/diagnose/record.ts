/** What is kept of a request and of what became of it, without anything that could be used again. */

import { describeDecision, type TracedAcl, type TracedPolicy } from "../access/authorise.ts";
import { callerId } from "../access/caller.ts";
import type { ErrorId } from "../errors/catalogue.ts";
import type { CosError } from "../errors/cos-error.ts";
import type { Evidence } from "../errors/evidence.ts";
import type { Answer } from "../http/answer.ts";
import { type Outcome, STEPS } from "../http/pipeline.ts";
import type { WireRequest } from "../http/request.ts";

/** One step that a request came to. */
export interface RecordedStep {
  readonly name: string;
  readonly ms: number;
  readonly refused?: true;
}

/** How access was decided. */
export interface RecordedAccess {
  /** Such as `name/cos:GetObject`. */
  readonly action: string;
  readonly decision: string;
  readonly allowed: boolean;
  /** What became of every statement; for refusals. */
  readonly trace?: readonly TracedPolicy[];
  /** What the ACL grants that could have allowed it; for refusals. */
  readonly acl?: TracedAcl;
  /** The smallest statement that would allow it, where no statement denies it; for refusals. */
  readonly wouldAllow?: Readonly<Record<string, unknown>>;
  /** Every policy in which it would have to stand; absent, it is the bucket's. */
  readonly wouldAllowIn?: readonly TracedPolicy["of"][];
}

/** A decision record. It survives JSON. */
export interface DecisionRecord {
  readonly requestId: string;
  /** For refusals alone, which are told it. */
  readonly traceId?: string;
  /** Virtual time of arrival, ms since 1970. */
  readonly at: number;
  readonly method: string;
  readonly host: string;
  /** Path and query as sent; credentials are taken out. */
  readonly target: string;
  /** Credentials are taken out. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly remoteAddress: string;
  /** Undefined where the edge refused the request before anything else was known. */
  readonly dialect?: string;
  readonly operation?: string;
  /** `anonymous`, or the SecretId with what it stands for. */
  readonly caller?: string;
  readonly bucket?: string;
  readonly key?: string;
  readonly status: number;
  readonly errorId?: ErrorId;
  readonly message?: string;
  /** A refusal of which nothing more was kept, because too many came in that second. */
  readonly brief?: true;
  readonly steps: readonly RecordedStep[];
  /** The fault that happened to it. */
  readonly fault?: string;
  readonly access?: RecordedAccess;
  readonly evidence?: Evidence;
  /** What led to the refusal, in the words of whoever found it. */
  readonly cause?: string;
}

const SECRET_HEADERS: ReadonlySet<string> = new Set([
  "cookie",
  "proxy-authorization",
  "x-cos-security-token",
  "x-amz-security-token",
  "x-tc-token",
]);
const SECRET_PARAMETERS: ReadonlySet<string> = new Set([
  "q-signature",
  "sign",
  "signature",
  "token",
  "x-amz-signature",
  "x-amz-security-token",
  "x-cos-security-token",
]);
const REMOVED = "(removed)";
const VALUE_CHARS_MAX = 2048;

function withoutSignature(value: string): string {
  return value
    .replace(
      /((?:q-signature|X-Amz-Signature|X-Amz-Security-Token|x-cos-security-token|Signature|sign)=)[^&,\s]+/gi,
      `$1${REMOVED}`,
    )
    .replace(/^(AWS [^:]*:).*$/, `$1${REMOVED}`)
    .slice(0, VALUE_CHARS_MAX);
}

function openHeader(name: string, value: string): string {
  if (SECRET_HEADERS.has(name) || name.includes("server-side-encryption-customer-key")) return REMOVED;
  if (name !== "authorization") return withoutSignature(value);
  // Of a scheme that is not known here, nothing tells which part of it is secret.
  return /^(q-|AWS)/.test(value) ? withoutSignature(value) : REMOVED;
}

function openTarget({ target }: Pick<WireRequest, "target">): string {
  const query = target.query.entries.map(([name, value]) => {
    const open = SECRET_PARAMETERS.has(name.toLowerCase()) ? REMOVED : withoutSignature(value);
    return value === "" ? encodeURIComponent(name) : `${encodeURIComponent(name)}=${encodeURIComponent(open)}`;
  });
  return query.length === 0 ? target.rawPath : `${target.rawPath}?${query.join("&")}`;
}

/** A header of a text that AWS's clients sign. */
const SIGNED_LINE = /^([a-z0-9-]+):(.*)$/;

/** A signed text whose pairs are as open as the headers and parameters they stand for. */
function openCanonical(text: string): string {
  const openPair = (pair: string): string => {
    const equals = pair.indexOf("=");
    const name = pair.slice(0, equals);
    let value = pair.slice(equals + 1);
    try {
      value = decodeURIComponent(value);
    } catch {
      // It was signed without being encoded.
    }
    const lower = name.toLowerCase();
    const open = SECRET_PARAMETERS.has(lower) ? REMOVED : openHeader(lower, value);
    return open === value ? pair : `${name}=${encodeURIComponent(open)}`;
  };
  return text
    .split("\n")
    .map((line, at) => {
      if (at < 2 || line === "") return line;
      const [, header, value = ""] = SIGNED_LINE.exec(line) ?? [];
      return header === undefined ? line.split("&").map(openPair).join("&") : `${header}:${openHeader(header, value)}`;
    })
    .join("\n");
}

function openEvidence(evidence: Evidence): Evidence {
  if (evidence.kind !== "signature") return evidence;
  const { mistake } = evidence;
  return {
    ...evidence,
    canonical: openCanonical(evidence.canonical),
    mistake: mistake?.canonical === undefined ? mistake : { ...mistake, canonical: openCanonical(mistake.canonical) },
  };
}

/** What is kept of every request: references to what stays as it is, and nothing that holds its connection. */
export interface Kept {
  readonly request: Pick<WireRequest, "method" | "target" | "headers" | "remoteAddress" | "receivedAt">;
  readonly requestId: string;
  readonly status: number;
  /** What it was refused with, without the reason, which may be large. */
  readonly refused: Pick<CosError, "id" | "message"> | undefined;
  readonly outcome: Pick<Outcome, "dialect" | "operation" | "caller" | "address" | "times" | "fault"> | undefined;
}

/** The part of a record that every request has. */
export function recordOf({ request, requestId, status, refused, outcome }: Kept): DecisionRecord {
  const { caller, address, operation, fault, times = [] } = outcome ?? {};
  return {
    requestId,
    at: request.receivedAt,
    method: request.method,
    host: request.target.authority.text,
    target: openTarget(request),
    headers: Array.from(request.headers.entries(), ([name, value]) => [name, openHeader(name, value)] as const),
    remoteAddress: request.remoteAddress,
    ...(outcome === undefined ? {} : { dialect: outcome.dialect }),
    ...(operation === undefined ? {} : { operation: operation.name }),
    ...(caller === undefined
      ? {}
      : {
          caller:
            caller.kind === "anonymous" ? "anonymous" : `${caller.secretId} (user ${caller.user} of ${caller.uin})`,
        }),
    ...(address === undefined || address.kind === "service" ? {} : { bucket: address.bucket }),
    ...(address?.kind === "object" ? { key: address.key } : {}),
    status,
    ...(refused === undefined ? {} : { errorId: refused.id, message: refused.message, brief: true as const }),
    ...(fault === undefined ? {} : { fault: fault.id }),
    steps: times.slice(0, -1).map((began, at) => ({
      name: STEPS[at] ?? "",
      ms: Math.round(((times[at + 1] as number) - began) * 1000) / 1000,
    })),
  };
}

function accessOf(outcome: Outcome): RecordedAccess | undefined {
  const { access, caller } = outcome;
  if (access === undefined) return undefined;
  const { question, decision } = access;
  const described = { action: question.action, decision: describeDecision(decision), allowed: decision.allowed };
  if (decision.allowed) return described;
  const { bucket, key, made } = question;
  const principal = caller?.kind === "account" ? callerId(caller.uin, caller.user) : "qcs::cam::anyone:anyone";
  const acl = access.acl();
  const refused = { ...described, trace: access.trace(), ...(acl === undefined ? {} : { acl }) };
  if (decision.statement !== undefined) return refused;
  const statement = { Effect: "Allow", Action: [question.action] };
  const named = bucket ?? made;
  const resource =
    named === undefined ? "*" : `qcs::cos:${named.region}:uid/${named.ownerAppid}:${named.name}/${key ?? ""}`;
  return {
    ...refused,
    wouldAllow: {
      ...statement,
      ...(bucket === undefined ? {} : { Principal: { qcs: [principal] } }),
      Resource: [resource],
    },
    wouldAllowIn: access.missing(),
  };
}

/** The whole record of a refusal. Asks for its evidence, which may cost as much as some hundred hashes. */
export function refusalRecord(
  kept: Kept,
  request: WireRequest,
  refusal: CosError,
  outcome: Outcome | undefined,
): DecisionRecord {
  const record = recordOf({ ...kept, refused: undefined });
  const access = refusal.id === "AccessDenied" && outcome !== undefined ? accessOf(outcome) : undefined;
  const evidence = refusal.evidence?.();
  const { cause } = refusal;
  const why = cause instanceof Error ? cause.message : typeof cause === "string" ? cause : undefined;
  return {
    ...record,
    traceId: request.ids.traceId,
    errorId: refusal.id,
    message: refusal.message,
    steps: record.steps.map((step, at) => (at === record.steps.length - 1 ? { ...step, refused: true } : step)),
    ...(access === undefined ? {} : { access }),
    ...(evidence === undefined ? {} : { evidence: openEvidence(evidence) }),
    ...(why === undefined ? {} : { cause: why }),
  };
}

/** What an answer and a request come to, while both are at hand. */
export function keep(
  request: WireRequest,
  answer: Answer,
  refusal: CosError | undefined,
  outcome: Outcome | undefined,
): Kept {
  const { method, target, headers, remoteAddress, receivedAt, ids } = request;
  return {
    request: { method, target, headers, remoteAddress, receivedAt },
    requestId: ids.requestId,
    status: answer.status,
    refused: refusal === undefined ? undefined : { id: refusal.id, message: refusal.message },
    outcome:
      outcome === undefined
        ? undefined
        : {
            dialect: outcome.dialect,
            operation: outcome.operation,
            caller: outcome.caller,
            address: outcome.address,
            times: outcome.times,
            fault: outcome.fault,
          },
  };
}
