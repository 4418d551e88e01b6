"""The blocking client."""

from __future__ import annotations

import contextlib
import datetime
import sys
import time
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from . import _green, _lifecycle
from ._base import CLOSE_TIMEOUT, LAST_EVENTS
from ._blocking_ledger import BlockingLedger
from ._body import Content, Source, source_of
from ._dispatch import Dispatcher, check_loop
from ._events import Handler
from ._exceptions import FailoverError, asked_with, completed, of_failure, of_kind, raising
from ._keywords import advised, sends
from ._models import Response, report_of
from ._native import NativeFailure
from ._operator import number_of, until_of
from ._request import HeaderTypes, ParamTypes, build, checking, discovering, milliseconds, plain, wrongly_typed
from ._settings import Settings, described
from ._stream import StreamedResponse
from ._threads import LibraryThread
from ._work import Work, unsent

# For who asks for the types at run time. Python 3.10 has them only in a package that is not needed otherwise.
if sys.version_info >= (3, 11):
    from typing import Self, Unpack
elif TYPE_CHECKING:
    from typing_extensions import Self, Unpack

if TYPE_CHECKING:
    from ._native import Answer, Call, Item
    from ._types import RawRequest

__all__ = ["Client"]


@described
class Client(BlockingLedger):
    """A client of one organization, for any number of threads.

    `url` is the organization's base URL, of the primary or of the alternate. Opening does no network traffic.
    Handlers run on one thread of the client's. Close it, or use it as a context manager.
    """

    def __init__(self, url: str, **settings: Unpack[Settings]) -> None:
        super().__init__(url, dict(settings))
        self._dispatcher = Dispatcher(self._queue, self._handlers, self._patience)
        self._wait = _green.waiting()
        self._is_plain = self._hook is None and self._wait is None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @sends
    def request(
        self,
        method: str,
        url: str,
        *,
        headers: HeaderTypes | None = None,
        params: ParamTypes | None = None,
        content: Content | None = None,
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

        `url` goes on from the organization's base URL (`/api/data/v9.2/accounts`) or, without a slash at its beginning,
        from the URL that the client was opened with; or it is absolute, on either endpoint. It is sent as it is given;
        a `#` is refused (`%23`). `params` are appended to its query, a text as it is. A standard method is sent in
        upper case. `content` is the body: bytes, text, a binary file, an iterable of bytes, or a function that gives
        one; `json` is encoded as one. A file that can seek and a function's body are sent again after a switch; an
        iterable is read once, and a call that has begun to read it is not sent again. Both are read on this thread.
        `operation` says what a repeat does, where the request does not tell: `"read"`, `"idempotent"`, `"guarded"`,
        `"unsafe"`.

        Times are seconds, up to 24 h. `timeout` is for the whole call with all attempts, `deadline` by default.
        `attempt_timeout` is for one attempt, the client's by default; each further read of a streamed answer waits that
        long. `connect_timeout` is for all of this call's connecting in one attempt (name, addresses, proxy, TLS, and
        waiting for a connection that others open as well); by default each address has the client's. It cuts off no
        other call, and what it ends is only a reason to probe the endpoint (with the preset `dotnet`, to leave it).
        `read_timeout` is for an attempt that stands still: no byte of it leaves, and none of its answer comes.

        With `guarded_create` a create is sent with an id that the library chooses, so that a repeat is detected: a POST
        of one row to an entity set goes out as PATCH of the row with `If-None-Match: *`, a SOAP `Create` of an entity
        without an id gets one. Anything else raises `InvalidArgumentError`. `upsert` says that a PATCH may create its
        row; without it, `update_guard` adds `If-Match: *` to one for `replication_window` after a switch. `tag` is a
        text of your own, at most 256 characters, that stands in the ledger, in events and in errors.

        Raises `FailoverError` where there is no response. What the body or the `prepare` hook raises ends the call and
        is raised as it is. That, and a KeyboardInterrupt, has a `FailoverError` as `__cause__`, which tells what is
        known of the write that was ended.
        """
        raise NotImplementedError

    def _ask(
        self,
        method: str,
        url: str,
        headers: HeaderTypes | None,
        params: ParamTypes | None,
        content: Content | None,
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
        # Most calls have no more than this, and nothing has to be made of it.
        if (
            params is None
            and json is None
            and timeout is None
            and connect_timeout is None
            and attempt_timeout is None
            and read_timeout is None
            and operation is None
            and tag is None
            and not guarded_create
            and not upsert
            and self._is_plain
            and (content is None or isinstance(content, bytes))
            and (headers is None or type(headers) is dict)
            and (self._tokens is None or not self._tokens.is_asking_here())
        ):
            # The application's own may be changed while the response knows what it was asked with.
            fields = None if headers is None else headers.copy()
            taken = None
            try:
                raw = self._native.ask(method, url, fields, content, self._queue)
            except BaseException as error:
                self._failed(error, plain(method, url, fields, content))
            if isinstance(raw, tuple):
                raw, taken = raw
            if taken is not None or self._dispatcher.left:
                self._drain_after(raw, plain(method, url, fields, content), taken)
            return Response(raw, (method, url, fields))
        source = None if content is None or type(content) is bytes else source_of(content)
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
        return Response(self._send(request, source), request)

    @contextlib.contextmanager
    @advised
    def stream(
        self,
        method: str,
        url: str,
        *,
        headers: HeaderTypes | None = None,
        params: ParamTypes | None = None,
        content: Content | None = None,
        json: Any = None,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        attempt_timeout: float | None = None,
        read_timeout: float | None = None,
        operation: str | None = None,
        guarded_create: bool = False,
        upsert: bool = False,
        tag: str | None = None,
    ) -> Iterator[StreamedResponse]:
        """Sends a request, and gives the response when its head is there.

        `with client.stream("GET", url) as response:`. The body is read by `iter_bytes`, `iter_lines` or `read`. The
        block closes it: the connection of a body that was not read to its end is closed. Arguments and errors are those
        of `request`; `timeout` and `deadline` end with the head.
        """
        source = source_of(content)
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
        response = StreamedResponse(self._send(request, source), request)
        try:
            yield response
        finally:
            response.close()

    def _send(self, request: RawRequest, source: Source | None) -> Answer:
        is_sent_here = source is None and self._hook is None and self._wait is None
        try:
            if self._tokens is not None:
                self._refuse_in_provider()
            if not is_sent_here:
                self._dispatcher.refuse_while_deciding()
        except FailoverError as refused:
            unsent(refused, request)
            raise
        taken = None
        try:
            if is_sent_here:
                raw = self._native.send(request, self._queue)
                if isinstance(raw, tuple):
                    raw, taken = raw
            else:
                raw = Work(source, self._hook).finish(self._begin(request))
        except BaseException as error:
            self._failed(error, request)
        # Mostly there is nothing, and nobody has to be asked for it.
        if taken is not None or self._dispatcher.left or not is_sent_here:
            self._drain_after(raw, request, taken)
        return raw

    def _failed(self, error: BaseException, request: RawRequest) -> NoReturn:
        """Raises what a call has ended by, as the application is to hear of it."""
        try:
            raise error
        except NativeFailure as failure:
            told = of_failure(failure)
            asked_with(told, request)
            self._drain_after(told, request)
            raise told from told.__cause__
        except BaseException as interruption:
            if isinstance(interruption, TypeError) and (wrong := wrongly_typed(request)) is not None:
                raise wrong from None
            if isinstance(interruption.__cause__, NativeFailure):
                interruption.__cause__ = of_failure(interruption.__cause__)
            asked_with(interruption, request)
            self._drain_after(interruption.__cause__, request)
            raise

    def _begin(self, request: RawRequest) -> Call | _green.GreenCall:
        if self._wait is None:
            return self._native.begin(request)
        return _green.GreenCall(self._native, request, self._wait)

    def _drain_after(
        self, outcome: Answer | BaseException | None, request: RawRequest, taken: list[Item] | None = None
    ) -> None:
        """Hands out a call's log records. An interruption meanwhile tells what is known of the call."""
        try:
            self._dispatcher.drain(taken)
        except BaseException as interruption:
            if interruption.__cause__ is None and outcome is not None:
                interruption.__cause__ = outcome if isinstance(outcome, BaseException) else completed(outcome)
                asked_with(interruption, request)
            raise

    @sends
    def get(
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
    def post(
        self,
        url: str,
        *,
        headers: HeaderTypes | None = None,
        params: ParamTypes | None = None,
        content: Content | None = None,
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
    def patch(
        self,
        url: str,
        *,
        headers: HeaderTypes | None = None,
        params: ParamTypes | None = None,
        content: Content | None = None,
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
    def put(
        self,
        url: str,
        *,
        headers: HeaderTypes | None = None,
        params: ParamTypes | None = None,
        content: Content | None = None,
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
    def delete(
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

    @raising
    def switch_endpoint(self) -> None:
        """Switches by hand. Raises `NoAlternateError` where there is nothing to switch to."""
        if self._wait is not None:
            self._dispatcher.refuse_while_deciding()
        self._do("switch_endpoint")

    @raising
    def set_override(self, value: str | None, until: datetime.datetime | float | None = None) -> None:
        """Puts the operator's override for this organization into the store, for all processes that name it: `"off"`,
        `"primary"`, `"alternate"`; `None` takes it away. `until`, a datetime with a time zone or seconds since 1970, is
        when it ends by itself.

        This client heeds it at once, the others within about a second. Calls are kept at the endpoint that is named:
        they go there by a switch with the reason `override` that no handler can veto, whether it answers or not; no
        fault moves them, and `switch_endpoint()` raises `OverriddenError`. A process with `D365_FAILOVER` in its
        environment stays by that. Waits for the file, not for the network.

        Raises `InvalidArgumentError` for another word, and for an end that is past; `FailoverError` where the client
        has no `store`, or that could not be written.
        """
        self._do("set_override", number_of(value), until_of(until))

    @raising
    def discover(self) -> None:
        """Reads now what the organization's WSDL says about failover, unless it said that there is an alternate.

        Where it disables the active endpoint and calls were sent there, a switch is tried and waited for.
        """
        self._send(discovering(), None)

    @raising
    def check(self, role: str, *, timeout: float | None = None) -> dict[str, Any]:
        """Looks at one endpoint, `"primary"` or `"alternate"`, whichever is active; changes nothing.

        A token, a probe on a connection of its own, and the WSDL's failover policy. `timeout` limits the token
        and the probe, each, in seconds (else the setting `probe_timeout`, and five times that for a token). Tells what
        it has found, also where the endpoint fails: `verdict` (`"serves"`; `"reachable"`: it answers, and wants a token
        or another one; `"failed"`), `steps` with `step`, `outcome`, `took_ms`, `detail`; `fault`, `policy`,
        `http_status`, `http_version`, `url`, `role`. More may come.
        """
        return report_of(self._send(checking(role, timeout), None))

    @raising
    def close(self, *, timeout: float = CLOSE_TIMEOUT) -> None:
        """Refuses new calls, waits at most `timeout` seconds for those in flight, and cancels the rest.

        Handlers hear first of what nobody may miss, such as which writes that left in doubt; where the time is over by
        then, they have as long again, at most 5 s. Once it returned on another thread than the handlers' none of them
        runs, or it raises `BusyError`: one is still running. Again, or in the child of a fork, it does nothing.
        """
        timeout_ms = milliseconds(timeout, "timeout", least=0)
        if self._closed or self._native.forked:
            return
        end = time.monotonic() + timeout
        if self._wait is not None and timeout_ms:
            self._dispatcher.refuse_while_deciding()
            self._do("shutdown", timeout_ms)
        else:
            self._native.do("shutdown", (timeout_ms,))
        self._closed = True
        self._native.close_queues()
        _lifecycle.closed(self)
        self._dispatcher.drain()
        events = self._dispatcher.thread
        for thread in self._threads():
            least = min(timeout, LAST_EVENTS) if thread is events else 0.0
            thread.join(max(least, end - time.monotonic()))
        if events is not None and not events.is_current and self._dispatcher.silence():
            raise of_kind("busy", "closed, but a handler is still running")

    def _prepare(self, handler: Handler) -> None:
        check_loop(handler)
        self._dispatcher.start()

    def _threads(self) -> Iterator[LibraryThread]:
        yield from super()._threads()
        events = self._dispatcher.thread
        if events is not None and not events.is_current:
            yield events
