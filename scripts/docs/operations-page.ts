/** `docs/reference/operations.md`: every operation of the table, with what it takes, answers and refuses. */

import type { InputFields, Operation, OutputFields } from "../../src/operations/operation.ts";
import { TABLE } from "../../src/operations/table.ts";
import type { Page } from "./page.ts";

function route({ route }: Operation): string {
  const path = { service: "/", bucket: "/", object: "/<key>" }[route.on];
  const flags = [...(route.query ?? []), ...(route.anyQuery === undefined ? [] : [route.anyQuery.join(" or ")])];
  const query = flags.length === 0 ? "" : `?${flags.join("&")}`;
  const header = route.header === undefined ? "" : ` with \`${route.header}\``;
  return `\`${route.method} ${path}${query}\`${header} on a ${route.on}`;
}

/** What stands in a header, stands in a field of the form for an operation that takes one. */
function inputs(fields: InputFields, inForm: boolean): string[] {
  return Object.values(fields).flatMap((field) => {
    if (field.fields !== undefined) return inputs(field.fields, inForm);
    const name = field.from === "headers" ? `${field.name}*` : field.name;
    const header = field.from === "headers" || field.from === "header";
    const place = header ? (inForm ? "field" : "header") : field.from;
    const text = field.summary.replaceAll("|", "\\|").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
    return [`| ${place} | \`${name}\` | ${field.required ? "yes" : ""} | ${text} |`];
  });
}

function outputs(fields: OutputFields): string[] {
  return Object.values(fields).flatMap((field) => {
    if (field.fields !== undefined) return outputs(field.fields);
    if (field.to === "headers") return [field.name === "" ? field.summary : `\`${field.name}*\``];
    if (field.to === "status") return [`status ${field.summary}`];
    return [field.to === "body" ? `body \`${field.name}\`` : `\`${field.name}\``];
  });
}

function refusals(operation: Operation): readonly string[] {
  const all = [...operation.errors, ...Object.values(operation.input).flatMap((field) => field.errors)];
  return [...new Set<string>(all)].sort();
}

function actions({ action, aliases = [] }: Operation): string {
  return [action, ...aliases].map((name) => `\`${name}\``).join(" or ");
}

function section(operation: Operation): string {
  const rows = inputs(operation.input, operation.authentication.includes("form"));
  const answers = outputs(operation.output);
  const own = refusals(operation);
  return [
    `## ${operation.name}`,
    "",
    operation.summary,
    "",
    `${route(operation)}. Action ${actions(operation)}; needs ${operation.permission}; may be signed in: ${operation.authentication.join(", ")}.`,
    "",
    ...(rows.length === 0 ? [] : ["| in | name | required | what |", "| --- | --- | --- | --- |", ...rows, ""]),
    `Answers ${operation.status}${answers.length === 0 ? "" : `: ${answers.join(", ")}`}.`,
    ...(own.length === 0 ? [] : ["", `Refusals of its own: ${own.map((id) => `\`${id}\``).join(", ")}.`]),
    "",
  ].join("\n");
}

/** The page, rendered from the operation table alone. */
export const operationsPage: Page = {
  path: "docs/reference/operations.md",
  render() {
    const built = TABLE.filter((operation) => operation.handle !== undefined);
    const unbuilt = TABLE.filter((operation) => operation.handle === undefined);
    return [
      "# Operations",
      "",
      "Generated from the operation table by `npm run docs`; do not edit.",
      "",
      `${built.length} operations are built. ${unbuilt.length} routes more are recognised and answer 501 \`NotImplemented\` with the operation's name.`,
      "",
      "Every operation takes `x-cos-traffic-limit`, as a header, a form's field or in the query: bits per second at which its body comes in and its answer goes out (`InvalidArgument` outside of 819200 to 838860800).",
      "",
      ...built.map(section),
      "## Recognised, not built yet",
      "",
      "| operation | route |",
      "| --- | --- |",
      ...unbuilt.map((operation) => `| ${operation.name} | ${route(operation)} |`),
      "",
    ].join("\n");
  },
};
