/** Client programs in other languages: each prints one line of JSON for each scenario that it has been through. */

import { spawn } from "node:child_process";
import type { TestServer } from "../fixtures/server.ts";

/** Names of scenarios, with what was wrong, or null. */
export type Outcomes = ReadonlyMap<string, string | null>;

export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  /** How the client reaches the server, in the program's own words. */
  readonly way: string;
}

/**
 * Runs a client program to its end. It finds the server in `INTEROP_*` variables. Rejects when it ends otherwise than
 * with 0, and tells what it wrote to stderr.
 */
export function runProgram({ command, args, cwd, way }: Program, server: TestServer): Promise<Outcomes> {
  const { credentials, region } = server.cosbox;
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: {
        ...process.env,
        INTEROP_WAY: way,
        INTEROP_PORT: String(server.port),
        INTEROP_REGION: region,
        INTEROP_BUCKET: server.bucket,
        INTEROP_OTHER_BUCKET: server.cosbox.bucket("other"),
        INTEROP_SECRET_ID: credentials.secretId,
        INTEROP_SECRET_KEY: credentials.secretKey,
      },
    });
    let out = "";
    let told = "";
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      told += chunk.toString();
    });
    child.on("error", reject);
    child.on("close", (code) => {
      if (code !== 0) return reject(new Error(`${command} ended with ${code}: ${told}`));
      const outcomes = out
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as { name: string; fault: string | null });
      resolve(new Map(outcomes.map(({ name, fault }) => [name, fault])));
    });
  });
}
