"""A disk with a cache of its own, for nbdkit: what was written and not flushed is lost with the power, or is not.

nbdkit python disk.py file=IMAGE seed=NUMBER
"""

import os
import random

import nbdkit

API_VERSION = 2
SECTOR = 512
image = -1
chance = random.Random()
cached: dict[int, bytes] = {}
"""What was written and has not reached the medium, by its offset."""


def thread_model() -> int:
    return int(nbdkit.THREAD_MODEL_SERIALIZE_ALL_REQUESTS)


def config(key: str, value: str) -> None:
    global image
    if key == "file":
        image = os.open(value, os.O_RDWR)
    else:
        chance.seed(int(value))


def open(readonly: bool) -> int:
    return image


def get_size(handle: int) -> int:
    return os.fstat(image).st_size


def can_write(handle: int) -> bool:
    return True


def can_flush(handle: int) -> bool:
    return True


def pread(handle: int, buffer: bytearray, offset: int, flags: int) -> None:
    os.preadv(image, [buffer], offset)
    for at in range(0, len(buffer), SECTOR):
        if kept := cached.get(offset + at):
            buffer[at : at + SECTOR] = kept


def pwrite(handle: int, buffer: bytearray, offset: int, flags: int) -> None:
    """A disk writes what it likes, in the order that it likes, until it is told to flush."""
    for at in range(0, len(buffer), SECTOR):
        cached[offset + at] = bytes(buffer[at : at + SECTOR])
        if chance.random() < 0.5:
            os.pwrite(image, cached.pop(offset + at), offset + at)


def flush(handle: int, flags: int) -> None:
    while cached:
        offset, sector = cached.popitem()
        os.pwrite(image, sector, offset)
