import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { readHeaders } from "../http/headers.ts";
import { parseTarget } from "../http/target.ts";
import { refuseUnbuiltInputs } from "./unbuilt-inputs.ts";

function refuseUnbuilt(query: string, headers: Readonly<Record<string, string>> = {}): void {
  const target = parseTarget("GET", `/key?${query}`, "demo-1250000000.cos.ap-guangzhou.myqcloud.com");
  refuseUnbuiltInputs({ target, headers: readHeaders(Object.entries(headers).flat(), 10) }, new Set());
}

describe("inputs of features that are not built", () => {
  it.each(["versionId=", "versionId", "VersionId=", "versionid=&versionId="])(
    "?%s names no version, as coscli writes it",
    (query) => {
      refuseUnbuilt(query);
    },
  );

  it("NotImplemented: a version, a flag or a header with a value", () => {
    const refusal = { code: "NotImplemented" };
    assert.throws(() => refuseUnbuilt("versionId=null"), refusal);
    assert.throws(() => refuseUnbuilt("versionId=&versionId=null"), refusal);
    assert.throws(() => refuseUnbuilt("recursive"), refusal);
    assert.throws(() => refuseUnbuilt("", { "x-cos-tagging": "a=b" }), refusal);
  });

  it("do not stand in empty headers", () => {
    refuseUnbuilt("", { "x-cos-tagging": "" });
  });
});
