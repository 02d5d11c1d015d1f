import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { rootCredential } from "../access/caller.ts";
import { manualClock } from "../engines/clock/manual.ts";
import { memoryMetadata } from "../engines/metadata/memory.ts";
import { seededRandom } from "../engines/random/seeded.ts";
import { memoryKey } from "../engines/seal-key/memory.ts";
import { LIMITS } from "../limits.ts";
import type { MetadataEngine } from "../ports/metadata.ts";
import { principals } from "../store/principals.ts";
import { transactions } from "../store/transact.ts";
import { type Administration, administration } from "./administration.ts";
import { type Directory, directory } from "./directory.ts";
import { sealing } from "./seal.ts";

const ROOT = { secretId: "AKIDroot", secretKey: "a-root-secret", uin: "100000000001", appid: "1250000000" };
const random = seededRandom(1);
const key = memoryKey(random);

/** One process of several on the same rows. `reads` counts what it has read. */
function processOn(engine: MetadataEngine): { who: Directory; admin: Administration; reads: () => number } {
  const clock = manualClock(1_900_000_000_000);
  let count = 0;
  const counting: MetadataEngine = {
    ...engine,
    read(ranges) {
      count += ranges.length;
      return engine.read(ranges);
    },
  };
  const rows = principals(counting, transactions(counting, clock));
  const seals = sealing({ rows, key, masterKey: { check: async () => {} }, random });
  const fixed = new Map([[ROOT.secretId, rootCredential(ROOT)]]);
  const parts = { rows, sealing: seals, clock, random, limits: LIMITS, seed: [] };
  return {
    who: directory({ fixed, rows, sealing: seals, clock }),
    admin: administration({
      ...parts,
      fixed: new Map([[ROOT.uin, ROOT.appid]]),
      fixedKeys: new Set(fixed.keys()),
      published: new Set(),
    }),
    reads: () => count,
  };
}

const everything = { version: "2.0", statement: { effect: "allow", action: "*", resource: "*" } };

describe("the directory", () => {
  it("reads nothing for a pair of the settings, and one row for a stored one that it knows", async () => {
    const { who, admin, reads } = processOn(memoryMetadata());
    const { secretId } = await admin.createKey({ uin: ROOT.uin, user: ROOT.uin, pair: undefined });
    await who.find(secretId, undefined);
    const before = reads();
    assert.equal((who.find(ROOT.secretId, undefined) as { secretKey: string }).secretKey, ROOT.secretKey);
    assert.equal(reads(), before);
    const known = await who.find(secretId, undefined);
    assert.equal(reads(), before + 1);
    assert.equal(await who.find(secretId, undefined), known, "the same credential, and what was made of it");
    assert.equal(await who.find("AKIDnobody", undefined), undefined);
    assert.equal(await who.find("no id\0at all", undefined), undefined);
  });

  it("sees at once what another process has changed", async () => {
    const engine = memoryMetadata();
    const [here, there] = [processOn(engine), processOn(engine)];
    const { uin } = ROOT;
    await there.admin.putPolicy({ uin, name: "all", document: JSON.stringify(everything) });
    await there.admin.putGroup({ uin, name: "staff", policies: [] });
    await there.admin.putUser({ uin, user: "100000000011", name: "", groups: ["staff"], policies: [] });
    const { secretId, secretKey } = await there.admin.createKey({ uin, user: "100000000011", pair: undefined });
    const found = async () => await here.who.find(secretId, undefined);

    assert.equal((await found())?.secretKey, secretKey);
    assert.deepEqual((await found())?.policies, []);
    await there.admin.putGroup({ uin, name: "staff", policies: ["all"] });
    assert.equal((await found())?.policies.length, 1);
    await there.admin.setKey(secretId, false);
    assert.equal(await found(), undefined);
    await there.admin.setKey(secretId, true);
    assert.notEqual(await found(), undefined);
    await there.admin.removeKey(secretId);
    assert.equal(await found(), undefined);
  });

  it("lets one of two win who take away what the other gives", async () => {
    const engine = memoryMetadata();
    const [here, there] = [processOn(engine), processOn(engine)];
    const { uin } = ROOT;
    for (let round = 0; round < 20; round++) {
      await here.admin.putGroup({ uin, name: "staff", policies: [] });
      const [given, taken] = await Promise.allSettled([
        here.admin.putUser({ uin, user: "100000000011", name: "", groups: ["staff"], policies: [] }),
        there.admin.remove("group", uin, "staff"),
      ]);
      assert.notEqual(given.status, taken.status, "a user of a group that is not there, or neither");
      if (given.status === "fulfilled") await here.admin.remove("user", uin, "100000000011");
    }
  });

  it("denies everything to whom a policy is attached that has gone", async () => {
    const engine = memoryMetadata();
    const { who, admin } = processOn(engine);
    const { uin } = ROOT;
    await admin.putPolicy({ uin, name: "all", document: JSON.stringify(everything) });
    await admin.putUser({ uin, user: "100000000011", name: "", groups: [], policies: ["all"] });
    const { secretId } = await admin.createKey({ uin, user: "100000000011", pair: undefined });
    const rows = principals(engine, transactions(engine, manualClock(1_900_000_000_000)));
    const policy = await admin.find("policy", uin, "all");
    await rows.change(async (change) => change.remove("policy", policy));
    const credential = await who.find(secretId, undefined);
    assert.deepEqual(
      credential?.policies.flatMap(({ statements }) => statements.map(({ label, effect }) => [label, effect])),
      [["missing policy all", "deny"]],
    );
  });
});
