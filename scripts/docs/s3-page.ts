/** `docs/reference/s3.md`: what the S3 dialect serves, what it maps to, and what its refusals are called. */

import { readFileSync } from "node:fs";
import { S3_OPERATIONS } from "./s3-operations.ts";
import { CATALOGUE, type ErrorId } from "../../src/errors/catalogue.ts";
import { S3_FORMS, S3_NARROWER } from "../../src/errors/s3-codes.ts";
import { TABLE } from "../../src/operations/table.ts";
import { leadingComment } from "./differences-page.ts";
import type { Page } from "./page.ts";

function serves({ name, is }: { readonly name: string; readonly is: string }): string {
  const operation = TABLE.find((one) => one.name === is);
  if (operation?.handle === undefined) return "`NotImplemented`";
  return name === is ? "yes" : `maps to ${is}`;
}

/** The page, rendered from the tables and from the dialect's own words. */
export function s3Page(root: URL): Page {
  return {
    path: "docs/reference/s3.md",
    render() {
      const words = leadingComment(readFileSync(new URL("src/dialects/s3/index.ts", root), "utf8"));
      const rows = S3_OPERATIONS.map((one) => ({ ...one, served: serves(one) }));
      const built = rows.filter(({ served }) => served !== "`NotImplemented`");
      const forms = Object.entries(S3_FORMS) as [ErrorId, { code: string; status: number }][];
      return [
        "# S3",
        "",
        "Generated from the operation table, the error catalogue and `src/dialects/s3` by `npm run docs`; do not edit.",
        "",
        words,
        "",
        "## Operations",
        "",
        `${built.length} of the ${rows.length} operations of the S3 API reference are served; each is the same operation, with the`,
        "same action, permission and store, for both dialects. The others answer 501 `NotImplemented` by their name, here or in COS.",
        "",
        "| S3 | served | |",
        "| --- | --- | --- |",
        ...rows.map(({ name, served, note = "" }) => `| ${name} | ${served} | ${note} |`),
        "",
        "## Codes",
        "",
        "A refusal has one meaning in both dialects. Where S3 has another name or status for it, S3 clients are told that:",
        "",
        "| in COS | in S3 |",
        "| --- | --- |",
        ...forms.map(
          ([id, form]) => `| ${CATALOGUE[id].status} \`${CATALOGUE[id].code}\` | ${form.status} \`${form.code}\` |`,
        ),
        "",
        "Codes for parts of what COS has one code for, which only S3 clients see:",
        `${Object.entries(S3_NARROWER)
          .map(([code, status]) => `${status} \`${code}\``)
          .join(", ")}.`,
        "",
      ].join("\n");
    },
  };
}
