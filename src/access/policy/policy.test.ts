/** The evaluator against one that is written without any thought of speed, on policies drawn at random. */

import assert from "node:assert/strict";
import * as fc from "fast-check";
import { describe, it } from "vitest";
import { authorise } from "../authorise.ts";
import type { AccountCaller } from "../caller.ts";
import { readCondition } from "./condition.ts";
import { ATTACHED, evaluate } from "./evaluate.ts";
import { PolicyFault, readPolicy } from "./read-policy.ts";
import { repeatedName } from "./repeated-name.ts";
import { fits, wildcard } from "./wildcard.ts";

const BUCKET = {
  id: "00".repeat(8),
  name: "demo-1250000000",
  region: "ap-guangzhou",
  ownerAppid: "1250000000",
  ownerUin: "100000000001",
} as const;

/** Whether a pattern fits, tried letter by letter in every way there is. */
function fitsSlowly(pattern: string, value: string): boolean {
  if (pattern === "") return value === "";
  if (pattern[0] === "*") {
    return fitsSlowly(pattern.slice(1), value) || (value !== "" && fitsSlowly(pattern, value.slice(1)));
  }
  return value !== "" && pattern[0] === value[0] && fitsSlowly(pattern.slice(1), value.slice(1));
}

const letters = (alphabet: string, maxLength: number) =>
  fc.array(fc.constantFrom(...alphabet.split("")), { maxLength }).map((all) => all.join(""));

describe("a name that stands twice in an object", () => {
  it("is found wherever it stands and however it is escaped, and no other is", () => {
    for (const [json, name] of [
      ['{"a":1,"a":2}', "a"],
      ['{"a":1,"\\u0061":2}', "a"],
      ['{"x":[{"a":{"b":1}},{"b":1,"c":"}","b" :2}]}', "b"],
      ['{"a\\"b":"a\\"b","c":["a","a"],"d":{"a":1},"e":{"a":"a"}}', undefined],
      ['["a","a",{"a":"\\\\"},"\\\\"]', undefined],
      ['"a"', undefined],
    ] as const) {
      JSON.parse(json);
      assert.equal(repeatedName(json), name, json);
    }
  });

  it("is never found in what JSON.stringify writes", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.integer({ min: 0, max: 3 }), (value, indent) => {
        assert.equal(repeatedName(JSON.stringify(value, undefined, indent)), undefined);
      }),
    );
  });
});

describe("a wildcard", () => {
  it("fits what it fits when every way is tried", () => {
    fc.assert(
      fc.property(letters("ab*", 7), letters("ab", 8), (pattern, value) => {
        assert.equal(fits(wildcard(pattern), value), fitsSlowly(pattern, value), `${pattern} ${value}`);
      }),
      { numRuns: 20_000 },
    );
  });

  it("looks at each piece once, however many stars there are", () => {
    const pattern = wildcard(`${"a*".repeat(5_000)}b`);
    let looks = 0;
    const counted = {
      text: pattern.text,
      pieces: new Proxy(pattern.pieces, {
        get(pieces, name) {
          if (typeof name === "string" && /^\d+$/.test(name)) looks += 1;
          return Reflect.get(pieces, name) as unknown;
        },
      }),
    };
    assert.equal(fits(counted, "a".repeat(20_000)), false);
    assert.equal(fits(counted, `${"a".repeat(20_000)}b`), true);
    assert.ok(looks <= 2 * (pattern.pieces.length + 2), String(looks));
  });
});

interface RawStatement {
  readonly effect: "allow" | "deny";
  readonly action: readonly string[];
  readonly resource: readonly string[];
  readonly condition?: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
}

const ACTIONS = ["GetObject", "PutObject", "GetBucket", "DeleteObject"];
const action = fc.oneof(
  fc
    .constantFrom(...ACTIONS)
    .chain((name) => fc.constantFrom(`name/cos:${name}`, `cos:${name}`, `name/cos:${name.toLowerCase()}`)),
  fc.constantFrom("*", "name/cos:*", "cos:Get*", "name/cos:*Object", "cos:*t*"),
);
const keyPattern = letters("ab/*", 5);
const resource = fc.oneof(
  fc.constant("*"),
  fc
    .tuple(
      fc.constantFrom("ap-guangzhou", "ap-beijing", "", "*"),
      fc.constantFrom("uid/1250000000", "uin/100000000001", "uid/1250000002", "", "*"),
      fc.constantFrom("demo-1250000000", "other-1250000000", "demo-*", "*"),
      keyPattern,
    )
    .map(([region, account, bucket, key]) => `qcs::cos:${region}:${account}:${bucket}/${key}`),
);
const NEGATIVE = new Set(["string_not_equal", "string_not_like"]);
const operator = fc
  .tuple(
    fc.constantFrom("", "for_any_value:", "for_all_value:"),
    fc.constantFrom("string_equal", "string_not_equal", "string_like", "string_not_like", "string_equal_ignore_case"),
    fc.constantFrom("", "_if_exist"),
  )
  .map((parts) => parts.join(""));
