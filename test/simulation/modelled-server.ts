/** A server that plays the steps of model.ts and holds what a client sees against what the model says. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { rootCredential } from "../../src/access/caller.ts";
import { signCos } from "../../src/dialects/cos/sign.ts";
import { FAMILY, splitUploadKey, splitVersionKey, splitAttachmentKey } from "../../src/store/keys.ts";
import { systemRandom } from "../../src/engines/random/system.ts";
import { memoryKey } from "../../src/engines/seal-key/memory.ts";
import {
  type Body,
  decodeBucket,
  decodeChunk,
  decodeObject,
  decodePart,
  decodeVersion,
} from "../../src/store/records.ts";
import type { Store } from "../../src/store/store.ts";
import { type Cleanup, type Disk, type Engines, openOn } from "../contract/store-fixture.ts";
import { type Asked, type InProcess, inProcess, type Told } from "../fixtures/in-process.ts";
import { partList, UNKNOWN_UPLOAD } from "../fixtures/uploads.ts";
import { crc64ecma } from "../interop/content.ts";
import {
  bytesOf,
  BUCKETS,
  KEYS,
  manyPart,
  type Model,
  type ModelUpload,
  NEW,
  type ObjectName,
  PART_BYTES_MIN,
  type Seen,
  type Step,
  UNKNOWN_VERSION,
} from "./model.ts";

const ACCOUNT = {
  secretId: "AKIDmodel",
  secretKey: "model",
  appid: "1250000000",
  uin: "100000000001",
  published: false,
};
/** Bytes up to which a body is a row. */
const INLINE_MAX = 64;

/** Half of what is stored is encrypted under the service's keys, of which a client sees nothing but a header. */
const sealed = (number: number): Record<string, string> =>
  number % 2 === 0 ? {} : { "x-cos-server-side-encryption": "AES256" };

const hostOf = (bucket: string): string => `${bucket}.cos.ap-guangzhou.myqcloud.com`;
const encoded = (key: string): string => key.split("/").map(encodeURIComponent).join("/");

const UNESCAPED: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };
const plain = (text: string): string => text.replace(/&(\w+);/g, (whole, name: string) => UNESCAPED[name] ?? whole);
const texts = (xml: string, element: string): string[] =>
  [...xml.matchAll(new RegExp(`<${element}>([^<]*)</${element}>`, "g"))].map(([, text = ""]) => plain(text));
const blocks = (xml: string, element: string): string[] =>
  [...xml.matchAll(new RegExp(`<${element}>(.*?)</${element}>`, "gs"))].map(([, text = ""]) => text);

