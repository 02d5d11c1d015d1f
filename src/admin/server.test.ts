/** The admin listener while it stops. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, it, onTestFinished } from "vitest";
import { systemClock } from "../engines/clock/system.ts";
import { createLog } from "../log.ts";
import type { AdminContext } from "./route.ts";
import { startAdmin } from "./server.ts";

describe("an admin listener that others go on for", () => {
  it("still answers who has connected before it left, and asks then", async () => {
    const admin = await startAdmin({
      listen: { host: "127.0.0.1", port: 0 },
      token: "",
      // What is asked for here needs nothing of it.
      context: {} as AdminContext,
      clock: systemClock(),
      log: createLog({ level: "error", out: process.stderr }),
    });
    onTestFinished(() => admin.stop());
    // The first request of a process also loads what answers it.
    assert.equal((await fetch(`${admin.endpoint}/nowhere`, { headers: { connection: "close" } })).status, 404);
    const client = connect(admin.port, "127.0.0.1");
    await once(client, "connect");
    // The listener's turn to take the connection.
    await sleep(50);
    admin.leave();
    const stopped = admin.stop();
    await sleep(500);
    client.write("GET /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    let text = "";
    for await (const piece of client.setEncoding("utf8")) text += String(piece);
    assert.match(text, /^HTTP\/1\.1 404 .*"NoSuchRoute"/s);
    await stopped;
  });
});
