/**
 * Opens injured stores for bit-rot.test.ts, in a process of its own: a database with damaged pages may end it. Its
 * arguments are the filled folder and one for its copies; it answers each round with what came of it.
 */

import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { chanceFrom } from "../fuzz/chance.ts";
import { type Contents, injureStore, lookAt, type Tally } from "./rotting-store.ts";

/** One round to play. */
export interface Round {
  readonly number: number;
  readonly seed: number;
  readonly target: "rows" | "blobs";
}

/** What it says: which injuries are about to be looked at, and what came of them. */
export type Say =
  | { readonly kind: "injured"; readonly injuries: Tally["injuries"] }
  | { readonly kind: "looked"; readonly tally: Tally };

const [filled = "", work = ""] = process.argv.slice(2);
const say = (message: Say) => process.send?.(message);
let contents: Contents = {};

async function play({ number, seed, target }: Round): Promise<void> {
  const chance = chanceFrom(seed);
  const folder = join(work, String(number));
  cpSync(filled, folder, { recursive: true });
  const injuries = injureStore(folder, target, chance);
  say({ kind: "injured", injuries });
  const tally = await lookAt(folder, contents, chance, injuries);
  rmSync(folder, { recursive: true, force: true });
  say({ kind: "looked", tally });
}

process.on("disconnect", () => process.exit());
process.on("message", (asked: { readonly contents: Contents } | Round) => {
  if ("contents" in asked) contents = asked.contents;
  else void play(asked);
});
