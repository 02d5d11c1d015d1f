import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { type MetadataEngine, RowDamaged } from "../../src/ports/metadata.ts";
import { type CheckOptions, type CheckReport, checkStore, removeStrays } from "../../src/store/check.ts";
import { type Finding, FINDINGS, type FindingKind } from "../../src/store/findings.ts";
import {
  attachmentKey,
  bucketKey,
  type Family,
  familyRange,
  formatKey,
  inlineKey,
  intentKey,
  manifestKey,
  principalKey,
  referenceKey,
} from "../../src/store/keys.ts";
import { encodePrincipal, type KeyRow } from "../../src/store/principals.ts";
import { encodeChunk, encodeGarbage, encodeHistory, encodeIntent } from "../../src/store/records.ts";
import type { Store } from "../../src/store/store.ts";
import {
  append,
  complete,
  copy,
  DISKS,
  type Disk,
  type Engines,
  get,
  makeBucket,
  memoryDisk,
  openOn,
  OWNER,
  pattern,
  put,
  putPart,
  remove,
  setVersioning,
  startUpload,
} from "./store-fixture.ts";

const BUCKET = "demo-1250000000";
const ID = "0123456789abcdef0000000000000001";
const OTHER = "0123456789abcdef0000000000000002";
/** What the store knows of any configuration. */
const TEXT = {
  name: "policy",
  decode: (bytes: Buffer) => bytes.toString(),
  encode: (text: string) => Buffer.from(text),
};
const UNNAMED = "0123456789abcdef0000000000000003";
const MADE = { seeded: false, createdMs: 0 };
const KEY: KeyRow = {
  ...{ secretId: "AKIDplanted", uin: OWNER.ownerUin, user: OWNER.ownerUin, sealed: "AA==", enabled: true },
  ...MADE,
};

/** Somebody of every kind. */
async function addPrincipals({ principals }: Store): Promise<void> {
  const { uin } = KEY;
  const policies = ["readers"];
  await principals.putSeal({ kind: "file", salt: Buffer.alloc(16), check: Buffer.alloc(32) });
  await principals.change(async (change) => {
    change.put("account", { uin, appid: OWNER.ownerAppid, name: "", ...MADE });
    change.put("policy", { uin, name: "readers", document: "{}", ...MADE });
    change.put("group", { uin, name: "staff", policies, ...MADE });
    change.put("role", { uin, name: "guest", trust: "{}", policies, sessionSecondsMax: 1, ...MADE });
    change.put("user", { uin, user: "100000000011", name: "", groups: ["staff"], policies, ...MADE });
    change.put("key", { ...KEY, secretId: "AKIDstored" });
    principals.putSeed(change, Buffer.from("seed"));
  });
}

/** A store with every kind of row in it, and nobody at work. */
async function mixed(make: () => Promise<Disk>): Promise<{ disk: Disk; engines: Engines; bucketId: string }> {
  const disk = await make();
  const engines = await disk.open();
  const store = await openOn(engines, { inlineMax: 1_000 });
  const bucket = await makeBucket(store, BUCKET);
  await makeBucket(store, "empty-1250000000");
  await store.configurations.change(bucket, TEXT, () => "a policy");
  await put(store, BUCKET, "empty", Buffer.alloc(0));
  for (let at = 0; at < 12; at++) await put(store, BUCKET, `key${at}`, pattern(at * 250, at));
  for (let at = 0; at < 6; at++) await copy(store, BUCKET, bucket.id, `key${at * 2}`, `copy${at}`);
  for (let at = 0; at < 80; at++) await append(store, bucket.name, "log", pattern(700, at));
  await copy(store, BUCKET, bucket.id, "log", "log-copy");
  const done = await startUpload(store, bucket.id, "film");
  for (let part = 1; part <= 40; part++) await putPart(store, done, part, pattern(part * 60, part));
  await complete(store, BUCKET, done);
  const open = await startUpload(store, bucket.id, "open");
  for (let part = 1; part <= 3; part++) await putPart(store, open, part, pattern(part * 900, part));
  await put(store, BUCKET, "key3", pattern(5_000, 3));
  await remove(store, bucket.name, "key4");
  // Two keys with a past: one ends with a delete marker, the other begins with the version without an id.
  await put(store, BUCKET, "nulled", pattern(40, 1));
  await setVersioning(store, BUCKET, "Enabled");
  for (const length of [10, 3_000, 20]) await put(store, BUCKET, "past", pattern(length, length));
  await remove(store, BUCKET, "past");
  await put(store, BUCKET, "nulled", pattern(2_000, 2));
  await addPrincipals(store);
  await store.collector.idle();
  await store.close();
  return { disk, engines, bucketId: bucket.id };
}

