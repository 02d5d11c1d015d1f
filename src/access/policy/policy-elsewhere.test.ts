import assert from "node:assert/strict";
import { it } from "vitest";
import { policyElsewhere } from "./policy-elsewhere.ts";

it("names another bucket and its account in a policy, and none whose name only contains theirs", () => {
  const policyOf = (...resource: readonly string[]): string => JSON.stringify({ statement: { resource } });
  const before = policyOf(
    "qcs::cos:ap-guangzhou:uid/125:demo-125/*",
    "qcs::cos:*:uid/1250:demo-1250/*",
    "qcs::cos:*:uid/125:my-demo-125/a",
    "demo-125.cos.ap-guangzhou.myqcloud.com/b",
  );
  assert.equal(
    policyElsewhere(before, "demo-125", "copy-777"),
    policyOf(
      "qcs::cos:ap-guangzhou:uid/777:copy-777/*",
      "qcs::cos:*:uid/1250:demo-1250/*",
      "qcs::cos:*:uid/777:my-demo-125/a",
      "copy-777.cos.ap-guangzhou.myqcloud.com/b",
    ),
  );
});
