"""A disk with a volatile write cache, for nbdkit's python plugin.

A write stays in the cache, sector by sector, until the disk is told to flush. When the trigger file appears the power
fails: a random part of the cached sectors reaches the image, in no order, the others are lost, and from then on every
request is answered with EIO. What was lost is written to the report file.
"""

import errno
import os
import random

import nbdkit

API_VERSION = 2
SECTOR = 512
settings = {}
cache = {}
image = -1
dead = False


def config(key, value):
    settings[key] = value


def config_complete():
    for name in ("image", "trigger", "report", "seed"):
        if name not in settings:
            raise RuntimeError("missing parameter: " + name)


def get_ready():
    global image
    image = os.open(settings["image"], os.O_RDWR)


def open(readonly):
    return 1


def get_size(handle):
    return os.fstat(image).st_size


def block_size(handle):
    return (SECTOR, 4096, 0xFFFFFFFF)


def can_flush(handle):
    return True


def can_fua(handle):
    return nbdkit.FUA_NATIVE


def persist(sectors):
    """Writes sectors to the image, runs of them at once."""
    run, start = [], None
    for sector in sectors:
        if start is not None and sector == start + len(run):
            run.append(cache[sector])
            continue
        if run:
            os.pwrite(image, b"".join(run), start * SECTOR)
        run, start = [cache[sector]], sector
    if run:
        os.pwrite(image, b"".join(run), start * SECTOR)


def refuse_if_dead():
    global dead
    if not dead and os.path.exists(settings["trigger"]):
        dead = True
        chance = random.Random(int(settings["seed"]))
        share = chance.choice((0.0, 0.5, 0.5, 0.5, 0.9))
        kept = [sector for sector in sorted(cache) if chance.random() < share]
        persist(kept)
        draft = settings["report"] + ".draft"
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.write(file, b"%d %d" % (len(cache), len(kept)))
        os.close(file)
        os.rename(draft, settings["report"])
        cache.clear()
    if dead:
        nbdkit.set_error(errno.EIO)
        raise RuntimeError("the power is gone")


def pread(handle, buffer, offset, flags):
    refuse_if_dead()
    os.preadv(image, [buffer], offset)
    if not cache:
        return
    first = offset // SECTOR
    for at in range(len(buffer) // SECTOR):
        sector = cache.get(first + at)
        if sector is not None:
            buffer[at * SECTOR : (at + 1) * SECTOR] = sector


def pwrite(handle, buffer, offset, flags):
    refuse_if_dead()
    data = bytes(buffer)
    first = offset // SECTOR
    count = len(data) // SECTOR
    for at in range(count):
        cache[first + at] = data[at * SECTOR : (at + 1) * SECTOR]
    if flags & nbdkit.FLAG_FUA:
        written = range(first, first + count)
        persist(written)
        for sector in written:
            del cache[sector]


def flush(handle, flags):
    refuse_if_dead()
    persist(sorted(cache))
    cache.clear()