async function check(engines: Engines, options: CheckOptions = {}): Promise<CheckReport & { findings: Finding[] }> {
  const findings: Finding[] = [];
  const report = await checkStore(
    { rows: engines.metadata, blobs: engines.blobs, inUse: false },
    { ...options, onFinding: (finding) => findings.push(finding) },
  );
  return { ...report, findings };
}

async function firstRow(engines: Engines, family: Family) {
  const [rows = []] = await engines.metadata.read([familyRange(family, 1)]);
  assert.ok(rows[0], `a row of the family ${family}`);
  return rows[0];
}

async function objectRow(engines: Engines, key: string) {
  const [rows = []] = await engines.metadata.read([familyRange("object", 1_000)]);
  const row = rows.find((one) => one.key.toString("utf8", 9) === key);
  assert.ok(row, `the row of ${key}`);
  return row;
}

const set = ({ metadata }: Engines, key: Buffer, value: Buffer | undefined) => metadata.commit([], [{ key, value }]);

async function firstBlob(engines: Engines): Promise<string> {
  const [id = ""] = await engines.blobs.list(undefined, 1);
  return id;
}

/** The same rows, one of which has lost a bit on its disk: an engine that checks them refuses every range with it. */
function rotten(metadata: MetadataEngine, rot: Buffer): MetadataEngine {
  return {
    ...metadata,
    async read(ranges) {
      const found = await metadata.read(ranges);
      if (found.some((rows) => rows.some(({ key }) => key.equals(rot)))) throw new RowDamaged(rot);
      return found;
    },
  };
}

