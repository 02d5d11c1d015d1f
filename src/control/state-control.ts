/** The states of accounts, buckets and objects: kept in the store, the same in every process. */

import type { Clock } from "../ports/clock.ts";
import {
  refusalByState,
  type SetState,
  type StateFinder,
  type StateName,
  type StateSubject,
  subjectName,
} from "../states/state.ts";
import { type Controls, CONTROLS_MAX } from "../store/controls.ts";

export interface StateControl extends StateFinder {
  list(): Promise<readonly SetState[]>;
  /**
   * Puts a subject into a state from now on, in every process when this resolves; `active` takes it out of any.
   * @throws RangeError when there are `CONTROLS_MAX` already.
   */
  set(subject: StateSubject, state: StateName | "active"): Promise<void>;
  clear(): Promise<void>;
  /** Reads anew what another process has stored. */
  refresh(): Promise<void>;
}

export interface StateControlOptions {
  readonly controls: Controls;
  readonly clock: Clock;
  /** Has every other process refresh; resolves when they have. */
  readonly announce: () => Promise<void>;
}

const PREFIX = "state/";

export function stateControl({ controls, clock, announce }: StateControlOptions): StateControl {
  let states: ReadonlyMap<string, SetState> = new Map();

  async function read(): Promise<readonly SetState[]> {
    return (await controls.list(PREFIX)).map(({ document }) => JSON.parse(document.toString("utf8")) as SetState);
  }

  async function refresh(): Promise<void> {
    states = new Map((await read()).map((set) => [subjectName(set), set]));
  }

  async function changed(): Promise<void> {
    await refresh();
    await announce();
  }

  return {
    get any() {
      return states.size > 0;
    },
    refusal: (question) => refusalByState(question, (name) => states.get(name)),
    list: read,
    async set(subject, state) {
      const name = subjectName(subject);
      await refresh();
      if (state !== "active" && !states.has(name) && states.size >= CONTROLS_MAX) {
        throw new RangeError(`no more than ${CONTROLS_MAX} states can be set`);
      }
      await controls.change(PREFIX + name, () => {
        if (state === "active") return undefined;
        const { account, bucket, key } = subject;
        const set: SetState = {
          ...(account !== undefined && { account }),
          ...(bucket !== undefined && { bucket }),
          ...(key !== undefined && { key }),
          state,
          sinceMs: clock.now(),
        };
        return Buffer.from(JSON.stringify(set));
      });
      await changed();
    },
    async clear() {
      for (const set of await read()) await controls.change(PREFIX + subjectName(set), () => undefined);
      await changed();
    },
    refresh,
  };
}
