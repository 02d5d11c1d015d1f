// Prints "passed failed skipped" of a vitest JSON report, and names what was skipped and which files did not load. What
// failed goes into the file of the second argument as well, to be told again where nobody overlooks it.
import { appendFileSync, readFileSync } from "node:fs";
import { relative } from "node:path";

const [, , reportPath, failuresPath] = process.argv;
const MESSAGE_CHARS = 1500;
const report = JSON.parse(readFileSync(reportPath, "utf8"));
const tell = (name, message) => appendFileSync(failuresPath, `${name}\n  ${message.slice(0, MESSAGE_CHARS)}\n`);
let [passed, failed, skipped] = [0, 0, 0];
for (const file of report.testResults) {
  const name = relative(process.cwd(), file.name);
  for (const test of file.assertionResults) {
    if (test.status === "passed") passed += 1;
    else if (test.status === "failed") {
      failed += 1;
      tell(`${name}: ${test.fullName}`, String(test.failureMessages?.[0]));
    } else {
      skipped += 1;
      console.error(`skipped: ${name}: ${test.fullName}`);
    }
  }
  if (file.status === "failed" && file.assertionResults.every((test) => test.status !== "failed")) {
    failed += 1;
    console.error(`did not run: ${name}: ${String(file.message).split("\n")[0]}`);
    tell(`did not run: ${name}`, String(file.message));
  }
}
console.log(passed, failed, skipped);
