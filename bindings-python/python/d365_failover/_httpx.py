"""What the transports for httpx are, and those for its forks: their interface, with the classes of one of them."""

from __future__ import annotations

import functools
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from ._async_client import AsyncClient
from ._base import BaseClient
from ._body import AsyncSource, Source, async_source_of, source_of
from ._client import Client
from ._dropin import (
    LONGEST,
    OURS,
    PLAIN,
    Opened,
    Options,
    answered,
    bases,
    category,
    clamped,
    doubt_of,
    is_host,
    lacking,
    not_theirs,
    undecoded,
    utf8,
)
from ._exceptions import FailoverError, InvalidArgumentError, InvalidUrlError
from ._models import Response
from ._request import length_of, milliseconds
from ._stream import AsyncStreamedResponse, StreamedResponse
from ._types import STREAMING

if TYPE_CHECKING:
    from ._types import RawRequest

S = TypeVar("S", bound="Source | AsyncSource")

__all__: list[str] = []

_ERRORS = {
    "connect": "ConnectError",
    "tls": "ConnectError",
    "local": "ConnectError",
    "connect_timeout": "ConnectTimeout",
    "timeout": "ReadTimeout",
    "reset": "ReadError",
    "closed": "RemoteProtocolError",
    "protocol": "RemoteProtocolError",
    "proxy": "ProxyError",
    "busy": "PoolTimeout",
    "url": "UnsupportedProtocol",
    "argument": "LocalProtocolError",
    "token": "TransportError",
}
"""What each category of ours is called there. Others are raised as they are: a client that is closed, for example."""

_OURS = frozenset(name.encode() for name in OURS)

_VERSIONS = {"HTTP/1.1": b"HTTP/1.1", "HTTP/2": b"HTTP/2"}


class Kinds:
    """The classes of httpx, or of a fork of it."""

    def __init__(self, library: ModuleType, response: Any) -> None:
        self.response = response
        self.name = library.__name__
        self.streams: dict[bool, type] = {False: library.SyncByteStream, True: library.AsyncByteStream}
        self.unread: type[Exception] = library.RequestNotRead
        self.errors: dict[str, type[Exception]] = {kind: getattr(library, name) for kind, name in _ERRORS.items()}
        self.body = type("Body", (_Body, library.SyncByteStream), {})
        self.async_body = type("AsyncBody", (_AsyncBody, library.AsyncByteStream), {})
        # What a client puts around a body, to know when it was read.
        around = sys.modules.get(f"{library.__name__}._client")
        bound = (getattr(around, name, None) for name in ("BoundSyncStream", "BoundAsyncStream"))
        self.bound = tuple(filter(None, bound))

    def error_of(self, error: FailoverError) -> Exception:
        """As the library's users know it, unless they would send a write again."""
        ours = not_theirs(error)
        if ours is not None:
            return ours
        kind = self.errors.get(category(error))
        if kind is None:
            return error
        known = kind(str(error))
        known.__cause__ = error
        return known

    def check(self, response: Response) -> None:
        """Raises for a body that has not come whole."""
        said = lacking(response)
        if said is not None:
            raise self.errors["closed"](said)

    def response_of(self, response: Response, body: Any) -> Any:
        raw = response._raw
        headers = raw.octets
        is_ascii = True
        for name, value in headers:
            if not value.isascii():
                is_ascii = False
            if len(name) == 16 and name.lower() == b"content-encoding":
                body.is_encoded = True
        made = self.response(
            raw.status,
            headers=headers,
            stream=body,
            extensions={
                "http_version": _VERSIONS.get(raw.version or "", b"HTTP/1.1"),
                "reason_phrase": raw.reason.encode("ascii", "ignore"),
                "failover": response,
            },
        )
        if is_ascii:
            # What the library finds out by itself, header by header, when one is looked at.
            made.headers.encoding = "ascii"
        return made


