import assert from "node:assert/strict";
import * as fc from "fast-check";
import { describe, it } from "vitest";
import { ByteReader, ByteWriter, RecordDamaged } from "./bytes.ts";
import {
  type BucketRecord,
  bodyOf,
  CANNED_ACLS,
  type ContentHeaders,
  decodeBucket,
  decodeChunk,
  decodeFormat,
  decodeGarbage,
  decodeIntent,
  decodeObject,
  decodeObjectHead,
  decodeHistory,
  decodeVersion,
  type DeleteMarkerRecord,
  decodePart,
  decodeUpload,
  encodeBucket,
  encodeChunk,
  encodeFormat,
  encodeGarbage,
  encodeIntent,
  encodeHistory,
  encodeObject,
  encodeVersion,
  type HistoryRecord,
  encodePart,
  encodeUpload,
  type GarbageRecord,
  type IntentRecord,
  type ObjectRecord,
  type PartRecord,
  type Piece,
  RecordFromNewerVersion,
  type UploadRecord,
  VERSIONINGS,
  NO_CONFIGURATIONS,
} from "./records.ts";

/** Plain objects: the records are, and deepEqual tells the difference. */
function record<T>(fields: { [Name in keyof T]: fc.Arbitrary<T[Name]> }): fc.Arbitrary<T> {
  return fc.record(fields, { noNullPrototype: true }) as fc.Arbitrary<T>;
}

const hex = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((b) => Buffer.from(b).toString("hex"));
const text = fc.string({ unit: "grapheme", maxLength: 60 });
const ms = fc.nat({ max: 2 ** 41 });
const bytes = fc.uint8Array({ maxLength: 40 }).map((b) => Buffer.from(b));
const range = { offset: fc.nat({ max: 2 ** 45 }), length: fc.integer({ min: 1, max: 2 ** 40 }) };
const stored: fc.Arbitrary<Piece> = fc.oneof(
  record({ kind: fc.constant("inline" as const), id: hex(16), ...range }),
  record({ kind: fc.constant("blob" as const), id: hex(16), holder: hex(16), ...range }),
);
/** Some are sealed, at least up to where they end. */
const piece: fc.Arbitrary<Piece> = fc
  .tuple(stored, fc.option(fc.tuple(hex(16), fc.nat({ max: 2 ** 20 })), { nil: undefined }))
  .map(([one, seal]) =>
    seal === undefined ? one : { ...one, seal: { id: seal[0], size: one.offset + one.length + seal[1] } },
  );
const manifest = record({ id: hex(16), size: fc.nat({ max: 2 ** 46 }), pieces: fc.nat({ max: 2 ** 31 }) });
const body = fc
  .tuple(fc.option(manifest, { nil: undefined }), fc.array(piece, { maxLength: 32 }))
  .map(([first, pieces]) => bodyOf(first, pieces));
const sections = fc.array(record({ tag: fc.integer({ min: 2, max: 127 }), bytes }), { maxLength: 3 });
const headers: fc.Arbitrary<ContentHeaders> = fc.record(
  {
    contentType: text,
    cacheControl: text,
    contentDisposition: text,
    contentEncoding: text,
    contentLanguage: text,
    expires: text,
  },
  { requiredKeys: [], noNullPrototype: true },
);
const metadata = fc.array(fc.tuple(text, text), { maxLength: 5 });
const crc64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const etag = fc.oneof(
  hex(16),
  fc.tuple(hex(16), fc.integer({ min: 1, max: 10_000 })).map(([hash, parts]) => `${hash}-${parts}`),
);

