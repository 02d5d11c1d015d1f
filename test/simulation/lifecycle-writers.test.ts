/**
 * One writer of another process who comes in at each commit of a lifecycle's pass: what becomes of every key is what
 * would have become of it, had the writer come before the pass or after it. Nothing is done by what is not so any more.
 */

import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { rootCredential } from "../../src/access/caller.ts";
import { signCos } from "../../src/dialects/cos/sign.ts";
import { manualClock } from "../../src/engines/clock/manual.ts";
import { lifecycleTask } from "../../src/features/lifecycle/index.ts";
import type { MetadataEngine } from "../../src/ports/metadata.ts";
import { ALIVE, memoryDisk, openOn } from "../contract/store-fixture.ts";
import { type Asked, inProcess } from "../fixtures/in-process.ts";
import { DAY_MS } from "../fixtures/timed-server.ts";
import { md5, partList } from "../fixtures/uploads.ts";

const START = Date.UTC(2026, 2, 1, 17);
const BIG = "b".repeat(64 * 1024);
const OWNER = { secretId: "AKIDowner", secretKey: "secret", appid: "1250000000", uin: "100000000001" };

const rule = (prefix: string, action: string): string =>
  `<Rule><Filter><Prefix>${prefix}</Prefix></Filter><Status>Enabled</Status>${action}</Rule>`;
const RULES = `<LifecycleConfiguration>${[
  rule("expiring", "<Expiration><Days>1</Days></Expiration>"),
  rule("moving", "<Transition><Days>1</Days><StorageClass>DEEP_ARCHIVE</StorageClass></Transition>"),
  rule("older", "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>"),
  rule("bare", "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"),
  rule(
    "upload",
    "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>",
  ),
].join("")}</LifecycleConfiguration>`;

interface Known {
  readonly uploadId: string;
  /** Version ids of `older`, the newest first. */
  readonly older: readonly string[];
}

/** What a writer may do while the lifecycle is at work. */
const WRITERS: Readonly<Record<string, (known: Known) => Asked>> = {
  "stores what was to expire": () => ({ method: "PUT", target: "/expiring", body: "new" }),
  "deletes what was to expire": () => ({ method: "DELETE", target: "/expiring" }),
  "locks what was to expire": () => ({
    method: "PUT",
    target: "/expiring?retention",
    body: "<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>2030-01-01T00:00:00Z</RetainUntilDate></Retention>",
  }),
  "stores what was to move": () => ({ method: "PUT", target: "/moving", body: `${BIG}new` }),
  "restores what was to move": () => ({
    method: "POST",
    target: "/moving?restore",
    body: "<RestoreRequest><Days>9</Days></RestoreRequest>",
  }),
  "brings an older version back": ({ older }) => ({
    method: "PUT",
    target: "/older",
    headers: { "x-cos-copy-source": `demo-1250000000.cos.ap-guangzhou.myqcloud.com/older?versionId=${older[1]}` },
  }),
  "deletes the newest version": ({ older }) => ({ method: "DELETE", target: `/older?versionId=${older[0]}` }),
  "deletes an older version": ({ older }) => ({ method: "DELETE", target: `/older?versionId=${older[1]}` }),
  "stores what is deleted": () => ({ method: "PUT", target: "/bare", body: "new" }),
  "completes the upload": ({ uploadId }) => ({
    method: "POST",
    target: `/upload?uploadId=${uploadId}`,
    body: partList([[1, md5("part")]]),
  }),
  "takes the rules away": () => ({ method: "DELETE", target: "/?lifecycle" }),
  "sets them anew": () => ({ method: "PUT", target: "/?lifecycle", body: RULES }),
};

/** The engine of the process that does the lifecycle; before its commit of that number something happens. */
function interrupted(engine: MetadataEngine) {
  let left = Number.POSITIVE_INFINITY;
  let act: () => Promise<void> = async () => {};
  return {
    at: (commit: number, what: () => Promise<void>): void => {
      left = commit;
      act = what;
    },
    engine: {
      ...engine,
      async commit(...args: Parameters<MetadataEngine["commit"]>) {
        if (left-- === 0) await act();
        return engine.commit(...args);
      },
      read: (ranges: Parameters<MetadataEngine["read"]>[0]) => engine.read(ranges),
      close: () => engine.close(),
    },
  };
}

type When = "before" | "after" | number;

