import assert from "node:assert/strict";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, it } from "vitest";
import type { MetadataEngine } from "../../src/ports/metadata.ts";
import { objectKey, uploadKey } from "../../src/store/keys.ts";
import type { ListQuery } from "../../src/store/listing.ts";
import { bodyOf, EMPTY_BODY, encodeObject, encodeUpload } from "../../src/store/records.ts";
import type { Store } from "../../src/store/store.ts";
import { isUploadId } from "../../src/store/uploads.ts";
import { DISKS, memoryDisk, openOn } from "./store-fixture.ts";

const KEYS = 100_000;
const BUCKET_ID = "00000000000000ff";
const NEIGHBOURS = ["00000000000000fe", "0000000000000100", "ffffffffffffffff"];
const SEED = 20_240_501;

/** Keys of many shapes: flat, deep, hidden masses under one prefix, keys that end in the delimiter, every plane of Unicode. */
function makeKeys(): string[] {
  const keys = new Set<string>([
    "",
    "/",
    "//",
    "a",
    "a/",
    "a//",
    "a/b",
    "a/b/",
    "a0",
    "a!",
    "z/\u{10ffff}",
    "\u{10ffff}/x",
  ]);
  keys.delete("");
  let state = SEED;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const words = ["a", "b", "photo", "é", "日本", "😀", "\u007f", "-", "log", " ", "\u0001"];
  const word = () => words[random(words.length)] as string;
  for (let at = 0; keys.size < KEYS * 0.4; at++) keys.add(`hidden/${at % 3}/${at}`);
  for (let at = 0; keys.size < KEYS * 0.6; at++) keys.add(`flat-${at}`);
  for (let at = 0; keys.size < KEYS * 0.8; at++) keys.add(`dir${at}/${word()}`);
  for (let at = 0; keys.size < KEYS; at++)
    keys.add(`${word()}${random(40)}/${word()}/${word()}${at}${random(5) === 0 ? "/" : ""}`);
  return [...keys];
}

const bytewise = (a: string, b: string): number => Buffer.from(a).compare(Buffer.from(b));

interface Page {
  readonly keys: readonly string[];
  readonly prefixes: readonly string[];
  readonly truncated: boolean;
  readonly next: string | undefined;
}

/** What a listing is, said in the plainest way: all items, then those after the marker, then the first so many. */
function model(sorted: readonly string[]) {
  const items = new Map<string, readonly { item: string; bytes: Buffer; key: boolean }[]>();
  const itemsOf = (prefix: string, delimiter: string | undefined) => {
    const name = JSON.stringify([prefix, delimiter]);
    let found = items.get(name);
    if (!found) {
      const list: { item: string; bytes: Buffer; key: boolean }[] = [];
      const seen = new Set<string>();
      for (const key of sorted) {
        if (!key.startsWith(prefix)) continue;
        const at = delimiter ? key.indexOf(delimiter, prefix.length) : -1;
        if (at < 0) {
          list.push({ item: key, bytes: Buffer.from(key), key: true });
          continue;
        }
        const common = key.slice(0, at + (delimiter as string).length);
        if (!seen.has(common)) list.push({ item: common, bytes: Buffer.from(common), key: false });
        seen.add(common);
      }
      found = list;
      items.set(name, found);
    }
    return found;
  };
  return ({ prefix, delimiter, marker, limit }: ListQuery): Page => {
    const after = Buffer.from(marker ?? "");
    const rest = itemsOf(prefix, delimiter).filter(({ bytes }) => after.length === 0 || bytes.compare(after) > 0);
    const page = rest.slice(0, limit);
    const truncated = limit > 0 && rest.length > limit;
    return {
      keys: page.filter(({ key }) => key).map(({ item }) => item),
      prefixes: page.filter(({ key }) => !key).map(({ item }) => item),
      truncated,
      next: truncated ? page.at(-1)?.item : undefined,
    };
  };
}

/** Counts what a listing reads. */
function counted(engine: MetadataEngine): { engine: MetadataEngine; rows: () => number; reset: () => void } {
  let rows = 0;
  return {
    engine: {
      async read(ranges) {
        const found = await engine.read(ranges);
        for (const some of found) rows += some.length;
        return found;
      },
      commit: (seen, writes) => engine.commit(seen, writes),
      close: () => engine.close(),
    },
    rows: () => rows,
    reset: () => {
      rows = 0;
    },
  };
}

function objectOfSize(size: number): Buffer {
  const id = "0".repeat(32);
  return encodeObject({
    size,
    modifiedMs: 1,
    versioned: false,
    supersededMs: undefined,
    sequence: 1,
    etag: id,
    crc64: 0n,
    storageClass: "STANDARD",
    type: "normal",
    ownerUin: "100000000001",
    headers: {},
    metadata: [],
    sections: [],
    body: size === 0 ? EMPTY_BODY : bodyOf(undefined, [{ kind: "inline", id, offset: 0, length: size }]),
  });
}

