/** `docs/reference/differences.md`: what each feature, and the STS, says at the top of its `index.ts`. */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import type { Page } from "./page.ts";

/** The text of the block comment a file begins with, without its stars; "" when it begins with none. */
export function leadingComment(source: string): string {
  const end = source.indexOf("*/");
  if (!source.startsWith("/**") || end === -1) return "";
  return source
    .slice(3, end)
    .split("\n")
    .map((line) => line.replace(/^\s*\* ?/, ""))
    .join("\n")
    .trim();
}

/** The page, rendered from the features' own words. */
export function differencesPage(root: URL): Page {
  const features = new URL("src/features/", root);
  return {
    path: "docs/reference/differences.md",
    render() {
      const folders = readdirSync(features).map((name) => [name, new URL(`${name}/index.ts`, features)] as const);
      const sections = [...folders, ["sts", new URL("src/dialects/sts/index.ts", root)] as const]
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .filter(([, file]) => existsSync(file))
        .map(([name, file]) => `## ${name}\n\n${leadingComment(readFileSync(file, "utf8"))}\n`);
      return [
        "# Differences and decisions, feature by feature",
        "",
        "Generated from the top of each feature's `index.ts` by `npm run docs`; do not edit.",
        "",
        ...sections,
      ].join("\n");
    },
  };
}
