/**
 * What encryption costs: `npx tsx bench/encryption.ts`. A server of its own, on disk; each round asks for the same things
 * without encryption and with each kind of it, one right after the other, so that others on the machine change all of them
 * alike. Told are the medians over the rounds: requests or bytes in a second, and the server's time of the processor
 * for each request, which others change least. Linux only, for that time.
 */

import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { DEVELOPMENT_SECRET_ID, DEVELOPMENT_SECRET_KEY } from "../src/config/settings.ts";
import { signCos } from "../src/dialects/cos/sign.ts";

const { values: flags } = parseArgs({
  options: { rounds: { type: "string", default: "5" }, data: { type: "string", default: tmpdir() } },
});
const rounds = Number(flags.rounds);
const METHOD = "x-cos-server-side-encryption";
const key = randomBytes(32);
const customer = {
  [`${METHOD}-customer-algorithm`]: "AES256",
  [`${METHOD}-customer-key`]: key.toString("base64"),
  [`${METHOD}-customer-key-md5`]: createHash("md5").update(key).digest("base64"),
};
type Headers = Readonly<Record<string, string>>;
const KINDS: Readonly<Record<string, { readonly write: Headers; readonly read: Headers }>> = {
  plain: { write: {}, read: {} },
  "SSE-COS": { write: { [METHOD]: "AES256" }, read: {} },
  "SSE-KMS": { write: { [METHOD]: "cos/kms" }, read: {} },
  "SSE-C": { write: customer, read: customer },
};
const SIZES = [
  { name: "4 KiB", bytes: 4 * 1024, requests: 400, connections: 16 },
  { name: "64 KiB", bytes: 64 * 1024, requests: 200, connections: 16 },
  { name: "64 MiB", bytes: 64 * 1024 ** 2, requests: 2, connections: 1 },
];
const HOST = "bench-1250000000.cos.ap-guangzhou.myqcloud.com";

const folder = mkdtempSync(join(flags.data, "cosbox-encryption-"));
const child = spawn(
  process.execPath,
  [
    ...["--import", import.meta.resolve("tsx"), join(import.meta.dirname, "../src/cli/main.ts"), "serve"],
    ...["--data", join(folder, "data"), "--listen", "127.0.0.1:0", "--workers", "1", "--durability", "none"],
  ],
  { stdio: ["ignore", "pipe", "inherit"] },
);
const port = await new Promise<number>((resolve) => {
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (more: string) => {
    text += more;
    const found = /http:\/\/127\.0\.0\.1:(\d+)/.exec(text)?.[1];
    if (found !== undefined) resolve(Number(found));
  });
});
const agent = new Agent({ keepAlive: true, maxSockets: 16 });

function ask(method: string, path: string, headers: Headers, body?: Buffer): Promise<number> {
  const now = Math.floor(Date.now() / 1000);
  const { authorization } = signCos({
    secretId: DEVELOPMENT_SECRET_ID,
    secretKey: DEVELOPMENT_SECRET_KEY,
    method,
    path,
    headers: [["host", HOST]],
    signTime: `${now - 60};${now + 3600}`,
  });
  return new Promise((resolve, reject) => {
    const length: Headers = body === undefined ? {} : { "content-length": String(body.length) };
    const sent = request(
      { agent, port, method, path, host: "127.0.0.1", headers: { ...headers, ...length, host: HOST, authorization } },
      (answer) => {
        let bytes = 0;
        answer.on("data", (chunk: Buffer) => (bytes += chunk.length));
        answer.on("end", () => {
          if (answer.statusCode === 200) resolve(bytes);
          else reject(new Error(`${method} ${path}: ${answer.statusCode}`));
        });
      },
    );
    sent.on("error", reject).end(body);
  });
}

/** The server's time of the processor so far, in ms. (proc(5): clock ticks of 10 ms) */
function cpuMs(): number {
  const fields = readFileSync(`/proc/${child.pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

interface Figure {
  readonly perSecond: number;
  readonly cpuMs: number;
}

async function measured(count: number, connections: number, one: (at: number) => Promise<unknown>): Promise<Figure> {
  const [began, before] = [performance.now(), cpuMs()];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let at = next++; at < count; at = next++) await one(at);
  };
  await Promise.all(Array.from({ length: connections }, worker));
  const ms = performance.now() - began;
  return { perSecond: (count / ms) * 1000, cpuMs: (cpuMs() - before) / count };
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;

try {
  await ask("PUT", "/", {});
  for (const { name, bytes, requests, connections } of SIZES) {
    const body = randomBytes(bytes);
    const figures = new Map<string, Figure[]>();
    for (let round = 0; round <= rounds; round++) {
      for (const [kind, { write, read }] of Object.entries(KINDS)) {
        const path = (at: number): string => `/${kind}-${bytes}-${at}`;
        const put = await measured(requests, connections, (at) => ask("PUT", path(at), write, body));
        const get = await measured(requests, connections, (at) => ask("GET", path(at), read));
        // The first round warms everything up.
        if (round === 0) continue;
        for (const [method, figure] of [["PUT", put] as const, ["GET", get] as const]) {
          const label = `${method} ${name} ${kind}`;
          figures.set(label, [...(figures.get(label) ?? []), figure]);
        }
      }
    }
    for (const method of ["PUT", "GET"]) {
      const of = (kind: string, what: keyof Figure): number =>
        median((figures.get(`${method} ${name} ${kind}`) ?? []).map((figure) => figure[what]));
      for (const kind of Object.keys(KINDS)) {
        const rate = of(kind, "perSecond");
        const shown = bytes > 1024 ** 2 ? `${((rate * bytes) / 1e6).toFixed(0)} MB/s` : `${rate.toFixed(0)}/s`;
        const ratio = (rate / of("plain", "perSecond")).toFixed(2);
        const more = (of(kind, "cpuMs") - of("plain", "cpuMs")).toFixed(2);
        process.stdout.write(
          `${method} ${name} ${kind}: ${shown}, ${ratio} of plain; ${of(kind, "cpuMs").toFixed(2)} ms of the processor, ${more} more\n`,
        );
      }
    }
  }
} finally {
  agent.destroy();
  const ended = once(child, "exit");
  child.kill();
  await ended;
  rmSync(folder, { recursive: true, force: true });
}
