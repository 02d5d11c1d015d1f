/** A lock that cannot be read is a lock, and one that is there does not end because somebody sets the machine's clock. */

import assert from "node:assert/strict";
import path from "node:path";
import { it, onTestFinished } from "vitest";
import { JUMP_MS_MAX } from "../../src/background.ts";
import { steadyTime } from "../../src/engines/clock/steady.ts";
import { lmdbMetadata } from "../../src/engines/metadata/lmdb.ts";
import { systemRandom } from "../../src/engines/random/system.ts";
import { pointRange } from "../../src/ports/metadata.ts";
import { familyRange, objectKey } from "../../src/store/keys.ts";
import { decodeObject, encodeObject, OBJECT_RETENTION_TAG } from "../../src/store/records.ts";
import { freshFolder } from "../contract/store-fixture.ts";
import { type Sent, testServer } from "../fixtures/server.ts";
import { DAY_MS, refusal, refusalOf, timedServer } from "../fixtures/timed-server.ts";

it("sec_S-10.3, GHSA-j548-9grx-fh4f: what is locked in a way that nobody can read is not destroyed", async () => {
  const data = path.join(await freshFolder(), "data");
  const open = async (createBucket: boolean) => {
    const server = await testServer({ data, memory: false, durability: "none", createBucket });
    onTestFinished(() => server.stop());
    return server;
  };
  const first = await open(true);
  const lock =
    "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Days>9</Days></DefaultRetention></Rule></ObjectLockConfiguration>";
  assert.equal((await first.send({ method: "PUT", query: { "object-lock": undefined }, body: lock })).status, 200);
  assert.equal((await first.send({ method: "PUT", path: "/kept", body: "kept" })).status, 200);
  await first.stop();

  const folder = path.join(data, "metadata");
  const engine = await lmdbMetadata({ folder, random: systemRandom(), durability: "none" });
  const [[row] = []] = await engine.read([familyRange("object", 1)]);
  assert.ok(row);
  const bucketId = row.key.toString("hex", 1, 9);
  const record = decodeObject(row.value);
  const sections = record.sections.map((section) =>
    section.tag === OBJECT_RETENTION_TAG ? { ...section, bytes: section.bytes.subarray(0, 3) } : section,
  );
  assert.notDeepEqual(sections, record.sections);
  await engine.commit([], [{ key: objectKey(bucketId, "kept"), value: encodeObject({ ...record, sections }) }]);
  await engine.close();

  const second = await open(false);
  const destroying: readonly Sent[] = [
    { method: "DELETE", path: "/kept" },
    { method: "PUT", path: "/kept", body: "other" },
    { method: "DELETE", path: "/kept", query: { versionId: "null" } },
  ];
  for (const request of destroying) assert.equal((await second.send(request)).status, 500);
  await second.stop();
  const after = await lmdbMetadata({ folder, random: systemRandom(), durability: "none" });
  const [[still] = []] = await after.read([pointRange(objectKey(bucketId, "kept"))]);
  await after.close();
  assert.ok(still, "its row is still there");
});

it("sec_S-10.4: a machine's clock that is set ahead ends no lock, and time that goes by does", async () => {
  const lockNowOf = (clock: Parameters<typeof steadyTime>[0]) => steadyTime(clock, JUMP_MS_MAX);
  const { clock, done, faults, send } = await timedServer(Date.UTC(2026, 0, 1), { lockNowOf });
  const lock =
    "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Days>9</Days></DefaultRetention></Rule></ObjectLockConfiguration>";
  await done({ method: "PUT", target: "/?object-lock", body: lock });
  await done({ method: "PUT", target: "/kept", body: "kept" });
  await done({ method: "POST", target: "/log?append&position=0", body: "kept" });
  clock.set(clock.now() + 400 * DAY_MS);
  const tags = "<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>";
  const destroying = [
    { method: "DELETE", target: "/kept" },
    { method: "PUT", target: "/kept", body: "other" },
    { method: "POST", target: "/log?append&position=4", body: "other" },
    { method: "PUT", target: "/kept?tagging", body: tags },
  ];
  for (const request of destroying) assert.deepEqual(refusalOf(await send(request)), refusal("ObjectLocked"));
  clock.advance(7 * DAY_MS);
  for (const request of destroying) assert.deepEqual(refusalOf(await send(request)), refusal("ObjectLocked"));
  clock.advance(DAY_MS);
  // What the PUT stores would be locked in its turn.
  for (const request of destroying.toReversed())
    if (request.body !== "other" || request.method === "POST") await done(request);
  assert.deepEqual(faults, []);
});
