/** What every answer must be, whatever was asked. */

import assert from "node:assert/strict";
import { SaxesParser } from "saxes";
import { CATALOGUE } from "../../src/errors/catalogue.ts";

const ROWS: ReadonlySet<string> = new Set(
  Object.entries(CATALOGUE).map(([id, row]) => `${row.status} ${"code" in row ? row.code : id}`),
);

/** The texts of the root's children by name. Throws for what a strict reader would not take. */
export function readDocument(text: string): { readonly root: string; readonly texts: ReadonlyMap<string, string> } {
  const texts = new Map<string, string>();
  const open: string[] = [];
  let root = "";
  const parser = new SaxesParser({ xmlns: false });
  parser.on("error", (error) => {
    throw error;
  });
  parser.on("opentag", ({ name }) => {
    root ||= name;
    open.push(name);
    if (open.length === 2) texts.set(name, "");
  });
  parser.on("text", (piece) => {
    const name = open[1];
    if (open.length === 2 && name !== undefined) texts.set(name, (texts.get(name) ?? "") + piece);
  });
  parser.on("closetag", () => {
    open.pop();
  });
  parser.write(text).close();
  return { root, texts };
}

/** Asserts that a refusal is one of the error page, told in full; `HEAD` and 304 tell it by their status alone. */
export function assertRefusal(status: number, text: string, bodiless: boolean): void {
  assert.ok(status >= 300 && status < 600 && status !== 500, `${status} ${text}`);
  if (bodiless) {
    assert.equal(text, "");
    return;
  }
  const { root, texts } = readDocument(text);
  assert.equal(root, "Error", text);
  for (const name of ["Code", "Message", "Resource", "RequestId", "TraceId"]) {
    assert.notEqual(texts.get(name) ?? "", "", `${name} is empty in ${text}`);
  }
  assert.ok(ROWS.has(`${status} ${texts.get("Code")}`), `no row of the error page: ${status} ${texts.get("Code")}`);
}