async function fill(engine: MetadataEngine, rows: Iterable<readonly [Buffer, Buffer]>): Promise<void> {
  let batch: { key: Buffer; value: Buffer }[] = [];
  for (const [key, value] of rows) {
    batch.push({ key, value });
    if (batch.length === 1_000) {
      assert.ok(await engine.commit([], batch));
      batch = [];
    }
  }
  assert.ok(await engine.commit([], batch));
}

describe.each(DISKS)("listing 100,000 keys on %s", (_, disk) => {
  const keys = makeKeys();
  const sorted = [...keys].sort(bytewise);
  const expected = model(sorted);
  const sizes = new Map(sorted.map((key, at) => [key, at % 7]));
  let store: Store;
  const cleanups: (() => Promise<void>)[] = [];
  let rowsRead: () => number;
  let reset: () => void;

  beforeAll(async () => {
    const cleanup = (task: () => Promise<void>): void => void cleanups.push(task);
    const { metadata, blobs } = await (await disk(cleanup)).open();
    const count = counted(metadata);
    ({ rows: rowsRead, reset } = count);
    store = await openOn({ metadata: count.engine, blobs }, {}, cleanup);
    function* rows(): Iterable<readonly [Buffer, Buffer]> {
      const values = Array.from({ length: 7 }, (_unused, size) => objectOfSize(size));
      for (const key of keys) yield [objectKey(BUCKET_ID, key), values[sizes.get(key) as number] as Buffer];
      // Neighbours on both sides must never show.
      for (const id of NEIGHBOURS)
        for (const key of ["a", "a/b", "\u{10ffff}"]) yield [objectKey(id, key), values[0] as Buffer];
    }
    await fill(metadata, rows());
  }, 60_000);

  afterAll(async () => {
    for (const task of cleanups.reverse()) await task();
  });

  async function check(query: ListQuery): Promise<Page> {
    const page = await store.objects.list(BUCKET_ID, query);
    const got: Page = {
      keys: page.objects.map(({ key }) => key),
      prefixes: page.prefixes,
      truncated: page.truncated,
      next: page.nextMarker,
    };
    assert.deepEqual(got, expected(query), JSON.stringify(query));
    for (const { key, head } of page.objects) assert.equal(head.size, sizes.get(key));
    return got;
  }

  /** Checks at most `pagesMax` pages, each from where the last one ended, and says how many there were. */
  async function checkAll(query: Omit<ListQuery, "marker">, pagesMax: number): Promise<number> {
    let marker: string | undefined;
    for (let pages = 1; pages <= pagesMax; pages++) {
      const page = await check({ ...query, marker });
      if (!page.truncated) return pages;
      marker = page.next;
    }
    return pagesMax;
  }

  const PREFIXES = [
    "",
    "a",
    "a/",
    "hidden/",
    "hidden/1/",
    "flat-1",
    "dir",
    "é",
    "日本3",
    "😀",
    "nothing",
    "\u{10ffff}",
    "z/",
  ];
  const DELIMITERS = [undefined, "/", "-", "1", "é", "😀", "\u{10ffff}"];

  it("pages through everything, for every prefix and delimiter of a grid", async () => {
    for (const prefix of PREFIXES) {
      for (const delimiter of DELIMITERS) {
        for (const limit of [1_000, 333]) await checkAll({ prefix, delimiter, limit }, 6);
        await checkAll({ prefix, delimiter, limit: 1 }, 5);
        await check({ prefix, delimiter, limit: 0, marker: undefined });
      }
    }
    assert.equal(await checkAll({ prefix: "", delimiter: undefined, limit: 1_000 }, 200), KEYS / 1_000);
    assert.ok((await checkAll({ prefix: "", delimiter: "/", limit: 1_000 }, 200)) < KEYS / 1_000);
  }, 120_000);

  const anyKey = fc.nat({ max: sorted.length - 1 }).map((at) => sorted[at] as string);
  const cut = fc.tuple(anyKey, fc.double({ min: 0, max: 1, noNaN: true })).map(([key, share]) => {
    const letters = Array.from(key);
    return letters.slice(0, Math.round(letters.length * share)).join("");
  });
  const prefix = fc.oneof({ arbitrary: fc.constantFrom(...PREFIXES), weight: 3 }, { arbitrary: cut, weight: 1 });
  const marker = fc.oneof(
    fc.constant(undefined),
    anyKey,
    cut,
    cut.map((key) => `${key}/`),
    cut.map((key) => `${key}\u{10ffff}`),
    fc.string({ unit: "grapheme", maxLength: 3 }),
  );
  const limit = fc.oneof(fc.integer({ min: 1, max: 1_000 }), fc.constantFrom(1, 2, 3, 10, 999, 1_000));

  it("shows the page that the sorted array gives, for any prefix, delimiter, marker and page size", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({ prefix, delimiter: fc.constantFrom(...DELIMITERS), marker, limit }),
        async (query) => {
          const page = await check(query);
          assert.ok(page.keys.length + page.prefixes.length <= query.limit);
        },
      ),
      { numRuns: 300, seed: SEED },
    );
  }, 120_000);

  it("reads in proportion to the page, not to what common prefixes hide", async () => {
    for (const [query, most] of [
      [{ prefix: "", delimiter: "/", marker: "hidden", limit: 1 }, 150],
      [{ prefix: "hidden/", delimiter: "/", marker: undefined, limit: 1_000 }, 150],
      [{ prefix: "", delimiter: "h", marker: undefined, limit: 10 }, 200],
      [{ prefix: "", delimiter: "/", marker: undefined, limit: 1_000 }, 5_000],
      [{ prefix: "", delimiter: undefined, marker: undefined, limit: 1_000 }, 1_001],
      [{ prefix: "", delimiter: undefined, marker: undefined, limit: 1 }, 2],
    ] as const) {
      reset();
      await check(query);
      assert.ok(rowsRead() <= most, `${JSON.stringify(query)} read ${rowsRead()} rows`);
    }
  });
});

