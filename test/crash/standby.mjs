// Loads the server's code, waits for one line with the arguments of the command, and then is the command.
import { once } from "node:events";
import { run } from "../../dist/src/cli/run.js";

await Promise.all(["serve.js", "../assemble.js"].map((file) => import(`../../dist/src/cli/${file}`)));
const [line] = await once(process.stdin, "data");
process.stdin.destroy();
process.exit(await run(JSON.parse(String(line)), process));
