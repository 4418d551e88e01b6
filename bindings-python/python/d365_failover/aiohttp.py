"""A session for aiohttp: requests go to the organization's active endpoint, and again after a switch.

>>> async with FailoverSession("https://contoso.crm.dynamics.com") as session:
...     async with session.get("https://contoso.crm.dynamics.com/api/data/v9.2/accounts") as response:
...         print(await response.json())

Needs aiohttp, which `pip install d365-failover[aiohttp]` brings.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import math
import sys
import time
import warnings
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, cast

import aiohttp
from aiohttp import hdrs
from aiohttp.helpers import reify
from aiohttp.http import HttpVersion11
from aiohttp.http_exceptions import ContentEncodingError
from aiohttp.http_parser import DeflateBuffer
from aiohttp.payload import BytesPayload, IOBasePayload
from aiohttp.typedefs import RawHeaders
from multidict import CIMultiDict, CIMultiDictProxy

from ._async_client import AsyncClient
from ._body import AsyncSource, async_source_of, seekable
from ._dropin import OURS, Opened, answered, category, clamped, doubt_of, is_host, lacking, not_theirs, undecoded
from ._exceptions import CallTimeoutError, FailoverError, InvalidArgumentError
from ._models import Response
from ._request import length_of, milliseconds
from ._settings import AsyncSettings
from ._stream import AsyncStreamedResponse
from ._types import STREAMING

if sys.version_info >= (3, 11):
    from typing import Self, Unpack
elif TYPE_CHECKING:
    from typing_extensions import Self, Unpack

if TYPE_CHECKING:
    from ._types import RawRequest

__all__ = ["FailoverClientResponse", "FailoverSession"]

_VERSION2 = aiohttp.HttpVersion(2, 0)
_DECODED = frozenset(("gzip", "deflate", "br", "zstd"))
_PIECE = 65536
_NONE = aiohttp.ClientTimeout(total=None)


class _Times:
    """A request's times: those of its `ClientTimeout`, and when it ends."""

    __slots__ = ("_end", "connect", "read")

    def __init__(self, timeout: aiohttp.ClientTimeout) -> None:
        total = _given(timeout.total)
        self._end = None if total is None else time.monotonic() + total
        self.connect, self.read = _limits(timeout)

    def left(self) -> float | None:
        return None if self._end is None else self._end - time.monotonic()


@functools.lru_cache
def _limits(timeout: aiohttp.ClientTimeout) -> tuple[int | None, int | None]:
    """Milliseconds for connecting, and for standing still."""
    given = [seconds for seconds in map(_given, (timeout.connect, timeout.sock_connect)) if seconds is not None]
    connect = clamped(min(given), "connect") if given else None
    read = _given(timeout.sock_read)
    return connect, None if read is None else clamped(read, "sock_read")


def _given(seconds: float | None) -> float | None:
    """A limit; aiohttp takes more than `None` for none."""
    return None if seconds is None or seconds <= 0 or seconds == math.inf else seconds


class _Lease:
    """What aiohttp takes for a response's connection."""

    protocol = None

    def __init__(self, response: AsyncStreamedResponse) -> None:
        self._response = response

    def release(self) -> None:
        self._response._close()

    close = release


class _Reader(aiohttp.StreamReader):
    """The body of a response: it asks for the next bytes when somebody waits for them."""

    __slots__ = ("_decoder", "_has_more", "_is_waiting", "_known", "_times", "_whole")

    def __init__(
        self,
        known: AsyncStreamedResponse,
        loop: asyncio.AbstractEventLoop,
        limit: int,
        coding: str | None,
        times: _Times,
    ) -> None:
        super().__init__(_IDLE, limit, loop=loop)
        self._known = known
        self._times = times
        self._decoder = None if coding is None else DeflateBuffer(self, coding)
        self._has_more = False
        self._is_waiting = False
        self._whole = known._known_content()
        """What is left of a body that is here already."""
        if self._decoder is None and (whole := known._whole()) is not None:
            # As aiohttp has read a body that comes with its head.
            if whole:
                self.feed_data(whole)
            self.feed_eof()

    async def _wait(self, func_name: str) -> None:
        if self._is_waiting:
            raise RuntimeError(f"{func_name}() called while another coroutine is already waiting for incoming data")
        self._is_waiting = True
        try:
            piece = b"" if self._has_more else await self._next()
            self._feed(piece)
        except FailoverError as error:
            failed = _body_error(error)
            self.set_exception(failed)
            raise failed from failed.__cause__
        except asyncio.TimeoutError:
            failed = _body_error(self._known._known(_over()))
            self.set_exception(failed)
            raise failed from failed.__cause__
        except ContentEncodingError as error:
            payload = aiohttp.ClientPayloadError(f"400, message:\n  {error.message}")
            broken = undecoded(self._known, payload) or payload
            self.set_exception(broken)
            raise broken from error
        finally:
            self._is_waiting = False

    async def _next(self) -> bytes:
        whole, self._whole = self._whole, b""
        if whole is not None:
            return whole
        self._whole = None
        piece = self._known._going_on().ready(_PIECE)
        if piece is not None:
            return piece
        return await asyncio.wait_for(self._known._next(), self._times.left())

    def _feed(self, piece: bytes) -> None:
        if not piece and not self._has_more:
            self._known._end()
            if self._decoder is None:
                self.feed_eof()
            else:
                self._decoder.feed_eof()
        elif self._decoder is None:
            self.feed_data(piece)
        else:
            self._has_more = self._decoder.feed_data(piece, len(piece))


