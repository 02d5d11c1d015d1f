import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { readHeaders } from "./headers.ts";

const FIELDS_MAX = 100;

describe("readHeaders", () => {
  it("gives fields by lower-case name, in the order received", () => {
    const headers = readHeaders(["Host", "a", "X-Cos-Meta-B", "c"], FIELDS_MAX);
    assert.equal(headers.get("x-cos-meta-b"), "c");
    assert.deepEqual(
      [...headers.entries()],
      [
        ["host", "a"],
        ["x-cos-meta-b", "c"],
      ],
    );
  });

  it("takes an empty or blank value as absent, and still gives it raw", () => {
    const headers = readHeaders(["Cache-Control", "", "Content-Type", " \t"], FIELDS_MAX);
    assert.equal(headers.get("cache-control"), undefined);
    assert.equal(headers.raw("cache-control"), "");
    assert.equal(headers.get("content-type"), undefined);
    assert.equal(headers.raw("expires"), undefined);
  });

  it("trims blanks and tabs, and not the last byte of a UTF-8 letter", () => {
    const headers = readHeaders(["A", "\t b \u00c3\u00a0 "], FIELDS_MAX);
    assert.equal(headers.get("a"), "b \u00c3\u00a0");
  });

  it("joins repeated fields that may be repeated", () => {
    assert.equal(readHeaders(["Accept", "a", "accept", "b"], FIELDS_MAX).get("accept"), "a, b");
  });

  it("BadRquest: a repeated field that may occur once, whatever its case", () => {
    for (const name of ["Host", "Authorization", "Content-Length", "If-None-Match", "x-cos-meta-a", "x-ci-a"]) {
      assert.throws(() => readHeaders([name, "a", name.toUpperCase(), "a"], FIELDS_MAX), { id: "BadRquest" }, name);
    }
  });

  it("BadRquest: one field more than allowed", () => {
    const fields = (count: number): string[] => Array.from({ length: count }, (_, n) => [`a${n}`, ""]).flat();
    assert.doesNotThrow(() => readHeaders(fields(FIELDS_MAX), FIELDS_MAX));
    assert.throws(() => readHeaders(fields(FIELDS_MAX + 1), FIELDS_MAX), { id: "BadRquest" });
  });

  it("keeps fields named like members of an object apart from them", () => {
    const headers = readHeaders(["__proto__", "a", "constructor", "b"], FIELDS_MAX);
    assert.equal(headers.get("__proto__"), "a");
    assert.equal(headers.get("constructor"), "b");
    assert.equal(headers.get("tostring"), undefined);
    assert.equal(headers.get("hasOwnProperty"), undefined);
  });
});
