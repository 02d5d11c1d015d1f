/** The command line: which command, which flags, and how a refusal reads. */

import { Command, CommanderError, Option } from "commander";
import { formatListen } from "../config/listen-address.ts";
import { SETTING_NAMES, SETTINGS, type SettingName, SettingsError } from "../config/settings.ts";

/** What a command may touch of the process. */
export interface Shell {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown; readonly isTTY?: boolean };
  cwd(): string;
  on(signal: "SIGINT" | "SIGTERM" | "SIGUSR2", listener: () => void): unknown;
  exit(code: number): never;
}

/** The exit code where something has to be mended. */
export const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

function defaultText(name: SettingName): string {
  if (name === "listen") return `${formatListen(SETTINGS.listen.default)}, `;
  const value = SETTINGS[name].default;
  return typeof value === "string" && value !== "" ? `${value}, ` : "";
}

/** Adds the flags of settings to `command`: of every one, unless told which it has use for. */
function withSettings(command: Command, names: readonly SettingName[] = SETTING_NAMES): Command {
  command.option("--config <file>", "settings file (COSBOX_CONFIG; default cosbox.yaml, if there is one)");
  for (const name of names) {
    const { about, env, flag, form } = SETTINGS[name];
    if (flag === undefined) continue;
    const option = new Option(flag, `${about} (${defaultText(name)}${env})`);
    if (form === "list" || form === "pairs") {
      option.argParser((value: string, before: string | undefined) =>
        before === undefined ? value : `${before},${value}`,
      );
    }
    command.addOption(option);
  }
  return command;
}

async function load(flags: Record<string, unknown>, shell: Shell) {
  const { loadSettings } = await import("../config/load-settings.ts");
  const { defaultWorkers } = await import("./default-workers.ts");
  const defaults = { workers: defaultWorkers() };
  const file = (flags["config"] as string | undefined) ?? (shell.env["COSBOX_CONFIG"] || undefined);
  return loadSettings({ defaults, flags, env: shell.env, cwd: shell.cwd(), ...(file === undefined ? {} : { file }) });
}

/** What a command of `addMaintenance` came to. */
type Done = (exitCode: number) => void;

/** What a command has to know of a running server that it asks. */
const REACHING: readonly SettingName[] = ["listen", "admin", "adminToken"];

/** The commands that work on a data folder. What keeps one from its files is told in a line, by `explainFileFault`. */
function addMaintenance(program: Command, shell: Shell, done: Done): void {
  const told = async (work: () => Promise<number>): Promise<void> => {
    try {
      done(await work());
    } catch (error) {
      const { explainFileFault } = await import("./start-fault.ts");
      throw explainFileFault(error);
    }
  };
  type Flags = Record<string, unknown>;

  withSettings(
    program
      .command("fsck")
      .description("check that everything in the data folder is there and fits together; exit code 1 for damage")
      .option("--repair", "free what nothing needs; not while a server uses the folder")
      .option("--verbose", "print what is left over one by one"),
    ["data"],
  ).action((flags: Flags) =>
    told(async () => (await import("./fsck.ts")).fsck(await load(flags, shell), flags, shell)),
  );
  withSettings(
    program
      .command("scrub")
      .description("read every object and hold it against its checksums; exit code 1 for damage")
      .option("--rate <bytes per second>", "read no faster than this, such as 100MB/s"),
    ["data"],
  ).action((flags: Flags) =>
    told(async () => (await import("./scrub.ts")).scrub(await load(flags, shell), flags, shell)),
  );
  withSettings(
    program.command("export <bucket> <folder>").description("write the objects of a bucket as plain files"),
    ["data"],
  ).action((bucket: string, folder: string, flags: Flags) =>
    told(async () => (await import("./export.ts")).exportBucket(await load(flags, shell), bucket, folder, shell)),
  );
  withSettings(
    program
      .command("import <folder> <bucket>")
      .description("make objects of the files in a folder; not while a server uses the data folder"),
    ["data", "region", "appid", "uin", "durability", "limits"],
  ).action((folder: string, bucket: string, flags: Flags) =>
    told(async () => (await import("./import.ts")).importFolder(await load(flags, shell), folder, bucket, shell)),
  );
  withSettings(
    program
      .command("explain <id>")
      .description("say why a request was refused, by its RequestId or TraceId")
      .option("--json", "print the record itself"),
    ["data", ...REACHING],
  ).action((id: string, flags: Flags) =>
    told(async () => (await import("./explain.ts")).explain(await load(flags, shell), id, flags, shell)),
  );
  withSettings(
    program
      .command("backup <folder>")
      .description("write a consistent copy of the data folder, while a server uses it or not"),
    ["data"],
  ).action((folder: string, flags: Flags) =>
    told(async () => (await import("./backup.ts")).backup(await load(flags, shell), folder, shell)),
  );
  withSettings(program.command("restore <backup>").description("put the data of a backup into a new data folder"), [
    "data",
  ]).action((folder: string, flags: Flags) =>
    told(async () => (await import("./backup.ts")).restore(await load(flags, shell), folder, shell)),
  );
}