class _Idle:
    """What aiohttp's reader takes for the connection that it stops and lets go on."""

    _reading_paused = False

    def pause_reading(self) -> None: ...
    def resume_reading(self, *, resume_parser: bool = True) -> None: ...


_IDLE: Any = _Idle()


def _version(known: Response) -> aiohttp.HttpVersion:
    return _VERSION2 if known._raw.version == "HTTP/2" else HttpVersion11


class FailoverClientResponse(aiohttp.ClientResponse):
    """aiohttp's response, and what the library knows of it."""

    failover: Response
    """The library's own response: `effect`, `attempts`, `switched`, `ledger_id`, and the `url` that has answered."""

    # What few ask for is made when somebody does.
    @reify
    def raw_headers(self) -> RawHeaders:
        """As aiohttp's."""
        return self.failover._raw.octets

    @reify
    def version(self) -> aiohttp.HttpVersion:  # pyright: ignore[reportIncompatibleVariableOverride]
        """As aiohttp's."""
        return _version(self.failover)

    @reify
    def reason(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """As aiohttp's."""
        return self.failover._raw.reason

    def raise_for_status(self) -> None:
        """As aiohttp's; but where a write is in doubt (a 500 to a POST), it raises `WriteInDoubtError`."""
        try:
            super().raise_for_status()
        except aiohttp.ClientResponseError as error:
            doubt = doubt_of(self.failover, error)
            if doubt is None:
                raise
            raise doubt from error


with warnings.catch_warnings():
    # aiohttp would rather be wrapped. But who takes a session asks whether it is one.
    warnings.simplefilter("ignore", DeprecationWarning)

    class FailoverSession(aiohttp.ClientSession):
        """An `aiohttp.ClientSession` whose requests go to the endpoints of one organization.

        `client` is an `AsyncClient` of the application's, which is not closed with the session; or the URL of an
        organization, for which it opens one with these `settings`, and in the child of a fork another one. `.client` is
        that one: for events, endpoints and the ledger. `session` is what `ClientSession` takes.

        All of it is aiohttp's: cookies, redirects, `json`, `raise_for_status`. Other hosts are refused
        (`allowed_hosts`). `ssl`, `proxy` and `compress` of a request, and `proxy` of the session, raise `ValueError`:
        the first two are settings. `trust_env` of the session is `proxy="system"`, if it opens the client. Of a
        `ClientTimeout`, `total` is the call with all attempts and its body; `connect` and `sock_connect` are
        `connect_timeout`; `sock_read` is `read_timeout`.

        A response has `failover`. Without one, aiohttp's exceptions are raised, with the `FailoverError` as
        `__cause__`; but a write in doubt raises `WriteInDoubtError`, which is no `aiohttp.ClientError` and no
        `TimeoutError`.
        """

        ATTRS = aiohttp.ClientSession.ATTRS | {"_opened"}

        def __init__(
            self, client: AsyncClient | str, *, session: dict[str, Any] | None = None, **settings: Unpack[AsyncSettings]
        ) -> None:
            given = {"response_class": FailoverClientResponse, **(session or {})}
            if given.get("proxy") is not None:
                raise ValueError("proxy of a session is a setting of the client")
            told: dict[str, Any] = dict(settings)
            if given.get("trust_env") and isinstance(client, str):
                told.setdefault("proxy", "system")
            # First what may fail and opens nothing: outside of a loop, or with an option that there is not.
            super().__init__(**given)
            try:
                self._opened = Opened(client, AsyncClient, told)
            except BaseException:
                self.detach()
                raise
            # The library sends again what may be sent again.
            self._retry_connection = False

        @property
        def client(self) -> AsyncClient:
            """The client that sends."""
            return self._opened.get()

        async def __aenter__(self) -> Self:
            # aiohttp says that it is one of its own, which has no `client`.
            await super().__aenter__()
            return self

        async def close(self) -> None:
            """Closes the session, and the client, if the session has opened it."""
            await super().close()
            client = self._opened.leave()
            if client is not None:
                await client.close()

        async def _ws_connect(self, *_: Any, **__: Any) -> Any:
            raise ValueError("there are no web sockets over this library: open them in a session of aiohttp's own")

        async def _request(self, method: str, str_or_url: Any, **keywords: Any) -> aiohttp.ClientResponse:
            if keywords.get("ssl") not in (None, True) or keywords.get("proxy") is not None or keywords.get("compress"):
                raise ValueError("ssl, proxy and compress of a request: the first two are settings of the client")
            timeout = keywords.pop("timeout", self._timeout)
            if not isinstance(timeout, aiohttp.ClientTimeout):
                timeout = self._timeout if timeout is aiohttp.helpers.sentinel else aiohttp.ClientTimeout(total=timeout)
            decodes = keywords.get("auto_decompress")
            decodes = self._auto_decompress if decodes is None else decodes
            limit = keywords.get("read_bufsize") or self._read_bufsize
            given = keywords.pop("middlewares", None)
            given = self._middlewares if given is None else given

            send = functools.partial(self._send, limit, decodes, _Times(timeout))
            return await super()._request(
                method,
                str_or_url,
                timeout=_NONE,
                middlewares=(*given, send),
                **keywords,
            )

        async def _send(
            self, limit: int, decodes: bool, times: _Times, request: aiohttp.ClientRequest, handler: Any
        ) -> aiohttp.ClientResponse:
            """The last middleware."""
            client = self._opened.get()
            try:
                body: Any = request.body
                # `b""` is none.
                whole = bytes(await body.as_bytes()) if body and isinstance(body, BytesPayload) else None
                raw, source = _asked(request, body, whole, times, client)
                answer = await client._send(raw, source)
                known: AsyncStreamedResponse = AsyncStreamedResponse(answer, raw, client._read)
            except FailoverError as error:
                found = answered(error)
                if found is None:
                    failed = _error(error, request)
                    raise failed from failed.__cause__
                known = AsyncStreamedResponse(found._raw, cast("RawRequest", found._asked), client._read)
                response, said = self._response(request, known, limit, decodes, times), lacking(found)
                if said is not None:
                    response.content.set_exception(aiohttp.ClientPayloadError(said))
                return response
            return self._response(request, known, limit, decodes, times)

        def _response(
            self, request: aiohttp.ClientRequest, known: AsyncStreamedResponse, limit: int, decodes: bool, times: _Times
        ) -> aiohttp.ClientResponse:
            response: Any = self._response_class(
                request.method,
                request.original_url,
                writer=None,
                continue100=None,
                timer=request._timer,
                request_info=request.request_info,
                traces=request._traces,
                loop=request.loop,
                session=self,
                stream_writer=_WRITTEN,
            )
            raw = known._raw
            response.failover = known
            response.status = raw.status
            headers = CIMultiDict(raw.headers)
            response._headers = CIMultiDictProxy(headers)
            if not issubclass(self._response_class, FailoverClientResponse):
                response._raw_headers = raw.octets
                response.version = _version(known)
                response.reason = raw.reason
            if hdrs.SET_COOKIE in headers:
                response._raw_cookie_headers = tuple(headers.getall(hdrs.SET_COOKIE))
            coding = None
            if decodes and hdrs.CONTENT_ENCODING in headers:
                coding = headers.getall(hdrs.CONTENT_ENCODING)[-1].lower()
                coding = coding if coding in _DECODED else None
            try:
                response.content = _Reader(known, request.loop, limit, coding, times)
            except ContentEncodingError as error:
                known._close()
                told = aiohttp.ClientResponseError(
                    request.request_info, (), status=400, message=error.message, headers=response._headers
                )
                raise (undecoded(known, told) or told) from error
            response._closed = False
            if not known.is_closed:
                response._connection = _Lease(known)
            response.content.on_eof(response._response_eof)
            made: aiohttp.ClientResponse = response
            return made


def _over() -> FailoverError:
    return CallTimeoutError("the time of the request is over", kind="timeout", cause="deadline")


class _Written:
    output_size = 0


_WRITTEN: Any = _Written()


def _asked(
    request: aiohttp.ClientRequest, body: Any, whole: bytes | None, times: _Times, client: AsyncClient
) -> tuple[RawRequest, AsyncSource | None]:
    """`whole`: the body, where it is bytes."""
    url, given = request.url, request.headers
    headers: list[tuple[str, str]] = [pair for pair in given.items() if pair[0].lower() not in OURS]
    host, authority = given.get(hdrs.HOST), url.host_port_subcomponent or ""
    if host is not None and host != authority and not is_host(host, authority):
        raise InvalidArgumentError("the Host header is the endpoint's", kind="invalid_argument")
    if request.method in request.POST_METHODS and not (
        hdrs.CONTENT_TYPE in given or hdrs.CONTENT_TYPE in request.skip_auto_headers
    ):
        headers.append(("Content-Type", "application/octet-stream"))  # as aiohttp does when it sends
    source: AsyncSource | None = None
    if whole is None and body:
        # A file can be sent again.
        is_file = isinstance(body, IOBasePayload) and seekable(body._value)
        content: Any = (lambda: _pieces(body)) if is_file else _pieces(body)
        source = async_source_of(content, client._threads_of_bodies)
    left = times.left()
    if left is None or 0 < left < 86_400:
        limit = None if left is None else math.ceil(left * 1000)
    elif left <= 0:
        raise _over()
    else:
        limit = milliseconds(min(left, 86_400), "total")
    raw: RawRequest = (
        request.method,
        str(url),
        headers,
        whole if source is None else (length_of(source, headers), source.rewindable),
        limit,
        0,
        STREAMING,
        None,
        None,
        times.connect,
        None,
        times.read,
    )
    return raw, source


async def _pieces(body: Any) -> AsyncIterator[bytes]:
    """What a payload writes."""
    pieces: asyncio.Queue[bytes | None] = asyncio.Queue(1)

    class Writer:
        async def write(self, piece: Any) -> None:
            await pieces.put(bytes(piece))

        async def write_eof(self, piece: bytes = b"") -> None:
            await pieces.put(piece)

        async def drain(self) -> None: ...

    async def write() -> None:
        try:
            await body.write(Writer())
        finally:
            await pieces.put(None)

    writing = asyncio.ensure_future(write())
    try:
        while (piece := await pieces.get()) is not None:
            yield piece
        await writing
    finally:
        if not writing.done():
            writing.cancel()
            await asyncio.wait({writing})


def _error(error: FailoverError, request: aiohttp.ClientRequest) -> Exception:
    """As aiohttp's users know it, unless they would send a write again."""
    ours = not_theirs(error)
    if ours is not None:
        return ours
    known = _known(error, request)
    if known is None:
        return error
    known.__cause__ = error
    return known


def _known(error: FailoverError, request: aiohttp.ClientRequest) -> Exception | None:
    said = str(error)
    match category(error):
        case "connect" if error.cause == "no_such_name":
            return aiohttp.ClientConnectorDNSError(request.connection_key, OSError(None, said))
        case "connect" | "local":
            return aiohttp.ClientConnectorError(request.connection_key, OSError(errno.ECONNREFUSED, said))
        case "tls":
            return aiohttp.ClientConnectorSSLError(request.connection_key, OSError(None, said))
        case "proxy":
            return aiohttp.ClientProxyConnectionError(request.connection_key, OSError(None, said))
        case "connect_timeout" | "busy":
            return aiohttp.ConnectionTimeoutError(said)
        case "timeout" if error.cause == "deadline":
            return asyncio.TimeoutError(said)
        case "timeout":
            return aiohttp.SocketTimeoutError(said)
        case "reset":
            return aiohttp.ClientOSError(errno.ECONNRESET, said)
        case "closed":
            return aiohttp.ServerDisconnectedError(said)
        case "protocol":
            return aiohttp.ClientResponseError(request.request_info, (), status=400, message=said)
        case "url":
            return aiohttp.InvalidUrlClientError(request.url, said)
        case "argument":
            return ValueError(said)
        case "token":
            return aiohttp.ClientError(said)
    return None


def _body_error(error: FailoverError) -> Exception:
    ours = not_theirs(error)
    if ours is not None:
        return ours
    kind = category(error)
    if error.cause == "deadline":
        known: Exception = asyncio.TimeoutError(str(error))
    elif kind in ("timeout", "connect_timeout"):
        known = aiohttp.SocketTimeoutError(str(error))
    elif kind in ("reset", "closed", "protocol"):
        known = aiohttp.ClientPayloadError(str(error))
    else:
        return error
    known.__cause__ = error
    return known
