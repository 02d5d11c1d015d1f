/** What a client does to a store, each change written down before it is sent and when it is acknowledged. */
import assert from "node:assert/strict";
import { contentMd5 } from "../fixtures/server.ts";
import { partList } from "../fixtures/uploads.ts";
import { type Answered, type Asked, type Client, elements } from "./client.ts";
import {
  type Encryption,
  encryptionIn,
  hasPlainEtag,
  readingHeaders,
  sourceHeaders,
  storingHeaders,
} from "./encryption.ts";
import { type Content, type Journal, md5, type Sent, type State, type Upload } from "./journal.ts";

export const BUCKET = "crash-1250000000";

let tags = 0;

/** Raised where the server answered that it could not, or not now: the change may have happened or not. */
export class Failed extends Error {
  readonly answer: Answered;
  constructor(asked: string, answer: Answered) {
    super(`${asked}: ${answer.status} ${answer.code} ${answer.body.toString().slice(0, 500)}`);
    this.answer = answer;
  }
}

/** A description for a new object. */
export function described(bytes: Buffer, encryption?: Encryption, etag?: string): Content {
  const tag = ++tags;
  return { tag: `t${tag}`, type: `application/x-crash-${tag % 9}`, bytes, encryption, etag };
}

/** Reads a key, with the client's own where the object takes that. @throws Unanswered. */
export async function readKey(client: Client, key: string): Promise<Answered> {
  const answer = await client.ask({ method: "GET", bucket: BUCKET, key });
  if (answer.code !== "SsecDecryptHeaderInvalid") return answer;
  return await client.ask({ method: "GET", bucket: BUCKET, key, headers: readingHeaders("customer") });
}

const bare = (etag: string | undefined): string | undefined => etag?.replaceAll('"', "");

/**
 * Every method throws Unanswered when it was cut off, Failed for an answer of the 500s, and an AssertionError for any
 * other refusal.
 */
export class Writer {
  readonly client: Client;
  readonly journal: Journal;

  constructor(client: Client, journal: Journal) {
    this.client = client;
    this.journal = journal;
  }

