import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { systemClock } from "../../src/engines/clock/system.ts";
import { checkStore } from "../../src/store/check.ts";
import type { BucketRecord, VersionRecord } from "../../src/store/records.ts";
import type { Store } from "../../src/store/store.ts";
import { parseVersionId, versionIdOf } from "../../src/store/version-id.ts";
import {
  append,
  bytesOf,
  copy,
  DISKS,
  type Engines,
  get,
  makeBucket,
  memoryDisk,
  openOn,
  pattern,
  put,
  remove,
  rowsOf,
  setVersioning,
} from "./store-fixture.ts";

const BUCKET = "demo-1250000000";

async function opened(make = async () => memoryDisk(), versioning?: "Enabled" | "Suspended") {
  const engines = await (await make()).open();
  const store = await openOn(engines, { inlineMax: 100 });
  await makeBucket(store, BUCKET);
  const bucket = versioning && (await setVersioning(store, BUCKET, versioning));
  return { engines, store, bucket: bucket as BucketRecord };
}

/** All versions of a bucket, in few words: key, id, whether latest, and the size or `marker`. */
async function listed(
  store: Store,
  bucket: BucketRecord,
  ask: Partial<Parameters<Store["objects"]["listVersions"]>[1]> = {},
) {
  const query = { prefix: "", delimiter: undefined, marker: "", limit: 1_000, versionMarker: undefined, ...ask };
  return store.objects.listVersions(bucket, query);
}

function told(key: string, version: { readonly type: string; readonly size?: number }, isLatest: boolean): string {
  return `${key} ${version.type === "delete-marker" ? "marker" : version.size}${isLatest ? " latest" : ""}`;
}

async function shown(store: Store, bucket: BucketRecord): Promise<string[]> {
  const { versions } = await listed(store, bucket);
  return versions.map(({ key, version, isLatest }) => told(key, version, isLatest));
}

async function assertWhole({ metadata, blobs }: Engines): Promise<void> {
  const found: string[] = [];
  await checkStore(
    { rows: metadata, blobs, inUse: false },
    { onFinding: ({ kind, where, why }) => found.push(`${kind} ${where} ${why}`) },
  );
  assert.deepEqual(
    found.filter((one) => !one.startsWith("garbage")),
    [],
  );
}

const idOf = (record: Pick<VersionRecord, "sequence" | "versioned">) => parseVersionId(versionIdOf(record));

describe("version ids", () => {
  it("have the service's form, and sort the newest first", () => {
    // The sample of the reference page, and the moment that it stands for.
    const id = "MTg0NDUxMzY2NDIxNTAwOTk4NzA";
    const sequence = parseVersionId(id);
    assert.equal(new Date(Number(sequence) / 1_000).toISOString(), "2020-12-08T12:45:59.451Z");
    assert.equal(versionIdOf({ sequence: Number(sequence), versioned: true }), id);
    assert.ok(versionIdOf({ sequence: Number(sequence) + 1, versioned: true }) < id);
    assert.equal(versionIdOf({ sequence: 5, versioned: false }), "null");
    assert.equal(parseVersionId("null"), "null");
  });

  it("have one spelling each; everything else names nothing", () => {
    const bad = [
      "",
      "x",
      "NULL",
      "MTg0NDUxMzY2NDIxNTAwOTk4NzA=",
      "MTg0NDUxMzY2NDIxNTAwOTk4NzB",
      "LTE4NDQ1MTM2NjQyMTUwMDk5ODc",
      "99",
    ];
    bad.push(
      Buffer.from("18446744073709551615").toString("base64url"),
      Buffer.from("99999999999999999999").toString("base64url"),
    );
    bad.push("A".repeat(100_000), "MTg0NDUxMzY2NDIxNTAwOTk4NzA\n");
    for (const text of bad) assert.equal(parseVersionId(text), 0, text.slice(0, 40));
  });
});