/** Opens a server on `disk` that a model can be held against. */
export async function modelled(disk: Disk, cleanup: Cleanup) {
  let engines: Engines;
  let store: Store;
  let server: InProcess;
  const played = new Map<string, number>();
  // Lies outside of what restarts.
  const sealKey = memoryKey(systemRandom());

  async function open(): Promise<void> {
    engines = await disk.open();
    store = await openOn(engines, { inlineMax: INLINE_MAX, sealKey }, cleanup);
    server = await inProcess(store, { partBytesMin: PART_BYTES_MIN }, [rootCredential(ACCOUNT)]);
  }

  function ask(bucket: string, request: Omit<Asked, "host">): Promise<Told> {
    return server.ask({ ...request, host: hostOf(bucket) });
  }

  /** What only the owner may ask. */
  function askAsOwner(
    bucket: string,
    method: string,
    headers: Record<string, string> = {},
    document?: { readonly name: string; readonly body: string },
  ): Promise<Told> {
    const { secretId, secretKey } = ACCOUNT;
    const now = Math.floor(Date.now() / 1000);
    const host = hostOf(bucket);
    const signTime = `${now - 60};${now + 600}`;
    const { authorization } = signCos({ secretId, secretKey, method, path: "/", headers: [["host", host]], signTime });
    const target = document === undefined ? "/" : `/?${document.name}`;
    const body = document && { body: document.body };
    return ask(bucket, { method, target, headers: { ...headers, host, authorization }, ...body });
  }

  const noted = (note: string | undefined): Record<string, string> =>
    note === undefined ? {} : { "x-cos-meta-note": note };
  const sourceOf = (
    model: Model,
    { from, nth }: { from: ObjectName; nth?: number | undefined },
  ): Record<string, string> => {
    const id = nth === undefined ? "" : `?versionId=${model.version(from, nth)?.id ?? UNKNOWN_VERSION}`;
    return { "x-cos-copy-source": `${hostOf(model.bucket(from.bucket))}/${encoded(model.key(from.key))}${id}` };
  };

  function send(model: Model, step: Exclude<Step, { kind: "restart" | "appendMany" | "manyParts" }>): Promise<Told> {
    if ("upload" in step) return sendToUpload(model, step);
    const bucket = model.bucket(step.bucket);
    const target = "key" in step ? `/${encoded(model.key(step.key))}` : "/";
    switch (step.kind) {
      case "createBucket":
        return askAsOwner(bucket, "PUT", { "x-cos-acl": "public-read-write" });
      case "deleteBucket":
        return askAsOwner(bucket, "DELETE");
      case "headBucket":
        return ask(bucket, { method: "HEAD", target });
      case "put":
        return ask(bucket, {
          method: "PUT",
          target,
          headers: { ...noted(step.note), ...sealed(step.content.seed) },
          body: bytesOf(step.content),
        });
      case "get": {
        const { range } = step;
        const text = range && ("suffix" in range ? `-${range.suffix}` : `${range.first}-${range.last ?? ""}`);
        return ask(bucket, { method: "GET", target, headers: text === undefined ? {} : { range: `bytes=${text}` } });
      }
      case "head":
        return ask(bucket, { method: "HEAD", target });
      case "getVersion":
      case "deleteVersion": {
        const id = model.version(step, step.nth)?.id ?? UNKNOWN_VERSION;
        const method = step.kind === "getVersion" ? "GET" : "DELETE";
        return ask(bucket, { method, target: `${target}?versionId=${encodeURIComponent(id)}` });
      }
      case "setVersioning": {
        const body = `<VersioningConfiguration><Status>${step.state}</Status></VersioningConfiguration>`;
        return askAsOwner(bucket, "PUT", {}, { name: "versioning", body });
      }
      case "delete":
        return ask(bucket, { method: "DELETE", target });
      case "deleteMany": {
        const objects = model.namedForDeletion(step).map(({ key, id }) => {
          const version = id === undefined ? "" : `<VersionId>${id}</VersionId>`;
          return `<Object><Key>${key.replaceAll("&", "&amp;").replaceAll("<", "&lt;")}</Key>${version}</Object>`;
        });
        const body = `<Delete><Quiet>${step.quiet}</Quiet>${objects.join("")}</Delete>`;
        return ask(bucket, { method: "POST", target: "/?delete", body, headers: { "content-md5": md5Base64(body) } });
      }
      case "copy": {
        const directive = step.replaced
          ? { "x-cos-metadata-directive": "Replaced", ...noted("replaced"), ...sealed(step.key) }
          : {};
        return ask(bucket, { method: "PUT", target, headers: { ...sourceOf(model, step), ...directive } });
      }
      case "append": {
        const size = model.object(step)?.bytes.length ?? 0;
        const body = bytesOf(step.content);
        return ask(bucket, {
          method: "POST",
          target: `${target}?append&position=${size + step.off}`,
          headers: sealed(step.content.seed),
          body,
        });
      }
      case "initiate":
        return ask(bucket, {
          method: "POST",
          target: `${target}?uploads`,
          headers: { ...noted(step.note), ...sealed(step.key) },
        });
      case "listVersions": {
        const version = model.markedVersion(step);
        const query = [
          ["prefix", step.prefix],
          ["delimiter", step.delimiter],
          ["key-marker", step.after === undefined ? "" : model.key(step.after.key)],
          ["version-id-marker", version?.id ?? ""],
          ["max-keys", step.max === undefined ? "" : String(step.max)],
        ].flatMap(([name, value = ""]) => (value === "" ? [] : [`${name}=${encodeURIComponent(value)}`]));
        return ask(bucket, { method: "GET", target: `/?${["versions", ...query].join("&")}` });
      }
      case "list":
      case "listUploads": {
        const uploads = step.kind === "listUploads";
        const query = [
          ["prefix", step.prefix],
          ["delimiter", step.delimiter],
          [uploads ? "key-marker" : "marker", step.marker],
          [uploads ? "max-uploads" : "max-keys", step.max === undefined ? "" : String(step.max)],
        ].flatMap(([name, value = ""]) => (value === "" ? [] : [`${name}=${encodeURIComponent(value)}`]));
        return ask(bucket, { method: "GET", target: `/?${[...(uploads ? ["uploads"] : []), ...query].join("&")}` });
      }
    }
  }

  function sendToUpload(
    model: Model,
    step: Exclude<Extract<Step, { upload: number }>, { kind: "manyParts" }>,
  ): Promise<Told> {
    const upload: Pick<ModelUpload, "bucket" | "key" | "id"> = model.upload(step.upload) ?? {
      bucket: BUCKETS[0] as string,
      key: "a",
      id: UNKNOWN_UPLOAD,
    };
    const elsewhere = step.kind === "complete" && step.how === "elsewhere";
    const target = `/${encoded(upload.key)}${elsewhere ? "-not" : ""}?uploadId=${upload.id}`;
    switch (step.kind) {
      case "part":
        return ask(upload.bucket, {
          method: "PUT",
          target: `${target}&partNumber=${step.number}`,
          body: bytesOf(step.content),
        });
      case "partCopy": {
        const { range } = step;
        const rangeHeader = range && {
          "x-cos-copy-source-range": `bytes=${range.first}-${range.first + range.length - 1}`,
        };
        const headers = { ...sourceOf(model, step), ...rangeHeader };
        return ask(upload.bucket, { method: "PUT", target: `${target}&partNumber=${step.number}`, headers });
      }
      case "complete": {
        const known = model.upload(step.upload);
        // Where there is no upload yet, any list will do.
        const named = known ? model.named(known, step.how) : [[1, "0".repeat(32)] as const];
        return ask(upload.bucket, { method: "POST", target, body: partList(named) });
      }
      case "abort":
        return ask(upload.bucket, { method: "DELETE", target });
      case "listParts": {
        const max = step.max === undefined ? "" : `&max-parts=${step.max}`;
        return ask(upload.bucket, { method: "GET", target: `${target}&part-number-marker=${step.marker}${max}` });
      }
    }
  }

  async function compare(step: Step, told: Told, seen: Seen): Promise<void> {
    const where = `${JSON.stringify(step)}: ${told.text.slice(0, 400)}`;
    assert.equal(told.status, seen.status, where);
    if (seen.code !== undefined) assert.equal(told.code, seen.code, where);
    if ("version" in seen) {
      const id = told.headers.get("x-cos-version-id");
      if (seen.version === NEW) assert.match(id ?? "", /^MTg0[A-Za-z0-9+/]{23}$/, where);
      else assert.equal(id, seen.version, where);
      assert.equal(told.headers.get("x-cos-delete-marker"), seen.marker ? "true" : undefined, where);
    }
    if (seen.status >= 300) return;
    assert.deepEqual(server.faults, [], where);
    if (seen.bytes !== undefined) assert.ok(told.bytes.equals(seen.bytes), `other bytes: ${JSON.stringify(step)}`);
    if (seen.etag !== undefined) {
      const etag = told.headers.get("ETag") ?? blocks(told.text, "ETag")[0] ?? "";
      assert.equal(plain(etag), `"${seen.etag}"`, where);
    }
    if (seen.whole !== undefined) {
      assert.equal(told.headers.get("x-cos-hash-crc64ecma"), await crc64ecma(seen.whole), where);
    }
    if (seen.appendable !== undefined) {
      assert.equal(told.headers.get("x-cos-object-type"), seen.appendable ? "appendable" : "normal", where);
      assert.equal(told.headers.get("x-cos-meta-note"), seen.note, where);
    }
    if (seen.keys !== undefined) assert.deepEqual(new Set(texts(told.text, "Key")), new Set(seen.keys), where);
    if (seen.page !== undefined) assert.deepEqual(pageOf(step, told.text), seen.page, where);
  }

  async function play(model: Model, step: Step): Promise<void> {
    played.set(step.kind, (played.get(step.kind) ?? 0) + 1);
    if (step.kind === "restart") {
      // A process that dies leaves its own row behind; one that ends takes it away.
      if (step.clean) await store.close();
      else await store.collector.stop();
      await open();
      model.play(step);
      return;
    }
    if (step.kind === "appendMany") {
      for (const [at, length] of step.lengths.entries()) {
        await play(model, { ...step, kind: "append", content: { length, seed: step.seed + at }, off: 0 });
      }
      return;
    }
    if (step.kind === "manyParts") {
      const upload = model.upload(step.upload);
      for (let number = 1; upload !== undefined && number <= step.count; number++) {
        const bytes = manyPart(step, number);
        const target = `/${encoded(upload.key)}?partNumber=${number}&uploadId=${upload.id}`;
        const told = await ask(upload.bucket, { method: "PUT", target, body: bytes });
        if (!upload.open || !model.buckets.has(upload.bucket)) assert.equal(told.status, 404);
        else assert.equal(told.status, 200, told.text);
      }
      model.play(step);
      return;
    }
    const told = await send(model, step);
    const seen = model.play(step) as Seen;
    await compare(step, told, seen);
    if (model.made?.id === NEW) model.made.id = told.headers.get("x-cos-version-id") as string;
    if (step.kind === "deleteMany") await nameMarkers(model, step.bucket);
    if (step.kind === "initiate" && seen.status === 200) {
      (model.uploads.at(-1) as ModelUpload).id = texts(told.text, "UploadId")[0] as string;
    }
  }

  /** Markers that a multiple deletion has added are named in its answer, unless it is quiet; a list always tells. */
  async function nameMarkers(model: Model, number: number): Promise<void> {
    const bucket = model.bucket(number);
    const unnamed = [...(model.buckets.get(bucket)?.keys ?? [])].filter(([, versions]) =>
      versions.some(({ id }) => id === NEW),
    );
    if (unnamed.length === 0) return;
    const told = await ask(bucket, { method: "GET", target: "/?versions" });
    const listed = versionBlocks(told.text);
    for (const [key, versions] of unnamed) {
      const ids = listed
        .filter((one) => texts(one, "Key")[0] === key)
        .map((one) => texts(one, "VersionId")[0] as string);
      assert.equal(ids.length, versions.length, told.text);
      for (const [at, version] of versions.entries()) if (version.id === NEW) version.id = ids[at] as string;
    }
  }

  await open();
  return {
    play,
    played,
    engines: () => ({ ...engines, store }),
    /** Reads everything that the model holds, and asks for every list. */
    async walk(model: Model): Promise<void> {
      for (const bucket of BUCKETS.keys()) {
        for (const key of KEYS.keys()) await play(model, { kind: "get", bucket, key });
        const all = { bucket, prefix: "", delimiter: "", max: undefined };
        await play(model, { kind: "listVersions", ...all, after: undefined });
        for (const key of KEYS.keys()) {
          for (const nth of model.versions({ bucket, key }).keys()) {
            await play(model, { kind: "getVersion", bucket, key, nth });
          }
        }
        for (const kind of ["list", "listUploads"] as const) {
          await play(model, { kind, bucket, prefix: "", delimiter: "", marker: "", max: undefined });
        }
      }
      for (const upload of model.uploads.keys()) {
        await play(model, { kind: "listParts", upload, marker: 0, max: undefined });
      }
    },
  };
}

