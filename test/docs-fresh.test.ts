import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "vitest";
import { PAGES, ROOT } from "../scripts/docs/pages.ts";

describe("generated documentation", () => {
  for (const page of PAGES) {
    it(`${page.path} is what its tables say (npm run docs renews it)`, async () => {
      assert.equal(readFileSync(new URL(page.path, ROOT), "utf8"), await page.render());
    });
  }
});