  /** Sends a change, and writes down how it went. `refusals` are codes that mean it did not happen. */
  async #change(sent: readonly Sent[], asked: Asked, refusals: readonly string[] = []): Promise<Answered | undefined> {
    const answer = await this.client.ask(asked);
    if (answer.code === "ok") {
      for (const one of sent) one.acknowledge();
      this.journal.acknowledged += 1;
      return answer;
    }
    const what = `${asked.method} ${asked.bucket}/${asked.key ?? ""}`;
    if (answer.status >= 500) throw new Failed(what, answer);
    assert.ok(refusals.includes(answer.code), `${what}: ${answer.status} ${answer.code}`);
    for (const one of sent) one.refuse();
    return undefined;
  }

  async put(key: string, bytes: Buffer, encryption?: Encryption, refusals: readonly string[] = []): Promise<void> {
    const content = described(bytes, encryption, hasPlainEtag(encryption) ? md5(bytes) : undefined);
    const answer = await this.#change(
      [this.journal.at(key).send(content)],
      { method: "PUT", bucket: BUCKET, key, body: bytes, headers: headersOf(content) },
      refusals,
    );
    content.etag ??= bare(answer?.headers.etag);
  }

  /** Adds to a key that nobody else writes, as the first one encrypts it. Does nothing while its state is not certain. */
  async append(key: string, bytes: Buffer, encryption?: Encryption): Promise<void> {
    const register = this.journal.at(key);
    const present = register.certain();
    if (present === "unknown") return;
    const before = present ?? described(Buffer.alloc(0), encryption);
    // The first append says what the object is; later ones only add bytes.
    const content: Content = { ...before, bytes: Buffer.concat([before.bytes, bytes]), etag: undefined };
    const answer = await this.#change([register.send(content)], {
      method: "POST",
      bucket: BUCKET,
      key,
      query: { append: undefined, position: before.bytes.length },
      headers: present === undefined ? headersOf(content) : readingHeaders(content.encryption),
      body: bytes,
    });
    content.etag = bare(answer?.headers.etag);
  }

  /** Copies a key that nobody else writes. Does nothing while there is certainly nothing, or not certainly anything. */
  async copy(from: string, key: string, encryption?: Encryption, refusals: readonly string[] = []): Promise<void> {
    const source = this.journal.at(from).certain();
    // The service refuses to copy an object onto itself without new metadata.
    if (source === "unknown" || source === undefined || key === from) return;
    const content: Content = { ...source, encryption, etag: undefined };
    const place = `${BUCKET}.cos.ap-guangzhou.myqcloud.com/${encodeURIComponent(from)}`;
    const answer = await this.#change(
      [this.journal.at(key).send(content)],
      {
        method: "PUT",
        bucket: BUCKET,
        key,
        headers: { "x-cos-copy-source": place, ...sourceHeaders(source.encryption), ...storingHeaders(encryption) },
      },
      refusals,
    );
    if (answer !== undefined) content.etag = bare(elements(answer.body, "ETag")[0]);
  }

  async delete(key: string, refusals: readonly string[] = []): Promise<void> {
    await this.#change([this.journal.at(key).send(undefined)], { method: "DELETE", bucket: BUCKET, key }, refusals);
  }

  async deleteMany(keys: readonly string[]): Promise<void> {
    const sent = keys.map((key) => this.journal.at(key).send(undefined));
    const body = `<Delete>${keys.map((key) => `<Object><Key>${key}</Key></Object>`).join("")}</Delete>`;
    const answer = await this.#change([], {
      method: "POST",
      bucket: BUCKET,
      query: { delete: undefined },
      body,
      headers: { "content-md5": contentMd5(body) },
    });
    const text = String(answer?.body);
    // A refusal of one of the keys leaves all of them open: it is rare, and the next check settles it.
    if (text.includes("<Error>")) return;
    assert.equal(elements((answer as Answered).body, "Key").length, keys.length, `multi-delete says: ${text}`);
    for (const one of sent) one.acknowledge();
  }

  /** Makes a bucket, or deletes it if it is there. Does nothing while its state is not certain. */
  async toggleBucket(bucket: string): Promise<void> {
    const register = this.journal.bucket(bucket);
    const present = register.certain();
    if (present === "unknown") return;
    const next = present === undefined ? described(Buffer.alloc(0)) : undefined;
    await this.#change([register.send(next)], { method: next === undefined ? "DELETE" : "PUT", bucket });
  }

  /** Reads a key that nobody else writes, and asserts that it is what it must be. */
  async read(key: string): Promise<void> {
    const expected = this.journal.at(key).certain();
    if (expected === "unknown") return;
    const answer = await readKey(this.client, key);
    assert.equal(difference(expected, answer), undefined, `GET ${key} while others write`);
  }

  async begin(key: string, encryption?: Encryption): Promise<Upload> {
    const { tag, type } = described(Buffer.alloc(0));
    this.journal.perhapsBegun.add(key);
    const answer = await this.#change([], {
      method: "POST",
      bucket: BUCKET,
      key,
      query: { uploads: undefined },
      headers: headersOf({ tag, type, encryption }),
    });
    this.journal.perhapsBegun.delete(key);
    const id = elements((answer as Answered).body, "UploadId")[0] as string;
    const upload = { key, id, tag, type, encryption, parts: new Map(), completing: undefined, aborting: false };
    this.journal.uploads.set(id, upload);
    return upload;
  }

  async part(upload: Upload, partNumber: number, bytes: Buffer): Promise<void> {
    const before = upload.parts.get(partNumber) ?? [undefined];
    const etag = hasPlainEtag(upload.encryption) ? md5(bytes) : undefined;
    upload.parts.set(partNumber, [...before, { bytes, etag }]);
    const query = { partNumber, uploadId: upload.id };
    const headers = readingHeaders(upload.encryption);
    const answer = await this.#change([], {
      method: "PUT",
      bucket: BUCKET,
      key: upload.key,
      query,
      headers,
      body: bytes,
    });
    upload.parts.set(partNumber, [{ bytes, etag: etag ?? bare(answer?.headers.etag) }]);
  }

  /** Makes an object of the parts for which `takes` holds. All of them must be certain. */
  async complete(upload: Upload, takes: (number: number, at: number) => boolean = () => true): Promise<void> {
    const parts = [...upload.parts]
      .toSorted(([a], [b]) => a - b)
      .flatMap(([number, [part]]) => (part === undefined ? [] : [{ number, ...part }]))
      .filter(({ number }, at) => takes(number, at));
    const bytes = Buffer.concat(parts.map((part) => part.bytes));
    const { tag, type, encryption } = upload;
    const content: Content = { tag, type, bytes, encryption, etag: undefined };
    upload.completing = content;
    const answer = await this.#change([this.journal.at(upload.key).send(content)], {
      method: "POST",
      bucket: BUCKET,
      key: upload.key,
      query: { uploadId: upload.id },
      body: partList(parts.map(({ number, etag }) => [number, etag as string])),
    });
    content.etag = bare(elements((answer as Answered).body, "ETag")[0]);
    this.journal.uploads.delete(upload.id);
  }

  async abort(upload: Upload): Promise<void> {
    upload.aborting = true;
    await this.#change([], { method: "DELETE", bucket: BUCKET, key: upload.key, query: { uploadId: upload.id } });
    this.journal.uploads.delete(upload.id);
  }
}

function headersOf({ tag, type, encryption }: Pick<Content, "encryption" | "tag" | "type">): Record<string, string> {
  return { "content-type": type, "x-cos-meta-tag": tag, ...storingHeaders(encryption) };
}

/** In what an answer to GET differs from a state, without the checksum; undefined when it does not. */
export function difference(state: State, answer: Answered): string | undefined {
  if (state === undefined) return answer.code === "NoSuchKey" ? undefined : `${answer.code} in place of nothing`;
  if (answer.status !== 200) return `${answer.code} in place of ${state.bytes.length} bytes (${state.tag})`;
  const { headers, body } = answer;
  if (headers["x-cos-meta-tag"] !== state.tag)
    return `the object of ${String(headers["x-cos-meta-tag"])}, not ${state.tag}`;
  if (headers["content-type"] !== state.type) return `type ${headers["content-type"]}, not ${state.type}`;
  const encryption = encryptionIn(headers);
  if (encryption !== state.encryption) return `encrypted by ${encryption}, not ${state.encryption}`;
  if (body.length !== state.bytes.length) return `${body.length} bytes, not ${state.bytes.length}`;
  if (!body.equals(state.bytes)) return `other bytes than those of ${state.tag}`;
  const etag = bare(headers.etag);
  if (state.etag !== undefined && etag !== state.etag) return `ETag ${etag}, not ${state.etag}`;
  return undefined;
}