const md5Base64 = (text: string): string => createHash("md5").update(text).digest("base64");

const versionBlocks = (xml: string): string[] =>
  [...xml.matchAll(/<(Version|DeleteMarker)>(.*?)<\/\1>/gs)].map(([, , block = ""]) => block);

function pageOf(step: Step, xml: string): Seen["page"] {
  const first = (text: string, element: string): string => texts(text, element)[0] ?? "";
  const prefixes = blocks(xml, "CommonPrefixes").map((block) => first(block, "Prefix"));
  const truncated = first(xml, "IsTruncated") === "true";
  const sized = (element: string, naming: string) =>
    blocks(xml, element).map(
      (block) => `${first(block, naming)} ${first(block, "ETag").replaceAll('"', "")} ${first(block, "Size")}`,
    );
  if (step.kind === "listVersions") {
    const items = versionBlocks(xml).map((block) => {
      const etag = first(block, "ETag").replaceAll('"', "");
      const what = etag === "" ? "marker" : `${etag} ${first(block, "Size")}`;
      return `${first(block, "Key")} ${first(block, "VersionId")} ${first(block, "IsLatest")} ${what}`;
    });
    const next = truncated ? [first(xml, "NextKeyMarker"), first(xml, "NextVersionIdMarker")] : undefined;
    return { items, prefixes, next };
  }
  if (step.kind === "list") {
    return { items: sized("Contents", "Key"), prefixes, next: truncated ? [first(xml, "NextMarker")] : undefined };
  }
  if (step.kind === "listParts") {
    return {
      items: sized("Part", "PartNumber"),
      prefixes,
      next: truncated ? [first(xml, "NextPartNumberMarker")] : undefined,
    };
  }
  return {
    items: blocks(xml, "Upload").map((block) => `${first(block, "Key")} ${first(block, "UploadId")}`),
    prefixes,
    next: truncated ? [first(xml, "NextKeyMarker"), first(xml, "NextUploadIdMarker")] : undefined,
  };
}

