/** One of each way in which something is committed: what is there before, and the one request that is looked at. */
import type { Writer } from "./writer.ts";

export interface Sequence {
  readonly name: string;
  /** Makes what the request needs; resolves with the request. */
  prepare(writer: Writer, bytes: (count: number) => Buffer): Promise<() => Promise<unknown>>;
}

const INLINE = 3_000;
const BLOB = 100_000;
const LARGE = 1_300_000;

export const SEQUENCES: readonly Sequence[] = [
  {
    name: "put of an inline body",
    async prepare(writer, bytes) {
      return () => writer.put("one", bytes(INLINE));
    },
  },
  {
    name: "put of a blob",
    async prepare(writer, bytes) {
      return () => writer.put("one", bytes(BLOB));
    },
  },
  {
    name: "put of a large blob",
    async prepare(writer, bytes) {
      return () => writer.put("one", bytes(LARGE));
    },
  },
  {
    name: "put of an encrypted blob",
    async prepare(writer, bytes) {
      return () => writer.put("one", bytes(BLOB), "kms");
    },
  },
  {
    name: "beginning of an upload",
    async prepare(writer) {
      return () => writer.begin("multi");
    },
  },
  {
    name: "part, sent again",
    async prepare(writer, bytes) {
      const upload = await writer.begin("multi");
      await writer.part(upload, 1, bytes(BLOB));
      return () => writer.part(upload, 1, bytes(LARGE));
    },
  },
  {
    name: "completion of an upload",
    async prepare(writer, bytes) {
      const upload = await writer.begin("multi");
      for (const [at, count] of [BLOB, INLINE, BLOB, LARGE].entries()) await writer.part(upload, at + 1, bytes(count));
      return () => writer.complete(upload, (number) => number !== 3);
    },
  },
  {
    name: "abort of an upload",
    async prepare(writer, bytes) {
      const upload = await writer.begin("multi");
      await writer.part(upload, 1, bytes(BLOB));
      await writer.part(upload, 2, bytes(INLINE));
      return () => writer.abort(upload);
    },
  },
  {
    name: "append",
    async prepare(writer, bytes) {
      await writer.delete("log");
      await writer.append("log", bytes(INLINE));
      return () => writer.append("log", bytes(BLOB));
    },
  },
  {
    name: "copy",
    async prepare(writer, bytes) {
      await writer.put("source", bytes(BLOB));
      return () => writer.copy("source", "copy");
    },
  },
  {
    name: "copy that encrypts",
    async prepare(writer, bytes) {
      await writer.put("source", bytes(BLOB));
      return () => writer.copy("source", "copy", "service");
    },
  },
  {
    name: "delete",
    async prepare(writer, bytes) {
      await writer.put("one", bytes(BLOB));
      return () => writer.delete("one");
    },
  },
  {
    name: "multi-delete",
    async prepare(writer, bytes) {
      await writer.put("one", bytes(BLOB));
      await writer.put("two", bytes(INLINE));
      await writer.copy("one", "copy");
      return () => writer.deleteMany(["one", "two", "copy", "none"]);
    },
  },
  {
    name: "making and deletion of a bucket",
    async prepare(writer) {
      return async () => {
        await writer.toggleBucket("spare-1250000000");
        await writer.toggleBucket("spare-1250000000");
      };
    },
  },
];
