/** A server that plays the steps of model.ts and holds what a client sees against what the model says. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { rootCredential } from "../../src/access/caller.ts";
import { signCos } from "../../src/dialects/cos/sign.ts";
import type { BackgroundTask } from "../../src/background.ts";
import { systemClock } from "../../src/engines/clock/system.ts";
import { lifecycleTask } from "../../src/features/lifecycle/index.ts";
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
import { Died, mortal, type Mortal } from "../contract/mortal.ts";
import {
  bytesOf,
  BUCKETS,
  KEYS,
  manyPart,
  Model,
  NEW,
  type ObjectName,
  PART_BYTES_MIN,
  type Seen,
  type Step,
  UNKNOWN_VERSION,
} from "./model.ts";
import type { Facts, ModelBucket, ModelUpload } from "./model-state.ts";
import { DAY_MS, FIRST_MIDNIGHT, HOUR_MS, midnightFrom, xmlOf } from "./model-lifecycle.ts";

const ACCOUNT = {
  secretId: "AKIDmodel",
  secretKey: "model",
  appid: "1250000000",
  uin: "100000000001",
  published: false,
};
/** Good for as long as any sequence may last. */
const SIGN_TIME = `0;${Date.UTC(2200, 0, 1) / 1000}`;
/** Every step takes so long, so that no two things happen at once. */
const STEP_MS = 1_000;
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

/** Steps that are no request. */
type Unsent = (typeof UNSENT)[number];
const UNSENT = ["restart", "appendMany", "manyParts", "uploadWhole", "advance", "dyingMidnight", "dying"] as const;

function isUnsent(step: Step): step is Extract<Step, { kind: Unsent }> {
  return UNSENT.some((kind) => kind === step.kind);
}

export interface ModelledOptions {
  /** Which kind of lock buckets get. */
  readonly lockGeneration?: 1 | 2;
}

