// Loaded into a server by `node --import`: plants one of the bugs that the tests of kills and of power must find, by changing what
// node:fs does before anything has imported it. The product has no switch for any of this.
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

const { close, fdatasync, open, rename } = fs;
const { O_CREAT, O_EXCL } = fs.constants;

/** How long after its answer a sync takes place. */
const LATE_MS = 300;

const PLANTS = {
  // Bytes are never synced.
  "no-file-sync"() {
    fs.fdatasync = (_fd, done) => setImmediate(() => done(null));
  },

  // Files get their names after their first sync, and folders are not synced. (ext4 makes the name of a new file durable
  // with its first fdatasync, so that leaving out the folder's sync alone would lose nothing there.)
  "no-folder-sync"() {
    const unnamed = new Map();
    fs.open = (path, flags, mode, done) => {
      if ((flags & (O_CREAT | O_EXCL)) !== (O_CREAT | O_EXCL)) return open(path, flags, mode, done);
      open(`${path}.draft`, flags, mode, (error, fd) => {
        if (!error) unnamed.set(fd, path);
        done(error, fd);
      });
    };
    fs.fdatasync = (fd, done) => {
      const path = unnamed.get(fd);
      unnamed.delete(fd);
      fdatasync(fd, (error) => (error || path === undefined ? done(error) : rename(`${path}.draft`, path, done)));
    };
    fs.close = (fd, done) => {
      unnamed.delete(fd);
      close(fd, done);
    };
    fs.fsync = (_fd, done) => setImmediate(() => done(null));
  },

  // A file is synced some time after its row was stored and the client was answered.
  "row-before-data"() {
    fs.fdatasync = (fd, done) => {
      open(`/proc/self/fd/${fd}`, fs.constants.O_WRONLY, (error, again) => {
        done(error);
        if (!error) setTimeout(() => fdatasync(again, () => close(again, () => {})), LATE_MS);
      });
    };
  },

  // What is written reaches the system some time after the client was answered. (For the tests of kills: no sync is
  // missing, but the process holds what it has acknowledged.)
  "late-writes"() {
    const { writev } = fs;
    const late = (fd, bytes, position, done) => {
      open(`/proc/self/fd/${fd}`, fs.constants.O_WRONLY, (error, again) => {
        const count = bytes.reduce((sum, { length }) => sum + length, 0);
        done(error, count);
        if (!error) setTimeout(() => writev(again, bytes, position, () => close(again, () => {})), LATE_MS);
      });
    };
    fs.write = (fd, buffer, offset, length, position, done) =>
      late(fd, [Buffer.from(buffer.subarray(offset, offset + length))], position, done);
    fs.writev = (fd, buffers, position, done) =>
      late(
        fd,
        buffers.map((buffer) => Buffer.from(buffer)),
        position,
        done,
      );
  },
};

PLANTS[process.env.PLANTED_BUG]();
syncBuiltinESMExports();
