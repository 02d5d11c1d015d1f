/** How secrets are compared, and that none of them leaves. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "vitest";
import { signCos } from "../../src/dialects/cos/sign.ts";
import type { Log } from "../../src/log.ts";
import { createLog } from "../../src/log.ts";
import { testServer } from "../fixtures/server.ts";

it("sec_S-1.6, GHSA-3p3x-734c-h5vx: what requests bring is never compared with a secret by ===", () => {
  const compared =
    /\w*(signature|secret|token|digest|hmac)\w*\)?\s*[!=]==?\s*[^\s=]+|[^\s=]+\s*[!=]==?\s*\S*(signature|secret)/i;
  const harmless = [
    // Settings among themselves, absence, and tokens that are this process's own.
    /DEVELOPMENT_SECRET_(ID|KEY)/,
    /=== undefined|!== undefined|=== ""|!== ""|=== "secretKey"/,
    /state\??\.(kind|token)/,
    /digests?\.size/,
    // The name of a kind of evidence.
    /kind !== "signature"/,
    // The ids of an account's keys among themselves.
    /key\.secretId !== secretId/,
  ];
  const found: string[] = [];
  for (const file of readdirSync("src", { recursive: true, encoding: "utf8" })) {
    if (!file.endsWith(".ts") || file.endsWith(".test.ts")) continue;
    const lines = readFileSync(join("src", file), "utf8").split("\n");
    for (const line of lines) {
      if (compared.test(line) && !harmless.some((form) => form.test(line))) found.push(`${file}: ${line.trim()}`);
    }
  }
  assert.deepEqual(found, []);
  assert.match(readFileSync("src/dialects/cos/signature.ts", "utf8"), /timingSafeEqual\(/);
});

it("sec_S-11.1: neither the log nor an answer has a secret key, a signature key or another's signature", async () => {
  const secretKey = "canarysecretkey0000000000000000";
  let written = "";
  const out = { write: (line: string) => (written += line) };
  const log: Log = createLog({ level: "debug", out });
  const server = await testServer({ secretId: "AKIDcanary000000000", secretKey, log, limits: { keyBytesMax: 20 } });
  const now = Math.floor(Date.now() / 1000);
  const signed = signCos({
    secretId: "AKIDcanary000000000",
    secretKey,
    method: "GET",
    path: "/k",
    signTime: `${now};${now + 60}`,
  });
  const answers = [
    await server.send({ path: "/k", sign: { secretKey: "wrong-secret-key" } }),
    await server.send({ path: "/k", sign: { alter: (text) => text.replace("q-ak=", "q-ak=x") } }),
    await server.send({ target: `/other?${signed.queryString}`, path: "/", sign: false }),
    await server.send({ method: "PUT", path: `/${"x".repeat(30)}`, body: "x" }),
    await server.send({ query: { uploads: "", "upload-id-marker": secretKey.slice(0, 5) } }),
  ];
  log.error("a line of our own", { secretKey, request: { authorization: signed.authorization } });
  await server.stop();
  const told = answers.map(({ text, rawHeaders }) => text + rawHeaders.join()).join("\n");
  for (const text of [written, told]) {
    assert.ok(!text.includes(secretKey) && !text.includes("wrong-secret-key"), text);
  }
  // What the server would have signed in place of what it was sent is not to be learnt from a refusal.
  const wanted = signCos({
    secretId: "AKIDcanary000000000",
    secretKey,
    method: "GET",
    path: "/other",
    signTime: `${now};${now + 60}`,
  });
  assert.ok(!told.includes(wanted.signature));
  assert.ok(!written.includes(signed.signature));
});
