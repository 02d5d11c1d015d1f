/**
 * A refusal that is ready long before the client has sent its body must still reach it. Closing at once resets the
 * connection, and then Python never sees the code and Node and Go not always.
 */

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import COS from "cos-nodejs-sdk-v5";
import { afterAll, beforeAll, describe, it } from "vitest";
import { developmentAuthority, serverCertificate } from "../../src/engines/tls/development-authority.ts";
import { refuse } from "../../src/errors/cos-error.ts";
import { type TestEdge, testEdge } from "../fixtures/edge.ts";

const TIMES = 20;
const BODY = Buffer.alloc(32 * 1024 ** 2);
const EXPECTED = Array.from({ length: TIMES }, () => "403 AccessDenied");
/** Compiling the Go client takes a while on a busy machine. */
const TIMEOUT_MS = 120_000;

const program = (name: string): string => fileURLToPath(new URL(`./early-refusal/${name}`, import.meta.url));
const present = (command: string, ...args: string[]): boolean => spawnSync(command, args).status === 0;

/** Runs a client to its end and returns the lines it printed. */
function run(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "inherit"] });
    let out = "";
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString();
    });
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(out.trim().split("\n"));
      else reject(new Error(`${command} ended with ${code}: ${out}`));
    });
  });
}

function putWithNode(url: string): Promise<string> {
  return new Promise((resolve) => {
    const send = url.startsWith("https:") ? httpsRequest : httpRequest;
    const outgoing = send(url, {
      method: "PUT",
      headers: { "Content-Length": BODY.length },
      rejectUnauthorized: false,
    });
    let answered = false;
    outgoing.on("error", (error) => {
      if (!answered) resolve(`error ${error.message}`);
    });
    outgoing.on("response", (incoming) => {
      answered = true;
      let text = "";
      incoming.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      incoming.on("error", (error) => resolve(`error ${error.message}`));
      incoming.on("end", () => resolve(`${incoming.statusCode} ${/<Code>(\w+)</.exec(text)?.[1] ?? "no code"}`));
    });
    outgoing.end(BODY);
  });
}

for (const scheme of ["http", "https"] as const) {
  describe(`a 403 to a PUT of 32 MiB over ${scheme}`, () => {
    let folder: string;
    let edge: TestEdge;
    let url: string;

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), "cosbox-early-refusal-"));
      const tls =
        scheme === "http"
          ? {}
          : { tls: serverCertificate(developmentAuthority(folder, Date.now()), ["127.0.0.1"], Date.now()) };
      edge = await testEdge(async () => {
        throw refuse("AccessDenied");
      }, tls);
      url = `${scheme}://127.0.0.1:${edge.port}/object`;
    });
    afterAll(async () => {
      await edge.stop();
      rmSync(folder, { recursive: true });
      assert.deepEqual(edge.faults, []);
    });

    it(`AccessDenied: node:http reads the code ${TIMES} times of ${TIMES}`, { timeout: TIMEOUT_MS }, async () => {
      const seen: string[] = [];
      for (let n = 0; n < TIMES; n++) seen.push(await putWithNode(url));
      assert.deepEqual(seen, EXPECTED);
    });

    it(`AccessDenied: the official Node SDK reads the code ${TIMES} times of ${TIMES}`, {
      timeout: TIMEOUT_MS,
    }, async () => {
      const address = `127.0.0.1:${edge.port}`;
      const cos = new COS({
        SecretId: "AKIDxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        SecretKey: "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        Protocol: `${scheme}:`,
        Ip: address,
        StrictSsl: false,
      });
      const where = { Bucket: "demo-1250000000", Region: "ap-guangzhou", Key: "object" };
      const seen: string[] = [];
      for (let n = 0; n < TIMES; n++) {
        const failure = await cos.putObject({ ...where, Body: BODY }).then(
          () => ({ statusCode: 200, code: "no refusal" }),
          (error: { statusCode?: number; code?: string }) => error,
        );
        seen.push(`${failure.statusCode} ${failure.code}`);
      }
      assert.deepEqual(seen, EXPECTED);
    });

    it(`AccessDenied: Python's http.client reads the code ${TIMES} times of ${TIMES}`, {
      timeout: TIMEOUT_MS,
    }, async (context) => {
      if (!present("python3", "--version")) context.skip("python3 is not installed here");
      assert.deepEqual(await run("python3", [program("client.py"), url]), EXPECTED);
    });

    it(`AccessDenied: Go's net/http reads the code ${TIMES} times of ${TIMES}`, {
      timeout: TIMEOUT_MS,
    }, async (context) => {
      if (!present("go", "version")) context.skip("go is not installed here");
      const offline = { GOPROXY: "off", GOFLAGS: "-mod=mod", GOTOOLCHAIN: "local", GO111MODULE: "off" };
      assert.deepEqual(await run("go", ["run", program("client.go"), url], offline), EXPECTED);
    });
  });
}