/** The command that holds any COS endpoint against the error page. */
function addConformance(program: Command, shell: Shell, done: Done): void {
  withSettings(
    program
      .command("conformance")
      .description("send a COS endpoint one request for each error that a client can meet; exit code 1 for differences")
      .option("--endpoint <url>", "where to connect; cloud: the service itself (default: the server of --listen)")
      .option("--secret-id <id>", "the SecretId; its SecretKey is COSBOX_SECRET_KEY (default: the root account's)")
      .option("--insecure", "do not check certificates")
      .option("--json", "print the results as JSON"),
    ["listen", "region", "appid"],
  ).action(async (flags: Record<string, unknown>) => {
    const { secretId, ...rest } = flags as { readonly secretId?: string };
    // A SecretId may be seen by others, so it may be a flag here; the rules for pairs hold all the same.
    const env = secretId === undefined ? shell.env : { ...shell.env, COSBOX_SECRET_ID: secretId };
    const loaded = await load(rest, { ...shell, env, cwd: () => shell.cwd() });
    done(await (await import("./conformance.ts")).conformance(loaded, flags, shell));
  });
}

/** The commands that ask a running server, over its admin listener. */
function addControl(program: Command, shell: Shell, done: Done): void {
  type Flags = Record<string, unknown>;
  withSettings(
    program
      .command("clock [verb] [value]")
      .description("show the server's clock, or: advance <30d>, set <time>, freeze [time], real"),
    REACHING,
  ).action(async (verb: string | undefined, value: string | undefined, flags: Flags) =>
    done(await (await import("./control.ts")).clock(await load(flags, shell), verb, value, shell)),
  );
  withSettings(
    program
      .command("faults [verb] [value]")
      .description("list the faults of the server, or: add <json>, remove <id>, clear"),
    REACHING,
  ).action(async (verb: string | undefined, value: string | undefined, flags: Flags) =>
    done(await (await import("./control.ts")).faults(await load(flags, shell), verb, value, shell)),
  );
  withSettings(
    program
      .command("rates [verb] [value]")
      .description("list the limits on how often requests may come, or: set <json>, set service, reset"),
    REACHING,
  ).action(async (verb: string | undefined, value: string | undefined, flags: Flags) =>
    done(await (await import("./control.ts")).rates(await load(flags, shell), verb, value, shell)),
  );
  withSettings(
    program
      .command("namespaces [verb] [value]")
      .description("list the namespaces of the server with their keys, or: add [name], replace <name>, remove <name>"),
    REACHING,
  ).action(async (verb: string | undefined, value: string | undefined, flags: Flags) =>
    done(await (await import("./control.ts")).namespaces(await load(flags, shell), verb, value, shell)),
  );
  withSettings(
    program.command("states [verb] [value]").description("list what is in a state other than active, or: set <json>"),
    REACHING,
  ).action(async (verb: string | undefined, value: string | undefined, flags: Flags) =>
    done(await (await import("./control.ts")).states(await load(flags, shell), verb, value, shell)),
  );
  withSettings(
    program
      .command("snapshots [verb] [name]")
      .description("list the snapshots of a server in memory, or: take [name], restore <name>, remove <name>")
      .option("--force", "restore also where something is locked that would go"),
    REACHING,
  ).action(async (verb: string | undefined, name: string | undefined, flags: Flags) =>
    done(await (await import("./control.ts")).snapshots(await load(flags, shell), verb, name, flags, shell)),
  );
  withSettings(
    program
      .command("coverage")
      .description("show which errors clients met, of those that the operations they used can answer with")
      .option("--json", "print it as JSON"),
    REACHING,
  ).action(async (flags: Flags) =>
    done(await (await import("./control.ts")).coverage(await load(flags, shell), flags, shell)),
  );
  withSettings(
    program
      .command("doctor")
      .description("watch for the next request, say what is set wrongly in its client, and print the right settings"),
    [...REACHING, "region", "appid", "tls", "tlsCert", "tlsKey"],
  ).action(async (flags: Flags) => done(await (await import("./doctor.ts")).doctor(await load(flags, shell), shell)));
  withSettings(
    program
      .command("requests")
      .description("show the requests the server answered last")
      .option("--follow", "and those to come, until Ctrl-C")
      .option("--json", "print the records themselves"),
    REACHING,
  ).action(async (flags: Flags) =>
    done(await (await import("./control.ts")).requests(await load(flags, shell), flags, shell)),
  );
}

