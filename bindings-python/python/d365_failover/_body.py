"""Bodies that are read while they are sent."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import os
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from typing import Any, Protocol, TypeAlias

from ._log import report

__all__ = ["AsyncContent", "BinaryFile", "Content"]


class BinaryFile(Protocol):
    """What `open(path, "rb")` gives, or less: `seek` and `tell` are used where `seekable()` says so."""

    def read(self, size: int, /) -> bytes: ...


Content: TypeAlias = (
    bytes | bytearray | memoryview | str | BinaryFile | Iterable[bytes] | Callable[[], BinaryFile | Iterable[bytes]]
)
"""What a request's `content` is.

- Bytes, or text, sent as UTF-8.
- A binary file, from where it stands to its end. One that can seek is sent again after a switch. It is not closed.
- An iterable of bytes, a generator for example: read once. A call that has begun to read it is not sent again.
- A function that gives such a file or iterable anew each time it is called: sent again after a switch. What it gave is
  closed.

Where the length is not known, a `Content-Length` header tells it; else the body is sent in chunks. Where it is known,
one that agrees is no error.
"""

AsyncContent: TypeAlias = Content | AsyncIterable[bytes] | Callable[[], AsyncIterable[bytes]]
"""What a request's `content` is for an `AsyncClient`: besides `Content`, asynchronous iterables of bytes.

They run in the task that sends. Files and plain iterables may block: they are read on threads of the client's.
"""


class Source(Protocol):
    """A body, piece by piece."""

    @property
    def length(self) -> int:
        """In bytes, -1 for one that is not known."""
        ...

    @property
    def rewindable(self) -> bool: ...
    def read(self, most: int) -> bytes | memoryview:
        """The next bytes, at most so many; none at the end."""
        ...

    def rewind(self) -> None: ...
    def close(self) -> None: ...


class AsyncSource(Protocol):
    """A `Source` that is awaited."""

    @property
    def length(self) -> int: ...
    @property
    def rewindable(self) -> bool: ...
    async def read(self, most: int) -> bytes | memoryview: ...
    async def rewind(self) -> None: ...
    async def close(self) -> None: ...


def source_of(content: Any) -> Source | None:
    """How a blocking client reads `content` while it is sent. `None`: it is bytes or text, or nothing."""
    if _is_whole(content):
        return None
    if isinstance(content, AsyncIterable) or inspect.isasyncgenfunction(content):
        raise TypeError("an asynchronous iterable as content needs an AsyncClient")
    if callable(getattr(content, "read", None)):
        return _File(content)
    if isinstance(content, Iterable):
        return _Pieces(content)
    return _Anew(content)


def async_source_of(content: Any, executor: Callable[[], Executor]) -> AsyncSource | None:
    """How an event loop reads `content` while it is sent; what may block, on a thread of `executor()`."""
    if _is_whole(content):
        return None
    if isinstance(content, AsyncIterable):
        return _AsyncPieces(content)
    if callable(getattr(content, "read", None)) or isinstance(content, Iterable):
        return _Threaded(source_of(content), executor)
    return _AsyncAnew(content, executor)


def _is_whole(content: Any) -> bool:
    if content is None or isinstance(content, (bytes, bytearray, memoryview, str)):
        return True
    if isinstance(content, Mapping):
        raise TypeError(f"content is bytes, a file or an iterable of bytes, not {type(content).__name__}: use json")
    if inspect.iscoroutinefunction(content) or inspect.isawaitable(content):
        raise TypeError("content as a function gives an iterable at once: it cannot be a coroutine")
    if callable(getattr(content, "read", None)):
        return False
    try:
        memoryview(content).release()
    except TypeError:
        if isinstance(content, (Iterable, AsyncIterable)) or callable(content):
            return False
        wanted = "bytes, text, a binary file, an iterable of bytes, or a function that gives one"
        raise TypeError(f"content is {wanted}, not {type(content).__name__}") from None
    return True


def octets(piece: Any) -> bytes | memoryview:
    """Checks that a piece of a body is bytes."""
    if isinstance(piece, bytes):
        return piece
    if isinstance(piece, str):
        raise TypeError("the body gives text, and bytes are due: open a file in binary mode, encode text")
    try:
        return memoryview(piece).cast("B")
    except TypeError:
        raise TypeError(f"the body gives {type(piece).__name__}, and bytes are due") from None


class _Rest:
    """What is left of a piece that was longer than what was wanted."""

    def __init__(self) -> None:
        self._piece = memoryview(b"")

    def keep(self, piece: bytes | memoryview) -> None:
        self._piece = memoryview(piece)

    def take(self, most: int) -> memoryview:
        taken, self._piece = self._piece[:most], self._piece[most:]
        return taken


class _File:
    def __init__(self, file: Any) -> None:
        self._file = file
        self._begin = 0
        self.length = -1
        self.rewindable = seekable(file)
        if self.rewindable:
            self._begin = file.tell()
            file.seek(0, os.SEEK_END)
            self.length = max(0, file.tell() - self._begin)
            file.seek(self._begin)

    def read(self, most: int) -> bytes | memoryview:
        piece = self._file.read(most)
        if piece is None:
            raise BlockingIOError("the file has no bytes just now: a body's file is one that waits for them")
        return octets(piece)

    def rewind(self) -> None:
        self._file.seek(self._begin)

    def close(self) -> None:
        """The file is the application's."""


