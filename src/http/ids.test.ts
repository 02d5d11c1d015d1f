import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { seededRandom } from "../engines/random/seeded.ts";
import { requestIds } from "./ids.ts";

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);
const decoded = (base64: string): string => Buffer.from(base64, "base64").toString("latin1");

describe("requestIds", () => {
  it("makes request ids as the live service forms them, beginning with N and the time in hex", () => {
    const next = requestIds(seededRandom(1));
    for (let n = 0; n < 5000; n++) {
      const { requestId } = next(NOW);
      assert.match(requestId, /^N[A-Za-z0-9+/]+={0,2}$/);
      const plain = decoded(requestId);
      assert.match(plain, /^[0-9a-f]{8}_[0-9a-f]{8}_[0-9a-f]{5}_[0-9a-f]+$/);
      assert.equal(Buffer.from(plain, "latin1").toString("base64"), requestId);
      assert.equal(Number.parseInt(plain.slice(0, 8), 16), NOW / 1000);
    }
  });

  it("never makes the same id twice, not in two servers either, and not when the clock goes back", () => {
    const servers = [requestIds(seededRandom(1)), requestIds(seededRandom(2))];
    const seen = new Set<string>();
    for (const next of servers) {
      for (let n = 0; n < 1000; n++) seen.add(next(NOW + (n % 2) * 1000).requestId);
    }
    assert.equal(seen.size, 2000);
  });

  it("makes a trace id of 128 hex digits when it is asked for, and keeps it", () => {
    const ids = requestIds(seededRandom(1))(NOW);
    assert.match(decoded(ids.traceId), /^[0-9a-f]{128}$/);
    assert.equal(ids.traceId, ids.traceId);
  });
});
