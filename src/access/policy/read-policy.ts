/** Reads the JSON of a policy, and tells where it is wrong. */

import { type Condition, readCondition } from "./condition.ts";
import type { Policy, Principal, Statement } from "./policy.ts";
import { repeatedName } from "./repeated-name.ts";
import { readResource, type ResourcePattern } from "./resource.ts";
import { wildcard, type Wildcard } from "./wildcard.ts";

/** Raised for a document that is no policy; the message names the place: `Statement[0].Effect: expected …`. */
export class PolicyFault extends Error {
  override readonly name = "PolicyFault";
}

export interface PolicyRules {
  /**
   * Whether statements name whom they speak of: a bucket's policy must. One that is attached to somebody must not,
   * and in one that comes with temporary keys it says nothing, since the official helpers write it all the same.
   */
  readonly principal: "required" | "refused" | "ignored";
  /** `refused` in what says who may take a role on: it speaks of that role alone. Statements name some otherwise. */
  readonly resource?: "refused";
  /** Bytes of the document in UTF-8; one more is refused. */
  readonly bytesMax: number;
  /** For what was taken before and is kept: of a name that stands twice in an object, which is refused now, the last counts. */
  readonly kept?: true;
  /** Whether a resource of this form may stand in it; the fault to tell when it may not. */
  readonly resourceFault?: (resource: ResourcePattern) => string | undefined;
}

function fault(place: string, why: string): PolicyFault {
  return new PolicyFault(place === "" ? why : `${place}: ${why}`);
}

type Members = ReadonlyMap<string, unknown>;

/** The members of an object by their names in lower case: both spellings of each occur. */
function members(value: unknown, place: string, known: readonly string[]): Members {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw fault(place, "expected an object");
  const found = new Map<string, unknown>();
  for (const [name, member] of Object.entries(value)) {
    const lower = name.toLowerCase();
    if (!known.includes(lower)) throw fault(place, `there is no element ${JSON.stringify(name)}`);
    if (found.has(lower)) throw fault(place, `the element ${JSON.stringify(name)} is there twice`);
    found.set(lower, member);
  }
  return found;
}

/** One text or a list of them; a list must not be empty. */
function texts(value: unknown, place: string): readonly string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (list.length === 0) throw fault(place, "expected at least one");
  return list.map((one, at) => {
    if (typeof one === "string") return one;
    throw fault(Array.isArray(value) ? `${place}[${at}]` : place, "expected a text");
  });
}

const IDENTITY = /^qcs::cam::uin\/(\d{1,20}):(?:(?:uin\/(\d{1,20}|\*)|(root))|((?:roleName|role)\/[\w+=,.@-]{1,128}))$/;
const ANYONE = new Set(["*", "qcs::cam::anyone:anyone", "qcs::cam::anonymous:anonymous"]);

function readPrincipal(text: string, place: string): Principal {
  if (ANYONE.has(text)) return { kind: "anyone" };
  const [, uin, user, root, role] = IDENTITY.exec(text) ?? [];
  if (uin === undefined) {
    throw fault(place, "expected qcs::cam::uin/<root>:uin/<user>, a role of one, qcs::cam::anyone:anyone or *");
  }
  return { kind: "user", uin, user: user ?? (root === undefined ? (role as string) : uin) };
}

function readPrincipals(value: unknown, place: string): readonly Principal[] {
  if (value === "*") return [{ kind: "anyone" }];
  const found = members(value, place, ["qcs", "service"]);
  if (found.size === 0) throw fault(place, 'expected "qcs"');
  const principals: Principal[] = [];
  if (found.has("qcs")) {
    const ids = texts(found.get("qcs"), `${place}.qcs`);
    principals.push(...ids.map((id, at) => readPrincipal(id, `${place}.qcs[${at}]`)));
  }
  if (found.has("service")) {
    for (const name of texts(found.get("service"), `${place}.service`)) principals.push({ kind: "service", name });
  }
  return principals;
}

/** Action names are compared in lower case, since the service's own pages spell some of them in two ways. */
export function actionName(action: string): string {
  const lower = action.toLowerCase();
  return lower.startsWith("name/") ? lower.slice("name/".length) : lower;
}

function readAction(text: string, place: string): Wildcard {
  if (text === "" || text.length > 256) throw fault(place, "expected an action such as name/cos:GetObject");
  return wildcard(actionName(text));
}

function scalar(value: unknown, place: string): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  throw fault(place, "expected a text, a number or true or false");
}

function readConditions(value: unknown, place: string): readonly Condition[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw fault(place, "expected an object");
  return Object.entries(value).flatMap(([operator, keys]) => {
    const there = `${place}.${operator}`;
    if (typeof keys !== "object" || keys === null || Array.isArray(keys)) throw fault(there, "expected an object");
    const pairs = Object.entries(keys as Record<string, unknown>);
    if (pairs.length === 0) throw fault(there, "expected a key such as qcs:ip");
    return pairs.map(([key, given]) => {
      const at = `${there}[${JSON.stringify(key)}]`;
      const values = Array.isArray(given)
        ? given.map((one, index) => scalar(one, `${at}[${index}]`))
        : [scalar(given, at)];
      if (values.length === 0) throw fault(at, "expected at least one value");
      const condition = readCondition(operator, key, values);
      if (typeof condition === "string") throw fault(at, condition);
      return condition;
    });
  });
}

