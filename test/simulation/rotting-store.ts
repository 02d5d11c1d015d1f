/**
 * A data folder with everything in it that bytes can lie in, and a look at all of it that holds each answer against
 * what was stored: right bytes, or an error, and never wrong ones.
 */

import { cpSync, existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join, relative } from "node:path";
import { localBlobs } from "../../src/engines/blobs/local.ts";
import { systemClock } from "../../src/engines/clock/system.ts";
import { lmdbMetadata } from "../../src/engines/metadata/lmdb.ts";
import { systemRandom } from "../../src/engines/random/system.ts";
import { openStore } from "../../src/store/store.ts";
import { type Asked, type InProcess, inProcess, type Told } from "../fixtures/in-process.ts";
import type { Chance } from "../fuzz/chance.ts";
import { bytes, md5 } from "../interop/content.ts";
import { injure, type Injury, swapFiles } from "./injuries.ts";

/** Where the folder keeps an earlier copy of its rows and blobs, for pages that come back from the past. */
const OLDER = "older";

/** Pieces of content: how many bytes, of which seed. */
type Recipe = readonly (readonly [length: number, seed: string])[];

/** What every key has held, the last of them now; undefined where it held nothing. */
export type Contents = Readonly<Record<string, readonly (Recipe | null)[]>>;

const known = new Map<Recipe, Buffer>();
function contentOf(recipe: Recipe): Buffer {
  let content = known.get(recipe);
  if (content === undefined) {
    content = Buffer.concat(recipe.map(([length, seed]) => bytes(length, seed)));
    known.set(recipe, content);
  }
  return content;
}

interface Opened {
  readonly server: InProcess;
  /** Waits for the collector. */
  idle(): Promise<void>;
  close(): Promise<void>;
}