class Raising:
    """A response whose `raise_for_status` raises for a write in doubt what is raised without a response."""

    extensions: dict[str, Any]
    stream: Any
    is_closed: bool
    is_stream_consumed: bool
    _content: bytes
    _num_bytes_downloaded: int

    def _take(self, kind: type[_Body] | type[_AsyncBody]) -> bool:
        """Takes a body that has come with its head, and needs no decoding: as the library reads it, piece by piece, by
        three iterators within each other, it costs as much as a call."""
        if self.is_closed or self.is_stream_consumed or hasattr(self, "_content"):
            return False
        stream = self.stream
        body = getattr(stream, "_stream", None)
        # Not what an application has put around it.
        if not isinstance(body, kind) or body.is_encoded or type(stream) not in body._kinds.bound:
            return False
        response = body._response
        whole = response._whole() if isinstance(response, (StreamedResponse, AsyncStreamedResponse)) else None
        if whole is None:
            return False
        self._content = whole
        self._num_bytes_downloaded = len(whole)
        self.is_stream_consumed = self.is_closed = True
        return True

    def read(self) -> bytes:
        """The content. As the library's own."""
        if self._take(_Body):
            self.stream.close()
            return self._content
        content: bytes = super().read()  # type: ignore[misc]
        return content

    async def aread(self) -> bytes:
        """The content. As the library's own."""
        if self._take(_AsyncBody):
            await self.stream.aclose()
            return self._content
        content: bytes = await super().aread()  # type: ignore[misc]
        return content

    def iter_bytes(self, chunk_size: int | None = None) -> Generator[bytes, None, None]:
        """As the library's own; but a body that cannot be decoded, of a write that is or may be done, raises
        `FailoverError`."""
        try:
            yield from super().iter_bytes(chunk_size)  # type: ignore[misc]
        except Exception as error:
            raise self._undoubled(error)  # noqa: B904

    async def aiter_bytes(self, chunk_size: int | None = None) -> AsyncGenerator[bytes, None]:
        """The same."""
        try:
            async for piece in super().aiter_bytes(chunk_size):  # type: ignore[misc]
                yield piece
        except Exception as error:
            raise self._undoubled(error)  # noqa: B904

    def _undoubled(self, error: Exception) -> Exception:
        known = self.extensions.get("failover")
        if known is None or type(error).__name__ != "DecodingError":
            return error
        return undecoded(known, error) or error

    def raise_for_status(self) -> Any:
        try:
            return super().raise_for_status()  # type: ignore[misc]
        except Exception as error:
            # None in a copy by `pickle`.
            known = self.extensions.get("failover")
            doubt = None if known is None else doubt_of(known, error)
            if doubt is None:
                raise
            raise doubt from error


def sent(
    request: Any, kinds: Kinds, source_of: Callable[[Any], S | None], *, awaits: bool
) -> tuple[RawRequest, S | None]:
    """A request as the library takes it, and its body where that is no bytes. `source_of`: how such a one is read."""
    url, extensions = request.url, request.extensions
    if not isinstance(request.stream, kinds.streams[awaits]):
        # Its client would take no response of this one, and say so when the request is done.
        theirs, wanted = type(request).__module__.partition(".")[0], "AsyncClient" if awaits else "Client"
        raise TypeError(f"this transport is for {kinds.name}.{wanted}, and the request is another's ({theirs})")
    text = str(url)
    target = extensions.get("target")
    if target is not None or "@" in text or "#" in text:
        path = (url.raw_path if target is None else target).decode("ascii", "replace")
        if not path.startswith("/"):
            raise InvalidArgumentError(f"the extension target begins with /: {path}", kind="invalid_argument")
        text = f"{url.scheme}://{url.netloc.decode('ascii')}{path}"
    scheme, _, rest = text.partition("://")
    if not scheme or not rest:
        raise InvalidUrlError("the URL has no scheme and host", kind="invalid_url")
    try:
        content: Any = request.content
    except kinds.unread:
        content = _unread(request.stream, awaits=awaits)
    given = extensions.get("failover")
    options = PLAIN if given is None else Options(given)
    times = extensions.get("timeout")
    connect, read = (None, None) if times is None else _times(times.get("connect"), times.get("read"))
    source = None if isinstance(content, bytes) else source_of(content)
    headers = []
    for name, value in request.headers.raw:
        lower = name.lower()
        if lower not in _OURS:
            shown = name.decode("ascii", "replace")
            headers.append((shown, utf8(shown, value)))
        elif lower == b"host" and not is_host(value.decode("latin-1"), _authority(rest)):
            raise InvalidArgumentError("the Host header is the endpoint's", kind="invalid_argument")
    raw: RawRequest = (
        request.method,
        text,
        headers,
        content if source is None else (length_of(source, headers), source.rewindable),
        None if options.timeout is None else milliseconds(options.timeout, "timeout"),
        options.operation,
        STREAMING | options.flags,
        options.tag,
        None,
        connect,
        # httpx has no time for all of an attempt.
        None if read is None else LONGEST,
        read,
    )
    return raw, source


