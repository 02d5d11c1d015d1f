import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { errorsPage, literalTitles, raisedByTests, testSources } from "../../scripts/docs/errors-page.ts";
import { ROOT } from "../../scripts/docs/pages.ts";
import { CATALOGUE, type ErrorEntry, type ErrorId } from "../../src/errors/catalogue.ts";
import { ERROR_PAGE } from "./error-page.rows.ts";

const rows = Object.entries(CATALOGUE) as [ErrorId, ErrorEntry][];

describe("error catalogue", () => {
  it("has the rows of the service's error page, each once, under its status", () => {
    const page = [...ERROR_PAGE].flatMap(([status, codes]) => codes.map((code) => `${status} ${code}`));
    assert.equal(page.length, 130);
    assert.deepEqual(rows.map(([, row]) => `${row.status} ${row.code}`).sort(), page.sort());
  });

  it("has 129 codes, one of them under two statuses", () => {
    const codes = rows.map(([, row]) => row.code);
    assert.equal(new Set(codes).size, 129);
    assert.deepEqual(
      codes.filter((code, at) => codes.indexOf(code) !== at),
      ["InvalidObjectState"],
    );
  });

  it("names rows by their code wherever the code can be a name", () => {
    const renamed = rows.filter(([id, row]) => id !== row.code).map(([id]) => id);
    assert.deepEqual(renamed.sort(), ["InvalidObjectState403", "InvalidObjectState409", "RequestHasExpired"]);
  });

  it("has for every row a message that can stand in an answer", () => {
    for (const [id, { message, seen }] of rows) {
      // The Python SDK takes an error without a message for a broken answer.
      assert.match(message, /^\S(.*\S)?$/, id);
      // What we word ourselves is a sentence; what the live service sends is kept as it is.
      if (seen === undefined) assert.match(message, /^[A-Z].*\.$/, id);
    }
  });

  it("says for every row who owns it and when it is raised", () => {
    for (const [id, { feature, raisedWhen }] of rows) {
      assert.match(feature, /^[a-z]+(-[a-z]+)*$/, id);
      // The text completes "Raised when …", so it neither begins nor ends like a sentence of its own.
      assert.match(raisedWhen, /^(?:[a-z`]|DELETE |GET |POST |PUT |XML |Complete |List |Copy ).*[^.\s]$/, id);
    }
  });

  it("gives evidence, and a difference, for every row that the live service answers otherwise", () => {
    for (const [id, { observed, ...row }] of rows) {
      if (observed === undefined) continue;
      assert.match(observed.evidence, /^[A-Z].*\.$/, id);
      const sent = { status: row.status, code: row.code, message: row.message, ...observed };
      assert.notDeepEqual([sent.status, sent.code, sent.message], [row.status, row.code, row.message], id);
    }
  });

  it("does not call a row unbuilt that a test raises", () => {
    const raised = [...raisedByTests(testSources(ROOT))];
    assert.deepEqual(
      raised.filter((id) => CATALOGUE[id].notYet),
      [],
    );
  });
});

describe("error reference page", () => {
  const lines = (errorsPage(ROOT).render() as string).split("\n");

  it("has one table row for every row of the catalogue", () => {
    for (const [id, row] of rows) {
      const name = id === row.code ? `\`${id}\`` : `\`${row.code}\` (here \`${id}\`)`;
      assert.equal(lines.filter((line) => line.startsWith(`| ${row.status} | ${name} | `)).length, 1, id);
    }
    assert.equal(lines.filter((line) => /^\| \d{3} \| /.test(line)).length, 130);
  });

  it("counts the rows it marks as raised by a test", () => {
    const marked = lines.filter((line) => /^\| \d{3} \| .* \| yes \|$/.test(line)).length;
    assert.ok(lines.includes(`- ${marked} of 130 rows are raised by a test so far.`));
  });
});

describe("scan of test titles", () => {
  it("takes a row for raised when a title begins with its id or its code and a colon", () => {
    const source = [
      '  it("NoSuchKey: after a delete", () => {});',
      "  test('RequestTimeTooSkewed: twenty minutes ahead', () => {});",
      "  it.concurrent(",
      "    `Request has expired: a second late`,",
      "    () => {},",
      "  );",
      '  it("KeyTooLong: a key of \\"quotes\\"", () => {});',
      '  it("InvalidObjectState409: while it is being restored", () => {});',
    ].join("\n");
    assert.deepEqual([...raisedByTests([source])].sort(), [
      "InvalidObjectState409",
      "KeyTooLong",
      "NoSuchKey",
      "RequestHasExpired",
      "RequestTimeTooSkewed",
    ]);
  });

  it("credits neither row of a code that two rows share", () => {
    assert.deepEqual([...raisedByTests(['it("InvalidObjectState: which of the two?", () => {});'])], []);
  });

  it("ignores titles that only mention a code, and codes the page does not have", () => {
    const source = [
      'it("answers NoSuchKey: always", () => {});',
      'it("NoSuchKey", () => {});',
      'it("NoSuchKeys: plural", () => {});',
      'it("PathStyleDomainForbidden: real, but not on the page", () => {});',
      'it("constructor: is no code", () => {});',
      'describe("NoSuchKey: a group", () => {});',
    ].join("\n");
    assert.deepEqual([...raisedByTests([source])], []);
  });

  it("ignores tests that do not run and titles put together at run time", () => {
    const source = [
      'it.skip("NoSuchKey: skipped", () => {});',
      'it.todo("NoSuchKey: some day");',
      '// it("NoSuchKey: commented out", () => {});',
      "/*",
      'it("NoSuchKey: in a block", () => {});',
      "*/",
      "it(`NoSuchKey: of ${key}`, () => {});",
      'it("NoSuchKey: " + key, () => {});',
      "const sample = ['it(\"NoSuchKey: in a string\", () => {});'];",
      'submit("NoSuchKey: another function", () => {});',
    ].join("\n");
    assert.deepEqual(literalTitles(source), []);
  });
});