describe("listing uploads", () => {
  it("shows uploads by key and then by id, in pages that go on within one key", async () => {
    const { metadata, blobs } = await memoryDisk().open();
    const store = await openOn({ metadata, blobs });
    const id = (at: number): string => `17000000${String(at).padStart(2, "0")}${"0af".repeat(22).slice(0, 64)}`;
    const keys = ["a", "a/b", "a/b", "a/c", "b", "b", "b", "b!", "b\u0001", "c/d/e"];
    const names = keys.map((key, at) => ({ key, uploadId: id(at) }));
    for (const { uploadId } of names) assert.ok(isUploadId(uploadId));
    const record = encodeUpload({
      initiatedMs: 1,
      ownerUin: "1",
      initiatorUin: "1",
      storageClass: "STANDARD",
      headers: {},
      metadata: [],
      state: { kind: "open" },
      sections: [],
    });
    await fill(
      metadata,
      names.map(({ key, uploadId }) => [uploadKey(BUCKET_ID, key, uploadId), record] as const),
    );
    const sorted = [...names].sort((a, b) => bytewise(a.key, b.key) || bytewise(a.uploadId, b.uploadId));

    // "0" and "a" occur in the ids, which must not be searched for the delimiter.
    for (const delimiter of [undefined, "/", "0", "a"]) {
      for (const prefix of ["", "a", "b", "a/"]) {
        for (const limit of [1, 2, 3, 100]) {
          const shown: string[] = [];
          let marker: string | undefined;
          let uploadIdMarker: string | undefined;
          for (let pages = 0; pages < 30; pages++) {
            const page = await store.uploads.list(BUCKET_ID, { prefix, delimiter, marker, limit }, uploadIdMarker);
            assert.ok(page.uploads.length + page.prefixes.length <= limit);
            const items = [
              ...page.prefixes.map((common) => ({ at: common, text: `${common}…` })),
              ...page.uploads.map(({ key, uploadId }) => ({ at: `${key}\0${uploadId}`, text: `${key} ${uploadId}` })),
            ];
            shown.push(...items.sort((x, y) => bytewise(x.at, y.at)).map(({ text }) => text));
            if (!page.truncated) break;
            marker = page.nextKeyMarker;
            uploadIdMarker = page.nextUploadIdMarker;
          }
          const expected: string[] = [];
          for (const { key, uploadId } of sorted) {
            if (!key.startsWith(prefix)) continue;
            const at = delimiter === undefined ? -1 : key.indexOf(delimiter, prefix.length);
            const text = at < 0 ? `${key} ${uploadId}` : `${key.slice(0, at + 1)}…`;
            if (expected.at(-1) !== text) expected.push(text);
          }
          assert.deepEqual(shown, expected, JSON.stringify({ delimiter, prefix, limit }));
        }
      }
    }
    const after = await store.uploads.list(BUCKET_ID, { prefix: "", delimiter: undefined, marker: "b", limit: 100 });
    assert.deepEqual(
      after.uploads.map(({ key }) => key),
      ["b\u0001", "b!", "c/d/e"],
    );
  });
});
