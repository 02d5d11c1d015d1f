// Loads the server's code, waits for one line with the arguments of the command, and then is the command.
import { once } from "node:events";

// Addresses, not names: the checks of imports run in clones that have no dist yet.
const built = new URL("../../dist/src/", import.meta.url);
const [{ run }] = await Promise.all(
  ["cli/run.js", "cli/serve.js", "assembly/server.js", "config/settings-schema.js", "engines/metadata/lmdb.js"].map(
    (file) => import(new URL(file, built).href),
  ),
);
const [line] = await once(process.stdin, "data");
process.stdin.destroy();
process.exit(await run(JSON.parse(String(line)), process));
