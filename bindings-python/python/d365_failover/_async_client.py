"""The client for asyncio."""

from __future__ import annotations

import contextlib
import datetime
import sys
from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ._async_ledger import AsyncLedger
from ._base import CLOSE_TIMEOUT
from ._body import AsyncContent, async_source_of
from ._exceptions import raising
from ._keywords import advised, sends
from ._loops import needed_loop
from ._models import Response, report_of
from ._operator import number_of, until_of
from ._request import HeaderTypes, ParamTypes, build, checking, discovering
from ._settings import AsyncSettings, described
from ._stream import AsyncStreamedResponse

# For who asks for the types at run time. Python 3.10 has them only in a package that is not needed otherwise.
if sys.version_info >= (3, 11):
    from typing import Self, Unpack
elif TYPE_CHECKING:
    from typing_extensions import Self, Unpack

__all__ = ["AsyncClient"]


@described
class AsyncClient(AsyncLedger):
    """A client of one organization for the tasks of one event loop: the one that uses it first.

    Handlers, plain functions or coroutines, run on the loop that they were registered from, one at a time. One of
    another loop than the client's has `handler_timeout` for an event, and is cancelled then.
    """

    def __init__(self, url: str, **settings: Unpack[AsyncSettings]) -> None:
        super().__init__(url, dict(settings))

    @classmethod
    async def open(cls, url: str, **settings: Unpack[AsyncSettings]) -> Self:
        """A client that is open: `async with await AsyncClient.open(url, …) as client`.

        With `store` a file is read and written, and waited for, up to 5 s, while another process holds it. The loop
        goes on meanwhile. After `AsyncClient(…)` what is awaited first waits for that, and raises what is wrong with
        the file; a property waits where it stands.
        """
        client = cls(url, **settings)
        await client._opened_or_nobodys()
        return client

    async def __aenter__(self) -> Self:
        needed_loop()
        await self._opened_or_nobodys()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @sends
    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: HeaderTypes | None = None,
        params: ParamTypes | None = None,
        content: AsyncContent | None = None,
        json: Any = None,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        attempt_timeout: float | None = None,
        read_timeout: float | None = None,
        operation: str | None = None,
        guarded_create: bool = False,
        upsert: bool = False,
        tag: str | None = None,
    ) -> Response:
        """Sends a request to the active endpoint, again after a switch, and returns the response, whatever its status.

        Arguments and errors are those of `Client.request`; `content` may also be an asynchronous iterable of bytes,
        which runs in this task. Files and plain iterables may block, and are read on threads of the client's. Calls
        with content that is read, and all with a `prepare` hook, are sent 64 at once; others wait within their time.
        Cancelling the task cancels the call; the CancelledError then has a `FailoverError` as `__cause__` that tells
        what is known of the write.
        """
        raise NotImplementedError

    async def _ask(
        self,
        method: str,
        url: str,
        headers: HeaderTypes | None,
        params: ParamTypes | None,
        content: AsyncContent | None,
        json: Any,
        timeout: float | None,
        connect_timeout: float | None,
        attempt_timeout: float | None,
        read_timeout: float | None,
        operation: str | None,
        guarded_create: bool,
        upsert: bool,
        tag: str | None,
    ) -> Response:
        """What all that sends comes to."""
        source = (
            None if content is None or type(content) is bytes else async_source_of(content, self._threads_of_bodies)
        )
        request = build(
            method,
            url,
            headers,
            params,
            content,
            json,
            timeout,
            operation,
            source,
            connect_timeout,
            attempt_timeout,
            read_timeout,
            guarded_create,
            upsert,
            tag,
        )
        return Response(await self._send(request, source), request)

    @contextlib.asynccontextmanager
    @advised
    async def stream(
        self,
        method: str,
        url: str,
        *,
        headers: HeaderTypes | None = None,
        params: ParamTypes | None = None,
        content: AsyncContent | None = None,
        json: Any = None,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        attempt_timeout: float | None = None,
        read_timeout: float | None = None,
        operation: str | None = None,
        guarded_create: bool = False,
        upsert: bool = False,
        tag: str | None = None,
    ) -> AsyncIterator[AsyncStreamedResponse]:
        """Sends a request, and gives the response when its head is there.

        `async with client.stream("GET", url) as response:`, and then `aiter_bytes`, `aiter_lines` or `aread`. As
        `Client.stream`.
        """
        source = async_source_of(content, self._threads_of_bodies)
        request = build(
            method,
            url,
            headers,
            params,
            content,
            json,
            timeout,
            operation,
            source,
            connect_timeout,
            attempt_timeout,
            read_timeout,
            guarded_create,
            upsert,
            tag,
            streaming=True,
        )
        response = AsyncStreamedResponse(await self._send(request, source), request, self._read)
        try:
            yield response
        finally:
            await response.aclose()

    @sends
    async def get(
        self,
        url: str,
        *,
        headers: HeaderTypes | None = None,
        params: ParamTypes | None = None,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        attempt_timeout: float | None = None,
        read_timeout: float | None = None,
        operation: str | None = None,
        tag: str | None = None,
    ) -> Response:
        """GET. See `request`."""
        raise NotImplementedError

    @sends
    async def post(
        self,
        url: str,
        *,
        headers: HeaderTypes | None = None,
        params: ParamTypes | None = None,
        content: AsyncContent | None = None,
        json: Any = None,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        attempt_timeout: float | None = None,
        read_timeout: float | None = None,
        operation: str | None = None,
        guarded_create: bool = False,
        tag: str | None = None,
    ) -> Response:
        """POST. See `request`."""
        raise NotImplementedError

    @sends
    async def patch(
        self,
        url: str,
        *,
        headers: HeaderTypes | None = None,
        params: ParamTypes | None = None,
        content: AsyncContent | None = None,
        json: Any = None,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        attempt_timeout: float | None = None,
        read_timeout: float | None = None,
        operation: str | None = None,
        upsert: bool = False,
        tag: str | None = None,
    ) -> Response:
        """PATCH. See `request`."""
        raise NotImplementedError

    @sends
    async def put(
        self,
        url: str,
        *,
        headers: HeaderTypes | None = None,
        params: ParamTypes | None = None,
        content: AsyncContent | None = None,
        json: Any = None,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        attempt_timeout: float | None = None,
        read_timeout: float | None = None,
        operation: str | None = None,
        tag: str | None = None,
    ) -> Response:
        """PUT. See `request`."""
        raise NotImplementedError

    @sends
    async def delete(
        self,
        url: str,
        *,
        headers: HeaderTypes | None = None,
        params: ParamTypes | None = None,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        attempt_timeout: float | None = None,
        read_timeout: float | None = None,
        operation: str | None = None,
        tag: str | None = None,
    ) -> Response:
        """DELETE. See `request`."""
        raise NotImplementedError

    async def switch_endpoint(self) -> None:
        """Switches by hand. Raises `NoAlternateError` where there is nothing to switch to."""
        self._dispatcher.begin_waiting()
        await self._opened()
        self._attached()
        await self._errand("switch_endpoint")

    async def set_override(self, value: str | None, until: datetime.datetime | float | None = None) -> None:
        """Puts the operator's override for this organization into the store. As `Client.set_override`."""
        number, until_ms = raising(number_of)(value), raising(until_of)(until)
        self._dispatcher.begin_waiting()
        await self._opened()
        self._attached()
        await self._errand("set_override", number, until_ms)

    async def discover(self) -> None:
        """Reads now what the organization's WSDL says about failover. As `Client.discover`."""
        await self._send(discovering(), None)

    @raising
    async def check(self, role: str, *, timeout: float | None = None) -> dict[str, Any]:
        """Looks at one endpoint. As `Client.check`."""
        return report_of(await self._send(checking(role, timeout), None))

    async def aclose(self, *, timeout: float = CLOSE_TIMEOUT) -> None:
        """As `close`, for `contextlib.aclosing`."""
        await self.close(timeout=timeout)
