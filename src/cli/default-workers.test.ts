import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { WORKERS_MAX } from "../config/settings.ts";
import { defaultWorkers } from "./default-workers.ts";

const GIB = 1024 ** 3;

describe("the number of server processes when nobody has said", () => {
  it.each([
    ["one for each core", 4, 16 * GIB, 4],
    ["as many as there is memory for, in a small container on a large machine", 64, GIB, 4],
    ["one at least", 1, GIB / 16, 1],
    ["no more than the database has room for", 256, 1024 * GIB, WORKERS_MAX],
  ])("%s", (_, cores, memory, expected) => {
    assert.equal(defaultWorkers(cores, memory), expected);
  });

  it("is found out for this machine", () => {
    assert.ok(defaultWorkers() >= 1);
  });
});
