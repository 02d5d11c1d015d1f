/** Holds what a server answers against what clients know, after a crash and before anything else is sent. */
import assert from "node:assert/strict";
import { type Answered, type Client, elements, Unanswered } from "./client.ts";
import type { Journal, Upload } from "./journal.ts";
import { BUCKET, difference, readKey } from "./writer.ts";

interface Listed {
  readonly etag: string;
  readonly size: number;
}

export interface VerifyOptions {
  readonly client: Client;
  readonly journal: Journal;
  readonly crc64: (bytes: Buffer) => string;
  /** Whether a key whose state is certain is read, or only looked up in the listing. */
  readonly reads: () => boolean;
}

const AT_ONCE = 8;

/**
 * Every acknowledged change is there bit for bit, every other one wholly or not at all; the listing is what can be
 * read; uploads have the parts that were acknowledged. The journal then knows what was found. Throws an AssertionError
 * with everything that is wrong.
 */
export async function verify(options: VerifyOptions): Promise<void> {
  const { client, journal } = options;
  const wrong: string[] = [];
  const listed = await listing(client);
  for (const key of listed.keys()) if (!journal.keys.has(key)) wrong.push(`${key}: listed, and nobody put it there`);
  // Uploads first: whether one is still there tells what a completion did to its key.
  const gone = await verifyUploads(client, journal, wrong);
  await inParallel([...journal.keys.keys()], (key) => verifyKey(options, key, listed.get(key), wrong));
  for (const { key, tag } of gone) {
    const state = journal.at(key).certain();
    if (state === "unknown" || state?.tag !== tag)
      wrong.push(`${key}: the upload ${tag} is gone, and so is its object`);
  }
  await inParallel([...journal.buckets], async ([name, register]) => {
    const { status } = await client.ask({ method: "HEAD", bucket: name });
    const fitting = register.possible().filter((state) => status === (state === undefined ? 404 : 200));
    if (fitting.length === 0) wrong.push(`${name}: HEAD gives ${status}`);
    register.settle(fitting[0]);
  });
  assert.deepEqual(wrong, []);
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = items.values();
  const some = async (): Promise<void> => {
    for (const item of waiting) await work(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, some));
}

async function listing(client: Client): Promise<ReadonlyMap<string, Listed>> {
  const found = new Map<string, Listed>();
  for (let marker: string | undefined = ""; marker !== undefined; ) {
    const { body, code, status } = await client.ask({
      method: "GET",
      bucket: BUCKET,
      query: { marker, "max-keys": 50 },
    });
    assert.equal(code, "ok", `LIST: ${status}`);
    const keys = elements(body, "Key");
    const etags = elements(body, "ETag");
    const sizes = elements(body, "Size");
    for (const [at, key] of keys.entries()) {
      assert.ok(!found.has(key), `${key} is listed twice`);
      found.set(key, { etag: etags[at]?.replaceAll('"', "") ?? "", size: Number(sizes[at]) });
    }
    marker = elements(body, "NextMarker")[0];
    assert.equal(marker !== undefined, elements(body, "IsTruncated")[0] === "true");
  }
  return found;
}

async function verifyKey(
  { client, journal, crc64, reads }: VerifyOptions,
  key: string,
  listed: Listed | undefined,
  wrong: string[],
): Promise<void> {
  const register = journal.at(key);
  const certain = register.certain();
  if (certain !== "unknown" && !reads()) {
    if (certain === undefined && listed !== undefined) wrong.push(`${key}: listed, and it was deleted`);
    if (certain !== undefined && listed?.size !== certain.bytes.length) wrong.push(`${key}: listed as ${listed?.size}`);
    return;
  }
  const answer = await readKey(client, key).catch((error: unknown) => {
    if (error instanceof Unanswered) wrong.push(`${key}: ${error.message}`);
    else throw error;
  });
  if (answer === undefined) return;
  const tried = register.possible().map((state) => ({ state, why: difference(state, answer) }));
  const found = tried.find(({ why }) => why === undefined);
  if (found === undefined) {
    wrong.push(`${key}: ${[...new Set(tried.map(({ why }) => why))].join("; ")}`);
    return;
  }
  const { state } = found;
  register.settle(state);
  if ((state === undefined) !== (listed === undefined)) wrong.push(`${key}: ${answer.code}, and the listing differs`);
  if (state === undefined) return;
  state.etag ??= answer.headers.etag?.replaceAll('"', "");
  if (answer.headers["x-cos-hash-crc64ecma"] !== crc64(state.bytes)) wrong.push(`${key}: a wrong CRC-64`);
  if (listed?.etag !== state.etag || listed?.size !== state.bytes.length)
    wrong.push(`${key}: the listing says otherwise`);
}

