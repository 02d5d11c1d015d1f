/** The servers under test, each started as a user would start it, on a fresh folder and a free port. */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DEVELOPMENT_SECRET_ID, DEVELOPMENT_SECRET_KEY } from "../src/config/settings.ts";
import type { Credentials, DialectName } from "./dialects.ts";
import type { Aim } from "./load.ts";
import { RawClient } from "./raw-client.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const MAIN = join(ROOT, "dist", "lib", "cli", "main.js");
/** Peers are installed here, never into this package; a later run finds them. */
const PEERS = join(tmpdir(), "cosbox-bench-peers");
const START_MS_MAX = 20_000;

/** Something that can be started and measured. */
export interface Contender {
  readonly name: string;
  readonly version: string;
  /** What an acknowledged write has survived, by the product's own documents and settings. */
  readonly durability: string;
  readonly workers: string;
  readonly dialect: DialectName;
  readonly credentials: Credentials;
  readonly bucket: string;
  /** The command, for a server of this machine; absent for one that runs elsewhere. */
  readonly command?: (folder: string, port: number) => Command;
  /** Where a server that runs already is. */
  readonly endpoint?: { readonly host: string; readonly port: number };
}

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface Running {
  readonly aim: Aim;
  /** Undefined for a server that was running already. */
  readonly pid: number | undefined;
  /** From the start of the process to its first answer, ms. */
  readonly startMs: number | undefined;
  stop(): Promise<void>;
}

/** cosbox as it is shipped: built, no flags but where to listen and to keep data. Throws when it is not built. */
export function cosbox(): Contender {
  if (!existsSync(MAIN)) throw new Error("there is no build to measure: run npm run build first");
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { readonly version: string };
  const config = spawnSync(process.execPath, [MAIN, "config"], { cwd: tmpdir(), encoding: "utf8" }).stdout;
  const setting = (name: string) => new RegExp(`^${name}: (\\S+)`, "m").exec(config)?.[1] ?? "?";
  return {
    name: "cosbox",
    version,
    durability: `${setting("durability")}: on the disk before the answer`,
    workers: setting("workers"),
    dialect: "cos",
    credentials: { id: DEVELOPMENT_SECRET_ID, secret: DEVELOPMENT_SECRET_KEY },
    bucket: "bench-1250000000",
    command: (folder, port) => ({
      file: process.execPath,
      args: [MAIN, "serve", "--data", join(folder, "data"), "--listen", `127.0.0.1:${port}`],
    }),
  };
}

