import assert from "node:assert/strict";
import { it, vi } from "vitest";
import { DAY_MS, inClass, tierOf, type Tiering, type TieringRule } from "./storage-class.ts";
import * as tags from "./tags.ts";
import type { ObjectRecord } from "./records.ts";

const rule = (id: string, more: Partial<TieringRule> = {}): TieringRule => ({
  id,
  enabled: true,
  prefix: "",
  tags: [],
  archiveDays: 90,
  deepArchiveDays: 180,
  ...more,
});
const tiering = (...rules: readonly TieringRule[]): Tiering => ({ days: 30, rules });
const NOW_MS = Date.UTC(2026, 2, 1);
const ACCESSED = 19;
const kept = { size: 64 * 1024, modifiedMs: NOW_MS, storageClass: "INTELLIGENT_TIERING", sections: [] };

it("archives no object of which an older version kept only that it came as infrequent", () => {
  const object = { ...kept, sections: [{ tag: ACCESSED, bytes: Buffer.alloc(6) }] };
  assert.equal(tierOf(object, "k", tiering(rule("cold")), NOW_MS), "INFREQUENT");
  assert.equal(tierOf(object, "k", tiering(rule("cold")), NOW_MS + 1000 * DAY_MS), "INFREQUENT");
});

it("counts the days of archive tiers from when an object came", () => {
  const before = {
    ...kept,
    modifiedMs: NOW_MS - 1000 * DAY_MS,
    storageClass: "STANDARD_IA",
  } as unknown as ObjectRecord;
  const object = inClass(before, "INTELLIGENT_TIERING", NOW_MS);
  const tierAfter = (days: number) => tierOf(object, "k", tiering(rule("cold")), NOW_MS + days * DAY_MS);
  assert.deepEqual([0, 89, 90, 179, 180].map(tierAfter), [
    "INFREQUENT",
    "INFREQUENT",
    "ARCHIVE_ACCESS",
    "ARCHIVE_ACCESS",
    "DEEP_ARCHIVE_ACCESS",
  ]);
});

it("decodes the tags of an object once for all rules", () => {
  const decoded = vi.spyOn(tags, "keptTags");
  const of = (value: string) => rule(value, { tags: [["a", value]] });
  const object = { ...kept, sections: tags.tagSections([["a", "3"]]) };
  const tier = tierOf(object, "k", tiering(of("1"), of("2"), of("3")), NOW_MS + 100 * DAY_MS);
  assert.deepEqual([tier, decoded.mock.calls.length], ["ARCHIVE_ACCESS", 1]);
});