/** Uploads that are gone because their completion, which nobody acknowledged, was carried out. */
async function verifyUploads(
  client: Client,
  journal: Journal,
  wrong: string[],
): Promise<{ readonly key: string; readonly tag: string }[]> {
  const completed: { readonly key: string; readonly tag: string }[] = [];
  const open = await client.ask({ method: "GET", bucket: BUCKET, query: { uploads: undefined } });
  assert.equal(open.code, "ok");
  const keys = elements(open.body, "Key");
  const there = new Map(elements(open.body, "UploadId").map((id, at) => [id, keys[at] ?? ""] as const));
  for (const [id, key] of there) {
    if (journal.uploads.has(id)) continue;
    if (!journal.perhapsBegun.has(key)) wrong.push(`${key}: an upload that nobody began, or that had ended`);
    const { code } = await client.ask({ method: "DELETE", bucket: BUCKET, key, query: { uploadId: id } });
    if (code !== "ok") wrong.push(`${key}: an upload that cannot be aborted: ${code}`);
  }
  journal.perhapsBegun.clear();
  await inParallel([...journal.uploads.values()], async (upload) => {
    if (!there.has(upload.id)) {
      if (upload.completing === undefined && !upload.aborting) wrong.push(`${upload.key}: its upload is gone`);
      else if (upload.completing !== undefined) completed.push(upload);
      journal.uploads.delete(upload.id);
      return;
    }
    upload.completing = undefined;
    upload.aborting = false;
    const answer = await client.ask({ method: "GET", bucket: BUCKET, key: upload.key, query: { uploadId: upload.id } });
    verifyParts(upload, answer, wrong);
  });
  return completed;
}

function verifyParts(upload: Upload, { body, code }: Answered, wrong: string[]): void {
  if (code !== "ok") {
    wrong.push(`${upload.key}: its parts cannot be listed: ${code}`);
    return;
  }
  const etags = elements(body, "ETag");
  const sizes = elements(body, "Size");
  const found = new Map(elements(body, "PartNumber").map((number, at) => [Number(number), at] as const));
  for (const number of found.keys())
    if (!upload.parts.has(number)) wrong.push(`${upload.key}: part ${number} was not sent`);
  for (const [number, possible] of upload.parts) {
    const at = found.get(number);
    if (at === undefined) {
      if (!possible.includes(undefined)) wrong.push(`${upload.key}: part ${number} is gone`);
      upload.parts.delete(number);
      continue;
    }
    const etag = etags[at]?.replaceAll('"', "");
    const sent = possible.filter((part) => part !== undefined);
    const known = sent.filter((part) => part.etag === etag && part.bytes.length === Number(sizes[at]));
    // Of one that was encrypted and not acknowledged nobody knows the ETag; several may be as long.
    const matching =
      known.length > 0
        ? known
        : sent.filter((part) => part.etag === undefined && part.bytes.length === Number(sizes[at]));
    if (matching.length === 0) wrong.push(`${upload.key}: part ${number} is not what was sent`);
    upload.parts.set(
      number,
      matching.map(({ bytes }) => ({ bytes, etag })),
    );
  }
}