/** Opens a server on `disk`, and a model to hold it against. */
export async function modelled(disk: Disk, cleanup: Cleanup, { lockGeneration = 2 }: ModelledOptions = {}) {
  const model = new Model({ nowMs: FIRST_MIDNIGHT + 10 * HOUR_MS, lockGeneration });
  const clock = { ...systemClock(), now: () => model.nowMs, real: () => model.nowMs };
  let tasks: readonly BackgroundTask[] = [];
  let turn = 0;
  let engines: Mortal;
  let store: Store;
  let server: InProcess;
  const played = new Map<string, number>();
  const refusals = new Map<string, number>();
  const count = (what: string, times = 1): void => void refusals.set(what, (refusals.get(what) ?? 0) + times);
  // Lies outside of what restarts.
  const sealKey = memoryKey(systemRandom());

  async function open(): Promise<void> {
    const mine = mortal(await disk.open());
    engines = mine;
    // What a dead process still tries in the background comes to nothing, and nobody waits for it.
    const report = (error: unknown): void => {
      if (!mine.isDead()) throw error;
    };
    store = await openOn(mine, { clock, inlineMax: INLINE_MAX, sealKey, report }, cleanup);
    const limits = { partBytesMin: PART_BYTES_MIN, objectLockGeneration: lockGeneration };
    server = await inProcess(store, limits, [rootCredential(ACCOUNT)], "public-read-write", clock);
    // Two processes take turns at what the clock wants done.
    tasks = [lifecycleTask(store), lifecycleTask(store)];
    await runDue();
  }

  async function runDue(): Promise<void> {
    const task = tasks[turn++ % tasks.length] as BackgroundTask;
    await task.runDue(clock.now());
    for (const [what, times] of Object.entries(await task.statistics())) {
      if (!what.endsWith("Ms")) count(what, times);
    }
  }

  /** Lets time go by for the model and the server, with the work of every midnight on the way. */
  async function moveTo(ms: number): Promise<void> {
    for (let at = midnightFrom(model.nowMs + 1); at <= ms; at += DAY_MS) {
      model.moveTo(at);
      if ((await (tasks[0] as BackgroundTask).nextDue(at)) <= at) await runDue();
    }
    model.moveTo(ms);
    await nameMarkers();
  }

  /** The work of the next midnight, by a process that dies at so many changes, and by the one that comes after. */
  async function dyingMidnight({ changes, changed }: Extract<Step, { kind: "dyingMidnight" }>): Promise<void> {
    const bare = model.moveTo(midnightFrom(model.nowMs + 1));
    engines.dieAt(changes, changed);
    try {
      await runDue();
    } catch (error) {
      if (!(error instanceof Died)) throw error;
    }
    if (await reopenIfDead("midnight")) {
      await loseBareMarkers(bare);
      model.play({ kind: "restart", clean: false });
    }
    await nameMarkers();
  }

  /** Opens the server again if it has died, and otherwise lets it live. */
  async function reopenIfDead(at: string): Promise<boolean> {
    const died = engines.isDead();
    engines.dieAt(Number.POSITIVE_INFINITY, false);
    if (!died) return false;
    count(`died at ${at}`);
    await store.collector.stop();
    await open();
    return true;
  }

  /** A request whose process dies: what is there afterwards is what was there before, or all that was asked for. */
  async function dying({ changes, changed, step }: Extract<Step, { kind: "dying" }>): Promise<void> {
    if (isUnsent(step)) return;
    engines.dieAt(changes, changed);
    const told = await send(step);
    if (!(await reopenIfDead(step.kind))) {
      await settle(step, told);
      return;
    }
    const before = model.snapshot();
    // Whether its read was noted nobody knows, also where the rest was done; another read at this moment leaves no doubt.
    const source = model.sourceOf(step);
    if (source) {
      const target = `/${encoded(source.key)}?versionId=${encodeURIComponent(source.id)}`;
      await ask(source.bucket, { method: "GET", target });
    }
    const settleRead = () => source && model.noteReadOf(source);
    model.play(step);
    model.play({ kind: "restart", clean: false });
    settleRead();
    const isDone = await holds().then(
      () => true,
      (error: unknown) => {
        if (error instanceof assert.AssertionError) return false;
        throw error;
      },
    );
    count(isDone ? "done by the dead" : "undone by the dead");
    if (isDone) return;
    model.become(before);
    model.play({ kind: "restart", clean: false });
    settleRead();
    await holds();
  }

  /** Compares whatever can be asked for without changing anything. Throws AssertionError. */
  async function holds(): Promise<void> {
    await nameMarkers();
    await nameUpload();
    for (const [number, name] of BUCKETS.entries()) {
      await exchange({ kind: "headBucket", bucket: number });
      const bucket = model.buckets.get(name);
      if (bucket === undefined) continue;
      await compareConfigurations(name, bucket);
      const all = { bucket: number, prefix: "", delimiter: "", max: undefined };
      await exchange({ kind: "listVersions", ...all, after: undefined });
      await exchange({ kind: "listUploads", ...all, marker: "" });
      for (const key of KEYS.keys()) {
        for (const nth of model.versions({ bucket: number, key }).keys()) {
          await exchange({ kind: "head", bucket: number, key, nth });
        }
      }
    }
    for (const upload of model.uploads.keys()) {
      if (model.upload(upload)?.open !== true) continue;
      await exchange({ kind: "listParts", upload, marker: 0, max: undefined });
    }
  }

  /** An upload that was begun by a process that died is named by nothing but a list. */
  async function nameUpload(): Promise<void> {
    const newest = model.uploads.at(-1);
    if (newest === undefined || newest.id !== "") return;
    const told = await ask(newest.bucket, { method: "GET", target: "/?uploads" });
    const known = new Set(model.uploads.map(({ id }) => id));
    const id = texts(told.text, "UploadId").find((one) => !known.has(one));
    assert.ok(id !== undefined, "the upload was not begun");
    newest.id = id;
  }

  async function compareConfigurations(name: string, bucket: ModelBucket): Promise<void> {
    const { lifecycle, lock, tieringDays, versioning } = bucket;
    const expected: Readonly<Record<string, readonly string[] | undefined>> = {
      versioning: versioning === undefined ? [] : [versioning],
      intelligenttiering: tieringDays === undefined ? [] : ["Enabled", String(tieringDays), "1"],
      "object-lock": lock && ["Enabled", ...(lock.days === undefined ? [] : lockTexts(lock.days))],
      lifecycle: lifecycle && leafTexts(xmlOf(lifecycle.rules)),
    };
    for (const [query, leaves] of Object.entries(expected)) {
      const told = await askAsOwner(name, "GET", {}, { query });
      assert.equal(told.status, leaves === undefined ? 404 : 200, `${query}: ${told.text}`);
      if (leaves !== undefined) assert.deepEqual(leafTexts(told.text), leaves.toSorted(), told.text);
    }
  }

  const lockTexts = (days: number): string[] => (lockGeneration === 1 ? [String(days)] : ["COMPLIANCE", String(days)]);

  /** A pass that is gone through again may find, and remove, markers that hide nothing since the first time. */
  async function loseBareMarkers(bare: ReadonlyMap<string, readonly string[]>): Promise<void> {
    for (const [name, keys] of bare) {
      if (keys.length === 0) continue;
      const told = await ask(name, { method: "GET", target: "/?versions" });
      const listed = new Set(versionBlocks(told.text).map((one) => texts(one, "Key")[0]));
      for (const key of keys) if (!listed.has(key)) model.buckets.get(name)?.keys.delete(key);
    }
  }

  function ask(bucket: string, request: Omit<Asked, "host">): Promise<Told> {
    return server.ask({ ...request, host: hostOf(bucket) });
  }

  /** What only the owner may ask. */
  function askAsOwner(
    bucket: string,
    method: string,
    headers: Record<string, string> = {},
    { body, query, key = "" }: { readonly query?: string; readonly body?: string; readonly key?: string } = {},
  ): Promise<Told> {
    const { secretId, secretKey } = ACCOUNT;
    const host = hostOf(bucket);
    const signed = {
      secretId,
      secretKey,
      method,
      path: `/${key}`,
      headers: [["host", host]],
      signTime: SIGN_TIME,
    } as const;
    const { authorization } = signCos(signed);
    const target = `/${encoded(key)}${query === undefined ? "" : `?${query}`}`;
    const sent = body === undefined ? {} : { body };
    return ask(bucket, { method, target, headers: { ...headers, host, authorization }, ...sent });
  }

  /** What a request says of what it stores. */
  const factsOf = (model: Model, facts: Facts | undefined, isCopy = false): Record<string, string> => {
    if (facts === undefined) return {};
    const { storageClass, tagged, lockDays } = facts;
    const headers: Record<string, string> = { "x-cos-storage-class": storageClass };
    if (tagged) headers["x-cos-tagging"] = "k=v";
    if (tagged && isCopy) headers["x-cos-tagging-directive"] = "Replaced";
    if (lockDays !== undefined) {
      headers["x-cos-object-lock-mode"] = "COMPLIANCE";
      headers["x-cos-object-lock-retain-until-date"] = new Date(model.nowMs + lockDays * DAY_MS).toISOString();
    }
    return headers;
  };
  const versionQuery = (model: Model, step: ObjectName & { readonly nth: number | undefined }): string =>
    step.nth === undefined
      ? ""
      : `&versionId=${encodeURIComponent(model.version(step, step.nth)?.id ?? UNKNOWN_VERSION)}`;

  const noted = (note: string | undefined): Record<string, string> =>
    note === undefined ? {} : { "x-cos-meta-note": note };
  const sourceOf = (
    model: Model,
    { from, nth }: { from: ObjectName; nth?: number | undefined },
  ): Record<string, string> => {
    const id = nth === undefined ? "" : `?versionId=${model.version(from, nth)?.id ?? UNKNOWN_VERSION}`;
    return { "x-cos-copy-source": `${hostOf(model.bucket(from.bucket))}/${encoded(model.key(from.key))}${id}` };
  };

  function send(step: Exclude<Step, { kind: Unsent }>): Promise<Told> {
    if ("upload" in step) return sendToUpload(step);
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
          headers: { ...noted(step.note), ...sealed(step.content.seed), ...factsOf(model, step.facts) },
          body: bytesOf(step.content),
        });
      case "get": {
        const { range } = step;
        const text = range && ("suffix" in range ? `-${range.suffix}` : `${range.first}-${range.last ?? ""}`);
        return ask(bucket, { method: "GET", target, headers: text === undefined ? {} : { range: `bytes=${text}` } });
      }
      case "head": {
        const id = step.nth === undefined ? undefined : (model.version(step, step.nth)?.id ?? UNKNOWN_VERSION);
        const query = id === undefined ? "" : `?versionId=${encodeURIComponent(id)}`;
        return ask(bucket, { method: "HEAD", target: target + query });
      }
      case "getVersion":
      case "deleteVersion": {
        const id = model.version(step, step.nth)?.id ?? UNKNOWN_VERSION;
        const method = step.kind === "getVersion" ? "GET" : "DELETE";
        return ask(bucket, { method, target: `${target}?versionId=${encodeURIComponent(id)}` });
      }
      case "setVersioning": {
        const body = `<VersioningConfiguration><Status>${step.state}</Status></VersioningConfiguration>`;
        return askAsOwner(bucket, "PUT", {}, { query: "versioning", body });
      }
      case "setLifecycle":
        if (step.rules.length === 0) return askAsOwner(bucket, "DELETE", {}, { query: "lifecycle" });
        return askAsOwner(bucket, "PUT", {}, { query: "lifecycle", body: xmlOf(step.rules) });
      case "setLock": {
        const days = step.days === undefined ? "" : `<DefaultRetention><Days>${step.days}</Days></DefaultRetention>`;
        const rule = days === "" ? "" : `<Rule>${days}</Rule>`;
        const enabled = "<ObjectLockEnabled>Enabled</ObjectLockEnabled>";
        const body = `<ObjectLockConfiguration>${enabled}${rule}</ObjectLockConfiguration>`;
        return askAsOwner(bucket, "PUT", {}, { query: "object-lock", body });
      }
      case "setTiering": {
        const transition = `<Transition><Days>${step.days}</Days><RequestFrequent>1</RequestFrequent></Transition>`;
        const body = `<IntelligentTieringConfiguration><Status>Enabled</Status>${transition}</IntelligentTieringConfiguration>`;
        return askAsOwner(bucket, "PUT", {}, { query: "intelligenttiering", body });
      }
      case "retain": {
        const until = new Date(model.nowMs + step.days * DAY_MS).toISOString();
        const body = `<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>${until}</RetainUntilDate></Retention>`;
        const query = `retention${versionQuery(model, step)}`;
        return askAsOwner(bucket, "PUT", {}, { query, body, key: model.key(step.key) });
      }
      case "tag": {
        const [query, key] = [`tagging${versionQuery(model, step)}`, model.key(step.key)];
        if (!step.tagged) return askAsOwner(bucket, "DELETE", {}, { query, key });
        const body = "<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>";
        return askAsOwner(bucket, "PUT", {}, { query, body, key });
      }
      case "restore": {
        const tier = `<CASJobParameters><Tier>${step.tier}</Tier></CASJobParameters>`;
        const body = `<RestoreRequest><Days>${step.days}</Days>${tier}</RestoreRequest>`;
        const query = `restore${versionQuery(model, step)}`;
        return askAsOwner(bucket, "POST", {}, { query, body, key: model.key(step.key) });
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
        const headers = { ...sourceOf(model, step), ...directive, ...factsOf(model, step.facts, true) };
        return ask(bucket, { method: "PUT", target, headers });
      }
      case "append": {
        const size = model.object(step)?.bytes.length ?? 0;
        const body = bytesOf(step.content);
        return ask(bucket, {
          method: "POST",
          target: `${target}?append&position=${size + step.off}`,
          headers: { ...sealed(step.content.seed), ...factsOf(model, step.facts) },
          body,
        });
      }
      case "initiate":
        return ask(bucket, {
          method: "POST",
          target: `${target}?uploads`,
          headers: { ...noted(step.note), ...sealed(step.key), ...factsOf(model, step.facts) },
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

  function sendToUpload(step: Exclude<Extract<Step, { upload: number }>, { kind: "manyParts" }>): Promise<Told> {
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
    for (const [name, value] of Object.entries(seen.headers ?? {})) {
      assert.equal(told.headers.get(name), value, `${name} of ${where}`);
    }
  }

  async function play(step: Step): Promise<void> {
    played.set(step.kind, (played.get(step.kind) ?? 0) + 1);
    await moveTo(model.nowMs + STEP_MS);
    if (step.kind === "advance") {
      await moveTo(model.nowMs + step.hours * HOUR_MS);
      await holds();
      return;
    }
    if (step.kind === "dyingMidnight") {
      await dyingMidnight(step);
      await holds();
      return;
    }
    if (step.kind === "dying") return dying(step);
    if (step.kind === "uploadWhole") return uploadWhole(step);
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
        await play({ ...step, kind: "append", content: { length, seed: step.seed + at }, off: 0 });
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
    await exchange(step);
    if ("key" in step) await exchange({ kind: "head", bucket: step.bucket, key: step.key });
  }

  /** An upload from its beginning to its completion, which takes its time. */
  async function uploadWhole({ contents, hours, ...whole }: Extract<Step, { kind: "uploadWhole" }>): Promise<void> {
    const before = model.uploads.length;
    await play({ ...whole, kind: "initiate" });
    if (model.uploads.length === before) return;
    for (const [at, content] of contents.entries()) await play({ kind: "part", upload: 0, number: at + 1, content });
    if (hours > 0) await play({ kind: "advance", hours });
    await play({ kind: "complete", upload: 0, how: "all" });
    await exchange({ kind: "head", bucket: whole.bucket, key: whole.key });
  }

  const exchange = async (step: Exclude<Step, { kind: Unsent }>): Promise<void> => settle(step, await send(step));

  /** Compares what a client was told with what the model says. */
  async function settle(step: Exclude<Step, { kind: Unsent }>, told: Told): Promise<void> {
    const seen = model.play(step) as Seen;
    if (seen.code !== undefined) count(`${step.kind} ${seen.code}`);
    await compare(step, told, seen);
    if (model.made?.id === NEW) model.made.id = told.headers.get("x-cos-version-id") as string;
    if (step.kind === "deleteMany") await nameMarkers();
    if (step.kind === "initiate" && seen.status === 200) {
      (model.uploads.at(-1) as ModelUpload).id = texts(told.text, "UploadId")[0] as string;
    }
  }

  /** What a multiple deletion or a midnight has added is named by no answer, or need not be; a list always tells. */
  async function nameMarkers(): Promise<void> {
    for (const name of model.buckets.keys()) await nameMarkersOf(name);
  }

  async function nameMarkersOf(bucket: string): Promise<void> {
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
    model,
    play,
    played,
    /** How often a step was refused with a code, and what the work of the midnights did. */
    refusals,
    engines: () => ({ ...engines, store }),
    /** Reads everything that the model holds, and asks for every list. */
    async walk(): Promise<void> {
      for (const bucket of BUCKETS.keys()) {
        const exists = model.buckets.has(model.bucket(bucket));
        for (const key of exists ? KEYS.keys() : []) await play({ kind: "get", bucket, key });
        const all = { bucket, prefix: "", delimiter: "", max: undefined };
        await play({ kind: "listVersions", ...all, after: undefined });
        for (const key of KEYS.keys()) {
          for (const nth of model.versions({ bucket, key }).keys()) {
            await play({ kind: "getVersion", bucket, key, nth });
          }
        }
        await play({ kind: "list", ...all, marker: "" });
      }
      await holds();
    },
  };
}

/** Every text between two tags, in order of itself. */
const leafTexts = (xml: string): string[] =>
  [...xml.matchAll(/<(\w+)>([^<]+)<\/\1>/g)].map(([, , text = ""]) => plain(text)).sort();

const md5Base64 = (text: string): string => createHash("md5").update(text).digest("base64");

const versionBlocks = (xml: string): string[] =>
  [...xml.matchAll(/<(Version|DeleteMarker)>(.*?)<\/\1>/gs)].map(([, , block = ""]) => block);

function pageOf(step: Step, xml: string): Seen["page"] {
  const first = (text: string, element: string): string => texts(text, element)[0] ?? "";
  const prefixes = blocks(xml, "CommonPrefixes").map((block) => first(block, "Prefix"));
  const truncated = first(xml, "IsTruncated") === "true";
  /** The class and the tier, of what has one. */
  const classed = (block: string): string =>
    ["StorageClass", "StorageTier"].flatMap((element) => texts(block, element).map((text) => ` ${text}`)).join("");
  const sized = (element: string, naming: string) =>
    blocks(xml, element).map(
      (block) =>
        `${first(block, naming)} ${first(block, "ETag").replaceAll('"', "")} ${first(block, "Size")}${classed(block)}`,
    );
  if (step.kind === "listVersions") {
    const items = versionBlocks(xml).map((block) => {
      const etag = first(block, "ETag").replaceAll('"', "");
      const what = etag === "" ? "marker" : `${etag} ${first(block, "Size")}${classed(block)}`;
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
    "configuration",
    "task",
  ] as const;
  // What tells the key of the keys, and the service's own; made by the first that is encrypted, unless it dies in between.
  assert.ok(family("keyRing").length <= 2, "keys");
  const configured = [...model.buckets.values()].flatMap(({ lifecycle, tieringDays }) =>
    [lifecycle, tieringDays].filter((one) => one !== undefined),
  );
  assert.equal(family("configuration").length, configured.length, "configurations");
  assert.ok(family("task").length <= 1, "tasks");
  const known = counted.reduce((sum, name) => sum + family(name).length, 2);
  assert.equal(rows.length, known, "rows of a family that nobody knows");
}
