import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { contentTypeOf } from "./content-types.ts";

describe("the type of an object whose upload named none", () => {
  it.each([
    ["1.zip", "application/zip"],
    ["folder/1.txt", "text/plain"],
    ["PHOTO.JPG", "image/jpeg"],
    ["archive.tar.gz", "application/gzip"],
    [".json", "application/json"],
    ["报告.pdf", "application/pdf"],
    ["1", "application/octet-stream"],
    ["", "application/octet-stream"],
    ["folder.zip/", "application/octet-stream"],
    ["folder.zip/file", "application/octet-stream"],
    ["ends.", "application/octet-stream"],
    ["a.constructor", "application/octet-stream"],
    ["a.__proto__", "application/octet-stream"],
    ["two words.txt ", "application/octet-stream"],
  ])("%j is %s", (key, type) => {
    assert.equal(contentTypeOf(key), type);
  });
});