/** For each kind of finding: what brings it about, and whom the check then has to name. */
const PLANTS: Record<FindingKind, { plant: (engines: Engines) => Promise<unknown>; names: RegExp }> = {
  "format-missing": { plant: (engines) => set(engines, formatKey(), undefined), names: /format/ },
  "row-unreadable": {
    async plant(engines) {
      const { key, value } = await objectRow(engines, "key1");
      await set(engines, key, value.subarray(0, value.length - 5));
    },
    names: /^object demo-1250000000\/key1$/,
  },
  "row-from-newer": {
    async plant(engines) {
      const { key, value } = await objectRow(engines, "key1");
      await set(engines, key, Buffer.concat([Buffer.from([9]), value.subarray(1)]));
    },
    names: /^object demo-1250000000\/key1$/,
  },
  "row-unknown": {
    plant: (engines) => set(engines, Buffer.from("zebra"), Buffer.from("?")),
    names: /7a?ebra|unknown row/,
  },
  "bucket-unlisted": {
    async plant(engines) {
      const { key } = await firstRow(engines, "accountBucket");
      await set(engines, key, undefined);
    },
    names: /^bucket demo-1250000000$/,
  },
  "bucket-missing": {
    plant: (engines) => set(engines, bucketKey(BUCKET), undefined),
    names: /^(object|upload|version .* of object) .*\(bucket id [0-9a-f]{16}\)\//,
  },
  "configuration-missing": {
    async plant(engines) {
      await set(engines, (await firstRow(engines, "configuration")).key, undefined);
    },
    names: /^configuration policy of demo-1250000000\/$/,
  },
  "configuration-unneeded": {
    async plant(engines) {
      const { key, value } = await firstRow(engines, "configuration");
      await set(engines, Buffer.concat([key, Buffer.from("-twin")]), value);
    },
    names: /^configuration policy-twin of demo-1250000000\/$/,
  },
  "upload-missing": {
    async plant(engines) {
      await set(engines, (await firstRow(engines, "upload")).key, undefined);
    },
    names: /^part [123] of upload [0-9a-f]{74} in demo-1250000000\/$/,
  },
  "bytes-missing": {
    async plant(engines) {
      await set(engines, (await firstRow(engines, "inline")).key, undefined);
    },
    names: /^object demo-1250000000\/key1$/,
  },
  "bytes-short": {
    async plant(engines) {
      const { key, value } = await firstRow(engines, "inline");
      await set(engines, key, value.subarray(1));
    },
    names: /^object demo-1250000000\/key1$/,
  },
  "bytes-damaged": {
    async plant(engines) {
      const { key } = await firstRow(engines, "inline");
      Object.assign(engines, { metadata: rotten(engines.metadata, key) });
    },
    names: /^object demo-1250000000\/key1$/,
  },
  "manifest-broken": {
    async plant(engines) {
      await set(engines, (await firstRow(engines, "manifest")).key, undefined);
    },
    names: /^object demo-1250000000\/(log|film)/,
  },
  "reference-missing": {
    async plant(engines) {
      await set(engines, (await firstRow(engines, "reference")).key, undefined);
    },
    names: /^object demo-1250000000\/(key|copy)/,
  },
  "blob-damaged": {
    plant: async (engines) => engines.blobs.remove([await firstBlob(engines)]),
    names: /^object demo-1250000000\/(key|copy)/,
  },
  shared: {
    async plant(engines) {
      const { key, value } = await objectRow(engines, "key1");
      await set(engines, Buffer.concat([key, Buffer.from("-twin")]), value);
    },
    names: /^object demo-1250000000\/key1-twin$/,
  },
  "version-misplaced": {
    async plant(engines) {
      await set(engines, (await firstRow(engines, "history")).key, undefined);
    },
    names: /^version MTg0\w+ of object demo-1250000000\/nulled$/,
  },
  "history-unneeded": {
    async plant(engines) {
      const { key } = await firstRow(engines, "history");
      await set(engines, Buffer.concat([key, Buffer.from("-twin")]), encodeHistory({ nullSequence: undefined }));
    },
    names: /^history of object demo-1250000000\/nulled-twin$/,
  },
  garbage: {
    plant: (engines) =>
      set(
        engines,
        Buffer.concat([Buffer.from("g"), Buffer.from(ID, "hex")]),
        encodeGarbage({ kind: "body", body: { size: 0, manifest: undefined, pieces: [] } }),
      ),
    names: /^garbage row/,
  },
  unfinished: {
    plant: (engines) => set(engines, intentKey("0123456789abcdef", 7), encodeIntent({ kind: "body", manifestId: ID })),
    names: /^intent row/,
  },
  "blob-unreferenced": {
    async plant(engines) {
      async function* bytes() {
        yield pattern(3_000);
      }
      await engines.blobs.put(bytes());
    },
    names: /^blob [0-9a-f]{32}$/,
  },
  "reference-unneeded": {
    plant: async (engines) => set(engines, referenceKey(await firstBlob(engines), ID), Buffer.alloc(0)),
    names: /^blob [0-9a-f]{32}$/,
  },
  "bytes-unneeded": { plant: (engines) => set(engines, inlineKey(ID), pattern(10)), names: new RegExp(ID) },
  "manifest-unneeded": {
    plant: (engines) =>
      set(engines, manifestKey(UNNAMED, 0), encodeChunk([{ kind: "inline", id: OTHER, offset: 0, length: 1 }])),
    names: new RegExp(UNNAMED),
  },
  "attachment-unneeded": {
    plant: (engines) => set(engines, attachmentKey(OWNER.ownerUin, "00".repeat(8), { of: "acl" }), Buffer.alloc(0)),
    names: /^attachment row/,
  },
  "account-row-unneeded": {
    plant: (engines) => set(engines, Buffer.from(`a${OWNER.ownerUin}\0nothing-1250000000`), Buffer.alloc(0)),
    names: /^accountBucket row/,
  },
  "key-unlisted": {
    plant: (engines) => set(engines, principalKey("key", KEY.secretId), encodePrincipal(KEY)),
    names: /^account row kAKIDplanted$/,
  },
  "key-row-unneeded": {
    plant: (engines) => set(engines, principalKey("holding", KEY.uin, "AKIDgone"), Buffer.alloc(0)),
    names: /^account row h100000000001 AKIDgone$/,
  },
};

