import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, it } from "vitest";
import { loadSettings } from "../config/load-settings.ts";
import { SettingsError } from "../config/settings.ts";
import { writeAll } from "./files.ts";
import { explainFileFault, explainStartFault, prepareDataFolder } from "./start-fault.ts";

const folder = mkdtempSync(path.join(tmpdir(), "cosbox-start-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("prepareDataFolder", () => {
  it("makes the folder, for its owner only, and accepts it when it is there", () => {
    const made = path.join(folder, "a", "b");
    prepareDataFolder(made);
    prepareDataFolder(made);
    assert.equal(statSync(made).mode & 0o077, 0);
  });

  it("says when the path is a file, or lies below one", () => {
    const file = path.join(folder, "file");
    writeFileSync(file, "");
    const mend = "choose another with --data, or keep everything in memory with --memory";
    assert.throws(() => prepareDataFolder(file), {
      name: "SettingsError",
      message: `the data folder ${file} is a file; ${mend}`,
    });
    assert.throws(() => prepareDataFolder(path.join(file, "below")), {
      name: "SettingsError",
      message: `the data folder ${path.join(file, "below")} lies below a file; ${mend}`,
    });
  });

  it("says when the system does not let it be made", ({ skip }) => {
    if (!existsSync("/proc/self")) skip("there is no /proc here, where nobody may make folders");
    assert.throws(() => prepareDataFolder("/proc/cosbox"), {
      name: "SettingsError",
      message: /^the data folder \/proc\/cosbox .*--memory$/,
    });
  });
});

describe("explainStartFault", () => {
  const refusalOf = async (listen: string) => {
    const { settings } = await loadSettings({ cwd: folder, flags: { listen, allowPublic: true } });
    const server = createServer();
    const error = await new Promise<unknown>((resolve) => {
      server.once("error", resolve).listen(settings.listen.port, settings.listen.host, () => resolve(undefined));
    });
    server.close();
    return (explainStartFault(error, settings) as Error | undefined)?.message;
  };

  it("names the busy port and another one, beyond the admin listener of a cosbox that holds it", async () => {
    const holder = createServer();
    await new Promise<void>((listening) => holder.listen(0, "127.0.0.1", listening));
    const { port } = holder.address() as { port: number };
    assert.equal(
      await refusalOf(`127.0.0.1:${port}`),
      `port ${port} on 127.0.0.1 is in use; stop what holds it, or choose another: --listen 127.0.0.1:${port > 65_532 ? 9000 : port + 2}`,
    );
    holder.close();
  });

  it("names an address that is not this machine's", async () => {
    assert.match(
      (await refusalOf("192.0.2.1:0")) ?? "",
      /^192\.0\.2\.1 is not an address of this machine; .*--listen 127\.0\.0\.1:0$/,
    );
  });

  it("names a host that does not resolve", async () => {
    assert.match((await refusalOf("nowhere.invalid:0")) ?? "", /^the name nowhere\.invalid does not resolve; /);
  });

  it("leaves other faults as they are", async () => {
    const { settings } = await loadSettings({ cwd: folder });
    const fault = new TypeError("something else");
    assert.equal(explainStartFault(fault, settings), fault);
  });
});

describe("explainFileFault", () => {
  it.skipIf(!existsSync("/dev/full"))(
    "names the file that a full disk does not take, which the system does not",
    async () => {
      const handle = await open("/dev/full", "w");
      const error = await writeAll(handle, Buffer.from("x"), "/backups/monday/data").catch((fault: unknown) => fault);
      await handle.close();
      const told = explainFileFault(error);
      assert.ok(told instanceof SettingsError);
      assert.equal(told.message, "/backups/monday/data: the disk is full");
    },
  );
});