async function open(folder: string): Promise<Opened> {
  const random = systemRandom();
  const metadata = await lmdbMetadata({ folder: join(folder, "metadata"), random, durability: "none" });
  // Some bodies share segments, of which there are several, and others have files of their own.
  const sizes = { segmentBytesMax: 40_000, segmentFileBytes: 100_000 };
  const blobs = await localBlobs({ folder, random, durability: "none", ...sizes });
  const close = async (): Promise<void> => {
    await blobs.close();
    await metadata.close();
  };
  try {
    const store = await openStore({ metadata, blobs, clock: systemClock(), random });
    return {
      server: await inProcess(store, { partBytesMin: 1 }),
      idle: () => store.collector.idle(),
      async close() {
        await store.collector.stop();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

const partsDocument = (parts: readonly Buffer[]): string =>
  `<CompleteMultipartUpload>${parts
    .map((part, at) => `<Part><PartNumber>${at + 1}</PartNumber><ETag>${md5(part)}</ETag></Part>`)
    .join("")}</CompleteMultipartUpload>`;

const uploadIdOf = ({ text }: Told): string => /<UploadId>([^<]*)/.exec(text)?.[1] ?? "";

const sourceHeader = (key: string): Record<string, string> => ({
  "x-cos-copy-source": `demo-1250000000.cos.ap-guangzhou.myqcloud.com/${key}`,
});

/** Fills a new data folder, with a past, and tells what is in it. */
export async function fillStore(folder: string): Promise<Contents> {
  await mkdir(folder, { recursive: true });
  const contents: Record<string, (Recipe | null)[]> = {};
  let opened = await open(folder);
  let count = 0;
  const piece = (length: number): readonly [number, string] => [length, `piece ${count++}`];
  const holds = (key: string, recipe: Recipe | null) => void (contents[key] ??= []).push(recipe);

  async function told(request: Asked): Promise<Told> {
    const answer = await opened.server.ask(request);
    if (answer.status >= 300) throw new Error(`${request.method} ${request.target}: ${answer.text}`);
    return answer;
  }
  async function put(key: string, length: number): Promise<void> {
    const recipe = [piece(length)];
    await told({ method: "PUT", target: `/${key}`, body: contentOf(recipe) });
    holds(key, recipe);
  }
  async function append(key: string, length: number): Promise<void> {
    const before = contents[key]?.at(-1) ?? [];
    const recipe = [...before, piece(length)];
    const position = before.reduce((sum, [bytesBefore]) => sum + bytesBefore, 0);
    const body = contentOf(recipe.slice(-1));
    await told({ method: "POST", target: `/${key}?append&position=${position}`, body });
    holds(key, recipe);
  }
  async function upload(key: string, lengths: readonly number[]): Promise<void> {
    const recipe = lengths.map(piece);
    const uploadId = uploadIdOf(await told({ method: "POST", target: `/${key}?uploads` }));
    const parts = recipe.map((one) => contentOf([one]));
    for (const [at, body] of parts.entries()) {
      await told({ method: "PUT", target: `/${key}?partNumber=${at + 1}&uploadId=${uploadId}`, body });
    }
    await told({ method: "POST", target: `/${key}?uploadId=${uploadId}`, body: partsDocument(parts) });
    holds(key, recipe);
  }
  async function copy(from: string, to: string): Promise<void> {
    await told({ method: "PUT", target: `/${to}`, headers: sourceHeader(from) });
    holds(to, contents[from]?.at(-1) ?? null);
  }
  async function remove(key: string): Promise<void> {
    await told({ method: "DELETE", target: `/${key}` });
    holds(key, null);
  }

  for (let n = 0; n < 40; n++) await put(`small/${n}`, 1 + ((n * 397) % 3_000));
  await put("empty", 0);
  for (const [n, length] of [16_385, 20_000, 65_536, 65_537, 100_000, 200_000].entries())
    await put(`blob/${n}`, length);
  for (let n = 0; n < 20; n++) await append("log", n % 5 === 4 ? 17_000 : 900);
  await upload("parts/few", [70_000, 30_000, 5]);
  await opened.idle();
  await opened.close();
  for (const part of ["metadata", "blobs"]) cpSync(join(folder, part), join(folder, OLDER, part), { recursive: true });
  opened = await open(folder);

  for (let n = 0; n < 40; n += 3) await put(`small/${n}`, 1 + ((n * 211) % 3_000));
  for (let n = 1; n < 40; n += 6) await remove(`small/${n}`);
  for (let n = 0; n < 20; n++) await append("log", n % 5 === 4 ? 17_000 : 900);
  for (let n = 0; n < 60; n++) await append("notes", 40);
  await put("blob/1", 30_000);
  await put("blob/2", 3_000);
  await upload(
    "parts/many",
    Array.from({ length: 45 }, (_, n) => (n % 9 === 0 ? 17_000 : 200 + n)),
  );
  await copy("blob/3", "copies/blob");
  await copy("small/5", "copies/small");
  await copy("parts/few", "copies/few");
  await copy("parts/many", "copies/many");
  await opened.idle();
  await opened.close();
  return contents;
}

/** What came of a round's questions. */
export interface Tally {
  injuries: Injury[];
  right: number;
  /** Refused with a status above 299, or cut off in the middle. */
  refused: number;
  /** Of those: told that there is no such key. */
  absent: number;
  /** The store did not open. */
  unopened: number;
  /** A list without a key that is there. */
  listedShort: number;
  /** Right bytes of an earlier time. */
  past: string[];
  /** Bytes, sizes, ETags or names that nobody ever stored there. */
  wrong: string[];
}

const NEVER: readonly (Recipe | null)[] = [];

/** Asks for everything and keeps count. */
async function look(server: InProcess, contents: Contents, chance: Chance, tally: Tally): Promise<void> {
  /** Holds bytes against what the key holds, has held, and never held. */
  function judge(what: string, key: string, got: Buffer, cut: (whole: Buffer) => Buffer): void {
    const [now, ...before] = (contents[key] ?? NEVER).toReversed();
    const is = (recipe: Recipe | null | undefined): boolean => recipe != null && got.equals(cut(contentOf(recipe)));
    if (is(now)) tally.right += 1;
    else if (before.some(is)) tally.past.push(what);
    else tally.wrong.push(what);
  }

  /** The answer, or undefined for a refusal. Whoever is cut off in the middle knows it. */
  async function ask(request: Asked): Promise<Told | undefined> {
    let told: Told | undefined;
    try {
      told = await server.ask(request);
    } catch {
      // The stream of an answer threw: the edge cuts the connection.
    }
    if (told !== undefined && told.status < 300 && told.code === "ok") return told;
    tally.refused += 1;
    if (told?.status === 404) tally.absent += 1;
    return undefined;
  }

  const keys = Object.entries(contents).filter(([, recipes]) => recipes.at(-1) != null);
  async function read(key: string, size: number, first: number, last: number): Promise<void> {
    const whole = await ask({ method: "GET", target: `/${key}` });
    if (whole) judge(`GET ${key}`, key, whole.bytes, (bytes) => bytes);
    if (size === 0) return;
    const range = await ask({ method: "GET", target: `/${key}`, headers: { range: `bytes=${first}-${last}` } });
    if (range) judge(`GET ${key} ${first}-${last}`, key, range.bytes, (bytes) => bytes.subarray(first, last + 1));
  }
  await Promise.all(
    keys.map(([key, recipes]) => {
      const size = (recipes.at(-1) as Recipe).reduce((sum, [length]) => sum + length, 0);
      const first = chance.below(size);
      return read(key, size, first, first + chance.below(Math.min(size - first, 80_000)));
    }),
  );

  const listed = await ask({ method: "GET", target: "/" });
  if (listed) {
    const found = new Map<string, string>();
    for (const [, key = "", rest = ""] of listed.text.matchAll(/<Contents><Key>([^<]*)<\/Key>(.*?)<\/Contents>/g)) {
      if (contents[key]?.at(-1) == null) (contents[key] ? tally.past : tally.wrong).push(`LIST ${key}`);
      found.set(key, /<Size>(\d+)/.exec(rest)?.[1] ?? "");
    }
    for (const [key, recipes] of keys) {
      const sizes = recipes.map((recipe) => String(recipe?.reduce((sum, [length]) => sum + length, 0)));
      const size = found.get(key);
      if (size === undefined) tally.listedShort += 1;
      else if (size !== sizes.at(-1)) (sizes.includes(size) ? tally.past : tally.wrong).push(`LIST ${key} ${size}`);
    }
  }

  // What is copied is either read for its digests, or shared: then the copy has to be right, or an error, as well.
  const begun = await ask({ method: "POST", target: "/made?uploads" });
  if (!begun) return;
  const uploadId = uploadIdOf(begun);
  for (let n = 0; n < 4; n++) {
    const [key, recipes] = chance.pick(keys);
    const content = contentOf(recipes.at(-1) as Recipe);
    if (content.length === 0) continue;
    const [first, last] = chance.once(3)
      ? [0, content.length - 1]
      : [chance.below(content.length >> 1), (content.length >> 1) + chance.below(content.length >> 1)];
    const part = await ask({
      method: "PUT",
      target: `/made?partNumber=1&uploadId=${uploadId}`,
      headers: { ...sourceHeader(key), "x-cos-copy-source-range": `bytes=${first}-${last}` },
    });
    const etag = part && /<ETag>"([0-9a-f]{32})"/.exec(part.text)?.[1];
    if (etag === undefined) continue;
    const what = `part copy of ${key} ${first}-${last}`;
    if (etag === md5(content.subarray(first, last + 1))) tally.right += 1;
    else tally.wrong.push(what);
    const document = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${etag}</ETag></Part></CompleteMultipartUpload>`;
    if (n < 3) continue;
    if (!(await ask({ method: "POST", target: `/made?uploadId=${uploadId}`, body: document }))) continue;
    const made = await ask({ method: "GET", target: "/made" });
    if (made) judge(`GET the ${what}`, key, made.bytes, (bytes) => bytes.subarray(first, last + 1));
  }
  const [source] = chance.pick(keys);
  if (!(await ask({ method: "PUT", target: "/copied", headers: sourceHeader(source) }))) return;
  const copied = await ask({ method: "GET", target: "/copied" });
  if (copied) judge(`GET the copy of ${source}`, source, copied.bytes, (bytes) => bytes);
}

function filesUnder(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** Injuries to files of blobs in one round. */
export const BLOBS_AT_ONCE = 10;

/** Injures the folder, a fresh copy of a filled one: its rows in one place, or its blobs in several. */
export function injureStore(folder: string, target: "rows" | "blobs", chance: Chance): Injury[] {
  if (target === "rows") {
    const [rows, older] = [folder, join(folder, OLDER)].map((where) => join(where, "metadata", "data.mdb"));
    return [injure(rows as string, chance, readFileSync(older as string), true)];
  }
  const files = filesUnder(join(folder, "blobs"));
  const injuries: Injury[] = [];
  while (injuries.length < BLOBS_AT_ONCE) {
    const [file, other] = [chance.pick(files), chance.pick(files)];
    const past = join(folder, OLDER, relative(folder, file));
    if (file === other || statSync(file).size === 0) continue;
    if (chance.once(10)) injuries.push(swapFiles(file, other));
    // What lay in its place before: an earlier state of the same file, or a file that is gone.
    else injuries.push(injure(file, chance, readFileSync(existsSync(past) && chance.once(2) ? past : other), false));
  }
  return injuries;
}

/** Opens an injured store and asks for everything in it. */
export async function lookAt(folder: string, contents: Contents, chance: Chance, injuries: Injury[]): Promise<Tally> {
  const tally: Tally = {
    injuries,
    right: 0,
    refused: 0,
    absent: 0,
    unopened: 0,
    listedShort: 0,
    past: [],
    wrong: [],
  };
  let opened: Opened;
  try {
    opened = await open(folder);
  } catch {
    tally.unopened = 1;
    return tally;
  }
  try {
    await look(opened.server, contents, chance, tally);
  } finally {
    await opened.close().catch(() => {});
  }
  return tally;
}
