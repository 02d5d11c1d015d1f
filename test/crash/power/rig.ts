/**
 * A disk whose power can fail: an ext4 file system on a loop device, on a file that nbdfuse shows, over nbdkit with
 * volatile_disk.py. The image outlives the failures, so each round begins with what the one before has left.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { access, mkdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { command, missing } from "../tools.ts";

const PLUGIN = join(dirname(fileURLToPath(import.meta.url)), "volatile_disk.py");
const IMAGE_BYTES = 768 * 1024 * 1024;
/** Far more than any step of the rig takes. */
const WAIT_MS_MAX = 10_000;

/** Why there can be no rig here; undefined when there can. */
export async function missingRig(): Promise<string | undefined> {
  const reason = missing(["nbdkit", "nbdfuse", "fusermount3", "losetup", "mkfs.ext4", "mount"], { root: true });
  if (reason !== undefined) return reason;
  try {
    await access("/dev/fuse");
    await access("/dev/loop-control");
    await command("nbdkit", "python", "--dump-plugin");
  } catch (error) {
    return `needs FUSE, loop devices and nbdkit's python plugin: ${(error as Error).message.split("\n")[0]}`;
  }
  return undefined;
}

/** What happened to the sectors that were written and not flushed. */
export interface Cut {
  readonly unflushed: number;
  readonly kept: number;
}

export interface PoweredDisk {
  /** Where the file system is mounted. */
  readonly folder: string;
  /** The power fails, once the disk is asked for anything. Whatever is asked of it afterwards fails. */
  cut(): Promise<Cut>;
  /** Takes everything down. Nobody may use the file system any more. */
  unplug(): Promise<void>;
}

export interface Rig {
  /** Turns the power on; the file system recovers by itself. */
  plug(seed: number): Promise<PoweredDisk>;
}

/** Makes a disk in `folder`, formatted. */
export async function makeRig(folder: string): Promise<Rig> {
  const image = join(folder, "image");
  await writeFile(image, "");
  await truncate(image, IMAGE_BYTES);
  await command("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-J", "size=16", image);
  return { plug: (seed) => plug(folder, image, seed) };
}

async function plug(folder: string, image: string, seed: number): Promise<PoweredDisk> {
  const [show, mountpoint] = [join(folder, "show"), join(folder, "mnt")];
  const [trigger, report] = [join(folder, "trigger"), join(folder, "report")];
  for (const path of [show, mountpoint]) await mkdir(path, { recursive: true });
  for (const path of [trigger, report]) await rm(path, { force: true });

  const file = join(show, "disk");
  const settings = [`image=${image}`, `trigger=${trigger}`, `report=${report}`, `seed=${seed}`];
  const nbdkit = ["nbdkit", "--foreground", "--exit-with-parent", "python", PLUGIN, ...settings];
  const fuse = spawn("nbdfuse", [file, "[", ...nbdkit, "]"], { stdio: ["ignore", "ignore", "ignore"] });
  const ended = once(fuse, "exit");
  let loop: string | undefined;
  try {
    await until(() => exists(file), fuse);
    loop = await command("losetup", "--find", "--show", file);
    // Seldom: whatever the file system writes out by itself hides a sync that is missing.
    await command("mount", "-t", "ext4", "-o", "commit=60", loop, mountpoint);
  } catch (error) {
    if (loop !== undefined) await command("losetup", "--detach", loop).catch(() => undefined);
    await command("fusermount3", "-u", "-z", show).catch(() => undefined);
    throw error;
  }
  const device = loop;
  return {
    folder: mountpoint,
    async cut() {
      await writeFile(trigger, "");
      await until(() => exists(report), fuse);
      const [unflushed = 0, kept = 0] = (await readFile(report, "utf8")).split(" ").map(Number);
      return { unflushed, kept };
    },
    async unplug() {
      // In this order, and the first lazily: a file system without its disk does not let go of it otherwise.
      await command("umount", "--lazy", mountpoint);
      await command("losetup", "--detach", device);
      await command("fusermount3", "-u", "-z", show);
      await Promise.race([ended, sleep(WAIT_MS_MAX)]);
      assert.notEqual(fuse.exitCode ?? fuse.signalCode, null, "nbdfuse does not end");
    },
  };
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

async function until(holds: () => Promise<boolean>, fuse: ChildProcess): Promise<void> {
  const end = performance.now() + WAIT_MS_MAX;
  while (!(await holds())) {
    assert.equal(fuse.exitCode, null, "nbdfuse has ended");
    assert.ok(performance.now() < end, "the disk does not react");
    await sleep(3);
  }
}