def seekable(file: Any) -> bool:
    told = getattr(file, "seekable", None)
    if callable(told):
        return bool(told())
    # mmap has no seekable() before Python 3.13.
    return callable(getattr(file, "seek", None)) and callable(getattr(file, "tell", None))


class _Pieces:
    rewindable = False
    length = -1

    def __init__(self, pieces: Iterable[Any]) -> None:
        self._pieces = pieces
        self._iterator: Iterator[Any] | None = None
        self._rest = _Rest()

    def read(self, most: int) -> bytes | memoryview:
        if self._iterator is None:
            self._iterator = iter(self._pieces)
        rest = self._rest.take(most)
        while not rest:
            piece = next(self._iterator, None)
            if piece is None:
                return b""
            self._rest.keep(octets(piece))
            rest = self._rest.take(most)
        return rest

    def rewind(self) -> None:
        raise RuntimeError("an iterable can be read only once")

    def close(self) -> None:
        # A generator that is begun has something to clean up; whatever else it is, is the application's.
        if inspect.isgenerator(self._iterator):
            self._iterator.close()


class _Anew:
    rewindable = True
    length = -1

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._anew = _Other()
        self._given: Any = None
        self._source: Source | None = None

    def read(self, most: int) -> bytes | memoryview:
        if self._source is None:
            self._given = self._anew.of(self._make())
            self._source = source_of(_fresh(self._given))
            assert self._source is not None
        return self._source.read(most)

    def rewind(self) -> None:
        self.close()

    def close(self) -> None:
        source, self._source, given, self._given = self._source, None, self._given, None
        if source is not None:
            source.close()
        close = getattr(given, "close", None)
        if callable(close):
            close()


class _Other:
    """Whether a function gives another iterator each time: what is left of one is not the body."""

    def __init__(self) -> None:
        self._last: Any = None

    def of(self, given: Any) -> Any:
        if isinstance(given, (Iterator, AsyncIterator)) and not hasattr(given, "read"):
            if given is self._last:
                raise RuntimeError("the function that is the content gave the same iterator again, and not a new one")
            self._last = given
        return given


def _fresh(given: Any) -> Any:
    """What a function gave as a body, in pieces."""
    if given is not None and _is_whole(given):
        return [given.encode() if isinstance(given, str) else given]
    if callable(getattr(given, "read", None)) or isinstance(given, (Iterable, AsyncIterable)):
        return given
    raise TypeError(f"the function that is the content gave {type(given).__name__}, and no file or iterable of bytes")


class _AsyncPieces:
    rewindable = False
    length = -1

    def __init__(self, pieces: AsyncIterable[Any]) -> None:
        self._pieces = pieces
        self._iterator: AsyncIterator[Any] | None = None
        self._rest = _Rest()

    async def read(self, most: int) -> bytes | memoryview:
        if self._iterator is None:
            self._iterator = self._pieces.__aiter__()
        rest = self._rest.take(most)
        while not rest:
            try:
                piece = await self._iterator.__anext__()
            except StopAsyncIteration:
                return b""
            self._rest.keep(octets(piece))
            rest = self._rest.take(most)
        return rest

    async def rewind(self) -> None:
        raise RuntimeError("an iterable can be read only once")

    async def close(self) -> None:
        if inspect.isasyncgen(self._iterator):
            await self._iterator.aclose()


class _AsyncAnew:
    rewindable = True
    length = -1

    def __init__(self, make: Callable[[], Any], executor: Callable[[], Executor]) -> None:
        self._make = make
        self._executor = executor
        self._anew = _Other()
        self._given: Any = None
        self._source: AsyncSource | None = None

    async def read(self, most: int) -> bytes | memoryview:
        if self._source is None:
            self._given = self._anew.of(self._make())
            self._source = async_source_of(_fresh(self._given), self._executor)
            assert self._source is not None
        return await self._source.read(most)

    async def rewind(self) -> None:
        await self.close()

    async def close(self) -> None:
        source, self._source, given, self._given = self._source, None, self._given, None
        if source is not None:
            await source.close()
        close = getattr(given, "close", None)
        if callable(close):
            closing = close()
            if inspect.isawaitable(closing):
                await closing


class _Threaded:
    """A source that may block, for an event loop."""

    def __init__(self, source: Source | None, executor: Callable[[], Executor]) -> None:
        assert source is not None
        self._source = source
        self._executor = executor
        self._context = contextvars.copy_context()
        self._lock = threading.Lock()
        """Held while the source runs: it may still do that when nobody waits for it any more."""
        self._is_left = False
        self.length = source.length
        self.rewindable = source.rewindable

    async def read(self, most: int) -> bytes | memoryview:
        piece: bytes | memoryview = await self._run(self._source.read, most)
        return piece

    async def rewind(self) -> None:
        await self._run(self._source.rewind)

    async def close(self) -> None:
        if self._is_left:
            with contextlib.suppress(RuntimeError):  # the client is closed
                self._executor().submit(self._close_later)
        else:
            await self._run(self._source.close)

    async def _run(self, work: Callable[..., Any], *args: Any) -> Any:
        self._is_left = True
        loop = asyncio.get_running_loop()
        done = await loop.run_in_executor(self._executor(), self._locked, work, *args)
        self._is_left = False
        return done

    def _locked(self, work: Callable[..., Any], *args: Any) -> Any:
        with self._lock:
            try:
                return self._context.run(work, *args)
            except StopIteration as error:  # a future cannot have it
                raise RuntimeError("the body raised StopIteration") from error

    def _close_later(self) -> None:
        try:
            self._locked(self._source.close)
        except Exception:
            report("a body was not closed")
