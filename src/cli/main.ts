#!/usr/bin/env node
/** The command `cosbox`. */

import { run } from "./run.ts";

// An engine may still hold a thread or a timer; a command that is done ends here all the same.
process.exit(await run(process.argv.slice(2), process));
