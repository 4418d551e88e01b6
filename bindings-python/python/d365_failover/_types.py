"""What crosses between Python and the native module."""

from __future__ import annotations

from typing import TypeAlias

from ._native import Walk

RawRequest: TypeAlias = tuple[
    str,
    str,
    list[tuple[str, str]],
    "bytes | tuple[int, bool] | None",
    "int | None",
    int,
    int,
    "str | None",
    int | Walk | None,
    "int | None",
    "int | None",
    "int | None",
]
"""method, url, headers, body or its length (-1: not known) and whether it can be read again, timeout in ms, operation,
flags, tag, the write that it is about or the walk that it goes on with, connect, attempt and read timeout in ms"""

STREAMING, GUARDED_CREATE, UPSERT, DISCOVERS, REPLAYS, WANTED = 1, 2, 4, 8, 16, 32
CHECKS = {"primary": 64, "alternate": 128}
"""Flags of a request. The first: its response's body is read by and by."""

RawAttempt: TypeAlias = tuple[
    "str | None", int, str, "str | None", "int | None", "int | None", int, int, str, str, "str | None", "str | None"
]
"""role, epoch, phase, fault, HTTP status, code, started in ms, took in µs, url, message, HTTP version, cause"""

RawLedgerEntry: TypeAlias = tuple[
    int,
    str,
    str,
    str,
    "str | None",
    bool,
    "str | None",
    "str | None",
    int,
    int,
    int,
    "int | None",
    "str | None",
    "int | None",
    "str | None",
    "str | None",
    "str | None",
    "int | None",
    bool,
    bool,
    "str | None",
    str,
    "list[tuple[str, str, str]]",
]
"""id, method, url, operation, effect, whether it is a suspect, resolution, role, epoch, attempts, started in ms,
ended in ms, URL of the row, length of the body, its SHA-256, tag, what was found, when in ms, whether that is final,
whether its request is kept, why, what was not compared, what differs: name, sent, found"""

Brought: TypeAlias = "bytes | list[RawLedgerEntry] | tuple[int, int]"
"""What is brought by what may wait for a file or for calls: `Client.do`, a read of a stream. Empty bytes: nothing.
The writes on record; how many of them are in question, and since when the record has all, in ms."""