def _authority(rest: str) -> str:
    """Of what follows the scheme of a URL."""
    return rest.partition("/")[0].partition("?")[0]


def _unread(stream: Any, *, awaits: bool) -> Any:
    """A body that httpx has not read itself."""
    inner = getattr(stream, "_stream", None)
    if isinstance(inner, bytes):
        return inner
    if callable(getattr(inner, "read", None)) and not awaits:
        return inner  # a file, which can be sent again
    if hasattr(stream, "fields"):  # a form, which reads its files from their beginning each time
        return (lambda: stream) if awaits else (lambda: iter(stream))
    return stream if awaits else iter(stream)


@functools.lru_cache
def _times(connect: float | None, read: float | None) -> tuple[int, int]:
    """Milliseconds for connecting, and for standing still."""
    return (
        LONGEST if connect is None else clamped(connect, "connect"),
        LONGEST if read is None else clamped(read, "read"),
    )


class _Body:
    """The body of a response, as it came."""

    is_encoded = False

    def __init__(self, response: StreamedResponse | Response, kinds: Kinds) -> None:
        self._response = response
        self._kinds = kinds

    def __iter__(self) -> Iterator[bytes]:
        if not isinstance(self._response, StreamedResponse):
            yield self._response.content
            self._kinds.check(self._response)
            return
        whole = self._response._whole()
        if whole is not None:
            if whole:
                yield whole
            return
        try:
            yield from self._response._pieces()
        except FailoverError as error:
            known = self._kinds.error_of(error)
            raise known from known.__cause__

    def close(self) -> None:
        if isinstance(self._response, StreamedResponse):
            self._response.close()


class _AsyncBody:
    is_encoded = False

    def __init__(self, response: AsyncStreamedResponse | Response, kinds: Kinds) -> None:
        self._response = response
        self._kinds = kinds

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if not isinstance(self._response, AsyncStreamedResponse):
            yield self._response.content
            self._kinds.check(self._response)
            return
        whole = self._response._whole()
        if whole is not None:
            if whole:
                yield whole
            return
        try:
            async for piece in self._response._pieces():
                yield piece
        except FailoverError as error:
            known = self._kinds.error_of(error)
            raise known from known.__cause__

    async def aclose(self) -> None:
        if isinstance(self._response, AsyncStreamedResponse):
            await self._response.aclose()


def origins(client: BaseClient | str, settings: Mapping[str, Any]) -> list[str]:
    """What httpx' mounts call the two endpoints."""
    return [f"{part.scheme}://{part.netloc}" for part in map(urlsplit, bases(client, settings))]


class Transport:
    """The blocking transport of one of those libraries."""

    _kinds: Kinds

    def __init__(self, client: Client | str, settings: Mapping[str, Any]) -> None:
        self._opened = Opened(client, Client, settings)

    @property
    def client(self) -> Client:
        """The client that sends: for its events, endpoints and ledger. A child of a fork has one of its own."""
        return self._opened.get()

    def handle_request(self, request: Any) -> Any:
        try:
            raw, source = sent(request, self._kinds, source_of, awaits=False)
            response: Response = StreamedResponse(self._opened.get()._send(raw, source), raw)
        except FailoverError as error:
            found = answered(error)
            if found is None:
                known = self._kinds.error_of(error)
                raise known from known.__cause__
            response = found
        return self._kinds.response_of(response, self._kinds.body(response, self._kinds))

    def close(self) -> None:
        """Closes the client, if the transport has opened it."""
        client = self._opened.leave()
        if client is not None:
            client.close()


class AsyncTransport:
    """The same for asyncio."""

    _kinds: Kinds

    def __init__(self, client: AsyncClient | str, settings: Mapping[str, Any]) -> None:
        self._opened = Opened(client, AsyncClient, settings)

    @property
    def client(self) -> AsyncClient:
        return self._opened.get()

    async def handle_async_request(self, request: Any) -> Any:
        client = self._opened.get()
        try:
            raw, source = sent(
                request,
                self._kinds,
                lambda content: async_source_of(content, client._threads_of_bodies),
                awaits=True,
            )
            response: Response = AsyncStreamedResponse(await client._send(raw, source), raw, client._read)
        except FailoverError as error:
            found = answered(error)
            if found is None:
                known = self._kinds.error_of(error)
                raise known from known.__cause__
            response = found
        return self._kinds.response_of(response, self._kinds.async_body(response, self._kinds))

    async def aclose(self) -> None:
        client = self._opened.leave()
        if client is not None:
            await client.close()