interface Written {
  readonly Sid?: string;
  readonly Principal?: unknown;
  readonly Effect: string;
  readonly Action: readonly string[];
  readonly Resource: readonly string[];
  readonly Condition?: unknown;
}

interface Read {
  readonly statement: Statement;
  readonly written: Written;
}

const STATEMENT = ["sid", "effect", "principal", "action", "resource", "condition"];

function readStatement(value: unknown, place: string, shared: unknown, rules: PolicyRules): Read {
  const found = members(value, place, STATEMENT);
  const needed = (name: string, shown: string): unknown => {
    if (!found.has(name)) throw fault(place, `the element ${shown} is missing`);
    return found.get(name);
  };
  const sid = found.get("sid");
  if (sid !== undefined && typeof sid !== "string") throw fault(`${place}.Sid`, "expected a text");
  const effect = needed("effect", "Effect");
  const lower = typeof effect === "string" ? effect.toLowerCase() : "";
  if (lower !== "allow" && lower !== "deny") throw fault(`${place}.Effect`, "expected allow or deny");

  const principal = found.get("principal") ?? shared;
  if (rules.principal === "required" && principal === undefined) {
    throw fault(place, "the element Principal is missing");
  }
  if (rules.principal === "refused" && principal !== undefined) {
    throw fault(place, "a policy that is attached to somebody names no Principal");
  }
  const principals = rules.principal === "required" ? readPrincipals(principal, `${place}.Principal`) : undefined;

  const actions = texts(needed("action", "Action"), `${place}.Action`);
  if (rules.resource === "refused" && found.has("resource")) {
    throw fault(`${place}.Resource`, "what says who may take a role on names no resource");
  }
  const resources = rules.resource === "refused" ? ["*"] : texts(needed("resource", "Resource"), `${place}.Resource`);
  const patterns = resources.map((text, at) => {
    const pattern = readResource(text, rules.principal !== "required");
    const why = typeof pattern === "string" ? pattern : rules.resourceFault?.(pattern);
    if (why !== undefined) throw fault(`${place}.Resource[${at}]`, why);
    return pattern as ResourcePattern;
  });
  const condition = found.get("condition");
  const conditions = condition === undefined ? [] : readConditions(condition, `${place}.Condition`);
  return {
    statement: {
      label: sid === undefined || sid === "" ? place : sid,
      effect: lower,
      principals,
      actions: actions.map((text, at) => readAction(text, `${place}.Action[${at}]`)),
      resources: patterns,
      conditions,
    },
    written: {
      ...(sid === undefined ? {} : { Sid: sid }),
      ...(principals === undefined ? {} : { Principal: writtenPrincipal(principal) }),
      Effect: lower,
      Action: actions,
      Resource: resources,
      ...(condition === undefined ? {} : { Condition: condition }),
    },
  };
}

/** Lists where one text stood alone, as the service answers. */
function writtenPrincipal(value: unknown): unknown {
  if (value === "*") return { qcs: ["*"] };
  return Object.fromEntries(
    Object.entries(value as Record<string, unknown>).map(([name, ids]) => [
      name.toLowerCase(),
      Array.isArray(ids) ? ids : [ids],
    ]),
  );
}

/**
 * Reads a policy.
 * @throws PolicyFault
 */
export function readPolicy(text: string, rules: PolicyRules): Policy {
  const bytes = Buffer.byteLength(text);
  if (bytes > rules.bytesMax) throw fault("", `the policy has ${bytes} bytes; at most ${rules.bytesMax} are allowed`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw fault("", `expected JSON: ${(error as Error).message}`);
  }
  const repeated = rules.kept === true ? undefined : repeatedName(text);
  if (repeated !== undefined) throw fault("", `the element ${JSON.stringify(repeated)} is there twice`);
  const found = members(value, "", ["version", "statement", "principal", "id"]);
  if (!found.has("version")) throw fault("", "the element version is missing");
  if (found.get("version") !== "2.0") throw fault("version", 'expected "2.0"');
  if (!found.has("statement")) throw fault("", "the element Statement is missing");
  const given = found.get("statement");
  const list: readonly unknown[] = Array.isArray(given) ? given : [given];
  if (list.length === 0) throw fault("Statement", "expected at least one");
  const read = list.map((one, at) => readStatement(one, `Statement[${at}]`, found.get("principal"), rules));
  const statements = read.map(({ statement }) => statement);
  return {
    text: JSON.stringify({ Statement: read.map(({ written }) => written), version: "2.0" }),
    statements,
    asks: new Set(statements.flatMap(({ conditions }) => conditions.map(({ key }) => key))),
  };
}
