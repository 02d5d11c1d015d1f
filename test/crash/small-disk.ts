/** A small ext4 file system of its own, which a test can fill up and make read-only. */
import { mkdir, mkdtemp, rm, statfs, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { command, missing } from "./tools.ts";

export interface SmallDisk {
  readonly folder: string;
  /** Bytes that are left. */
  free(): Promise<number>;
  /** Takes all but `left` bytes. */
  fill(left: number): Promise<void>;
  /** Takes all that has become free since, and gives nothing back on the way. */
  fillUp(): Promise<void>;
  /** Gives back what was taken. */
  empty(): Promise<void>;
  /** What the kernel does after an error of the disk: from now on nothing can be written. */
  failReadOnly(): Promise<void>;
  unmount(): Promise<void>;
}

export const missingSmallDisk = (): string | undefined =>
  missing(["mkfs.ext4", "mount", "losetup", "fallocate"], { root: true });

export async function makeSmallDisk(bytes: number): Promise<SmallDisk> {
  const base = await mkdtemp(join(tmpdir(), "cosbox-disk-"));
  const [image, folder] = [join(base, "image"), join(base, "mnt")];
  await writeFile(image, "");
  await truncate(image, bytes);
  // Nothing is kept back for root, whom the tests need to be.
  await command("mkfs.ext4", "-q", "-F", "-m", "0", image);
  await mkdir(folder);
  await command("mount", "-o", "loop,errors=remount-ro", image, folder);
  const [ballast, rest] = [join(folder, "ballast"), join(folder, "ballast2")];

  async function free(): Promise<number> {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  }

  async function fillUp(): Promise<void> {
    await command("dd", "if=/dev/zero", `of=${rest}`, "bs=4096", "oflag=append", "conv=notrunc").catch(() => undefined);
  }

  return {
    folder,
    free,
    fillUp,
    async fill(left) {
      await rm(ballast, { force: true });
      // What is deleted is given back a little later.
      await command("sync", "-f", folder);
      const room = (await free()) - left;
      // The tree of a large file needs some blocks itself.
      if (room > 0) await command("fallocate", "-l", String(room), ballast).catch(() => undefined);
      if (left === 0) await fillUp();
    },
    async empty() {
      for (const file of [ballast, rest]) await rm(file, { force: true });
      await command("sync", "-f", folder);
    },
    async failReadOnly() {
      await command("mount", "-o", "remount,abort", folder).catch(() => undefined);
    },
    async unmount() {
      await command("umount", "--lazy", folder);
      await rm(base, { recursive: true });
    },
  };
}