describe.each(DISKS)("versions on %s", (_, make) => {
  it("leave no trace where versioning was never configured", async () => {
    const { engines, store } = await opened(make);
    await put(store, BUCKET, "k", pattern(10));
    await put(store, BUCKET, "k", pattern(20));
    assert.deepEqual(await remove(store, BUCKET, "k"), [
      { found: true, versionId: undefined, deleteMarker: false, locked: false },
    ]);
    assert.deepEqual(await remove(store, BUCKET, "k", "null", 7), [
      { found: false, versionId: undefined, deleteMarker: false, locked: false },
      { found: false, versionId: undefined, deleteMarker: false, locked: false },
    ]);
    await store.collector.idle();
    assert.deepEqual(await rowsOf(engines.metadata), []);
  });

  it("keep what a write replaces, and bring it back when the newer ones go", async () => {
    const { engines, store, bucket } = await opened(make, "Enabled");
    const first = await put(store, BUCKET, "k", pattern(50, 1));
    const second = await put(store, BUCKET, "k", pattern(5_000, 2));
    const third = await put(store, BUCKET, "k", pattern(60, 3));
    assert.deepEqual(await shown(store, bucket), ["k 60 latest", "k 5000", "k 50"]);
    assert.ok(first.sequence < second.sequence && second.sequence < third.sequence);

    const old = await store.objects.findVersion(bucket, "k", idOf(second));
    assert.ok(old && old.record.type !== "delete-marker" && old.record.supersededMs !== undefined);
    assert.ok((await bytesOf(store, old.record)).equals(pattern(5_000, 2)));

    const [marked] = await remove(store, BUCKET, "k");
    assert.equal(marked?.deleteMarker, true);
    assert.equal(await store.objects.find(bucket.id, "k"), undefined);
    assert.equal((await store.objects.findVersion(bucket, "k", undefined))?.record.type, "delete-marker");
    assert.deepEqual(await shown(store, bucket), ["k marker latest", "k 60", "k 5000", "k 50"]);
    await assertWhole(engines);

    assert.deepEqual(await remove(store, BUCKET, "k", parseVersionId(marked?.versionId ?? "")), [marked]);
    assert.ok((await get(store, bucket.id, "k")).equals(pattern(60, 3)), "the one before is current again");
    assert.equal((await store.objects.find(bucket.id, "k"))?.record.supersededMs, undefined);
    assert.deepEqual(await remove(store, BUCKET, "k", idOf(third)), [
      { found: true, versionId: versionIdOf(third), deleteMarker: false, locked: false },
    ]);
    assert.deepEqual(await shown(store, bucket), ["k 5000 latest", "k 50"]);
    await remove(store, BUCKET, "k", idOf(first));
    await assertWhole(engines);
    await remove(store, BUCKET, "k", idOf(second));
    await store.collector.idle();
    assert.deepEqual(await rowsOf(engines.metadata), []);
    assert.deepEqual(await engines.blobs.list(undefined, 10), []);
  });

  it("without an id there is one at most, wherever it stands", async () => {
    const { engines, store } = await opened(make);
    await put(store, BUCKET, "k", pattern(1, 1));
    const bucket = await setVersioning(store, BUCKET, "Enabled");
    await put(store, BUCKET, "k", pattern(2, 2));
    assert.deepEqual(await shown(store, bucket), ["k 2 latest", "k 1"]);
    const suspended = await setVersioning(store, BUCKET, "Suspended");
    const replaced = await put(store, BUCKET, "k", pattern(3, 3));
    assert.equal(replaced.versioned, false);
    assert.deepEqual(await shown(store, bucket), ["k 3 latest", "k 2"], "the older null version is replaced");
    await put(store, BUCKET, "k", pattern(4, 4));
    assert.deepEqual(await shown(store, bucket), ["k 4 latest", "k 2"]);
    await assertWhole(engines);
    assert.deepEqual(await remove(store, BUCKET, "k"), [
      { found: true, versionId: "null", deleteMarker: true, locked: false },
    ]);
    assert.deepEqual(await shown(store, bucket), ["k marker latest", "k 2"]);
    await remove(store, BUCKET, "k");
    assert.deepEqual(await shown(store, bucket), ["k marker latest", "k 2"], "another null marker takes its place");
    assert.equal((await store.objects.findVersion(suspended, "k", "null"))?.record.type, "delete-marker");
    await assertWhole(engines);
    await put(store, BUCKET, "k", pattern(5, 5));
    assert.deepEqual(await shown(store, bucket), ["k 5 latest", "k 2"]);
    await setVersioning(store, BUCKET, "Enabled");
    await put(store, BUCKET, "k", pattern(6, 6));
    await assertWhole(engines);
    assert.deepEqual(await shown(store, bucket), ["k 6 latest", "k 5", "k 2"]);
    assert.equal((await remove(store, BUCKET, "k", "null"))[0]?.found, true);
    assert.equal((await remove(store, BUCKET, "k", "null"))[0]?.found, false);
    assert.deepEqual(await shown(store, bucket), ["k 6 latest", "k 2"]);
    await assertWhole(engines);
  });

  it("keep their order when the clock is set back", async () => {
    const engines = await (await make()).open();
    const { clock: base } = { clock: systemClock() };
    let now = 2_000_000_000_000;
    const store = await openOn(engines, { clock: { ...base, now: () => now } });
    await makeBucket(store, BUCKET);
    const bucket = await setVersioning(store, BUCKET, "Enabled");
    await put(store, BUCKET, "k", pattern(1));
    now -= 1_000_000;
    await put(store, BUCKET, "k", pattern(2));
    await remove(store, BUCKET, "k");
    now -= 1_000_000;
    await remove(store, BUCKET, "k");
    await put(store, BUCKET, "k", pattern(3));
    assert.deepEqual(await shown(store, bucket), ["k 3 latest", "k marker", "k marker", "k 2", "k 1"]);
    await assertWhole(engines);
  });

  it("go many at a time, in the order they are named", async () => {
    const { engines, store, bucket } = await opened(make, "Enabled");
    const made = [];
    for (let at = 1; at <= 7; at++) made.push(await put(store, BUCKET, "k", pattern(at, at)));
    await remove(store, BUCKET, "k");
    // The newest, the oldest, a marker on top of what is left, one in the middle, one twice, one that never was.
    const { versions } = await listed(store, bucket);
    const marker = versions[0]?.version as VersionRecord;
    const ids = [marker, made[6], made[0], undefined, made[3], made[3]].map((one) => one && idOf(one));
    const fates = await remove(store, BUCKET, "k", ...ids, 12_345);
    assert.deepEqual(
      fates.map(({ found }) => found),
      [true, true, true, true, true, false, false],
    );
    assert.deepEqual(await shown(store, bucket), ["k marker latest", "k 6", "k 5", "k 3", "k 2"]);
    await assertWhole(engines);
    const rest = (await listed(store, bucket)).versions.map(({ version }) => idOf(version));
    await remove(store, BUCKET, "k", ...rest);
    await store.collector.idle();
    assert.deepEqual(await rowsOf(engines.metadata), []);
  });

  it("keep appendable objects apart: they are the version without an id, and destroy no other", async () => {
    const { engines, store, bucket } = await opened(make, "Enabled");
    await append(store, BUCKET, "log", pattern(10));
    await append(store, BUCKET, "log", pattern(10));
    assert.deepEqual(await shown(store, bucket), ["log 20 latest"]);
    assert.equal((await store.objects.find(bucket.id, "log"))?.record.versioned, false);
    await put(store, BUCKET, "log", pattern(5));
    await remove(store, BUCKET, "log");
    assert.deepEqual(await shown(store, bucket), ["log marker latest", "log 5", "log 20"]);
    await assert.rejects(append(store, BUCKET, "log", pattern(1)), { id: "ObjectNotAppendable" });
    assert.deepEqual(await shown(store, bucket), ["log marker latest", "log 5", "log 20"]);
    await remove(store, BUCKET, "log", "null");
    await append(store, BUCKET, "log", pattern(1));
    assert.deepEqual(await shown(store, bucket), ["log 1 latest", "log marker", "log 5"]);
    await assertWhole(engines);
  });

  it("share bytes with copies, which outlive them", async () => {
    const { engines, store, bucket } = await opened(make, "Enabled");
    const first = await put(store, BUCKET, "k", pattern(70_000, 1));
    await copy(store, BUCKET, bucket.id, "k", "twin");
    await put(store, BUCKET, "k", pattern(10, 2));
    await remove(store, BUCKET, "k", idOf(first));
    await store.collector.idle();
    assert.ok((await get(store, bucket.id, "twin")).equals(pattern(70_000, 1)));
    assert.equal((await engines.blobs.list(undefined, 10)).length, 1);
    await assertWhole(engines);
  });

  it("hold the bucket: it can be deleted when the last one has gone", async () => {
    const { store, bucket } = await opened(make, "Enabled");
    await remove(store, BUCKET, "never");
    assert.equal(await store.buckets.remove(BUCKET), "not-empty", "a delete marker alone holds it");
    const [only] = (await listed(store, bucket)).versions;
    await remove(store, BUCKET, "never", idOf(only?.version as VersionRecord));
    assert.equal(await store.buckets.remove(BUCKET), "deleted");
  });
});

