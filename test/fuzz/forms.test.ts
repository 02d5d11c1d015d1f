/**
 * Forms of every shape through the reader, cut at every place: either the fields and the file come back byte for byte,
 * or a refusal of the catalogue does; never a hang, an unhandled error or half a file.
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, it } from "vitest";
import { CosError } from "../../src/errors/cos-error.ts";
import { readForm } from "../../src/http/form.ts";
import type { RequestBody } from "../../src/http/request.ts";
import { BOUNDARY, formBody, type Part } from "../fixtures/forms.ts";
import { chanceOf, damaged, runsOf, SEED, timeoutOf } from "./chance.ts";

const LIMITS = { formBytesMax: 20 * 1024, formFieldsMax: 100 };
const TYPE = `multipart/form-data; boundary=${BOUNDARY}`;
const RUNS = runsOf(2000);

/** A body that arrives in pieces of these sizes, over and over. */
function body(bytes: Buffer, sizes: readonly number[]): RequestBody {
  async function* stream(): AsyncGenerator<Buffer> {
    for (let at = 0, turn = 0; at < bytes.length; turn++) {
      const end = at + (sizes[turn % sizes.length] ?? bytes.length);
      yield bytes.subarray(at, end);
      at = end;
    }
  }
  return {
    declaredLength: bytes.length,
    chunked: false,
    announced: bytes.length > 0,
    stream,
    collect: () => Promise.reject(new Error("a form is read as a stream")),
  };
}

interface Read {
  readonly fields: readonly (readonly [string, string])[];
  readonly fileName: string;
  readonly file: Buffer;
}

/** What the reader makes of a body; a refusal, or a fault that fails the test. */
async function read(bytes: Buffer, sizes: readonly number[], type = TYPE): Promise<Read | CosError> {
  try {
    const form = await readForm(type, body(bytes, sizes), LIMITS);
    const chunks: Buffer[] = [];
    for await (const chunk of form.file.stream()) chunks.push(Buffer.from(chunk));
    return { fields: [...form.fields], fileName: form.fileName, file: Buffer.concat(chunks) };
  } catch (error) {
    if (error instanceof CosError && error.status === 400) return error;
    throw new Error(`SEED=${SEED}`, { cause: error });
  }
}

const name = fc.oneof(
  fc.constantFrom("key", "policy", "acl", "x-cos-meta-a", "__proto__", "constructor", "ключ"),
  fc.stringMatching(/^[A-Za-z0-9._-]{1,20}$/),
);
// What stands between boundaries may hold anything but the boundary itself.
const content = fc.oneof(
  fc.uint8Array({ maxLength: 3000 }).map((bytes) => Buffer.from(bytes)),
  fc
    .array(fc.constantFrom("\r\n", "--", `--${BOUNDARY}`, `\r\n--${BOUNDARY.slice(0, -1)}`, "-", "x", "\r", "\n\n"), {
      maxLength: 20,
    })
    .map((all) => Buffer.from(all.join(""))),
);
const innocent = (bytes: Buffer): boolean => !Buffer.concat([Buffer.from("\r\n"), bytes]).includes(`\r\n--${BOUNDARY}`);
const pieces = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 5 });

describe("the reader of forms", () => {
  it("gives every field and file back byte for byte, wherever the body is cut", {
    timeout: timeoutOf(RUNS),
  }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.tuple(name, fc.string({ unit: "grapheme", maxLength: 60 })), {
          selector: ([one]) => one.toLowerCase(),
          maxLength: 12,
        }),
        content.filter(innocent),
        fc.stringMatching(/^[A-Za-z0-9 ._-]{0,20}$/).filter((text) => !/^\.*$/.test(text)),
        pieces,
        async (fields, bytes, fileName, sizes) => {
          fc.pre(fields.every(([one, value]) => one.toLowerCase() !== "file" && innocent(Buffer.from(value))));
          const parts: Part[] = [...fields, ["file", { name: fileName, bytes }], ["after", "x"]];
          const seen = await read(formBody(parts), sizes);
          assert.ok(!(seen instanceof CosError), JSON.stringify(seen));
          assert.deepEqual(
            seen.fields,
            fields.map(([one, value]) => [one.toLowerCase(), value]),
          );
          assert.equal(seen.fileName, fileName);
          assert.ok(seen.file.equals(bytes));
        },
      ),
      { seed: SEED, numRuns: Math.ceil(RUNS / 4) },
    );
  });

  it("answers damaged forms and types with a refusal or a form", { timeout: timeoutOf(RUNS * 2) }, async () => {
    const chance = chanceOf("damaged forms", RUNS);
    const whole = formBody([
      ["key", "a/${filename}"],
      ["policy", "eyJhIjoiYiJ9"],
      ["file", { name: "a.png", bytes: Buffer.alloc(chance.below(5000), "y") }],
      ["submit", "Upload"],
    ]);
    for (let run = 0; run < RUNS; run++) {
      const type = chance.once(8) ? damaged(Buffer.from(TYPE), chance).toString("latin1") : TYPE;
      const bytes = chance.once(20) ? whole : damaged(whole, chance);
      await read(bytes, [1 + chance.below(900), 1 + chance.below(200)], type);
    }
  });

  it("MalformedPOSTRequest: a form that ends at any byte before its end, and nothing is taken for the whole file", async () => {
    const bytes = formBody([
      ["key", "a"],
      ["file", { name: "a.png", bytes: "hello\r\n--" }],
    ]);
    // The last line break is not needed.
    for (let end = 0; end < bytes.length - 2; end++) {
      const seen = await read(bytes.subarray(0, end), [7]);
      assert.ok(seen instanceof CosError && seen.id === "MalformedPOSTRequest", `${end}: ${JSON.stringify(seen)}`);
    }
  });
});