/**
 * Waits for the collector and holds the rows and blobs against the model: what it names is there, once, and nothing
 * else is.
 */
export async function expectExactly(
  model: Model,
  { metadata, blobs, store }: Engines & { readonly store: Store },
): Promise<void> {
  await store.collector.idle();
  const everything = { start: Buffer.from([0]), end: Buffer.from([0xff]), limit: 1_000_000 };
  const [rows = []] = await metadata.read([everything]);
  const family = (name: keyof typeof FAMILY) => rows.filter(({ key }) => key[0] === FAMILY[name]);
  const tails = (name: keyof typeof FAMILY) =>
    family(name)
      .map(({ key }) => key.toString("hex", 1))
      .sort();

  const bucketIds = new Map(family("bucket").map(({ value }) => [decodeBucket(value).id, decodeBucket(value).name]));
  const inBucket = (key: Buffer): string => `${bucketIds.get(key.toString("hex", 1, 9))}/`;
  assert.deepEqual([...bucketIds.values()].sort(), [...model.buckets.keys()].sort());
  assert.equal(family("accountBucket").length, bucketIds.size);

  assert.deepEqual(
    family("object")
      .map(({ key }) => inBucket(key) + key.toString("utf8", 9))
      .sort(),
    [...model.buckets]
      .flatMap(([bucket, { keys }]) =>
        [...keys].flatMap(([key, [first]]) => (first?.object ? [`${bucket}/${key}`] : [])),
      )
      .sort(),
  );
  const older = [...model.buckets].flatMap(([bucket, { keys }]) =>
    [...keys].flatMap(([key, versions]) => versions.slice(versions[0]?.object ? 1 : 0).map(() => `${bucket}/${key}`)),
  );
  const rowOf = (key: Buffer): string => inBucket(key) + splitVersionKey(key.subarray(9)).key;
  assert.deepEqual(
    family("version")
      .map(({ key }) => rowOf(key))
      .sort(),
    older.toSorted(),
  );
  assert.deepEqual(
    family("history")
      .map(({ key }) => inBucket(key) + key.toString("utf8", 9))
      .sort(),
    [...new Set(older)].sort(),
  );
  const open = model.uploads.filter((upload) => upload.open);
  assert.deepEqual(
    family("upload")
      .map(({ key }) => {
        const { key: name, uploadId } = splitUploadKey(key.subarray(9));
        return `${inBucket(key)}${name} ${uploadId}`;
      })
      .sort(),
    open.map(({ bucket, key, id }) => `${bucket}/${key} ${id}`).sort(),
  );
  assert.deepEqual(
    family("part")
      .map(({ key }) => `${key.toString("latin1", 9, key.length - 3)} ${key.readUInt16BE(key.length - 2)}`)
      .sort(),
    open.flatMap(({ id, parts }) => [...parts.keys()].map((number) => `${id} ${number}`)).sort(),
  );

  const needed = {
    inline: new Set<string>(),
    reference: new Set<string>(),
    manifest: new Set<string>(),
    blob: new Set<string>(),
  };
  const bodies: Body[] = [
    ...family("object").map(({ value }) => decodeObject(value).body),
    ...family("version").flatMap(({ value }) => {
      const record = decodeVersion(value);
      return record.type === "delete-marker" ? [] : [record.body];
    }),
    ...family("part").map(({ value }) => decodePart(value).body),
  ];
  for (const { manifest, pieces } of bodies) {
    const chunks = manifest ? family("manifest").filter(({ key }) => key.toString("hex", 1, 17) === manifest.id) : [];
    for (const { key } of chunks) needed.manifest.add(key.toString("hex", 1));
    for (const piece of [...chunks.flatMap(({ value }) => decodeChunk(value)), ...pieces]) {
      if (piece.kind === "inline") {
        assert.ok(!needed.inline.has(piece.id), "a small body belongs to one");
        needed.inline.add(piece.id);
      } else {
        needed.reference.add(piece.id + piece.holder);
        needed.blob.add(piece.id);
      }
    }
  }
  for (const name of ["inline", "reference", "manifest"] as const) {
    assert.deepEqual(tails(name), [...needed[name]].sort(), `rows of family ${name}`);
  }
  assert.deepEqual(await blobs.list(undefined, 1_000_000), [...needed.blob].sort(), "blobs");
  for (const name of ["garbage", "intent"] as const) assert.deepEqual(tails(name), [], name);
  assert.deepEqual([tails("format").length, tails("incarnation").length], [1, 1]);
  // Buckets are made with an ACL that lets everyone write, and nothing else here has one.
  for (const { key } of family("attachment")) {
    const { attached, bucketId } = splitAttachmentKey(key);
    assert.ok(attached.of === "acl" && bucketIds.has(bucketId), "a place for an ACL that nothing has");
  }
  const counted = [
    "attachment",
    "bucket",
    "accountBucket",
    "account",
    "object",
    "version",
    "history",
    "upload",
    "part",
    "inline",
    "reference",
    "manifest",
    "keyRing",
  ] as const;
  // What tells the key of the keys, and the service's own; made by the first that is encrypted.
  assert.ok([0, 2].includes(family("keyRing").length));
  const known = counted.reduce((sum, name) => sum + family(name).length, 2);
  assert.equal(rows.length, known, "rows of a family that nobody knows");
}