const value = letters("aAb*", 2);
const condition = fc.dictionary(
  operator,
  fc.dictionary(fc.constantFrom("qcs:request_tag", "cos:prefix"), fc.array(value, { minLength: 1, maxLength: 3 }), {
    minKeys: 1,
    maxKeys: 2,
    noNullPrototype: true,
  }),
  { maxKeys: 2, noNullPrototype: true },
);
const statement: fc.Arbitrary<RawStatement> = fc.record(
  {
    effect: fc.constantFrom("allow" as const, "deny" as const),
    action: fc.array(action, { minLength: 1, maxLength: 3 }),
    resource: fc.array(resource, { minLength: 1, maxLength: 3 }),
    condition,
  },
  { requiredKeys: ["effect", "action", "resource"], noNullPrototype: true },
);
const request = fc.record(
  {
    action: fc.constantFrom(...ACTIONS),
    key: fc.option(letters("ab/", 4), { nil: undefined }),
    tags: fc.option(fc.array(letters("aAb", 2), { maxLength: 3 }), { nil: undefined }),
    prefix: fc.option(letters("aAb", 2), { nil: undefined }),
  },
  { noNullPrototype: true },
);
type Request = typeof request extends fc.Arbitrary<infer R> ? R : never;

function holdsSlowly(written: string, actual: readonly string[] | undefined, values: readonly string[]): boolean {
  const optional = written.endsWith("_if_exist");
  if (actual === undefined) return optional;
  const plain = written.replace("_if_exist", "").replace(/^for_(any|all)_value:/, "");
  const equals = (one: string, other: string): boolean => {
    if (plain.includes("like")) return fitsSlowly(other, one);
    return plain.includes("ignore_case") ? one.toLowerCase() === other.toLowerCase() : one === other;
  };
  const hits = actual.map((one) => {
    const hit = values.some((other) => equals(one, other));
    return NEGATIVE.has(plain) ? !hit : hit;
  });
  if (written.startsWith("for_any")) return hits.includes(true);
  if (written.startsWith("for_all") || NEGATIVE.has(plain)) return !hits.includes(false);
  return hits.includes(true);
}