describe("a list of versions", () => {
  const keys = ["a", "a/1", "a/2", "a/2/x", "a!", "b", "b/1", "c", "ключ"];

  async function filled() {
    const { engines, store, bucket } = await opened(undefined, "Enabled");
    for (const [at, key] of keys.entries()) {
      for (let times = 0; times <= at % 4; times++) await put(store, BUCKET, key, pattern(at * 10 + times));
      if (at % 3 === 1) await remove(store, BUCKET, key);
    }
    return { engines, store, bucket };
  }

  it("is the same in pages of any size, with and without a delimiter", async () => {
    const { store, bucket } = await filled();
    for (const delimiter of [undefined, "/"]) {
      for (const prefix of ["", "a", "a/", "b", "none"]) {
        const whole = await listed(store, bucket, { delimiter, prefix });
        const all = [
          ...whole.versions.map(
            ({ key, version, isLatest }) => `${told(key, version, isLatest)} ${versionIdOf(version)}`,
          ),
          ...whole.prefixes,
        ];
        for (const limit of [1, 2, 3, 5]) {
          const seen: string[] = [];
          let marker = "";
          let versionMarker: ReturnType<typeof parseVersionId> | undefined;
          for (let pages = 0; ; pages++) {
            assert.ok(pages < 50);
            const page = await listed(store, bucket, { delimiter, prefix, limit, marker, versionMarker });
            assert.ok(page.versions.length + page.prefixes.length <= limit);
            for (const { key, version, isLatest } of page.versions) {
              seen.push(`${told(key, version, isLatest)} ${versionIdOf(version)}`);
            }
            seen.push(...page.prefixes);
            if (!page.truncated) break;
            marker = page.nextKeyMarker as string;
            versionMarker =
              page.nextVersionIdMarker === undefined ? undefined : parseVersionId(page.nextVersionIdMarker);
          }
          assert.deepEqual(seen.sort(), all.toSorted(), `${delimiter} ${prefix} ${limit}`);
        }
      }
    }
  });

  it("shows what has become current since the last page, when its page is emptied before the next is asked for", async () => {
    const { store, bucket } = await filled();
    const total = (await listed(store, bucket)).versions.length;
    for (const limit of [1, 2]) {
      const again = await filled();
      let emptied = 0;
      let marker = "";
      let versionMarker: ReturnType<typeof parseVersionId> | undefined;
      for (;;) {
        const page = await listed(again.store, again.bucket, { limit, marker, versionMarker });
        for (const { key, version } of page.versions) {
          const [fate] = await remove(again.store, BUCKET, key, idOf(version));
          assert.equal(fate?.found, true);
          emptied += 1;
        }
        if (!page.truncated) break;
        marker = page.nextKeyMarker as string;
        versionMarker = parseVersionId(page.nextVersionIdMarker as string);
      }
      assert.equal(emptied, total);
      assert.equal(await again.store.buckets.remove(BUCKET), "deleted");
    }
  });

  it("begins again within a key whose version without an id has gone, and shows nothing twice otherwise", async () => {
    const { store } = await opened();
    await put(store, BUCKET, "k", pattern(1));
    const bucket = await setVersioning(store, BUCKET, "Enabled");
    await put(store, BUCKET, "k", pattern(2));
    const after = async () =>
      (await listed(store, bucket, { marker: "k", versionMarker: "null" })).versions.map(({ key, version, isLatest }) =>
        told(key, version, isLatest),
      );
    assert.deepEqual(await after(), []);
    await remove(store, BUCKET, "k", "null");
    assert.deepEqual(await after(), ["k 2 latest"]);
  });

  it("reads in proportion to what it shows, not to what a common prefix hides", async () => {
    const { engines, store, bucket } = await opened(undefined, "Enabled");
    for (let at = 0; at < 300; at++) await put(store, BUCKET, `deep/${at % 100}`, pattern(1));
    await put(store, BUCKET, "z", pattern(1));
    let rows = 0;
    const counting = {
      ...engines.metadata,
      async read(ranges: Parameters<typeof engines.metadata.read>[0]) {
        const found = await engines.metadata.read(ranges);
        for (const some of found) rows += some.length;
        return found;
      },
    };
    const other = await openOn({ metadata: counting, blobs: (await memoryDisk().open()).blobs }, {});
    rows = 0;
    const page = await listed(other, bucket, { delimiter: "/", limit: 2 });
    assert.deepEqual([page.prefixes, page.versions.map(({ key }) => key)], [["deep/"], ["z"]]);
    assert.ok(rows < 30, `${rows} rows`);
  });
});

