"""Responses whose body is read by and by."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from . import _green
from ._charset import decoder
from ._exceptions import CallCancelledError, FailoverError, StreamClosedError, StreamConsumedError, in_doubt, of_failure
from ._models import BatchPart, Response
from ._native import Answer, NativeFailure, Stream
from ._types import RawRequest

__all__ = ["AsyncStreamedResponse", "StreamedResponse"]

_PIECE = 65536
"""Bytes that are read at once, where nobody says how many."""


class _Streamed(Response):
    """What both are: what was read of the body, and whether it can still be."""

    __slots__ = ("_content", "_is_begun", "_stream", "_told")

    def __init__(self, raw: Answer, request: RawRequest) -> None:
        Response.__init__(self, raw, request)
        self._content = raw.content
        self._is_begun = False
        self._stream = raw.take_stream()
        self._told: tuple[str, list[tuple[int, int | None, int | None]]] | None = None

    def __getstate__(self) -> tuple[None, dict[str, Any]]:
        if self._stream is not None:
            raise TypeError(
                f"{type(self).__name__} can be copied and pickled once it was read: before, it is a connection"
            )
        return super().__getstate__()

    @property
    def effect(self) -> str:
        return self._raw.effect if self._told is None else self._told[0]

    @property
    def parts(self) -> tuple[BatchPart, ...]:
        return super().parts if self._told is None else tuple(BatchPart(*part) for part in self._told[1])

    @property
    def is_closed(self) -> bool:
        """Whether the connection is let go: the body was read to its end, or given up."""
        return self._stream is None

    def _known_content(self) -> bytes | None:
        return self._content

    def _whole(self) -> bytes | None:
        """All of the body, where it has come with its head. Then it is read."""
        stream = self._stream
        if stream is None or self._is_begun or (whole := stream.whole()) is None:
            return None
        self._is_begun = True
        # All was known with the head, and the connection is let go.
        self._stream = None
        return whole

    def _begin(self) -> Stream:
        if self._is_begun:
            raise StreamConsumedError("the response was read before: read() keeps its content", kind="not_available")
        if self._stream is None:
            raise StreamClosedError("the response is closed: read it inside of its with block", kind="closed")
        self._is_begun = True
        return self._stream

    def _going_on(self) -> Stream:
        if self._stream is None:
            raise self._closed()
        return self._stream

    def _failed(self, error: FailoverError) -> FailoverError:
        """What a read that has failed raises: its error, unless the response was closed meanwhile."""
        if self._stream is None:
            return self._closed()
        return error

    def _closed(self) -> FailoverError:
        return self._known(StreamClosedError("the response was closed while it was read", kind="closed"))

    def _interrupted(self, interruption: BaseException) -> None:
        """Has what ends a read from outside tell what is known of the write."""
        if interruption.__cause__ is None:
            error = CallCancelledError(
                "the reading of the response was interrupted", kind="cancelled", cause="cancelled"
            )
            interruption.__cause__ = self._known(error)

    def _known(self, error: FailoverError) -> FailoverError:
        """This error with what is known of the call."""
        error.effect = self.effect
        error.switched = self.switched
        error.attempts = self.attempts
        error.status = self.status_code
        error.ledger_id = self.ledger_id
        error.tag = self.tag
        return in_doubt(error) if error.effect == "unknown" else error

    def _end(self) -> None:
        """It was read to its end."""
        if self._stream is not None:
            self._told = self._stream.told()
        self._close()

    def _close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()


class StreamedResponse(_Streamed):
    """A response of `Client.stream`: status and headers are there, the body is read.

    One thread reads at a time. A body that breaks off raises a `FailoverError` with the attempts and the effect of the
    call; nothing is sent again. Each read waits for a next byte at most `attempt_timeout`, the request's or the
    client's.
    """

    __slots__ = ()

    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """The body, as it comes; or in chunks of `chunk_size` bytes, of which only the last is shorter.

        Raises `StreamConsumedError` the second time, unless `read` was the first; `StreamClosedError` after the `with`
        block.
        """
        chunks = _Chunks(chunk_size)
        if self._content is not None:
            yield from chunks.feed(self._content)
        else:
            for piece in self._pieces():
                yield from chunks.feed(piece)
        yield from chunks.end()

    def _pieces(self) -> Iterator[bytes]:
        """The body, as it comes."""
        stream = self._begin()
        while piece := _ready(stream) or self._next():
            yield piece
            stream = self._going_on()
        self._end()

    def _next(self) -> bytes:
        try:
            stream, wait = self._going_on(), _green.waiting()
            return stream.read(_PIECE) if wait is None else _green.read(stream, _PIECE, wait)
        except NativeFailure as failure:
            error = self._failed(of_failure(failure))
            raise error from error.__cause__
        except FailoverError:
            raise
        except BaseException as interruption:
            self._interrupted(interruption)
            raise

    def iter_lines(self) -> Iterator[str]:
        """The body as text by `charset`, line by line, without the line ends."""
        lines = _Lines(self.charset)
        for piece in self.iter_bytes():
            yield from lines.feed(piece)
        yield from lines.end()

    def read(self) -> bytes:
        """Reads the body to its end; `content`, `text` and `json()` have it from then on."""
        if self._content is None:
            self._content = b"".join(self.iter_bytes())
        return self._content

    def close(self) -> None:
        """Closes the connection, unless the body was read to its end. The `with` block does it. Idempotent."""
        self._close()


class AsyncStreamedResponse(_Streamed):
    """A response of `AsyncClient.stream`. As `StreamedResponse`; a read that is cancelled closes it."""

    __slots__ = ("_read",)

    def __init__(
        self, raw: Answer, request: RawRequest, read: Callable[[Stream, int], Awaitable[bytes | None]]
    ) -> None:
        _Streamed.__init__(self, raw, request)
        self._read = read

    def __getstate__(self) -> tuple[None, dict[str, Any]]:
        _, state = super().__getstate__()
        return (None, {**state, "_read": None})  # which is its client's

    async def aiter_bytes(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        """As `StreamedResponse.iter_bytes`."""
        chunks = _Chunks(chunk_size)
        if self._content is not None:
            for chunk in chunks.feed(self._content):
                yield chunk
        else:
            async for piece in self._pieces():
                for chunk in chunks.feed(piece):
                    yield chunk
        for chunk in chunks.end():
            yield chunk

    async def _pieces(self) -> AsyncIterator[bytes]:
        """The body, as it comes."""
        self._begin()
        while piece := await self._next():
            yield piece
        self._end()

    async def _next(self) -> bytes:
        try:
            stream = self._going_on()
            piece = stream.ready(_PIECE)
            if piece is None:
                piece = await self._read(stream, _PIECE)
        except asyncio.CancelledError as cancelled:
            # What this read would have brought is lost; what is known by now is not.
            self._end()
            self._interrupted(cancelled)
            raise
        except NativeFailure as failure:
            failed = self._failed(of_failure(failure))
            raise failed from failed.__cause__
        except FailoverError as error:
            failed = self._failed(error)
            raise failed from failed.__cause__
        if piece is None:
            ended = CallCancelledError("the client was closed while the response was read", kind="cancelled")
            failed = self._known(ended)
            raise failed from failed.__cause__
        return piece

    async def aiter_lines(self) -> AsyncIterator[str]:
        """As `StreamedResponse.iter_lines`."""
        lines = _Lines(self.charset)
        async for piece in self.aiter_bytes():
            for line in lines.feed(piece):
                yield line
        for line in lines.end():
            yield line

    async def aread(self) -> bytes:
        """As `StreamedResponse.read`."""
        if self._content is None:
            self._content = b"".join([piece async for piece in self.aiter_bytes()])
        return self._content

    async def aclose(self) -> None:
        """As `StreamedResponse.close`."""
        self._close()


def _ready(stream: Stream) -> bytes | None:
    """What has come with the head: it needs no waiting."""
    try:
        return stream.ready(_PIECE)
    except NativeFailure:  # the reader meets it as well, and says what it is
        return None


class _Chunks:
    """Pieces of any size, made into chunks of one."""

    def __init__(self, size: int | None) -> None:
        if size is not None and size < 1:
            raise ValueError(f"chunk_size is at least 1, not {size}")
        self._size = size
        self._rest = bytearray()

    def feed(self, piece: bytes) -> Iterator[bytes]:
        if self._size is None:
            if piece:
                yield piece
            return
        self._rest += piece
        whole = len(self._rest) - len(self._rest) % self._size
        for begin in range(0, whole, self._size):
            yield bytes(self._rest[begin : begin + self._size])
        del self._rest[:whole]

    def end(self) -> Iterator[bytes]:
        if self._rest:
            yield bytes(self._rest)


class _Lines:
    """Pieces of text, made into lines. A line ends with `\\n`, `\\r\\n` or `\\r`."""

    def __init__(self, charset: str) -> None:
        self._decoder = io.IncrementalNewlineDecoder(decoder(charset), translate=True)
        self._rest: list[str] = []

    def feed(self, piece: bytes, *, final: bool = False) -> Iterator[str]:
        *lines, rest = self._decoder.decode(piece, final=final).split("\n")
        for line in lines:
            self._rest.append(line)
            yield "".join(self._rest)
            self._rest.clear()
        if rest:
            self._rest.append(rest)

    def end(self) -> Iterator[str]:
        yield from self.feed(b"", final=True)
        if self._rest:
            yield "".join(self._rest)