function matchesSlowly(one: RawStatement, asked: Request): boolean {
  const actions = one.action.map((text) => text.toLowerCase().replace(/^name\//, ""));
  if (!actions.some((pattern) => fitsSlowly(pattern, `cos:${asked.action}`.toLowerCase()))) return false;
  const named = one.resource.some((text) => {
    if (text === "*") return true;
    const [, , , region = "", account = "", path = ""] = text.split(":");
    if (region !== "" && !fitsSlowly(region, BUCKET.region)) return false;
    const accounts = [`uid/${BUCKET.ownerAppid}`, `uin/${BUCKET.ownerUin}`];
    if (account !== "" && !accounts.some((name) => fitsSlowly(account, name))) return false;
    const paths = asked.key === undefined ? [BUCKET.name, `${BUCKET.name}/`] : [`${BUCKET.name}/${asked.key}`];
    return paths.some((name) => fitsSlowly(path, name));
  });
  if (!named) return false;
  const has: Record<string, readonly string[] | undefined> = {
    "qcs:request_tag": asked.tags,
    "cos:prefix": asked.prefix === undefined ? undefined : [asked.prefix],
  };
  return Object.entries(one.condition ?? {}).every(([written, keys]) =>
    Object.entries(keys).every(([key, values]) => holdsSlowly(written, has[key], values)),
  );
}

describe("the evaluator", () => {
  it("agrees with trying everything, on any policy and request", () => {
    const seen = { allow: 0, deny: 0, none: 0 };
    fc.assert(
      fc.property(fc.array(statement, { minLength: 1, maxLength: 4 }), request, (statements, asked) => {
        const policy = readPolicy(JSON.stringify({ version: "2.0", statement: statements }), {
          principal: "refused",
          bytesMax: 100_000,
        });
        const { action: name, key, prefix, tags } = asked;
        const values: Record<string, readonly string[] | undefined> = {
          "qcs:request_tag": tags,
          "cos:prefix": prefix === undefined ? undefined : [prefix],
        };
        const { effect } = evaluate(
          [policy],
          { action: `name/cos:${name}`, resource: { bucket: BUCKET, key }, values: (one) => values[one] },
          ATTACHED,
        );
        const hits = statements.filter((one) => matchesSlowly(one, asked)).map((one) => one.effect);
        const expected = hits.includes("deny") ? "deny" : hits.includes("allow") ? "allow" : "none";
        seen[effect] += 1;
        assert.equal(effect, expected);
      }),
      { numRuns: 5_000 },
    );
    for (const [effect, count] of Object.entries(seen)) assert.ok(count > 100, `${effect}: ${count}`);
  });

  it("sec_S-2.8: temporary keys never reach beyond their issuer, whatever policy they come with", () => {
    const policies = fc.array(statement, { minLength: 1, maxLength: 3 });
    const read = (statements: readonly RawStatement[]) =>
      readPolicy(JSON.stringify({ version: "2.0", statement: statements }), {
        principal: "refused",
        bytesMax: 100_000,
      });
    fc.assert(
      fc.property(policies, policies, request, (issuers, sessions, { action: name, key, prefix, tags }) => {
        const issuer: AccountCaller = {
          kind: "account",
          via: "header",
          uin: BUCKET.ownerUin,
          user: "100000000011",
          appid: BUCKET.ownerAppid,
          secretId: "AKID",
          published: false,
          policies: [read(issuers)],
        };
        const child = { ...issuer, session: { policy: read(sessions), expiresMs: 0 } };
        const record = { ...BUCKET, acl: "private", state: { kind: "normal" }, sections: [] } as never;
        const values: Record<string, readonly string[] | undefined> = {
          "qcs:request_tag": tags,
          "cos:prefix": prefix === undefined ? undefined : [prefix],
        };
        const ask = (caller: AccountCaller) =>
          authorise(
            { caller, action: `name/cos:${name}`, permission: "read", bucket: record, key, object: undefined },
            { bucketPolicy: undefined, grants: [], tags: [] },
            (one) => values[one],
          ).allowed;
        if (ask(child)) assert.ok(ask(issuer));
      }),
      { numRuns: 3_000 },
    );
  });
});

/** One operator on one key with one value, against what a request has. */
function holds(operator: string, values: readonly string[], actual: readonly string[] | undefined): boolean {
  const condition = readCondition(operator, "qcs:ip", values);
  if (typeof condition === "string") assert.fail(condition);
  return condition.holds(() => actual);
}

describe("conditions", () => {
  const CASES: readonly (readonly [string, readonly string[], readonly string[] | undefined, boolean])[] = [
    ["ip_equal", ["10.0.0.0/8"], ["10.255.0.1"], true],
    ["ip_equal", ["10.0.0.0/8"], ["11.0.0.1"], false],
    ["ip_equal", ["10.1.2.3/8"], ["10.9.9.9"], true],
    ["ip_equal", ["10.0.0.1"], ["::ffff:10.0.0.1"], true],
    ["ip_equal", ["10.0.0.0/8"], ["::1"], false],
    ["ip_equal", ["fd00::/8"], ["fd12::1"], true],
    ["ip_equal", ["fe80::/10"], ["fe80::1%eth0"], true],
    ["ip_equal", ["0.0.0.0/0"], ["not an address"], false],
    ["ip_not_equal", ["10.0.0.0/8"], ["11.0.0.1"], true],
    ["ip_not_equal", ["10.0.0.0/8", "11.0.0.0/8"], ["11.0.0.1"], false],
    ["ip_not_equal", ["10.0.0.0/8"], undefined, false],
    ["ip_not_equal_if_exist", ["10.0.0.0/8"], undefined, true],
    ["numeric_equal", ["10"], ["10.0"], true],
    ["numeric_less_than_equal", ["1048576"], ["1048576"], true],
    ["numeric_less_than", ["1048576"], ["1048576"], false],
    ["numeric_greater_than", ["5"], ["five"], false],
    ["numeric_not_equal", ["5"], ["6"], true],
    ["bool_equal", ["true"], ["true"], true],
    ["bool_equal", ["TRUE"], ["false"], false],
    ["date_less_than", ["2026-11-26T00:00:00Z"], ["2026-11-25T23:59:59Z"], true],
    ["date_greater_than_equal", ["2026-11-26T08:00:00+08:00"], ["2026-11-26T00:00:00Z"], true],
    ["string_equal_ignore_case", ["Private"], ["private"], true],
    ["string_like", ["image/*"], ["image/png"], true],
    ["string_not_like", ["image/*"], ["image/png"], false],
    ["string_equal", ["a"], undefined, false],
    ["string_equal_if_exist", ["a"], undefined, true],
    ["STRING_EQUAL", ["a"], ["a"], true],
  ];
  for (const [operator, values, actual, expected] of CASES) {
    it(`${operator} ${values.join(",")} of ${actual?.join(",") ?? "nothing"} is ${expected}`, () => {
      assert.equal(holds(operator, values, actual), expected);
    });
  }

  // The sets overlap in part, so that any two of the four differ.
  it("sec_S-2.9: negated set operators are what they say, on sets that overlap in part", () => {
    const [policy, some, none, all] = [["a", "b"], ["b", "c"], ["c", "d"], ["a"]];
    const table = (operator: string) => [some, none, all].map((actual) => holds(operator, policy, actual));
    assert.deepEqual(table("for_any_value:string_equal"), [true, false, true]);
    assert.deepEqual(table("for_all_value:string_equal"), [false, false, true]);
    assert.deepEqual(table("for_any_value:string_not_equal"), [true, true, false]);
    assert.deepEqual(table("for_all_value:string_not_equal"), [false, true, false]);
  });
});

const GOOD = {
  version: "2.0",
  statement: [{ effect: "allow", principal: { qcs: "*" }, action: "*", resource: "*" }],
};
const bad = (change: object, top: object = {}) => ({
  ...GOOD,
  statement: [{ ...GOOD.statement[0], ...change }],
  ...top,
});

describe("a policy that is none", () => {
  const FAULTS: readonly (readonly [string, unknown, RegExp])[] = [
    ["another version", { ...GOOD, version: "1.0" }, /^version: expected "2.0"/],
    ["no version", { statement: GOOD.statement }, /version is missing/],
    ["no statement", { version: "2.0" }, /Statement is missing/],
    ["an empty list", { ...GOOD, statement: [] }, /^Statement: expected at least one/],
    ["a list", [], /^expected an object/],
    ["an element nobody knows", { ...GOOD, notaction: "*" }, /there is no element "notaction"/],
    ["one in a statement", bad({ NotAction: "*" }), /^Statement\[0\]: there is no element "NotAction"/],
    ["one in both spellings", bad({ Effect: "deny" }), /^Statement\[0\]: the element "Effect" is there twice/],
    ["another effect", bad({ effect: "maybe" }), /^Statement\[0\]\.Effect: expected allow or deny/],
    ["no action", bad({ action: [] }), /^Statement\[0\]\.Action: expected at least one/],
    ["an action that is no text", bad({ action: ["*", 1] }), /^Statement\[0\]\.Action\[1\]: expected a text/],
    ["five segments", bad({ resource: ["*", "qcs::cos:a:b"] }), /^Statement\[0\]\.Resource\[1\]: expected six/],
    ["another service", bad({ resource: "qcs::cvm:::x/*" }), /^Statement\[0\]\.Resource\[0\]: .*cos/],
    ["an account of no form", bad({ resource: "qcs::cos::123:x/*" }), /fifth segment/],
    [
      "nobody",
      { version: "2.0", statement: [{ effect: "allow", action: "*", resource: "*" }] },
      /Principal is missing/,
    ],
    [
      "a principal of no form",
      bad({ principal: { qcs: ["me"] } }),
      /^Statement\[0\]\.Principal\.qcs\[0\]: expected qcs::cam/,
    ],
    ["an empty principal", bad({ principal: {} }), /Principal: expected "qcs"/],
    [
      "an operator nobody knows",
      bad({ condition: { same: { "qcs:ip": "1" } } }),
      /Condition\.same\["qcs:ip"\]: there is no such operator/,
    ],
    [
      "an address of no form",
      bad({ condition: { ip_equal: { "qcs:ip": "10.0.0.0/99" } } }),
      /ip_equal\["qcs:ip"\]: expected an IP address/,
    ],
    [
      "a number of no form",
      bad({ condition: { numeric_equal: { "cos:content-length": "ten" } } }),
      /expected a number/,
    ],
    ["a condition without a key", bad({ condition: { ip_equal: {} } }), /Condition\.ip_equal: expected a key/],
    [
      "a value that is a list of lists",
      bad({ condition: { ip_equal: { "qcs:ip": [["a"]] } } }),
      /\[0\]: expected a text/,
    ],
  ];
  for (const [what, document, message] of FAULTS) {
    it(`names the place of ${what}`, () => {
      assert.throws(() => readPolicy(JSON.stringify(document), { principal: "required", bytesMax: 20_480 }), {
        name: PolicyFault.name,
        message,
      });
    });
  }

  it("is one of too many bytes, and one that is no JSON", () => {
    const rules = { principal: "required", bytesMax: 20_480 } as const;
    assert.throws(() => readPolicy(" ".repeat(20_481), rules), /20481 bytes; at most 20480/);
    assert.throws(() => readPolicy("{", rules), /expected JSON/);
    assert.throws(() => readPolicy("[".repeat(20_000), rules), /expected JSON/);
  });

  it("is one that is attached to somebody and names somebody", () => {
    const rules = { principal: "refused", bytesMax: 20_480 } as const;
    assert.throws(() => readPolicy(JSON.stringify(GOOD), rules), /names no Principal/);
    assert.equal(readPolicy(JSON.stringify(GOOD), { ...rules, principal: "ignored" }).statements.length, 1);
  });
});
