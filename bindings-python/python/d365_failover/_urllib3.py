"""A response's body as urllib3 gives it, for those who read `requests.Response.raw`."""

from __future__ import annotations

from collections.abc import Generator
from http.client import HTTPException
from typing import Any, cast

from urllib3 import HTTPHeaderDict
from urllib3.exceptions import ResponseNotChunked
from urllib3.response import HTTPResponse

from ._dropin import not_theirs
from ._exceptions import FailoverError
from ._models import Response
from ._stream import StreamedResponse

__all__: list[str] = []

_PIECE = 1 << 16
_VERSIONS = {"HTTP/1.0": 10, "HTTP/1.1": 11, "HTTP/2": 20}


class Raw(HTTPResponse):
    """A response of ours in urllib3's class: the body is not decoded unless that is asked for.

    Made whole when somebody looks: most never do, and that is a third of a call's cost.
    """

    def __init__(self, known: Response, method: str, has_cookies: bool) -> None:
        self._known = known
        self._method = method
        self._body_read = _Body(known)
        self._original_response = cast(Any, _Original(self) if has_cookies else None)

    def __getattr__(self, name: str) -> Any:
        if "_fp" in self.__dict__ or name.startswith("__"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        known, before = self._known, dict(self.__dict__)
        headers = HTTPHeaderDict()
        for key, value in known._raw.headers:
            headers.add(key, value)
        version = (known.attempts[-1].http_version if known.attempts else None) or "HTTP/?"
        super().__init__(
            body=cast(Any, self._body_read),
            headers=headers,
            status=known.status_code,
            version=_VERSIONS.get(version, 0),
            version_string=version,
            reason=known.reason_phrase,
            preload_content=False,
            decode_content=False,
            original_response=self._original_response,
            # That there was more of it is no reason to send a write again.
            enforce_content_length=known.effect == "none" or isinstance(known, StreamedResponse),
            request_method=self._method,
            request_url=known.url,
        )
        vars(self).update(before)
        return getattr(self, name)

    def whole(self) -> bytes | None:
        """The body, if all of it is here already. Then it is read."""
        return self._body_read.whole()

    @property
    def closed(self) -> bool:
        """Whether it was read to its end, or closed."""
        if not self.__dict__.get("auto_close", True):
            return bool(super().closed)
        return self._body_read.closed

    def close(self) -> None:
        """Closes the connection, unless the body was read to its end."""
        if "_fp" in self.__dict__:
            super().close()
        else:
            self._body_read.close()

    def supports_chunked_reads(self) -> bool:
        """Whether `read_chunked` can be used."""
        return True

    def stream(self, amt: int | None = _PIECE, decode_content: bool | None = None) -> Generator[bytes, None, None]:
        """The body in pieces: of a length that is known, each of `amt` bytes; else as they come."""
        if self.chunked or (self.length_remaining is None and isinstance(self._known, StreamedResponse)):
            yield from self._pieces(amt, decode_content)
        else:
            yield from super().stream(amt, decode_content)

    def read_chunked(self, amt: int | None = None, decode_content: bool | None = None) -> Generator[bytes, None, None]:
        """The pieces of a chunked body, as they come. They are not always the server's chunks."""
        if not self.chunked:
            raise ResponseNotChunked("Response is not chunked. Header 'transfer-encoding: chunked' is missing.")
        yield from self._pieces(amt, decode_content)

    def _pieces(self, amt: int | None, decode_content: bool | None) -> Generator[bytes, None, None]:
        if amt == 0:
            return
        while piece := self.read1(amt, decode_content):
            yield piece


class _Body:
    """A body as `http.client` gives it."""

    def __init__(self, known: Response) -> None:
        self._known = known
        content = known._known_content()
        self._rest = content or b""
        self._has_more = content is None
        self._is_broken = False
        self.closed = False

    def whole(self) -> bytes | None:
        if not isinstance(self._known, StreamedResponse):
            return None  # it may have been cut, which its length tells
        if self._has_more and not self._rest:
            stream = self._known._stream
            while stream is not None and len(self._rest) < _PIECE:
                piece = stream.ready(_PIECE)
                if piece:
                    self._rest += piece
                    continue
                if piece is not None:
                    self._end()
                break
        return None if self._has_more else self.read()

    def read(self, amt: int | None = None) -> bytes:
        """So many bytes, unless the body ends before."""
        # What broke off requests drains once more before it follows a redirect.
        if amt == 0 or (amt is None and self._is_broken):
            return b""
        pieces = [self._rest]
        size = len(self._rest)
        while (amt is None or size < amt) and (piece := self._next()):
            pieces.append(piece)
            size += len(piece)
        return self._give(b"".join(pieces) if len(pieces) > 1 else pieces[0], amt)

    def read1(self, amt: int | None = None) -> bytes:
        """What comes next, at most so many bytes."""
        return self._give(self._rest or self._next(), amt)

    def _give(self, piece: bytes, amt: int | None) -> bytes:
        if amt is not None and len(piece) > amt >= 0:
            self._rest = piece[amt:]
            return piece[:amt]
        self._rest = b""
        self.closed = self.closed or not self._has_more
        return piece

    def _next(self) -> bytes:
        if not self._has_more:
            return b""
        known = cast(StreamedResponse, self._known)
        try:
            piece = known._next()
        except FailoverError as error:
            self._is_broken = True
            kept = not_theirs(error)
            if kept is not None:
                raise kept from kept.__cause__
            if isinstance(error, OSError):
                raise
            raise HTTPException(str(error)) from error
        if not piece:
            self._end()
        return piece

    def _end(self) -> None:
        self._has_more = False
        cast(StreamedResponse, self._known)._end()

    def close(self) -> None:
        self.closed = True
        self._rest = b""
        if self._has_more:
            self._has_more = False
            cast(StreamedResponse, self._known).close()

    def flush(self) -> None:
        pass


class _Original:
    """What cookies are taken from."""

    def __init__(self, raw: Raw) -> None:
        self._raw = raw

    @property
    def msg(self) -> HTTPHeaderDict:
        return self._raw.headers

    def close(self) -> None:
        pass

    def isclosed(self) -> bool:
        return False