describe.each(DISKS)("a check of a store on %s", (_, make) => {
  it("finds nothing in a store of all kinds of rows, whether or not all ids fit into its tables", async () => {
    const { engines } = await mixed(make);
    const whole = await check(engines);
    assert.deepEqual(whole.findings, []);
    assert.deepEqual([whole.buckets, whole.objects, whole.versions, whole.uploads, whole.parts], [2, 22, 5, 1, 3]);
    assert.ok(whole.blobs > 5 && whole.rows > 100, JSON.stringify(whole));
    for (const windowRows of [1, 7, 64]) {
      const { findings, ...counts } = await check(engines, { windowRows });
      assert.deepEqual(findings, [], `${windowRows} ids at a time`);
      assert.deepEqual({ ...counts, findings: [] }, whole, "every row is counted once");
    }
  });

  it("frees what nothing needs, and leaves everything else as it was", async () => {
    const { disk, engines, bucketId } = await mixed(make);
    const before = new Map<string, string>();
    const read = async (store: Store) => {
      for (const key of ["key1", "key11", "copy5", "log", "log-copy", "film"]) {
        before.set(key, (await get(store, bucketId, key)).toString("hex"));
      }
      return [...before];
    };
    const store = await openOn(engines, { inlineMax: 1_000 });
    const contents = await read(store);
    await store.close();
    for (const [name, { plant }] of Object.entries(PLANTS)) {
      if (FINDINGS[name as FindingKind].severity === "leftover") await plant(engines);
    }
    const removed = await removeStrays({ rows: engines.metadata, blobs: engines.blobs, inUse: false });
    assert.equal(
      removed,
      8,
      "a reference, a small body, a manifest, an account's row, a configuration, a counted ACL, a history, a listed key",
    );
    // The rest is what every start does.
    const next = await openOn(await disk.open(), { inlineMax: 1_000 });
    await next.collector.idle();
    assert.deepEqual(await read(next), contents);
    await next.close();
    assert.deepEqual((await check(await disk.open())).findings, []);
  });
});

describe("a check of a store in memory", () => {
  const make = async () => memoryDisk();

  it.each(Object.entries(PLANTS))("finds %s, and calls it what it is", async (name, { plant, names }) => {
    const { engines } = await mixed(make);
    await plant(engines);
    for (const windowRows of [1_000_000, 5]) {
      const { found, findings, damage, leftovers } = await check(engines, { windowRows });
      assert.ok(found.has(name as FindingKind), `${windowRows}: ${JSON.stringify(findings)}`);
      const named = findings.filter(({ kind }) => kind === name);
      for (const { where } of named) assert.match(where, names);
      const { severity } = FINDINGS[name as FindingKind];
      if (severity === "damage") assert.ok(damage > 0);
      else assert.deepEqual([damage, leftovers], [0, findings.length]);
    }
  });

  it("takes the blobs of a process at work for what may become an object", async () => {
    const { disk } = await mixed(make);
    const engines = await disk.open();
    const store = await openOn(engines, { inlineMax: 1_000 });
    await PLANTS["blob-unreferenced"].plant(engines);
    const findings: Finding[] = [];
    const sources = { rows: engines.metadata, blobs: engines.blobs };
    await checkStore({ ...sources, inUse: true }, { onFinding: (one) => findings.push(one) });
    assert.equal(findings.length, 0);
    await store.close();
    await checkStore({ ...sources, inUse: true }, { onFinding: (one) => findings.push(one) });
    assert.deepEqual(
      findings.map(({ kind }) => kind),
      ["blob-unreferenced"],
    );
  });

  it("looks again before it calls a blob that has just been removed damage", async () => {
    const { engines } = await mixed(make);
    const blob = await firstBlob(engines);
    const rows = engines.metadata;
    const [held = []] = await rows.read([familyRange("reference", 1_000)]);
    await engines.blobs.remove([blob]);
    for (const [gone, damage] of [
      [false, 1],
      [true, 0],
    ] as const) {
      // What the collector did since the snapshot: the references first, then the blob.
      const now = {
        read: async (ranges: Parameters<typeof rows.read>[0]) => (gone ? ranges.map(() => []) : rows.read(ranges)),
      };
      const report = await checkStore({
        rows,
        blobs: engines.blobs,
        inUse: true,
        again: (look) => look(now, engines.blobs),
      });
      assert.equal(Math.sign(report.damage), damage, `${held.length} references`);
    }
  });

  it("reads on past rows that are damaged, whatever kind they are of, and names each once", async () => {
    const { engines } = await mixed(make);
    const [all = []] = await engines.metadata.read([
      { start: Buffer.from([0]), end: Buffer.from([0xff]), limit: 10_000 },
    ]);
    const total = (await check(engines)).rows;
    for (const family of "fbaovhupmirgw") {
      const row = all.find(({ key }) => key[0] === family.charCodeAt(0));
      if (!row) continue;
      for (const windowRows of [1_000_000, 5]) {
        const report = await check({ ...engines, metadata: rotten(engines.metadata, row.key) }, { windowRows });
        assert.equal(report.found.get("row-unreadable"), 1, `${family}: ${JSON.stringify(report.findings)}`);
        assert.ok(report.damage > 0);
        assert.ok(report.rows >= total - 1, "every other row was read");
      }
    }
  });
});
