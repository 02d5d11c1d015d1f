/** The commands: what each is called, what it says of itself, which settings it has use for, and what does its work. */

import type { LoadedSettings } from "../config/load-settings.ts";
import { SETTING_NAMES, type SettingName } from "../config/settings.ts";
import type { Shell } from "./shell.ts";

type Flags = Readonly<Record<string, unknown>>;

/** One call of a command. */
interface CommandCall {
  /** What follows its name, each in its place. */
  readonly words: readonly string[];
  readonly flags: Flags;
  readonly shell: Shell;
  /** The settings, by the shell's environment unless another is told. @throws SettingsError */
  readonly load: (env?: Shell["env"]) => Promise<LoadedSettings>;
}

export interface CommandRow {
  /** Its name, and the places of the words that follow it. */
  readonly name: string;
  readonly about: string;
  /** Flags of its own, and what they do. */
  readonly options?: readonly (readonly [flag: string, about: string])[];
  /** The settings that have flags here; absent where none is of use. */
  readonly settings?: readonly SettingName[];
  readonly isDefault?: true;
  /** Works on a data folder: what keeps it from its files is told in a line. */
  readonly onFiles?: true;
  /** Gives the exit code. */
  readonly run: (call: CommandCall) => Promise<number>;
}

/** What a command has to know of a running server that it asks. */
const REACHING: readonly SettingName[] = ["listen", "admin", "adminToken"];

/** A command that shows something of a running server, or changes it by a verb: the function of its name in control.ts. */
function changing(name: "clock" | "faults" | "rates" | "namespaces" | "states", about: string): CommandRow {
  return {
    name: `${name} [verb] [value]`,
    about,
    settings: REACHING,
    run: async ({ load, words: [verb, value], shell }) =>
      (await import("./control.ts"))[name](await load(), verb, value, shell),
  };
}

