import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, it } from "vitest";

const MAIN = path.resolve(import.meta.dirname, "../src/cli/main.ts");
const TSX = import.meta.resolve("tsx");
const TIMEOUT_MS = 60_000;

const folders: string[] = [];
const running = new Set<ChildProcess>();
function folder(yaml?: string): string {
  const made = mkdtempSync(path.join(tmpdir(), "cosbox-cli-"));
  folders.push(made);
  if (yaml !== undefined) writeFileSync(path.join(made, "cosbox.yaml"), yaml);
  return made;
}
afterAll(() => {
  for (const child of running) child.kill("SIGKILL");
  for (const made of folders) rmSync(made, { recursive: true });
});

/**
 * The command as a person runs it, in `cwd`, with nothing of our own environment's settings. It serves with one process,
 * as that is what most is asked of here, where `env` does not say otherwise.
 */
function cosbox(
  args: readonly string[],
  { cwd = folder(), env = {} }: { cwd?: string; env?: Record<string, string> } = {},
) {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("COSBOX_"));
  const child = spawn(process.execPath, ["--import", TSX, MAIN, ...args], {
    cwd,
    env: { ...Object.fromEntries(inherited), COSBOX_WORKERS: "1", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.add(child);
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
  const ended = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
    child.on("close", (code) => {
      running.delete(child);
      resolve({ code, ...output });
    });
  });
  /** Resolves with what was printed once it contains `text`; rejects when the command ends before. */
  const printed = (text: string) =>
    new Promise<string>((resolve, reject) => {
      const look = () => output.stdout.includes(text) && resolve(output.stdout);
      child.stdout.on("data", look);
      void ended.then(({ stderr }) => reject(new Error(`ended without printing ${text}: ${stderr}`)));
      look();
    });
  return { child, ended, printed };
}

async function refusal(args: readonly string[], options?: { cwd?: string; env?: Record<string, string> }) {
  const { code, stderr, stdout } = await cosbox(args, options).ended;
  assert.equal(stdout, "", "a refusal prints nothing else");
  assert.match(stderr, /^cosbox: [^\n]+\n$/, "a refusal is one line");
  return { code, line: stderr.slice("cosbox: ".length, -1) };
}

describe("a start that cannot succeed ends with one line, and an exit code that is not 0", {
  timeout: TIMEOUT_MS,
}, () => {
  it("a bad flag, variable or line of cosbox.yaml", async () => {
    const [flag, variable, file] = await Promise.all([
      refusal(["--listen", "9000"]),
      refusal(["serve"], { env: { COSBOX_WORKERS: "101" } }),
      refusal([], { cwd: folder("region: ap-guangzhou\nlisten: nowhere\n") }),
    ]);
    assert.deepEqual(flag, { code: 1, line: flag.line });
    assert.match(flag.line, /^--listen: expected host:port .*, found "9000"$/);
    assert.equal(variable.code, 1);
    assert.match(variable.line, /^COSBOX_WORKERS: expected a number of processes from 1 to 100, found "101"$/);
    assert.equal(file.code, 1);
    assert.match(file.line, /^cosbox\.yaml:2: listen: expected host:port .*, found "nowhere"$/);
  });

  it("an unknown flag or command, as a fault of usage", async () => {
    const [flag, command, argument] = await Promise.all([
      refusal(["serve", "--lisen", "x"]),
      refusal(["srve"]),
      refusal(["serve", "here"]),
    ]);
    assert.deepEqual(flag, { code: 2, line: "unknown option '--lisen' (Did you mean --listen?); see cosbox help" });
    assert.deepEqual(command, { code: 2, line: 'unknown command "srve"; did you mean serve?' });
    assert.equal(argument.code, 2);
    assert.match(argument.line, /^too many arguments .* got 1[^.]*; see cosbox help$/);
  });

  it("a busy port", async () => {
    const holder = createServer();
    await new Promise<void>((listening) => holder.listen(0, "127.0.0.1", listening));
    const { port } = holder.address() as { port: number };
    const { code, line } = await refusal(["--memory", "--listen", `127.0.0.1:${port}`]);
    holder.close();
    assert.equal(code, 1);
    assert.match(line, new RegExp(`^port ${port} on 127\\.0\\.0\\.1 is in use; .*--listen 127\\.0\\.0\\.1:\\d+$`));
  });

  it("a data folder that is a file, and a certificate that is none", async () => {
    const cwd = folder();
    writeFileSync(path.join(cwd, "file"), "");
    const [data, certificate] = await Promise.all([
      refusal(["--data", "file", "--listen", "127.0.0.1:0"], { cwd }),
      refusal(["--memory", "--listen", "127.0.0.1:0", "--tls-cert", "file", "--tls-key", "file"], { cwd }),
    ]);
    assert.equal(data.code, 1);
    assert.match(data.line, /^the data folder .*file is a file; choose another with --data/);
    assert.equal(certificate.code, 1);
    assert.match(certificate.line, /^--tls-cert: .*file holds no certificate/);
  });

  it("a data folder that another server uses, and one whose metadata is something else", async () => {
    const cwd = folder();
    const { child, ended, printed } = cosbox(["--listen", "127.0.0.1:0"], { cwd });
    await printed("Stop with Ctrl-C.");
    const used = await refusal(["--listen", "127.0.0.1:0"], { cwd });
    child.kill("SIGTERM");
    await ended;
    assert.equal(used.code, 1);
    assert.match(
      used.line,
      new RegExp(`^the data folder .* is in use by another server \\(process ${child.pid} .*--data`),
    );

    writeFileSync(path.join(cwd, ".cosbox", "metadata", "data.mdb"), "not a database".repeat(1000));
    const strange = await refusal(["--listen", "127.0.0.1:0"], { cwd });
    assert.equal(strange.code, 1);
    assert.match(
      strange.line,
      /^cannot open the metadata store in .*: data\.mdb is not a metadata database, or it is damaged/,
    );
  });

  it("a server profile with the published keys, and a public listener without it", async () => {
    const [server, open] = await Promise.all([refusal(["--profile", "server"]), refusal(["--listen", "0.0.0.0:0"])]);
    assert.equal(server.code, 1);
    assert.match(server.line, /COSBOX_SECRET_ID and COSBOX_SECRET_KEY$/);
    assert.equal(open.code, 1);
    assert.match(open.line, /--profile server .*--allow-public/);
  });
});

