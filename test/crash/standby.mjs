// Loads the server's code as it is shipped, waits for one line with the arguments of the command, and then is the command.
import { once } from "node:events";
import { readdirSync } from "node:fs";

// Addresses, not names: the checks of imports run in clones that have no dist yet.
const built = new URL("../../dist/lib/cli/", import.meta.url);
/** What a server loads once it is asked to be one; each is a piece of this name and a digest. */
const LATE = /^(serve|server|settings-schema|lmdb)-\w+\.js$/;
const pieces = readdirSync(built).filter((file) => LATE.test(file));
if (pieces.length === 0) throw new Error("the build has other pieces than this expects");
const [{ run }] = await Promise.all(["run.js", ...pieces].map((file) => import(new URL(file, built).href)));
const [line] = await once(process.stdin, "data");
process.stdin.destroy();
process.exit(await run(JSON.parse(String(line)), process));
