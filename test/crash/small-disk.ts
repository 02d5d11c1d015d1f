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
  /** Gives back what `fill` took. */
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
  const ballast = join(folder, "ballast");

  async function free(): Promise<number> {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  }

  return {
    folder,
    free,
    async fill(left) {
      await rm(ballast, { force: true });
      // What is deleted is given back a little later.
      await command("sync", "-f", folder);
      const room = (await free()) - left;
      // The tree of a large file needs some blocks itself.
      if (room > 0) await command("fallocate", "-l", String(room), ballast).catch(() => undefined);
      if (left === 0)
        await command("dd", "if=/dev/zero", `of=${join(folder, "ballast2")}`, "bs=4096").catch(() => undefined);
    },
    async empty() {
      for (const file of [ballast, join(folder, "ballast2")]) await rm(file, { force: true });
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
