/** `cosbox export`: the objects of a bucket as plain files, with a list of what a folder cannot say. */

import { mkdir, rm } from "node:fs/promises";
import path from "node:path";
import type { LoadedSettings } from "../config/load-settings.ts";
import { type Settings, SettingsError } from "../config/settings.ts";
import { syncFolder } from "../engines/blobs/disk.ts";
import { systemClock } from "../engines/clock/system.ts";
import { systemRandom } from "../engines/random/system.ts";
import { kmsOf } from "../engines/kms/kms-of.ts";
import { sealKeyOf } from "../engines/seal-key/seal-key-of.ts";
import { CosError } from "../errors/cos-error.ts";
import { BlobDamaged } from "../ports/blobs.ts";
import { type MetadataEngine, pointRange, type Range, RowDamaged } from "../ports/metadata.ts";
import { encodeGrants } from "../access/acl.ts";
import { BUCKET_GRANTS } from "../access/documents.ts";
import { BodyVanished } from "../store/bodies.ts";
import { RecordDamaged } from "../store/bytes.ts";
import { crc64Continue } from "../store/crc64.ts";
import { type Encryption, encryption } from "../store/encryption.ts";
import { besideKeyRing, keyRing } from "../store/key-ring.ts";
import {
  after,
  BUCKET_FAMILY_BYTES,
  bucketKey,
  bucketPrefix,
  canName,
  configurationKey,
  prefixRange,
} from "../store/keys.ts";
import { readRows } from "../store/read-rows.ts";
import { decodeBucket, decodeConfiguration, decodeObject, type ObjectRecord } from "../store/records.ts";
import { bodyReader } from "../store/scrub.ts";
import { SealBroken } from "../store/sealing.ts";
import { listedConfigurations, listedSettings } from "../folders/bucket-settings.ts";
import { EXPORT_FOLDER, exportNames, SIDECAR } from "../folders/export-names.ts";
import { eachAtOnce } from "../folders/files.ts";
import { reasonOf } from "../folders/import-folder.ts";
import { makeEmptyFolder, openNew, syncOpen, writeAll } from "./files.ts";
import { openData } from "./open-data.ts";
import { progress } from "./progress.ts";
import { bytesText, countOf, durationText, printable } from "./quantities.ts";
import type { Shell } from "./shell.ts";
import { bucketLine, endLine, objectLine } from "../folders/sidecar.ts";

const PAGE_ROWS = 200;
const EXPORTS_AT_ONCE = 16;
/** Folders that are remembered as made. */
const FOLDERS_KNOWN_MAX = 10_000;
/** Times that an object which is replaced while it is read is begun again. */
const ATTEMPTS_MAX = 10;

/** The keys of a data folder, for reading what is encrypted beside a server. */
async function keysBeside(metadata: Pick<MetadataEngine, "read">, settings: Settings): Promise<Encryption> {
  const never = async (): Promise<never> => {
    throw new Error("an export only reads");
  };
  const random = systemRandom();
  const reading = { read: (ranges: readonly Range[]) => metadata.read(ranges), commit: never, close: async () => {} };
  const clock = systemClock();
  const { kms, serviceKeys } = keyRing({
    metadata: reading,
    transact: never,
    clock,
    random,
    sealKey: sealKeyOf(settings, random),
    callsPerSecond: Number.POSITIVE_INFINITY,
  });
  const remote = await kmsOf(settings, clock);
  return encryption({ kms: remote === undefined ? kms : besideKeyRing(kms, remote), serviceKeys, random });
}

/**
 * Each object is whole, as it was at one moment; a server may go on meanwhile. Exit code 1 when an object could not be
 * read, which is then missing from the export.
 */
