/** The faults of a server: kept in its store, the same in every process, counted once over all of them. */

import { createHash } from "node:crypto";
import { KindFault } from "../errors/kind-fault.ts";
import { type CountedFault, type FaultRequest, happens, meets } from "../faults/fault.ts";
import type { FaultFinder } from "../faults/inject.ts";
import type { Random } from "../ports/random.ts";
import { CONTROLS_MAX, type Controls } from "../store/controls.ts";
import { noOperation } from "./rate-control.ts";

/** Why a fault is not put in place. */
export type FaultRefusalKind = "NoSuchOperation" | "TooManyFaults";

export class FaultRefusal extends KindFault<FaultRefusalKind> {
  override readonly name = "FaultRefusal";
}

export interface FaultControl extends FaultFinder {
  list(): Promise<readonly CountedFault[]>;
  /**
   * Puts a fault in place and gives its id; one with the same id is replaced, and counts anew.
   * @throws FaultRefusal
   */
  set(fault: FaultRequest): Promise<string>;
  /** False where there is none with this id. */
  remove(id: string): Promise<boolean>;
  clear(): Promise<void>;
  /** Reads anew what another process has stored. */
  refresh(): Promise<void>;
  /** Puts the faults of the settings in place of those of an earlier start. What is there already keeps its count. @throws FaultRefusal */
  adopt(faults: readonly FaultRequest[]): Promise<void>;
}

export interface FaultControlOptions {
  readonly controls: Controls;
  readonly random: Random;
  /** Has every other process refresh; resolves when they have. */
  readonly announce: () => Promise<void>;
  /** Whether callers may ask for faults by a header. */
  readonly byHeader: boolean;
  /** Names of all operations: a fault that matches another one would never happen. */
  readonly operations: ReadonlySet<string>;
}

/** What the ids of faults of the settings begin with. */
const FROM_SETTINGS = "settings-";

const PREFIX = "fault/";
const ID_BYTES = 8;

const decode = (document: Buffer): CountedFault => JSON.parse(document.toString("utf8")) as CountedFault;
const encode = (fault: CountedFault): Buffer => Buffer.from(JSON.stringify(fault));

export function faultControl(options: FaultControlOptions): FaultControl {
  const { controls, random, announce, byHeader, operations } = options;
  /** In order of their ids, which is the order in which they are tried. */
  let faults: readonly CountedFault[] = [];

  async function read(): Promise<readonly CountedFault[]> {
    return (await controls.list(PREFIX)).map(({ document }) => decode(document));
  }

  async function refresh(): Promise<void> {
    faults = await read();
  }

  async function changed(): Promise<void> {
    await refresh();
    await announce();
  }

  /** Counts one more that was met; undefined where the fault has been removed meanwhile. */
  async function count(id: string): Promise<CountedFault | undefined> {
    const stored = await controls.change(PREFIX + id, (previous) => {
      if (previous === undefined) return undefined;
      const fault = decode(previous);
      return encode({ ...fault, met: fault.met + 1 });
    });
    return stored && decode(stored);
  }

  function check({ match }: FaultRequest): void {
    const { operation } = match ?? {};
    if (operation !== undefined && !operations.has(operation)) {
      throw new FaultRefusal("NoSuchOperation", noOperation(operation, operations));
    }
  }

  return {
    get any() {
      return faults.length > 0;
    },
    async find(subject) {
      for (const fault of faults) {
        if (!meets(fault.match, subject)) continue;
        if (fault.times === undefined) return fault;
        const counted = await count(fault.id);
        if (counted !== undefined && happens(counted.times, counted.met)) return counted;
      }
      return undefined;
    },
    list: read,
    async set(fault) {
      check(fault);
      const id = fault.id ?? random.bytes(ID_BYTES).toString("hex");
      const there = await read();
      if (there.length >= CONTROLS_MAX && !there.some((one) => one.id === id)) {
        throw new FaultRefusal("TooManyFaults", `there are ${CONTROLS_MAX} faults already`);
      }
      await controls.change(PREFIX + id, () => encode({ ...fault, id, match: fault.match ?? {}, met: 0 }));
      await changed();
      return id;
    },
    async remove(id) {
      let was = false;
      await controls.change(PREFIX + id, (previous) => {
        was = previous !== undefined;
        return undefined;
      });
      await changed();
      return was;
    },
    async clear() {
      for (let some = await read(); some.length > 0; some = await read()) {
        for (const { id } of some) await controls.change(PREFIX + id, () => undefined);
      }
      await changed();
    },
    refresh,
    async asked(header) {
      if (!byHeader) return undefined;
      const { faultOfHeader } = await import("../faults/shape.ts");
      return { ...faultOfHeader(header), id: "x-cosbox-fault", match: {} };
    },
    async adopt(given) {
      for (const fault of given) check(fault);
      const wanted = new Map<string, FaultRequest>(
        given.map((fault) => {
          const text = JSON.stringify(fault);
          const id = fault.id ?? createHash("sha256").update(text).digest("hex").slice(0, 16);
          return [`${FROM_SETTINGS}${id}`, fault] as const;
        }),
      );
      const present = await read();
      const stale = present.filter(({ id }) => id.startsWith(FROM_SETTINGS) && !wanted.has(id));
      for (const { id } of stale) await controls.change(PREFIX + id, () => undefined);
      for (const [id, fault] of wanted) {
        const whole = { ...fault, id, match: fault.match ?? {}, met: 0 };
        // Another process of the same server may have put it there, and requests may have met it since.
        await controls.change(PREFIX + id, (previous) => {
          const { met: _, ...same } = previous === undefined ? whole : decode(previous);
          const { met: _none, ...asked } = whole;
          return previous !== undefined && JSON.stringify(same) === JSON.stringify(asked) ? previous : encode(whole);
        });
      }
      if (stale.length + wanted.size > 0) await refresh();
    },
  };
}
