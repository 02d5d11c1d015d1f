/** Conditions of policies: operators, the values a request has for their keys, and how the two are held together. */

import ipaddr from "ipaddr.js";
import { fits, wildcard, type Wildcard } from "./wildcard.ts";

/**
 * One value of a request, in each spelling it may be compared under: what comes from a query has to be written encoded
 * in a policy, and is taken decoded as well.
 */
export type RequestValue = string | readonly string[];

/** The values of a request under a key such as `cos:prefix`, in lower case; undefined when it has none. */
export type RequestValues = (key: string) => readonly RequestValue[] | undefined;

/** One operator on one key, held against any of its values. */
export interface Condition {
  /** As written, such as `for_any_value:string_equal_if_exist`. */
  readonly operator: string;
  /** In lower case, such as `qcs:ip`. */
  readonly key: string;
  readonly values: readonly string[];
  /** Whether the request meets it. */
  readonly holds: (request: RequestValues) => boolean;
}

/** Compares a value of the request with one of the policy. */
type Compare = (actual: string) => boolean;

interface Operator {
  /** Makes the comparison with a value of the policy; undefined for a value that is none of its kind. */
  readonly compile: (value: string) => Compare | undefined;
  /** Completes "expected …". */
  readonly expected: string;
  /** True where no value may match. */
  readonly negative?: true;
}

const text = (compile: (value: string) => Compare): Operator => ({ compile, expected: "a text" });
const not = (operator: Operator): Operator => ({ ...operator, negative: true });

const NUMBER = /^[+-]?\d{1,15}(\.\d{1,15})?$/;

function number(test: (actual: number, value: number) => boolean): Operator {
  return {
    expected: "a number",
    compile(value) {
      if (!NUMBER.test(value)) return undefined;
      const wanted = Number(value);
      return (actual) => NUMBER.test(actual) && test(Number(actual), wanted);
    },
  };
}

const DATE = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,3})?(Z|[+-]\d{2}:\d{2})$/;

function date(test: (actual: number, value: number) => boolean): Operator {
  return {
    expected: "a date such as 2026-11-26T00:00:00Z",
    compile(value) {
      const wanted = DATE.test(value) ? Date.parse(value) : Number.NaN;
      if (Number.isNaN(wanted)) return undefined;
      return (actual) => DATE.test(actual) && test(Date.parse(actual), wanted);
    },
  };
}

/** An address in its shortest family: IPv4 that came over an IPv6 socket is IPv4. A zone is left off. */
function readAddress(value: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  const plain = value.split("%", 1)[0] as string;
  if (!ipaddr.IPv4.isValidFourPartDecimal(plain) && !ipaddr.IPv6.isValid(plain)) return undefined;
  return ipaddr.process(plain);
}

const address: Operator = {
  expected: "an IP address or a range such as 10.0.0.0/8",
  compile(value) {
    const [base = "", bits, ...more] = value.split("/");
    const start = readAddress(base);
    if (start === undefined || more.length > 0) return undefined;
    const most = start.kind() === "ipv4" ? 32 : 128;
    if (bits !== undefined && (!/^\d{1,3}$/.test(bits) || Number(bits) > most)) return undefined;
    const length = bits === undefined ? most : Number(bits);
    return (actual) => {
      const there = readAddress(actual);
      return there !== undefined && there.kind() === start.kind() && there.match(start as ipaddr.IPv4, length);
    };
  },
};

const bool: Operator = {
  expected: "true or false",
  compile(value) {
    const wanted = value.toLowerCase();
    return wanted === "true" || wanted === "false" ? (actual) => actual.toLowerCase() === wanted : undefined;
  },
};

const equal = text((value) => (actual) => actual === value);
const equalIgnoringCase = text((value) => {
  const wanted = value.toLowerCase();
  return (actual) => actual.toLowerCase() === wanted;
});
const like = text((value) => {
  const pattern: Wildcard = wildcard(value);
  return (actual) => fits(pattern, actual);
});

/** Every operator, without prefix and suffix. (policy page; CAM's list of operators) */
const OPERATORS: ReadonlyMap<string, Operator> = new Map([
  ["string_equal", equal],
  ["string_not_equal", not(equal)],
  ["string_equal_ignore_case", equalIgnoringCase],
  ["string_not_equal_ignore_case", not(equalIgnoringCase)],
  ["string_like", like],
  ["string_not_like", not(like)],
  ["binary_equal", equal],
  ["numeric_equal", number((actual, value) => actual === value)],
  ["numeric_not_equal", not(number((actual, value) => actual === value))],
  ["numeric_greater_than", number((actual, value) => actual > value)],
  ["numeric_greater_than_equal", number((actual, value) => actual >= value)],
  ["numeric_less_than", number((actual, value) => actual < value)],
  ["numeric_less_than_equal", number((actual, value) => actual <= value)],
  ["date_equal", date((actual, value) => actual === value)],
  ["date_not_equal", not(date((actual, value) => actual === value))],
  ["date_greater_than", date((actual, value) => actual > value)],
  ["date_greater_than_equal", date((actual, value) => actual >= value)],
  ["date_less_than", date((actual, value) => actual < value)],
  ["date_less_than_equal", date((actual, value) => actual <= value)],
  ["ip_equal", address],
  ["ip_not_equal", not(address)],
  ["bool_equal", bool],
]);

const QUALIFIERS = ["for_any_value:", "for_all_value:"] as const;
const IF_EXIST = "_if_exist";

/** How the values of a request are held against those of a policy. */
type Quantifier = (actual: readonly RequestValue[], matches: (value: RequestValue) => boolean) => boolean;

const some: Quantifier = (actual, matches) => actual.some((value) => matches(value));
const every: Quantifier = (actual, matches) => actual.every((value) => matches(value));

/**
 * Reads one condition, or tells what is wrong with it. A key that the request does not have makes it false, also in the
 * negative forms, unless the operator ends in `_if_exist`; then it makes it true.
 */
export function readCondition(operator: string, key: string, values: readonly string[]): Condition | string {
  const lower = operator.toLowerCase();
  const qualifier = QUALIFIERS.find((one) => lower.startsWith(one));
  const rest = qualifier === undefined ? lower : lower.slice(qualifier.length);
  const optional = rest.endsWith(IF_EXIST);
  const known = OPERATORS.get(optional ? rest.slice(0, -IF_EXIST.length) : rest);
  if (known === undefined) return "there is no such operator";
  const compares: Compare[] = [];
  for (const value of values) {
    const compare = known.compile(value);
    if (compare === undefined) return `expected ${known.expected}, found ${JSON.stringify(value)}`;
    compares.push(compare);
  }
  const matches = (value: RequestValue): boolean => {
    const hit = compares.some((compare) =>
      typeof value === "string" ? compare(value) : value.some((spelling) => compare(spelling)),
    );
    return known.negative === true ? !hit : hit;
  };
  // Without a qualifier one of several values is enough to match, and one that matches is enough to break a negative.
  const quantifier =
    qualifier === "for_all_value:" || (qualifier === undefined && known.negative === true) ? every : some;
  const lowerKey = key.toLowerCase();
  return {
    operator,
    key: lowerKey,
    values,
    holds(request) {
      const actual = request(lowerKey);
      return actual === undefined ? optional : quantifier(actual, matches);
    },
  };
}