export async function exportBucket(
  { settings }: LoadedSettings,
  bucketName: string,
  target: string,
  shell: Shell,
): Promise<number> {
  const folder = path.resolve(shell.cwd(), target);
  const data = await openData(settings);
  const started = performance.now();
  const { current } = data.metadata;
  try {
    const [rows] = canName(bucketName) ? await current.read([pointRange(bucketKey(bucketName))]) : [[]];
    const row = rows?.[0];
    if (!row) throw new SettingsError(`there is no bucket ${JSON.stringify(bucketName)} in ${data.folder}`);
    const bucket = decodeBucket(row.value);
    await makeEmptyFolder(folder, "export");
    await mkdir(path.join(folder, EXPORT_FOLDER));

    const reader = bodyReader({ metadata: current, blobs: data.blobs });
    const names = exportNames();
    const bar = progress(shell, { label: "exporting", total: undefined, unit: "bytes" });
    const listFile = path.join(folder, SIDECAR);
    const list = await openNew(listFile);
    const totals = { objects: 0, escaped: 0, bytes: 0, failed: 0 };

    let folders = new Map<string, Promise<unknown>>();
    function made(parent: string): Promise<unknown> {
      if (folders.size > FOLDERS_KNOWN_MAX) folders = new Map();
      const known = folders.get(parent) ?? mkdir(parent, { recursive: true });
      folders.set(parent, known);
      return known;
    }

    const keys = await keysBeside(current, settings);

    async function write(record: ObjectRecord, key: string, file: string): Promise<void> {
      const { sections, sequence } = record;
      const dataKey = await keys.open(sections, { bucketId: bucket.id, key, sequence }, undefined);
      await made(path.dirname(file));
      const handle = await openNew(file);
      try {
        let crc = 0n;
        for await (const chunk of reader.read(record.body, 0, record.size, dataKey?.bytes)) {
          crc = crc64Continue(crc, chunk);
          await writeAll(handle, chunk, file);
        }
        if (crc !== record.crc64) throw new RecordDamaged("the bytes do not match the checksum");
        await handle.utimes(new Date(), new Date(record.modifiedMs));
      } finally {
        await handle.close();
      }
    }

    /** The object as it was written, or undefined when it was deleted before it could be. */
    async function exportObject(
      rowKey: Buffer,
      first: Buffer,
      key: string,
      file: string,
    ): Promise<ObjectRecord | undefined> {
      let value = first;
      for (let attempt = 1; ; attempt++) {
        try {
          const record = decodeObject(value);
          await write(record, key, file);
          return record;
        } catch (error) {
          if (!(error instanceof BodyVanished || error instanceof BlobDamaged)) {
            throw error;
          }
          await rm(file, { force: true });
          const [again] = await current.read([pointRange(rowKey)]);
          const now = again?.[0]?.value;
          if (now === undefined) return undefined;
          if (now.equals(value) || attempt === ATTEMPTS_MAX) throw error;
          value = now;
        }
      }
    }

    /** Writes the object, and gives its line in the list; undefined where there is nothing to list. */
    async function lineOf(rowKey: Buffer, value: Buffer, key: string, name: string): Promise<string | undefined> {
      const file = path.join(folder, name);
      try {
        const record = await exportObject(rowKey, value, key, file);
        if (!record) return undefined;
        totals.objects += 1;
        totals.bytes += record.size;
        if (name !== key) totals.escaped += 1;
        bar.update(totals.bytes);
        return objectLine(key, name, record);
      } catch (error) {
        const damaged = [BlobDamaged, RecordDamaged, RowDamaged, BodyVanished, SealBroken].some(
          (kind) => error instanceof kind,
        );
        if (!damaged && !(error instanceof CosError)) throw error;
        totals.failed += 1;
        await rm(file, { force: true });
        if (error instanceof CosError) {
          const name = printable(`${bucketName}/${key}`);
          bar.line(`left out: object ${name} is encrypted, and its key is not at hand: ${printable(reasonOf(error))}`);
          return undefined;
        }
        const why = printable((error as Error).message);
        bar.line(`damage: object ${printable(`${bucketName}/${key}`)}: ${why}; it is left out`);
        return undefined;
      }
    }

    /** Versions that are not current: an export is a folder of files, and a file has no past. */
    async function countOlder(): Promise<number> {
      let count = 0;
      if (bucket.versioning === undefined) return count;
      let range = prefixRange(bucketPrefix("version", bucket.id), PAGE_ROWS);
      for (;;) {
        const page = await readRows(current, range, () => {
          count += 1;
        });
        count += page.length;
        const last = page.at(-1);
        if (!last || page.length < PAGE_ROWS) return count;
        range = { ...range, start: after(last.key) };
      }
    }

    /** One of the bucket's configurations; undefined where there is none. */
    async function documentOf(name: string): Promise<Buffer | undefined> {
      const [row] = await readRows(current, pointRange(configurationKey(bucket.id, name)), () => {
        totals.failed += 1;
        bar.line(`damage: ${name} of bucket ${bucketName}: its row does not match its checksum; it is left out`);
      });
      return row && decodeConfiguration(row.value).document;
    }

    /** The first line of the list. */
    async function bucketNow(): Promise<string> {
      const { region, acl } = bucket;
      const given = await documentOf(BUCKET_GRANTS.name);
      const documents: (readonly [string, Buffer])[] = [];
      for (const name of listedConfigurations(bucket)) {
        const document = await documentOf(name);
        if (document) documents.push([name, document]);
      }
      const grants = given === undefined ? [] : encodeGrants(BUCKET_GRANTS.decode(given));
      return bucketLine({ bucket: bucketName, region, acl, grants, ...listedSettings(bucket, documents) });
    }

    try {
      await writeAll(list, Buffer.from(await bucketNow()), listFile);
      let range = prefixRange(bucketPrefix("object", bucket.id), PAGE_ROWS);
      for (;;) {
        const page = await readRows(current, range, (key) => {
          totals.failed += 1;
          const name = `${bucketName}/${key.toString("utf8", BUCKET_FAMILY_BYTES)}`;
          bar.line(`damage: object ${printable(name)}: its row does not match its checksum; it is left out`);
        });
        const named = page.map(({ key: rowKey, value }) => {
          const key = rowKey.toString("utf8", BUCKET_FAMILY_BYTES);
          return { rowKey, value, key, name: names.nameOf(key) };
        });
        const lines = new Map<string, string>();
        await eachAtOnce(named.values(), EXPORTS_AT_ONCE, async ({ rowKey, value, key, name }) => {
          const line = await lineOf(rowKey, value, key, name);
          if (line !== undefined) lines.set(key, line);
        });
        await writeAll(list, Buffer.from(named.map(({ key }) => lines.get(key) ?? "").join("")), listFile);
        const last = page.at(-1);
        if (!last || page.length < PAGE_ROWS) break;
        range = { ...range, start: after(last.key) };
      }
      await writeAll(list, Buffer.from(endLine(totals.objects)), listFile);
      await syncOpen(list, listFile);
    } finally {
      bar.end();
      await list.close();
    }
    await syncFolder(folder);
    const older = await countOlder();
    if (older > 0) {
      const what = countOf(older, "older version or delete marker", "older versions and delete markers");
      shell.stdout.write(`left out ${what}; cosbox backup has them\n`);
    }
    const escaped =
      totals.escaped === 0 ? "" : `, ${countOf(totals.escaped, "of them", "of them")} under an escaped name`;
    shell.stdout.write(
      `exported ${countOf(totals.objects, "object")} of ${bytesText(totals.bytes)}${escaped} to ${folder} in ` +
        `${durationText(performance.now() - started)}\n`,
    );
    return totals.failed === 0 ? 0 : 1;
  } finally {
    await data.close();
  }
}