describe("versions under writers at once", () => {
  it("fit the state of versioning at the moment of each write, whoever switches it", async () => {
    for (let round = 0; round < 25; round++) {
      const { engines, store } = await opened();
      const acknowledged: VersionRecord[] = [];
      const switching = (async () => {
        for (const state of ["Enabled", "Suspended", "Enabled", "Suspended"] as const) {
          await setVersioning(store, BUCKET, state);
          await new Promise((resolve) => setImmediate(resolve));
        }
      })();
      const writing = Array.from({ length: 6 }, async (_, writer) => {
        for (let times = 0; times < 5; times++) {
          if ((writer + times) % 3 === 2) await remove(store, BUCKET, "k");
          else acknowledged.push(await put(store, BUCKET, "k", pattern(10 + writer, times)));
        }
      });
      await Promise.all([switching, ...writing]);
      const bucket = (await store.buckets.find(BUCKET)) as BucketRecord;
      const { versions } = await listed(store, bucket);
      const sequences = versions.map(({ version }) => version.sequence);
      assert.deepEqual(
        sequences,
        sequences.toSorted((a, b) => b - a),
      );
      assert.equal(new Set(sequences).size, sequences.length);
      assert.ok(versions.filter(({ version }) => !version.versioned).length <= 1, "one null version at most");
      assert.deepEqual(
        versions.map(({ isLatest }) => isLatest),
        versions.map((_, at) => at === 0),
      );
      // What was acknowledged with an id of its own is there until somebody deletes it by that id.
      const kept = new Set(sequences);
      for (const { sequence, versioned } of acknowledged) assert.ok(!versioned || kept.has(sequence));
      await store.collector.idle();
      await assertWhole(engines);
    }
  });

  it("are neither lost nor brought back while their removals race with writes", async () => {
    for (let round = 0; round < 25; round++) {
      const { engines, store, bucket } = await opened(undefined, "Enabled");
      const made: VersionRecord[] = [];
      for (let at = 0; at < 4; at++) made.push(await put(store, BUCKET, "k", pattern(200, at)));
      await remove(store, BUCKET, "k");
      const marker = (await store.objects.findVersion(bucket, "k", undefined))?.record as VersionRecord;
      const doomed = [marker, ...made.slice(1)];
      const written: VersionRecord[] = [];
      await Promise.all([
        ...doomed.map((one) => remove(store, BUCKET, "k", idOf(one))),
        ...[1, 2, 3].map(async (at) => void written.push(await put(store, BUCKET, "k", pattern(200, at)))),
      ]);
      const left = (await listed(store, bucket)).versions.map(({ version }) => version.sequence);
      assert.deepEqual(left.toSorted(), [...written, made[0] as VersionRecord].map(({ sequence }) => sequence).sort());
      await store.collector.idle();
      await assertWhole(engines);
    }
  });
});
