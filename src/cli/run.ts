/** The command line: the flags of each command, and how a refusal reads. */

import { Command, CommanderError, Option } from "commander";
import { formatListen } from "../config/listen-address.ts";
import { SETTINGS, type SettingName, SettingsError } from "../config/settings.ts";
import { type CommandRow, COMMANDS } from "./commands.ts";
import { EXIT_FAILED, type Shell } from "./shell.ts";

const EXIT_USAGE = 2;

function defaultText(name: SettingName): string {
  if (name === "listen") return `${formatListen(SETTINGS.listen.default)}, `;
  const value = SETTINGS[name].default;
  return typeof value === "string" && value !== "" ? `${value}, ` : "";
}

/** Adds the flags of settings to `command`, and the one that names their file. */
function addSettings(command: Command, names: readonly SettingName[]): void {
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
}

async function load(flags: Readonly<Record<string, unknown>>, env: Shell["env"], shell: Shell) {
  const { loadSettings } = await import("../config/load-settings.ts");
  const { defaultWorkers } = await import("./default-workers.ts");
  const defaults = { workers: defaultWorkers() };
  const file = (flags["config"] as string | undefined) ?? (env["COSBOX_CONFIG"] || undefined);
  return loadSettings({ defaults, flags, env, cwd: shell.cwd(), ...(file === undefined ? {} : { file }) });
}

/** Adds a command; `done` is told its exit code. */
function addCommand(program: Command, row: CommandRow, shell: Shell, done: (exitCode: number) => void): void {
  const command = program.command(row.name, { isDefault: row.isDefault === true }).description(row.about);
  for (const [flag, about] of row.options ?? []) command.option(flag, about);
  if (row.settings !== undefined) addSettings(command, row.settings);
  command.action(async () => {
    const flags = command.opts();
    const words = command.processedArgs as readonly string[];
    try {
      done(await row.run({ words, flags, shell, load: (env = shell.env) => load(flags, env, shell) }));
    } catch (error) {
      if (row.onFiles !== true) throw error;
      const { explainFileFault } = await import("./start-fault.ts");
      throw explainFileFault(error);
    }
  });
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

  for (const row of COMMANDS) {
    addCommand(program, row, shell, (code) => {
      exitCode = code;
    });
  }

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