/**
 * Runs one command and resolves with the exit code: 0, 1 where something has to be mended, 2 for a wrong command line.
 * What a person can mend is one line on stderr; only a fault of our own shows a stack.
 */
export async function run(argv: readonly string[], shell: Shell): Promise<number> {
  let exitCode = 0;
  const program = new Command("cosbox")
    .description("Tencent Cloud COS in a box.")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void shell.stdout.write(text),
      writeErr: () => undefined,
    })
    .helpOption("-h, --help", "show this help")
    .helpCommand("help [command]", "show the help of a command");

  withSettings(
    program.command("serve", { isDefault: true }).description("start the server (what cosbox does without a command)"),
  ).action(async (flags: Record<string, unknown>) => {
    const loaded = await load(flags, shell);
    const { serve } = await import("./serve.ts");
    exitCode = await serve(loaded, shell);
  });
  withSettings(program.command("config").description("print the effective settings, and where each comes from")).action(
    async (flags: Record<string, unknown>) => {
      const loaded = await load(flags, shell);
      const { effectiveSettings } = await import("./config.ts");
      shell.stdout.write(effectiveSettings(loaded));
      for (const warning of loaded.warnings) shell.stderr.write(`cosbox: warning: ${warning}\n`);
    },
  );
  const done = (code: number): void => {
    exitCode = code;
  };
  addMaintenance(program, shell, done);
  addControl(program, shell, done);
  addConformance(program, shell, done);
  program
    .command("version")
    .description("print the version")
    .action(async () => {
      const { packageVersion } = await import("./version.ts");
      shell.stdout.write(`${packageVersion()}\n`);
    });

  const [first = ""] = argv;
  const words = first === "--version" || first === "-V" ? ["version"] : [...argv];
  try {
    const commands = [...program.commands.map((command) => command.name()), "help"];
    if (first !== "" && !first.startsWith("-") && !commands.includes(first)) {
      const { nearestName } = await import("../config/nearest-name.ts");
      const near = nearestName(first, commands);
      const mend = near === undefined ? `the commands are ${commands.join(", ")}` : `did you mean ${near}?`;
      shell.stderr.write(`cosbox: unknown command ${JSON.stringify(first)}; ${mend}\n`);
      return EXIT_USAGE;
    }
    await program.parseAsync(words, { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) {
      // Help that was asked for arrives here as well.
      if (error.exitCode === 0) return 0;
      const line = error.message.replace(/^error: |\.$/g, "").replaceAll("\n", " ");
      shell.stderr.write(`cosbox: ${line}; see cosbox help\n`);
      return EXIT_USAGE;
    }
    if (error instanceof SettingsError) {
      shell.stderr.write(`cosbox: ${error.message}\n`);
      return EXIT_FAILED;
    }
    const fault = error instanceof Error ? (error.stack ?? error.message) : String(error);
    shell.stderr.write(`cosbox: unexpected fault, please report it: ${fault}\n`);
    return EXIT_FAILED;
  }
}
