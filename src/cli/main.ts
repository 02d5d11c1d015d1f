#!/usr/bin/env node
/** The command `cosbox`. */

import module from "node:module";

// Where Node can keep what it has compiled (22.1 on), the next start need not compile it again.
(module as { enableCompileCache?: () => unknown }).enableCompileCache?.();
const { run } = await import("./run.ts");

// An engine may still hold a thread or a timer; a command that is done ends here all the same.
process.exit(await run(process.argv.slice(2), process));