const bucket: fc.Arbitrary<BucketRecord> = record({
  id: hex(8),
  name: text,
  ownerUin: text,
  ownerAppid: text,
  region: text,
  createdMs: ms,
  acl: fc.constantFrom(...CANNED_ACLS),
  state: fc.oneof(
    fc.constant({ kind: "normal" as const }),
    record({ kind: fc.constant("deleting" as const), incarnation: hex(8), token: fc.maxSafeNat() }),
  ),
  configurations: fc.oneof(
    fc.constant(NO_CONFIGURATIONS),
    record({
      last: fc.integer({ min: 1, max: 2 ** 40 }),
      revisions: fc.array(fc.tuple(text, fc.integer({ min: 1, max: 2 ** 40 }))).map((pairs) => new Map(pairs)),
    }),
  ),
  versioning: fc.constantFrom(undefined, ...VERSIONINGS),
  lock: fc.option(
    record({
      generation: fc.constantFrom(1 as const, 2 as const),
      days: fc.option(fc.integer({ min: 1, max: 36_500 }), { nil: undefined }),
    }),
    { nil: undefined },
  ),
  sections,
});
const object: fc.Arbitrary<ObjectRecord> = record({
  modifiedMs: ms,
  sequence: fc.maxSafeNat(),
  etag,
  crc64,
  storageClass: text,
  type: fc.constantFrom("normal" as const, "appendable" as const),
  versioned: fc.boolean(),
  supersededMs: fc.option(ms, { nil: undefined }),
  ownerUin: text,
  headers,
  metadata,
  body,
  sections,
})
  .map((record) => ({ ...record, size: record.body.size }))
  .filter(({ size }) => size < 2 ** 48);
const deleteMarker: fc.Arbitrary<DeleteMarkerRecord> = record({
  type: fc.constant("delete-marker" as const),
  modifiedMs: ms,
  sequence: fc.maxSafeNat(),
  versioned: fc.boolean(),
  ownerUin: text,
  sections,
});
const history: fc.Arbitrary<HistoryRecord> = record({
  nullSequence: fc.option(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), { nil: undefined }),
});
const upload: fc.Arbitrary<UploadRecord> = record({
  initiatedMs: ms,
  ownerUin: text,
  initiatorUin: text,
  storageClass: text,
  headers,
  metadata,
  state: fc.oneof(
    fc.constant({ kind: "open" as const }),
    record({ kind: fc.constant("completing" as const), incarnation: hex(8), token: hex(16) }),
  ),
  sections,
});
const part: fc.Arbitrary<PartRecord> = record({ md5: hex(16), crc64, modifiedMs: ms, body, sections });
const partNumber = fc.integer({ min: 1, max: 10_000 });
const garbage: fc.Arbitrary<GarbageRecord> = fc.oneof(
  record({ kind: fc.constant("body" as const), body }),
  record({
    kind: fc.constant("parts" as const),
    bucketId: hex(8),
    uploadId: text,
    taken: fc.array(record({ first: partNumber, last: partNumber }), { maxLength: 10 }),
  }),
  record({ kind: fc.constant("manifest-rows" as const), manifestId: hex(16) }),
);
const intent: fc.Arbitrary<IntentRecord> = fc.oneof(
  record({ kind: fc.constant("bucket-deletion" as const), bucketName: text }),
  record({ kind: fc.constant("body" as const), manifestId: hex(16) }),
  record({
    kind: fc.constant("completion" as const),
    bucketId: hex(8),
    key: text,
    uploadId: text,
    manifestId: hex(16),
  }),
);

interface Form {
  readonly name: string;
  readonly sample: fc.Arbitrary<unknown>;
  readonly encode: (record: never) => Buffer;
  readonly decode: (value: Buffer) => unknown;
}

const FORMS: readonly Form[] = [
  { name: "bucket", sample: bucket, encode: encodeBucket, decode: decodeBucket },
  { name: "object", sample: object, encode: encodeObject, decode: decodeObject },
  { name: "version", sample: fc.oneof(object, deleteMarker), encode: encodeVersion, decode: decodeVersion },
  { name: "key's history", sample: history, encode: encodeHistory, decode: decodeHistory },
  { name: "upload", sample: upload, encode: encodeUpload, decode: decodeUpload },
  { name: "part", sample: part, encode: encodePart, decode: decodePart },
  { name: "manifest chunk", sample: fc.array(piece, { maxLength: 50 }), encode: encodeChunk, decode: decodeChunk },
  { name: "queue row", sample: garbage, encode: encodeGarbage, decode: decodeGarbage },
  { name: "intent", sample: intent, encode: encodeIntent, decode: decodeIntent },
];

