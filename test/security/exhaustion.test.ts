/** Clients that hold on to what they were given: sockets, memory and time are bounded for each of them. */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, it, onTestFinished } from "vitest";
import { startCosbox } from "../../src/library.ts";
import { testEdge } from "../fixtures/edge.ts";

/**
 * Resolves to the milliseconds until the server has given the connection up. A client that does not read learns of it
 * by writing, so blank lines are written, which HTTP passes over between requests.
 */
async function heldFor(socket: Socket, blanks: boolean): Promise<number> {
  const beganMs = performance.now();
  socket.on("error", () => undefined);
  while (!socket.destroyed && performance.now() - beganMs < 5000) {
    if (blanks) socket.write("\r\n");
    await sleep(20);
  }
  const tookMs = performance.now() - beganMs;
  socket.destroy();
  return tookMs;
}

describe("CVE-2022-31028, sec_S-12.1: connections that are opened and left", () => {
  it("a TLS handshake that never begins is given up within the bound for headers", async () => {
    const data = await mkdtemp(join(tmpdir(), "cosbox-test-"));
    onTestFinished(() => rm(data, { recursive: true }));
    const cosbox = await startCosbox({ tls: "dev", data, limits: { headersTimeoutMs: 300 } });
    onTestFinished(() => cosbox.stop());
    const socket = connect(cosbox.port, "127.0.0.1");
    const heldMs = await heldFor(socket, false);
    assert.ok(heldMs < 3000, `${heldMs} ms`);
  });

  // Each kernel holds some megabytes for a client that reads nothing, so there is more than that.
  it.each([
    ["a long document", 1, 32 * 1024 ** 2],
    ["many short documents, asked for at once", 256, 128 * 1024],
  ])("a client that does not read %s is cut off", async (_, requests, bytes) => {
    const body = Buffer.alloc(bytes, "x");
    const edge = await testEdge(async () => ({ status: 200, headers: [], body }), { limits: { writeStallMs: 200 } });
    onTestFinished(() => edge.stop());
    const socket = connect(edge.port, "127.0.0.1");
    socket.pause();
    socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(requests));
    const heldMs = await heldFor(socket, true);
    assert.ok(heldMs < 4000, `${heldMs} ms`);
  });
});
