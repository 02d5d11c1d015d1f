/**
 * Lists while writers put and delete keys between the pages: every page is in order, no key comes twice, a key that was
 * there before the first page and was left alone is listed, and one that was gone and stayed so is not.
 * `COSBOX_LIST_WALKS` sets how many lists are walked through, `SEED` what the writers do.
 */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, it } from "vitest";
import { chanceFrom, SEED } from "../fuzz/chance.ts";
import { ServerProcess } from "./server-process.ts";

const WALKS = Number(process.env["COSBOX_LIST_WALKS"] ?? 40);
const WRITERS = 4;
const FOLDERS = 40;
const KEYS_EACH = 20;
/** Folders that the writers leave alone, half of whose keys are there. */
const QUIET_EVERY = 4;

const parent = await mkdtemp(join(tmpdir(), "cosbox-lists-"));
const boxes: ServerProcess[] = [];
afterAll(async () => {
  for (const box of boxes) await box.kill();
  await rm(parent, { recursive: true, force: true });
});

/** What is known of a key: whether it is there, and how many writes of it were begun and ended. */
interface Known {
  present: boolean;
  begun: number;
  ended: number;
}

const folderOf = (key: string): string => key.slice(0, key.indexOf("/") + 1);

describe.each([1, 2])("lists beside %d processes' writers", (workers) => {
  it(
    "are in order, without repeats, and tell the truth of every key that was left alone",
    async () => {
      const box = new ServerProcess(join(parent, `workers-${workers}`), workers, ["--durability", "none"]);
      boxes.push(box);
      await box.start();
      const known = new Map<string, Known>();
      const busy: string[] = [];
      for (let folder = 0; folder < FOLDERS; folder++) {
        for (let n = 0; n < KEYS_EACH; n++) {
          const key = `f${String(folder).padStart(2, "0")}/k${n}`;
          known.set(key, { present: false, begun: 0, ended: 0 });
          if (folder % QUIET_EVERY !== 0) busy.push(key);
        }
      }
      let writes = 0;
      async function write(key: string, present: boolean): Promise<void> {
        const state = known.get(key) as Known;
        state.begun += 1;
        const answer = await box.send({
          method: present ? "PUT" : "DELETE",
          path: `/${key}`,
          ...(present && { body: key }),
        });
        assert.ok(answer.status < 300, answer.text);
        state.present = present;
        state.ended += 1;
        writes += 1;
      }
      const quiet = [...known.keys()].filter((key) => !busy.includes(key));
      await Promise.all(quiet.filter((_, at) => at % 2 === 0).map((key) => write(key, true)));
      // What was there once and is gone stays away.
      await Promise.all(quiet.filter((_, at) => at % 4 === 0).map((key) => write(key, false)));

      let stopping = false;
      const writers = Array.from({ length: WRITERS }, async (_, writer) => {
        const chance = chanceFrom(SEED + writer);
        // Each has keys of its own, so that it knows what became of them.
        const own = busy.filter((_, at) => at % WRITERS === writer);
        while (!stopping) {
          const key = chance.pick(own);
          await write(key, !known.get(key)?.present || chance.once(4));
        }
      });
      const running = Promise.all(writers);
      running.catch(() => undefined);

      const told = { pages: 0, keys: 0, judged: 0 };
      const chance = chanceFrom(SEED - 1);
      /** Reads a whole list; its items in the order they came. */
      async function walk(delimiter: string | undefined, size: number): Promise<string[]> {
        const items: string[] = [];
        for (let marker = ""; ; ) {
          const answer = await box.send({
            query: { "max-keys": size, marker, ...(delimiter !== undefined && { delimiter }) },
          });
          assert.equal(answer.status, 200, answer.text);
          const page = delimiter === undefined ? answer.elements("Key") : answer.elements("Prefix").slice(1);
          assert.ok(page.length <= size);
          items.push(...page);
          told.pages += 1;
          if (answer.element("IsTruncated") === "false") return items;
          assert.equal(page.length, size, "only the last page has room left");
          marker = answer.element("NextMarker") as string;
          assert.equal(marker, page.at(-1));
        }
      }

      try {
        for (let n = 0; n < WALKS; n++) {
          const delimiter = n % 4 === 3 ? "/" : undefined;
          const before = new Map([...known].map(([key, state]) => [key, { ...state }]));
          const items = await walk(delimiter, delimiter === undefined ? 7 + chance.below(200) : 1 + chance.below(15));
          const where = `SEED=${SEED}, walk ${n}`;
          // Plain ASCII, so the order of texts is that of bytes, and strictly ascending means that none comes twice.
          for (const [at, item] of items.entries()) {
            assert.ok(at === 0 || (items[at - 1] as string) < item, `${where}: ${items[at - 1]} before ${item}`);
          }
          const listed = new Set(items);
          const stable = [...before].filter(
            ([key, { begun, ended }]) => begun === ended && known.get(key)?.begun === begun,
          );
          told.keys += items.length;
          if (delimiter === undefined) {
            for (const item of items) assert.ok(known.has(item), `${where}: ${item} was never stored`);
            for (const [key, { present }] of stable) assert.equal(listed.has(key), present, `${where}: ${key}`);
            told.judged += stable.length;
            continue;
          }
          const certain = new Set(stable.filter(([, { present }]) => present).map(([key]) => folderOf(key)));
          for (const folder of certain) assert.ok(listed.has(folder), `${where}: ${folder} is not listed`);
          const gone = new Set(stable.filter(([, { present }]) => !present).map(([key]) => key));
          const possible = new Set([...known.keys()].filter((key) => !gone.has(key)).map(folderOf));
          for (const folder of items) assert.ok(possible.has(folder), `${where}: ${folder} has been empty`);
          told.judged += certain.size;
        }
      } finally {
        stopping = true;
        await running;
      }
      assert.ok(writes > WALKS, "the writers were at work");
      process.stderr.write(
        `lists under writers, ${workers} processes: SEED=${SEED} COSBOX_LIST_WALKS=${WALKS}: ${told.pages} pages, ` +
          `${told.keys} items, ${told.judged} judged for certain, ${writes} writes meanwhile\n`,
      );
    },
    60_000 + WALKS * 1_000,
  );
});
