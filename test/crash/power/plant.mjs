// Loaded into a server by `node --import`: plants one of the bugs that the power tests must find, by changing what
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

  // Files get their names after they have been synced, and folders are not. (ext4 makes the name of a new file durable
  // with its first fdatasync, so that leaving out the folder's sync alone would lose nothing there.)
  "no-folder-sync"() {
    const named = new Map();
    fs.open = (path, flags, mode, done) => {
      if ((flags & (O_CREAT | O_EXCL)) !== (O_CREAT | O_EXCL)) return open(path, flags, mode, done);
      open(`${path}.draft`, flags, mode, (error, fd) => {
        if (!error) named.set(fd, path);
        done(error, fd);
      });
    };
    fs.close = (fd, done) => {
      const path = named.get(fd);
      named.delete(fd);
      if (path === undefined) return close(fd, done);
      close(fd, () => rename(`${path}.draft`, path, done));
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

  // What is written reaches the system some time after the client was answered.
  "late-writes"() {
    const { write } = fs;
    fs.write = (fd, buffer, offset, length, position, done) => {
      const bytes = Buffer.from(buffer.subarray(offset, offset + length));
      open(`/proc/self/fd/${fd}`, fs.constants.O_WRONLY, (error, again) => {
        done(error, length);
        if (!error) setTimeout(() => write(again, bytes, 0, length, position, () => close(again, () => {})), LATE_MS);
      });
    };
  },
};

PLANTS[process.env.PLANTED_BUG]();
syncBuiltinESMExports();
