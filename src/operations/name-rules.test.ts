import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { bucketNameFault, keyFault } from "./name-rules.ts";

describe("the name of a new bucket", () => {
  const fits = "a".repeat(60 - "-125.cos.ap-guangzhou.myqcloud.com".length);
  it.each([
    ["demo-125", undefined],
    ["d-1", undefined],
    [`${fits}-125`, undefined],
    [`${fits}a-125`, "BucketNameTooLong"],
    ["demo", "InvalidBucketName"],
    ["Demo-125", "InvalidBucketName"],
    ["demo--125", "InvalidBucketName"],
    ["-demo-125", "InvalidBucketName"],
    ["demo-125-", "InvalidBucketName"],
    ["de.mo-125", "InvalidBucketName"],
    ["demo-125\n", "InvalidBucketName"],
    ["", "InvalidBucketName"],
  ])("%j: %s", (name, fault) => assert.equal(bucketNameFault(name, "ap-guangzhou", 60), fault));
});

describe("a key", () => {
  it.each([
    ["a", undefined, undefined],
    ["a//b/../.", undefined, undefined],
    ["\r\n\u0001\u0017\u001c", undefined, undefined],
    ["__proto__", undefined, undefined],
    ["/", undefined, "InvalidObjectName"],
    ["/a", undefined, "InvalidObjectName"],
    ["\\a", undefined, "InvalidObjectName"],
    ["a\\", undefined, undefined],
    ["a\u0018", undefined, "InvalidObjectName"],
    ["\u0019", undefined, "InvalidObjectName"],
    ["\u001a", undefined, "InvalidObjectName"],
    ["a\u001bb", undefined, "InvalidObjectName"],
    ["a".repeat(850), undefined, undefined],
    ["a".repeat(851), "KeyTooLong", "KeyTooLong"],
    ["报".repeat(283), undefined, undefined],
    ["报".repeat(284), "KeyTooLong", "KeyTooLong"],
    ["😀".repeat(212), undefined, undefined],
    ["😀".repeat(213), "KeyTooLong", "KeyTooLong"],
  ])("%j: reading %s, writing %s", (key, reading, writing) => {
    assert.deepEqual([keyFault(key, false, 850), keyFault(key, true, 850)], [reading, writing]);
  });

  it("is measured against the limit that is set", () => assert.equal(keyFault("abcd", true, 3), "KeyTooLong"));
});