/** What is left of each key; undefined where the pass has fewer commits than that. */
async function leftOf(write: (known: Known) => Asked, when: When): Promise<ReadonlyMap<string, string> | undefined> {
  const clock = manualClock(START);
  const { metadata, blobs } = await memoryDisk().open();
  const open = (rows: MetadataEngine, incarnation: string) =>
    openOn({ metadata: rows, blobs: { ...blobs, incarnation } }, { clock, peers: ALIVE });
  const { at, engine } = interrupted(metadata);
  const lifecycle = await open(engine, "cd".repeat(8));
  const store = await open(metadata, "ef".repeat(8));
  const server = await inProcess(store, { partBytesMin: 1 }, [rootCredential(OWNER)], "private", clock);
  const send = (asked: Asked) => {
    const path = asked.target.replace(/\?.*/, "");
    const { authorization } = signCos({ ...OWNER, method: asked.method, path, signTime: "0;4102444800" });
    return server.ask({ ...asked, headers: { ...asked.headers, authorization } });
  };
  const done = async (method: string, target: string, body?: string, headers: Record<string, string> = {}) => {
    const told = await send({ method, target, headers, ...(body === undefined ? {} : { body }) });
    assert.ok(told.status < 300, `${method} ${target}: ${told.text}`);
    return told;
  };
  await done("PUT", "/?versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>");
  await done(
    "PUT",
    "/?object-lock",
    "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>",
  );
  await done("PUT", "/?lifecycle", RULES);
  await done("PUT", "/expiring", "x");
  await done("PUT", "/moving", BIG, { "x-cos-storage-class": "ARCHIVE" });
  const older: string[] = [];
  for (const body of ["1", "22", "333"]) {
    older.unshift(String((await done("PUT", "/older", body)).headers.get("x-cos-version-id")));
    clock.advance(1_000);
  }
  await done("DELETE", "/bare");
  const uploadId = /<UploadId>([^<]*)/.exec((await done("POST", "/upload?uploads")).text)?.[1] as string;
  await done("PUT", `/upload?partNumber=1&uploadId=${uploadId}`, "part");
  const task = lifecycleTask(lifecycle);
  await task.runDue(clock.now());
  clock.set(START + 2 * DAY_MS);

  let written = false;
  const act = async (): Promise<void> => {
    written = true;
    const told = await send(write({ uploadId, older }));
    assert.ok(told.status < 500, told.text);
  };
  if (when === "before") await act();
  else if (typeof when === "number") at(when, act);
  await task.runDue(clock.now());
  assert.ok((await task.nextDue(clock.now())) > clock.now(), "the pass is not done");
  if (when === "after") await act();
  assert.deepEqual(server.faults, []);
  if (!written) return undefined;

  const left = new Map<string, string>();
  const add = (key: string, what: string): void => void left.set(key, `${left.get(key) ?? ""}${what} `);
  for (const [, kind, inner = ""] of (await done("GET", "/?versions")).text.matchAll(
    /<(Version|DeleteMarker)>(.*?)<\/\1>/gs,
  )) {
    const of = (name: string): string => new RegExp(`<${name}>([^<]*)<`).exec(inner)?.[1] ?? "";
    add(of("Key"), kind === "DeleteMarker" ? "marker" : `${of("Size")} ${of("StorageClass")}`);
  }
  for (const key of ["expiring", "moving"]) {
    const { headers } = await send({ method: "HEAD", target: `/${key}` });
    add(key, headers.get("x-cos-restore") ?? "");
    add(key, headers.get("x-cos-object-lock-retain-until-date") ?? "");
  }
  for (const [, key = ""] of (await done("GET", "/?uploads")).text.matchAll(/<Upload><Key>([^<]*)/g))
    add(key, "unfinished");
  return left;
}

describe("a writer in the middle of a lifecycle's pass", () => {
  it.each(Object.entries(WRITERS))("comes before or after it, who %s", async (_, write) => {
    const before = (await leftOf(write, "before")) as ReadonlyMap<string, string>;
    const after = (await leftOf(write, "after")) as ReadonlyMap<string, string>;
    let commits = 0;
    for (; ; commits++) {
      const left = await leftOf(write, commits);
      if (left === undefined) break;
      for (const key of new Set([...before.keys(), ...after.keys(), ...left.keys()])) {
        const possible = [before.get(key), after.get(key)];
        assert.ok(
          possible.includes(left.get(key)),
          `${key} at commit ${commits}: ${left.get(key)}, not ${possible.join(" or ")}`,
        );
      }
    }
    assert.ok(commits >= 5, `${commits} commits`);
  });
});
