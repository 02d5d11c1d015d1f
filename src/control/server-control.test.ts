import assert from "node:assert/strict";
import { describe, it, onTestFinished } from "vitest";
import { recorder } from "../diagnose/recorder.ts";
import { tally } from "../diagnose/tally.ts";
import { memoryBlobs } from "../engines/blobs/memory.ts";
import { systemClock } from "../engines/clock/system.ts";
import { virtualClock } from "../engines/clock/virtual.ts";
import { memoryMetadata } from "../engines/metadata/memory.ts";
import { systemRandom } from "../engines/random/system.ts";
import { LIMITS } from "../limits.ts";
import { openStore } from "../store/store.ts";
import { serverControl } from "./server-control.ts";

type Consult = NonNullable<Parameters<typeof serverControl>[0]["peers"]>["consult"];

/** One process of a server, whose others answer so. */
async function process(consult: Consult) {
  const [clock, random] = [systemClock(), systemRandom()];
  const store = await openStore({ metadata: memoryMetadata(), blobs: memoryBlobs({ random }), clock, random });
  const control = await serverControl({
    region: "ap-guangzhou",
    endpoint: () => "",
    tally: tally(),
    clock: virtualClock(clock),
    random,
    store,
    records: recorder({ clock, log: undefined, recentMax: 10, refusalsPerSecond: 10 }),
    faultsByHeader: false,
    accounts: {} as never,
    peers: { consult },
    isStopping: () => false,
    edge: () => undefined,
    seed: () => assert.fail("there is no seed"),
    rates: { meter: { set() {} } as never, configured: [], operations: new Set() as never },
    limits: LIMITS,
  });
  onTestFinished(() => store.close());
  return { store, control };
}

describe("the control of a server of several processes", () => {
  it("takes a process that has only begun for one that has nothing to tell", async () => {
    const asked: string[] = [];
    const { control } = await process(async (topic) => {
      asked.push(topic);
      return [""];
    });
    const unwatch = control.requests.watch(() => assert.fail("nothing was asked"));
    assert.deepEqual(await control.requests.recent(10), []);
    assert.equal(await control.requests.find("none"), undefined);
    assert.equal((await control.counters()).processes.length, 1);
    assert.equal(await control.usage(), undefined);
    unwatch();
    assert.deepEqual(new Set(asked), new Set(["recent", "find", "counters", "usage"]));
  });

  it("counts storage in one process at a time, and in none while it does not know of all", async () => {
    const other = await process(async () => [await control.consulted("usage", "")]);
    let silent = true;
    const { control, store } = await process(async () =>
      silent ? undefined : [await other.control.consulted("usage", "")],
    );
    const whoCounts = () => [store, other.store].map(({ usage }) => usage.isCounting());
    await control.usage();
    assert.deepEqual(whoCounts(), [false, false]);
    silent = false;
    await control.usage();
    assert.deepEqual(whoCounts(), [true, false]);
    await other.control.usage();
    assert.equal(whoCounts()[1], false);
    assert.equal(other.store.usage.last(), undefined);
  });
});