describe("cosbox serve", { timeout: TIMEOUT_MS }, () => {
  it.each(["SIGINT", "SIGTERM"] as const)(
    "answers where it says, and ends with 0 on %s, leaving its data",
    async (signal) => {
      const cwd = folder();
      const { child, ended, printed } = cosbox(["--listen", "127.0.0.1:0"], { cwd });
      const banner = await printed("Stop with Ctrl-C.");
      const port = Number(/listens on http:\/\/127\.0\.0\.1:(\d+)/.exec(banner)?.[1]);
      const status = await new Promise<number | undefined>((resolve, reject) => {
        request({ host: "127.0.0.1", port, path: "/" }, (response) => resolve(response.resume().statusCode))
          .on("error", reject)
          .end();
      });
      assert.equal(status, 403, "a listing without a signature");
      child.kill(signal);
      assert.equal((await ended).code, 0);
      assert.ok(readdirSync(path.join(cwd, ".cosbox")).length > 0);
    },
  );

  it("leaves nothing behind with --memory", async () => {
    const cwd = folder();
    const { child, ended, printed } = cosbox(["--memory", "--listen", "127.0.0.1:0"], { cwd });
    await printed("Stop with Ctrl-C.");
    child.kill("SIGTERM");
    assert.equal((await ended).code, 0);
    assert.deepEqual(readdirSync(cwd), []);
  });
});

describe("cosbox config", { timeout: TIMEOUT_MS }, () => {
  it("prints every effective setting with where it came from, and no secret", async () => {
    const { code, stdout } = await cosbox(
      ["config", "--region", "ap-shanghai", "--limit", "partsMax=5", "--limit", "keyBytesMax=9"],
      {
        cwd: folder(
          "# settings\nappid: 1250000042\ncredentials:\n  - { secretId: AKIDsecond00, secretKey: not-to-be-seen }\n",
        ),
        env: { COSBOX_SECRET_ID: "AKIDmine0000", COSBOX_SECRET_KEY: "not-to-be-seen" },
      },
    ).ended;
    assert.equal(code, 0);
    const line = (name: string) =>
      stdout
        .split("\n")
        .find((text) => text.trimStart().startsWith(`${name}:`))
        ?.replace(/ +#/, " #");
    assert.equal(line("region"), "region: ap-shanghai # flag --region");
    assert.equal(line("appid"), 'appid: "1250000042" # cosbox.yaml:2');
    assert.equal(line("secretId"), "secretId: AKIDmine0000 # environment COSBOX_SECRET_ID");
    assert.equal(line("secretKey"), 'secretKey: "********" # environment COSBOX_SECRET_KEY');
    assert.equal(line("listen"), "listen: 127.0.0.1:9000 # default");
    assert.equal(line("partsMax")?.trim(), "partsMax: 5 # flag --limit");
    assert.equal(line("keyBytesMax")?.trim(), "keyBytesMax: 9 # flag --limit");
    assert.ok(!stdout.includes("not-to-be-seen"));
  });

  it("prints what can stand as a cosbox.yaml, with the same effect", async () => {
    const args = ["config", "--listen", "[::1]:9100", "--suffix", "cos.local,cos.test", "--tls", "off"];
    const first = await cosbox(args).ended;
    const again = await cosbox(["config"], { cwd: folder(first.stdout) }).ended;
    const bare = (text: string) => text.split("\n").map((line) => line.replace(/ +#.*$/, ""));
    assert.equal(again.code, 0, again.stderr);
    assert.deepEqual(bare(again.stdout), bare(first.stdout));
  });
});

describe("cosbox version and help", { timeout: TIMEOUT_MS }, () => {
  it("print and end with 0", async () => {
    const [version, short, help] = await Promise.all([
      cosbox(["version"]).ended,
      cosbox(["--version"]).ended,
      cosbox(["help", "serve"]).ended,
    ]);
    assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
    assert.equal(short.stdout, version.stdout);
    for (const flag of [
      "--listen",
      "--data",
      "--memory",
      "--region",
      "--appid",
      "--suffix",
      "--errors",
      "--workers",
      "--tls-cert",
    ]) {
      assert.ok(help.stdout.includes(flag), flag);
    }
    assert.deepEqual([version.code, short.code, help.code], [0, 0, 0]);
  });
});
