import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { readHeaders } from "../http/headers.ts";
import { parseTarget } from "../http/target.ts";
import { refuseUnbuiltInputs, refuseVersion } from "./unbuilt-inputs.ts";

function refuseUnbuilt(query: string, headers: Readonly<Record<string, string>> = {}): void {
  const target = parseTarget("GET", `/key?${query}`, "demo-1250000000.cos.ap-guangzhou.myqcloud.com");
  refuseUnbuiltInputs({ target, headers: readHeaders(Object.entries(headers).flat(), 10) }, new Set());
}

describe("inputs of features that are not built", () => {
  it("NotImplemented: a flag or a header with a value", () => {
    const refusal = { code: "NotImplemented" };
    assert.throws(() => refuseUnbuilt("recursive"), refusal);
    assert.throws(() => refuseUnbuilt("", { "x-cos-symlink-target": "a" }), refusal);
  });

  it("do not stand in empty headers", () => {
    refuseUnbuilt("", { "x-cos-symlink-target": "" });
  });
});

describe("a version where the operation is about none", () => {
  const target = (query: string) =>
    parseTarget("PUT", `/key?${query}`, "demo-1250000000.cos.ap-guangzhou.myqcloud.com");

  it.each(["versionId=", "versionId", "VersionId=", "versionid=&versionId=", ""])(
    "?%s names no version, as coscli writes it",
    (query) => {
      refuseVersion({ target: target(query) }, new Set());
    },
  );

  it("InvalidArgument: in any case, and however often", () => {
    for (const query of ["versionId=null", "VERSIONID=x", "versionId=&versionId=null"]) {
      assert.throws(() => refuseVersion({ target: target(query) }, new Set()), { code: "InvalidArgument" });
      refuseVersion({ target: target(query) }, new Set(["versionid"]));
    }
  });
});
