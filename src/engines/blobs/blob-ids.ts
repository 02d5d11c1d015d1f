/** Names of blobs: the incarnation of the process that writes, then a counter, so that ids ascend in the order made. */
import type { BlobId } from "../../ports/blobs.ts";
import type { Random } from "../../ports/random.ts";

const BLOB_ID = /^[0-9a-f]{32}$/;

/** Whether `text` has the form of a blob id. Whatever becomes part of a path is asked first. */
export function isBlobId(text: string): text is BlobId {
  return BLOB_ID.test(text);
}

/** 16 hex digits that no other process draws. */
export function drawIncarnation(random: Random): string {
  return random.bytes(8).toString("hex");
}

/** The ids of one incarnation, ascending. The counter stays below 2^53. */
export function blobIds(incarnation: string): () => BlobId {
  let counter = 0;
  return () => incarnation + (counter++).toString(16).padStart(16, "0");
}