export const COMMANDS: readonly CommandRow[] = [
  {
    name: "serve",
    about: "start the server (what cosbox does without a command)",
    settings: SETTING_NAMES,
    isDefault: true,
    async run({ load, shell }) {
      const loaded = await load();
      return await (await import("./serve.ts")).serve(loaded, shell);
    },
  },
  {
    name: "config",
    about: "print the effective settings, and where each comes from",
    settings: SETTING_NAMES,
    async run({ load, shell }) {
      const loaded = await load();
      shell.stdout.write((await import("./config.ts")).effectiveSettings(loaded));
      for (const warning of loaded.warnings) shell.stderr.write(`cosbox: warning: ${warning}\n`);
      return 0;
    },
  },

  // On a data folder.
  {
    name: "fsck",
    about: "check that everything in the data folder is there and fits together; exit code 1 for damage",
    options: [
      ["--repair", "free what nothing needs; not while a server uses the folder"],
      ["--verbose", "print what is left over one by one"],
    ],
    settings: ["data"],
    onFiles: true,
    run: async ({ load, flags, shell }) => (await import("./fsck.ts")).fsck(await load(), flags, shell),
  },
  {
    name: "scrub",
    about: "read every object and hold it against its checksums; exit code 1 for damage",
    options: [["--rate <bytes per second>", "read no faster than this, such as 100MB/s"]],
    settings: ["data"],
    onFiles: true,
    run: async ({ load, flags, shell }) => (await import("./scrub.ts")).scrub(await load(), flags, shell),
  },
  {
    name: "export <bucket> <folder>",
    about: "write the objects of a bucket as plain files",
    settings: ["data"],
    onFiles: true,
    run: async ({ load, words: [bucket = "", folder = ""], shell }) =>
      (await import("./export.ts")).exportBucket(await load(), bucket, folder, shell),
  },
  {
    name: "import <folder> <bucket>",
    about: "make objects of the files in a folder; not while a server uses the data folder",
    settings: ["data", "region", "appid", "uin", "durability", "limits"],
    onFiles: true,
    run: async ({ load, words: [folder = "", bucket = ""], shell }) =>
      (await import("./import.ts")).importFolder(await load(), folder, bucket, shell),
  },
  {
    name: "explain <id>",
    about: "say why a request was refused, by its RequestId or TraceId",
    options: [["--json", "print the record itself"]],
    settings: ["data", ...REACHING],
    onFiles: true,
    run: async ({ load, words: [id = ""], flags, shell }) =>
      (await import("./explain.ts")).explain(await load(), id, flags, shell),
  },
  {
    name: "backup <folder>",
    about: "write a consistent copy of the data folder, while a server uses it or not",
    settings: ["data"],
    onFiles: true,
    run: async ({ load, words: [folder = ""], shell }) =>
      (await import("./backup.ts")).backup(await load(), folder, shell),
  },
  {
    name: "restore <backup>",
    about: "put the data of a backup into a new data folder",
    settings: ["data"],
    onFiles: true,
    run: async ({ load, words: [folder = ""], shell }) =>
      (await import("./backup.ts")).restore(await load(), folder, shell),
  },

  // Of a running server, over its admin listener.
  changing("clock", "show the server's clock, or: advance <30d>, set <time>, freeze [time], real"),
  changing("faults", "list the faults of the server, or: add <json>, remove <id>, clear"),
  changing("rates", "list the limits on how often requests may come, or: set <json>, set service, reset"),
  changing(
    "namespaces",
    "list the namespaces of the server with their keys, or: add [name], replace <name>, remove <name>",
  ),
  changing("states", "list what is in a state other than active, or: set <json>"),
  {
    name: "snapshots [verb] [name]",
    about: "list the snapshots of a server in memory, or: take [name], restore <name>, remove <name>",
    options: [["--force", "restore also where something is locked that would go"]],
    settings: REACHING,
    run: async ({ load, words: [verb, name], flags, shell }) =>
      (await import("./control.ts")).snapshots(await load(), verb, name, flags, shell),
  },
  {
    name: "coverage",
    about: "show which errors clients met, of those that the operations they used can answer with",
    options: [["--json", "print it as JSON"]],
    settings: REACHING,
    run: async ({ load, flags, shell }) => (await import("./control.ts")).coverage(await load(), flags, shell),
  },
  {
    name: "doctor",
    about: "watch for the next request, say what is set wrongly in its client, and print the right settings",
    settings: [...REACHING, "region", "appid", "tls", "tlsCert", "tlsKey"],
    run: async ({ load, shell }) => (await import("./doctor.ts")).doctor(await load(), shell),
  },
  {
    name: "requests",
    about: "show the requests the server answered last",
    options: [
      ["--follow", "and those to come, until Ctrl-C"],
      ["--json", "print the records themselves"],
    ],
    settings: REACHING,
    run: async ({ load, flags, shell }) => (await import("./control.ts")).requests(await load(), flags, shell),
  },

  {
    name: "conformance",
    about: "send a COS endpoint one request for each error that a client can meet; exit code 1 for differences",
    options: [
      ["--endpoint <url>", "where to connect; cloud: the service itself (default: the server of --listen)"],
      ["--secret-id <id>", "the SecretId; its SecretKey is COSBOX_SECRET_KEY (default: the root account's)"],
      ["--insecure", "do not check certificates"],
      ["--json", "print the results as JSON"],
    ],
    settings: ["listen", "region", "appid"],
    async run({ load, flags, shell }) {
      const { secretId } = flags as { readonly secretId?: string };
      // A SecretId may be seen by others, so it may be a flag here; the rules for pairs hold all the same.
      const env = secretId === undefined ? shell.env : { ...shell.env, COSBOX_SECRET_ID: secretId };
      const loaded = await load(env);
      return await (await import("./conformance.ts")).conformance(loaded, flags, shell);
    },
  },
  {
    name: "version",
    about: "print the version",
    async run({ shell }) {
      shell.stdout.write(`${(await import("./version.ts")).packageVersion()}\n`);
      return 0;
    },
  },
];
