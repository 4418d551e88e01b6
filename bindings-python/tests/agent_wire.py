"""What the scenario agent does with bodies that are read, streams, and the prepare hook."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from d365_failover import Outgoing

Json = dict[str, Any]

PERIOD = bytes((i * 31 + 7) & 0xFF for i in range(256))


def pattern(begin: int, size: int) -> bytes:
    first = begin % 256
    return (PERIOD * (size // 256 + 2))[first : first + size]


class BodyFailed(Exception):
    """The scenario wants the body to fail."""


class Body:
    """A request's body, and how much was read of it."""

    def __init__(self, size: int, chunk: int, fail_at: int | None) -> None:
        self._size = size
        self._chunk = chunk
        self._fail_at = fail_at
        self._opened = 0
        self.bytes = 0
        self.rewinds = 0

    def reads(self) -> Json:
        return {"bytes": self.bytes, "rewinds": self.rewinds}

    def piece(self, position: int, most: int) -> bytes:
        if self._fail_at is not None and position >= self._fail_at:
            raise BodyFailed
        size = min(most, self._chunk, self._size - position)
        self.bytes += size
        return pattern(position, size)

    def pieces(self) -> Iterator[bytes]:
        position = 0
        while piece := self.piece(position, self._size):
            position += len(piece)
            yield piece

    async def apieces(self) -> AsyncIterator[bytes]:
        for piece in self.pieces():
            yield piece

    def anew(self, asynchronous: bool) -> Callable[[], Any]:
        def open() -> Any:
            self._opened += 1
            self.rewinds = self._opened - 1
            return self.apieces() if asynchronous else self.pieces()

        return open

    def file(self, length: int) -> File:
        return File(self, length)


class File:
    """The body as a file that can seek, and says that it is so long."""

    def __init__(self, body: Body, length: int) -> None:
        self._body = body
        self._length = length
        self._position = 0
        self._is_begun = False

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        self._position = position + (self._length if whence == os.SEEK_END else 0)
        if self._is_begun and self._position == 0:
            self._body.rewinds += 1
            self._is_begun = False
        return self._position

    def read(self, size: int) -> bytes:
        self._is_begun = True
        piece = self._body.piece(self._position, size)
        self._position += len(piece)
        return piece


def of_body_reader(
    kind: str,
    size: int,
    chunk: int,
    length: bool = False,
    claims: int | None = None,
    fail_at: int | None = None,
    *,
    asynchronous: bool,
) -> tuple[Body, Any, Json]:
    """The body, what is given to the client as `content`, and headers for it."""
    body = Body(size, chunk, fail_at)
    told = claims if claims is not None else size if length else None
    if kind == "rewindable" and told is not None:
        return body, body.file(told), {}
    headers = {} if told is None else {"Content-Length": str(told)}
    if kind == "rewindable":
        return body, body.anew(asynchronous), headers
    return body, body.apieces() if asynchronous else body.pieces(), headers


class Reading:
    """What was read of a stream."""

    def __init__(self, read: int, stop_after: int | None = None, reads: str | None = None) -> None:
        self._stop_after = stop_after
        # Chunks of one size only where the end counts: a body that breaks off takes the begun one with it.
        self.chunk_size = read if stop_after is not None else None
        self._bytes = 0
        self._sum = 0
        self._is_pattern = True
        self._begin = b""

    def is_enough(self) -> bool:
        return self._stop_after is not None and self._bytes >= self._stop_after

    def add(self, piece: bytes) -> None:
        self._is_pattern = self._is_pattern and piece == pattern(self._bytes, len(piece))
        self._bytes += len(piece)
        self._sum += sum(piece)
        self._begin = (self._begin + piece)[:65536] if len(self._begin) < 65536 else self._begin

    def answer(self, error: Json | None) -> Json:
        read = {"bytes": self._bytes, "pattern": self._is_pattern, "sum": self._sum, "error": error}
        return {"body": self._begin.decode("utf-8", "replace"), "read": read}


class Hook:
    """Records attempts, then does with them what the scenario wants."""

    def __init__(
        self,
        set_header: dict[str, str] | None = None,
        remove_header: list[str] | None = None,
        set_body: str | None = None,
        fail: str | None = None,
        fail_from: int = 1,
    ) -> None:
        self._set_header = set_header or {}
        self._remove_header = remove_header or []
        self._set_body = set_body
        self._fail = fail
        self._fail_from = fail_from
        self._lock = threading.Lock()
        self._seen: list[Json] = []

    def seen(self) -> list[Json]:
        with self._lock:
            return list(self._seen)

    def __call__(self, outgoing: Outgoing) -> None:
        content = outgoing.content
        seen = {
            "url": outgoing.url,
            "endpoint_url": outgoing.endpoint_url,
            "role": outgoing.role,
            "epoch": outgoing.epoch,
            "attempt": outgoing.number,
            "method": outgoing.method,
            "has_authorization": "Authorization" in outgoing.headers,
            "body": None if content is None else content.decode("utf-8", "replace"),
        }
        with self._lock:
            self._seen.append(seen)
        for name, value in self._set_header.items():
            outgoing.headers[name] = value
        for name in self._remove_header:
            outgoing.headers.pop(name)
        if self._set_body is not None:
            outgoing.content = self._set_body
        if self._fail is not None and outgoing.number >= self._fail_from:
            raise HookFailed(self._fail)


class HookFailed(Exception):
    """The scenario wants the hook to fail."""
