// Prints "passed failed skipped" of a vitest JSON report, and names what was skipped and which files did not load.
import { readFileSync } from "node:fs";
import { relative } from "node:path";

const report = JSON.parse(readFileSync(process.argv[2], "utf8"));
let [passed, failed, skipped] = [0, 0, 0];
for (const file of report.testResults) {
  const name = relative(process.cwd(), file.name);
  for (const test of file.assertionResults) {
    if (test.status === "passed") passed += 1;
    else if (test.status === "failed") failed += 1;
    else {
      skipped += 1;
      console.error(`skipped: ${name}: ${test.fullName}`);
    }
  }
  if (file.status === "failed" && file.assertionResults.every((test) => test.status !== "failed")) {
    failed += 1;
    console.error(`did not run: ${name}: ${String(file.message).split("\n")[0]}`);
  }
}
console.log(passed, failed, skipped);