/** The peers that npm can install, by name. */
const NPM_PEERS: Readonly<Record<string, (modules: string) => Omit<Contender, "name" | "version" | "bucket">>> = {
  s3rver: (modules) => ({
    durability: "none: no fsync",
    workers: "1",
    dialect: "s3",
    credentials: { id: "S3RVER", secret: "S3RVER" },
    command: (folder, port) => ({
      file: process.execPath,
      args: [join(modules, "s3rver/bin/s3rver.js"), "-d", folder, "-p", String(port), "-s", "--no-vhost-buckets"],
    }),
  }),
  azurite: (modules) => ({
    durability: "none: no fsync before the answer",
    workers: "1",
    dialect: "azure",
    // The key pair that every copy of it has.
    credentials: {
      id: "devstoreaccount1",
      secret: "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    },
    command: (folder, port) => ({
      file: process.execPath,
      args: [
        join(modules, "azurite/dist/src/blob/main.js"),
        "--location",
        folder,
        "--blobPort",
        String(port),
        "--silent",
      ],
      env: { AZURITE_DISABLE_TELEMETRY: "true" },
    }),
  }),
  fauxqs: (modules) => ({
    durability: "memory only",
    workers: "1",
    dialect: "s3",
    credentials: { id: "test", secret: "test" },
    command: (_, port) => ({
      file: process.execPath,
      args: [join(modules, "fauxqs/dist/cli.js")],
      env: { FAUXQS_PORT: String(port), FAUXQS_LOGGER: "false" },
    }),
  }),
};

/** Peers that somebody else has to start, by the variables `BENCH_<NAME>_ENDPOINT`, `…_ID` and `…_SECRET`. */
const REMOTE_PEERS = ["MINIO", "SEAWEEDFS", "VERSITYGW", "GARAGE", "CEPH", "RUSTFS"];

/** Installs the peers that npm has, and adds those of the environment and cosbox in the S3 dialect. What cannot be had is told to `say`. */
export function peers(wanted: readonly string[] | undefined, say: (line: string) => void): Contender[] {
  const named = (name: string) => wanted === undefined || wanted.includes(name.toLowerCase());
  const modules = join(PEERS, "node_modules");
  const names = Object.keys(NPM_PEERS).filter(named);
  const missing = names.filter((name) => !existsSync(join(modules, name, "package.json")));
  if (missing.length > 0) {
    say(`installing ${missing.join(", ")} into ${PEERS}`);
    mkdirSync(PEERS, { recursive: true });
    if (!existsSync(join(PEERS, "package.json"))) writeFileSync(join(PEERS, "package.json"), '{"private":true}\n');
    const flags = ["--no-audit", "--no-fund", "--ignore-scripts"];
    spawnSync("npm", ["install", ...flags, ...missing], { cwd: PEERS, stdio: "ignore", timeout: 300_000 });
  }
  const found: Contender[] = [];
  // The same server, asked in its other dialect: what S3 costs beside COS in the same run.
  if (named("cosbox-s3")) found.push({ ...cosbox(), name: "cosbox-s3", dialect: "s3" });
  for (const name of names) {
    const manifest = join(modules, name, "package.json");
    if (!existsSync(manifest)) {
      say(`${name} is left out: npm could not install it`);
      continue;
    }
    const { version } = JSON.parse(readFileSync(manifest, "utf8")) as { readonly version: string };
    found.push({ name, version, bucket: "bench", ...(NPM_PEERS[name] as (typeof NPM_PEERS)[string])(modules) });
  }
  for (const name of REMOTE_PEERS.filter(named)) {
    const endpoint = process.env[`BENCH_${name}_ENDPOINT`];
    if (endpoint === undefined) continue;
    const { hostname, port } = new URL(endpoint);
    found.push({
      name: name.toLowerCase(),
      version: process.env[`BENCH_${name}_VERSION`] ?? "as found",
      durability: process.env[`BENCH_${name}_DURABILITY`] ?? "as configured there",
      workers: "as configured there",
      dialect: "s3",
      credentials: { id: process.env[`BENCH_${name}_ID`] ?? "", secret: process.env[`BENCH_${name}_SECRET`] ?? "" },
      bucket: `bench-${Date.now()}`,
      endpoint: { host: hostname, port: Number(port === "" ? 80 : port) },
    });
  }
  return found;
}

const NOBODY: Credentials = { id: "", secret: "" };

/** A probe that is asked over HTTP; see probe-server.ts. */
export function probeServer(kind: "null" | "hash" | "raw", workers: number): Contender {
  const script = fileURLToPath(new URL("probe-server.ts", import.meta.url));
  return {
    name: `probe-${kind}`,
    version: "",
    durability: "",
    workers: String(workers),
    dialect: "plain",
    credentials: NOBODY,
    bucket: "probe",
    command: (_, port) => ({
      file: process.execPath,
      args: [...process.execArgv, script, kind, String(port), String(workers)],
    }),
  };
}

/** nginx with sendfile and a file of 64 MiB under every name, where it is installed. */
export function nginx(): Contender | undefined {
  if (spawnSync("nginx", ["-v"], { stdio: "ignore" }).error !== undefined) return undefined;
  return {
    ...probeServer("null", 1),
    name: "probe-nginx",
    command(folder, port) {
      writeFileSync(join(folder, "file"), Buffer.alloc(64 << 20, 1));
      const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
        (name) => `${name}_temp_path ${folder};`,
      );
      const server = `server { listen 127.0.0.1:${port}; root ${folder}; location / { try_files /file =404; } }`;
      writeFileSync(
        join(folder, "nginx.conf"),
        `daemon off; user ${userInfo().username}; worker_processes 1; pid ${folder}/pid; error_log stderr crit; events {}
http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; ${temporary.join(" ")} ${server} }\n`,
      );
      return { file: "nginx", args: ["-p", folder, "-c", join(folder, "nginx.conf")] };
    },
  };
}

/** Starts a contender and waits for its first answer, of whatever status. Rejects when none comes in time. */
export async function start(contender: Contender, folder: string): Promise<Running> {
  const { credentials, dialect, bucket, command, endpoint } = contender;
  if (command === undefined) {
    if (endpoint === undefined) throw new Error(`${contender.name} has neither a command nor an endpoint`);
    const aim = { ...endpoint, dialect, credentials, bucket };
    return { aim, pid: undefined, startMs: undefined, stop: async () => {} };
  }
  mkdirSync(folder, { recursive: true });
  const port = await freePort();
  const { file, args, env } = command(folder, port);
  const began = performance.now();
  const child = spawn(file, args, {
    cwd: folder,
    env: { ...process.env, ...env },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let errors = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    errors = (errors + text).slice(-2000);
  });
  const stop = () => ended(child);
  for (;;) {
    if (await answers("127.0.0.1", port)) break;
    if (child.exitCode !== null || performance.now() - began > START_MS_MAX) {
      await stop();
      throw new Error(`${contender.name} did not answer: ${errors}`);
    }
    await new Promise((resolve) => void setTimeout(resolve, 1));
  }
  const aim = { host: "127.0.0.1", port, dialect, credentials, bucket };
  return { aim, pid: child.pid, startMs: performance.now() - began, stop };
}

async function answers(host: string, port: number): Promise<boolean> {
  try {
    const client = await RawClient.connect(host, port);
    try {
      const head = Buffer.from(`GET / HTTP/1.1\r\nHost: ${host}:${port}\r\n\r\n`);
      return (await client.ask({ head })).status > 0;
    } finally {
      client.close();
    }
  } catch {
    return false;
  }
}

/** Ends a process that was started here: politely, and after some seconds not. */
export function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) {
      resolve();
      return;
    }
    const cut = setTimeout(() => child.kill("SIGKILL"), 5000);
    child.once("exit", () => {
      clearTimeout(cut);
      resolve();
    });
    child.kill("SIGTERM");
  });
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { readonly port: number };
      server.close(() => resolve(port));
    });
  });
}
