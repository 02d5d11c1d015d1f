import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { createCRC64 } from "hash-wasm";
import { describe, it } from "vitest";
import { crc64WasmSource } from "../../scripts/make-crc64-wasm.ts";
import { bodyDigests, crc64Combine, crc64Continue, crc64Of, digestsOf } from "./digests.ts";

const bytes = (length: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ maxLength: length, size: "max" }).map((array) => Buffer.from(array));

describe("CRC-64", () => {
  it("gives the published check values", () => {
    assert.equal(crc64Of(Buffer.alloc(0)), 0n);
    assert.equal(crc64Of(Buffer.from("123456789")), 11051210869376104954n);
    assert.equal(crc64Of(Buffer.from("[Object Content]")), 16749565679157681890n);
  });

  it("agrees with hash-wasm at every length around its steps and its window", async () => {
    const other = await createCRC64();
    const body = createHash("shake256", { outputLength: 200_000 }).update("seed").digest();
    const lengths = [...Array(70).keys(), 4095, 4096, 65_535, 65_536, 65_537, 131_072, 131_089, 200_000];
    for (const length of lengths) {
      // An odd beginning, so that no alignment is taken for granted.
      const piece = body.subarray(body.length - length);
      assert.equal(crc64Of(piece), BigInt(`0x${other.init().update(piece).digest("hex")}`), `${length} bytes`);
    }
  });

  it("continues, and combines, to what the whole gives", () => {
    fc.assert(
      fc.property(bytes(3000), bytes(3000), (a, b) => {
        const whole = crc64Of(Buffer.concat([a, b]));
        assert.equal(crc64Continue(crc64Of(a), b), whole);
        assert.equal(crc64Combine(crc64Of(a), crc64Of(b), b.length), whole);
      }),
    );
  });

  it("combines lengths that nobody would read", () => {
    // Joining k zero bytes n times is joining n·k of them: the law holds far beyond what fits in memory.
    const zeros = crc64Of(Buffer.alloc(1000));
    let many = zeros;
    let length = 1000;
    for (let doubling = 0; doubling < 42; doubling++) {
      assert.equal(crc64Combine(many, zeros, 1000), crc64Combine(zeros, many, length));
      many = crc64Combine(many, many, length);
      length *= 2;
    }
    assert.ok(Number.isSafeInteger(length) && length > 4e15);
    assert.equal(crc64Combine(5n, 0n, 0), 5n);
    for (const wrong of [-1, 0.5, Number.NaN, 2 ** 53]) assert.throws(() => crc64Combine(1n, 1n, wrong), RangeError);
  });

  it("runs the loop that its generator makes", () => {
    assert.equal(readFileSync(new URL("./crc64-wasm.ts", import.meta.url), "utf8"), crc64WasmSource());
  });
});

describe("digests", () => {
  const hash = (algorithm: string, body: Buffer): string => createHash(algorithm).update(body).digest("hex");

  it("are the same in pieces and in one go, for bodies that pass at the same time", () => {
    fc.assert(
      fc.property(fc.array(bytes(2000), { maxLength: 6 }), fc.array(bytes(2000), { maxLength: 6 }), (left, right) => {
        const bodies = [left, right].map((pieces) => ({ pieces, digests: bodyDigests({ sha1: true }) }));
        for (let step = 0; step < 6; step++) {
          for (const { pieces, digests } of bodies) {
            const piece = pieces[step];
            if (!piece) continue;
            const reused = Buffer.from(piece);
            digests.update(reused);
            reused.fill(0);
          }
        }
        for (const { pieces, digests } of bodies) {
          const whole = Buffer.concat(pieces);
          const found = digests.finish();
          assert.deepEqual(found, digestsOf(whole, { sha1: true }));
          assert.equal(found.md5.toString("hex"), hash("md5", whole));
          assert.equal(found.sha1?.toString("hex"), hash("sha1", whole));
          assert.equal(found.size, whole.length);
        }
      }),
    );
  });

  it("leave out what was not asked for", () => {
    const digests = bodyDigests({ md5: false });
    digests.update(Buffer.from("123456789"));
    assert.deepEqual(digests.finish(), { md5: undefined, crc64: 11051210869376104954n, size: 9 });
    assert.equal("sha1" in digestsOf(Buffer.from("x")), false);
  });
});
