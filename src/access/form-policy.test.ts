import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { checkFormLength, checkFormPolicy, readFormPolicy } from "./form-policy.ts";

const BOUNDS = { bytesMax: 4096, conditionsMax: 5 };
const END = "2023-11-14T23:13:20.000Z";
const base64 = (document: unknown): string =>
  Buffer.from(typeof document === "string" ? document : JSON.stringify(document)).toString("base64");
const read = (conditions: unknown, expiration: unknown = END) =>
  readFormPolicy(base64({ expiration, conditions }), BOUNDS);

describe("the policy of a form", () => {
  it.each([
    ["no Base64", "{"],
    ["no JSON", base64("{")],
    ["a list", base64([])],
    ["no expiration", base64({ conditions: [{ a: "b" }] })],
    ["an expiration that is no time", base64({ expiration: "2023-99-14T23:13:20Z", conditions: [{ a: "b" }] })],
    ["no conditions", base64({ expiration: END })],
    ["empty conditions", base64({ expiration: END, conditions: [] })],
    ["another operator", base64({ expiration: END, conditions: [["matches", "$key", ".*"]] })],
    ["a field without $", base64({ expiration: END, conditions: [["eq", "key", "a"]] })],
    ["a value that is no text", base64({ expiration: END, conditions: [{ key: ["a"] }] })],
    ["a range out of order", base64({ expiration: END, conditions: [["content-length-range", 2, 1]] })],
    ["a range below zero", base64({ expiration: END, conditions: [["content-length-range", -1, 1]] })],
    ["six conditions", base64({ expiration: END, conditions: Array.from({ length: 6 }, () => ({ a: "b" })) })],
    ["4097 bytes", base64(" ".repeat(4097))],
  ])("InvalidPolicyDocument: %s", (_, encoded) =>
    assert.throws(() => readFormPolicy(encoded, BOUNDS), { code: "InvalidPolicyDocument" }),
  );

  const fields = new Map([
    ["key", "docs/a"],
    ["q-key-time", "1;2"],
  ]);
  const form = {
    fields,
    buckets: ["demo-1250000000", "demo"],
    nowMs: Date.parse(END) - 1,
    mayBeUncovered: () => true,
  };

  it("holds until its expiration, for fields in any case", () => {
    const policy = read([
      { Bucket: "demo-1250000000", "q-sign-time": "1;2" },
      ["starts-with", "$KEY", "docs/"],
      ["EQ", "$key", "docs/a"],
      ["starts-with", "$key", ""],
    ]);
    checkFormPolicy(policy, form);
    assert.throws(() => checkFormPolicy(policy, { ...form, nowMs: form.nowMs + 1 }), {
      message: /expiration time: 1700003600 but the time now : 1700003600$/,
    });
  });

  it.each([
    [{ bucket: "other-1250000000" }, "bucket", "[other-1250000000]"],
    [{ key: "docs/" }, "key", "docs/"],
    [["starts-with", "$key", "x"], "key", "x"],
    [["starts-with", "$acl", ""], "acl", ""],
    [JSON.parse('{"__proto__":"x"}'), "__proto__", "x"],
  ])("AccessDenied: %j", (condition, field, value) =>
    assert.throws(() => checkFormPolicy(read([condition]), form), {
      code: "AccessDenied",
      message: `Condition key ${field} doesn't match the value ${value}`,
    }),
  );

  it("AccessDenied: a field that no condition speaks of, where each has to be covered", () => {
    const policy = read([["starts-with", "$key", ""], { bucket: "demo" }]);
    checkFormPolicy(policy, { ...form, mayBeUncovered: (field) => field === "q-key-time" });
    assert.throws(() => checkFormPolicy(policy, { ...form, mayBeUncovered: () => false }), {
      code: "AccessDenied",
      message: "Invalid according to Policy: Extra input fields: q-key-time",
    });
  });

  it("bounds the file at both ends, by every range", () => {
    const policy = read([
      ["content-length-range", 1, 10],
      ["content-length-range", "3", 20],
    ]);
    for (const bytes of [3, 10]) checkFormLength(policy, bytes, true);
    checkFormLength(policy, 2, false);
    assert.throws(() => checkFormLength(policy, 2, true), { code: "EntityTooSmall" });
    assert.throws(() => checkFormLength(policy, 11, false), { code: "EntityTooLarge" });
    checkFormLength(read([{ a: "b" }]), 1, true);
  });
});