describe.each(FORMS)("the record of a $name", ({ sample, encode, decode }) => {
  it("decodes to what was encoded", () => {
    fc.assert(fc.property(sample, (record) => assert.deepEqual(decode(encode(record as never)), record)));
  });

  it("is refused when it is cut short anywhere", () => {
    fc.assert(
      fc.property(sample, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (record, share) => {
        const value = encode(record as never);
        const cut = value.subarray(0, Math.floor(value.length * share));
        assert.throws(() => decode(cut), RecordDamaged);
      }),
    );
  });

  it("is never decoded to anything but a record, whatever the bytes are", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        try {
          decode(Buffer.from([1, ...noise]));
        } catch (error) {
          assert.ok(error instanceof RecordDamaged || error instanceof RecordFromNewerVersion, String(error));
        }
      }),
    );
  });

  it("is refused with a clear message when a newer version wrote it", () => {
    fc.assert(
      fc.property(sample, (record) => {
        const value = encode(record as never);
        value[0] = 200;
        assert.throws(() => decode(value), /written by a newer version of cosbox/);
      }),
      { numRuns: 5 },
    );
  });
});

describe("an object's record", () => {
  it("shows its head without the rest being read", () => {
    fc.assert(
      fc.property(object, (record) => {
        const { headers: _headers, metadata: _metadata, body: _body, sections: _sections, ...rest } = record;
        const { supersededMs: _supersededMs, ...head } = rest;
        const shown = decodeObjectHead(encodeObject(record));
        for (const name of Object.keys(head) as (keyof typeof head)[]) assert.equal(shown[name], head[name], name);
      }),
    );
  });

  it("keeps a later feature's section it does not know, and is refused when the section must be known", () => {
    const [sample] = fc.sample(object, 1);
    assert.ok(sample);
    const plain = { ...sample, sections: [{ tag: 127, bytes: Buffer.from("kept") }] };
    assert.deepEqual(decodeObject(encodeObject(plain)).sections, plain.sections);
    const critical = { ...sample, sections: [{ tag: 128, bytes: Buffer.from("lock") }] };
    assert.throws(() => decodeObject(encodeObject(critical)), RecordFromNewerVersion);
    assert.deepEqual(decodeObjectHead(encodeObject(critical)).etag, sample.etag);
  });

  it("is not written with an ETag that would not come back", () => {
    const [sample] = fc.sample(object, 1);
    assert.ok(sample);
    for (const bad of ["", "x", '"00"', `${"0".repeat(32)}-0`, "A".repeat(32)]) {
      assert.throws(() => encodeObject({ ...sample, etag: bad }), RangeError);
    }
  });
});

describe("integers in records", () => {
  it("come back, from 0 to the largest", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (value) => {
        const written = new ByteWriter(1).varint(value).u64(value).finish();
        const reader = new ByteReader(written);
        assert.equal(reader.varint(), value);
        assert.equal(reader.u64(), value);
        reader.end();
      }),
    );
  });

  it("are refused when they are not integers we can hold", () => {
    for (const bad of [-1, 0.5, Number.NaN, 2 ** 53]) {
      assert.throws(() => new ByteWriter().varint(bad), RangeError);
      assert.throws(() => new ByteWriter().u64(bad), RangeError);
    }
  });

  it("are refused when the stored bytes say more than fits", () => {
    assert.throws(() => new ByteReader(Buffer.alloc(9, 0xff)).varint(), RecordDamaged);
    assert.throws(() => new ByteReader(Buffer.alloc(8, 0xff)).u64(), RecordDamaged);
  });
});

describe("the format row", () => {
  it("gives its number also when a later format has changed what follows", () => {
    assert.deepEqual(decodeFormat(encodeFormat({ format: 1, createdMs: 5 })), { format: 1, createdMs: 5 });
    assert.equal(decodeFormat(Buffer.from([0, 9, 1])).format, 9);
  });
});
