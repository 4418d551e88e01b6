"""The blocking client."""

from __future__ import annotations

import contextlib
import datetime
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import _green, _lifecycle
from ._base import CLOSE_TIMEOUT, BaseClient
from ._body import Content, Source, source_of
from ._dispatch import Dispatcher, check_loop
from ._events import Handler
from ._exceptions import FailoverError, asked_with, completed, of_entry, of_failure, of_kind, raising
from ._keywords import advised
from ._ledger import LedgerEntry
from ._models import Response, report_of
from ._native import NativeFailure
from ._operator import number_of, until_of
from ._request import HeaderTypes, ParamTypes, build, checking, discovering, milliseconds, verifying
from ._settings import Settings, described
from ._settle import CONFIRM, REPLAY, VERIFY, Settled, SettleStep, asked_of, replaying, step_of, walking
from ._stream import StreamedResponse
from ._threads import LibraryThread
from ._work import Work

# For who asks for the types at run time. Python 3.10 has them only in a package that is not needed otherwise.
if sys.version_info >= (3, 11):
    from typing import Self, Unpack
elif TYPE_CHECKING:
    from typing_extensions import Self, Unpack

if TYPE_CHECKING:
    from ._native import Answer, Call
    from ._types import RawRequest

__all__ = ["Client"]


@described
class Client(BaseClient):
    """A client of one organization, for any number of threads.

    `url` is the organization's base URL, of the primary or of the alternate. Opening does no network traffic.
    Handlers run on one thread of the client's. Close it, or use it as a context manager.
    """

    def __init__(self, url: str, **settings: Unpack[Settings]) -> None:
        super().__init__(url, dict(settings))
        self._dispatcher = Dispatcher(self._queue, self._handlers, self._patience)
        self._wait = _green.waiting()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @advised
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
        a `#` is refused (`%23`). `params` are appended to its query. A standard method is sent in upper case.
        `content` is the body: bytes, text, a binary file, an iterable of bytes, or a function that gives one; `json` is
        encoded as one. A file that can seek and a function's body are sent again after a switch; an iterable is read
        once, and a call that has begun to read it is not sent again. Both are read on this thread. `operation` says
        what a repeat does, where the request does not tell: `"read"`, `"idempotent"`, `"guarded"`, `"unsafe"`.

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
            connect_timeout=connect_timeout,
            attempt_timeout=attempt_timeout,
            read_timeout=read_timeout,
            guarded_create=guarded_create,
            upsert=upsert,
            tag=tag,
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
            connect_timeout=connect_timeout,
            attempt_timeout=attempt_timeout,
            read_timeout=read_timeout,
            guarded_create=guarded_create,
            upsert=upsert,
            tag=tag,
            streaming=True,
        )
        response = StreamedResponse(self._send(request, source), request)
        try:
            yield response
        finally:
            response.close()

    def _send(self, request: RawRequest, source: Source | None) -> Answer:
        self._refuse_in_provider()
        check = threading.get_ident() == _lifecycle.main_thread
        try:
            if source is None and self._hook is None and self._wait is None:
                raw = self._native.send(request, check)
            else:
                self._dispatcher.refuse_while_deciding()
                raw = Work(source, self._hook).finish(self._begin(request), check)
        except NativeFailure as failure:
            error = of_failure(failure)
            asked_with(error, request)
            self._drain_after(error, request)
            raise error from error.__cause__
        except BaseException as interruption:
            if isinstance(interruption.__cause__, NativeFailure):
                interruption.__cause__ = of_failure(interruption.__cause__)
            asked_with(interruption, request)
            self._drain_after(interruption.__cause__, request)
            raise
        self._drain_after(raw, request)
        return raw

    def _begin(self, request: RawRequest) -> Call | _green.GreenCall:
        if self._wait is None:
            return self._native.begin(request)
        return _green.GreenCall(self._native, request, self._wait)

    def _drain_after(self, outcome: Answer | BaseException | None, request: RawRequest) -> None:
        """Hands out a call's log records. An interruption meanwhile tells what is known of the call."""
        try:
            self._dispatcher.drain()
        except BaseException as interruption:
            if interruption.__cause__ is None and outcome is not None:
                interruption.__cause__ = outcome if isinstance(outcome, BaseException) else completed(outcome)
                asked_with(interruption, request)
            raise

    @advised
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
        return self.request(
            "GET",
            url,
            headers=headers,
            params=params,
            timeout=timeout,
            connect_timeout=connect_timeout,
            attempt_timeout=attempt_timeout,
            read_timeout=read_timeout,
            operation=operation,
            tag=tag,
        )

    @advised
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
        return self.request(
            "POST",
            url,
            headers=headers,
            params=params,
            content=content,
            json=json,
            timeout=timeout,
            connect_timeout=connect_timeout,
            attempt_timeout=attempt_timeout,
            read_timeout=read_timeout,
            operation=operation,
            guarded_create=guarded_create,
            tag=tag,
        )

    @advised
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
        return self.request(
            "PATCH",
            url,
            headers=headers,
            params=params,
            content=content,
            json=json,
            timeout=timeout,
            connect_timeout=connect_timeout,
            attempt_timeout=attempt_timeout,
            read_timeout=read_timeout,
            operation=operation,
            upsert=upsert,
            tag=tag,
        )

    @advised
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
        return self.request(
            "PUT",
            url,
            headers=headers,
            params=params,
            content=content,
            json=json,
            timeout=timeout,
            connect_timeout=connect_timeout,
            attempt_timeout=attempt_timeout,
            read_timeout=read_timeout,
            operation=operation,
            tag=tag,
        )

    @advised
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
        return self.request(
            "DELETE",
            url,
            headers=headers,
            params=params,
            timeout=timeout,
            connect_timeout=connect_timeout,
            attempt_timeout=attempt_timeout,
            read_timeout=read_timeout,
            operation=operation,
            tag=tag,
        )

    def verify(
        self,
        write: LedgerEntry | int,
        *,
        headers: HeaderTypes | None = None,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        attempt_timeout: float | None = None,
    ) -> str:
        """Asks the active endpoint what became of a write on record: `"present"`, `"missing"`, `"conflicting"`,
        `"unverifiable"`.

        A create is proved by its row, a delete by the row's absence, an update by the version that its answer named,
        or, where its request is kept (`ledger_bodies="full"`), by the values that it sent; a create whose row nobody
        knows by a key (`verify_keys`). Not final until `replication_window` has passed since the write ended:
        `"missing"`, `"conflicting"`, a delete's `"present"`, all of a write of which an attempt may still come late.
        `LedgerEntry.is_final` says so: resolve when it is true. For all else nothing is sent, and a person has to look,
        or `verify_with`: an action (also by SOAP's Execute), an upload. The verdict is kept in the entry; to `resolve`
        it is the application's.

        The read has the provider's token, else the `Authorization` that the application last sent to that endpoint;
        `headers` and times are its own, as those of `request`. Raises `LedgerEntryError` for a number that is not on
        record or in flight, and `FailoverError` for an answer that says neither that the row is there nor that it is
        not: 401, 403, 404 of a front end, 5xx.
        """
        return self._verify(verifying(write, None, headers, timeout, connect_timeout, attempt_timeout))

    def verify_with(
        self,
        write: LedgerEntry | int,
        url: str,
        *,
        headers: HeaderTypes | None = None,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        attempt_timeout: float | None = None,
    ) -> str:
        """As `verify`, by a read of `url`: of the row that the write must have created or changed, or of a list of the
        rows that it may be (`$filter` by a key that only the application knows).

        An empty list, or no such row: `"missing"`; one row with the values that were sent: `"present"`, with others:
        `"conflicting"`; several rows, and one whose values cannot be compared because the request is not kept:
        `"unverifiable"`.
        """
        return self._verify(verifying(write, url, headers, timeout, connect_timeout, attempt_timeout))

    def _verify(self, request: RawRequest) -> str:
        try:
            answer = self._send(request, None)
        except FailoverError as error:
            raise of_entry(error) from error.__cause__
        assert answer.verified is not None
        return answer.verified

    def replay(
        self,
        write: LedgerEntry | int,
        *,
        wanted: bool = False,
        headers: HeaderTypes | None = None,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        attempt_timeout: float | None = None,
    ) -> Response:
        """Sends a write again that was found to be missing for good, and gives its response: a create under its id and
        with the condition that there is none, a change or a delete with the version that its row was seen to have.

        At most one at a time, over all clients and processes of a store. When it was executed, its entry is resolved as
        replayed. In doubt again, it is on record so, and raises `WriteInDoubtError`; refused, it stays to be verified.
        With `wanted` the application wants it for just this write, whatever was found of it and whatever a repeat of it
        does; a condition is set all the same where there is one to set.

        Its request must be kept (`ledger_bodies="full"`), which has no credential: that is the provider's, or stands in
        `headers`, which go in the place of those that are kept. Raises `LedgerEntryError`, with why it is not sent.
        """
        request = replaying(write, wanted, headers, timeout, connect_timeout, attempt_timeout)
        try:
            return Response(self._send(request, None))
        except FailoverError as error:
            raise of_entry(error) from error.__cause__

    def verify_all(
        self,
        *,
        verify_with: Callable[[LedgerEntry], str | None] | None = None,
        headers: HeaderTypes | None = None,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        attempt_timeout: float | None = None,
    ) -> Iterator[SettleStep]:
        """Looks at all writes that are to be verified, and tells of each as it is done; `step.settled` says how far.

        Up to four are looked at at a time, also between the steps; with a `prepare` hook one, within them. Of a write
        that is not verifiable `verify_with` is asked for the URL to read, as that of `verify_with()`, or `None`.
        `headers` and times are those of each look. A look without an answer raises, and ends it.
        """
        entries = {entry.id: entry for entry in self.ledger(suspects=True)}
        walk = walking(VERIFY, headers, timeout, connect_timeout, attempt_timeout)
        for step in self._walk(walk):
            url = None if verify_with is None else asked_of(step, entries, verify_with)
            if url is None:
                yield step
                continue
            verified = self.verify_with(
                step.id,
                url,
                headers=headers,
                timeout=timeout,
                connect_timeout=connect_timeout,
                attempt_timeout=attempt_timeout,
            )
            entry = next((entry for entry in self.ledger(suspects=True) if entry.id == step.id), None)
            is_final, why = (False, "") if entry is None else (entry.is_final, entry.why or "")
            yield replace(step, verified=verified, is_final=is_final, why=why)

    def settling(
        self,
        *,
        verify: bool = True,
        confirm: bool = True,
        replay: bool = True,
        headers: HeaderTypes | None = None,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        attempt_timeout: float | None = None,
    ) -> Iterator[SettleStep]:
        """As `settle`, and tells of each write as it is done with; `step.settled` says how far."""
        flags = (VERIFY if verify else 0) | (CONFIRM if confirm else 0) | (REPLAY if replay else 0)
        walk = walking(flags, headers, timeout, connect_timeout, attempt_timeout)
        yield from self._walk(walk)

    def settle(
        self,
        *,
        verify: bool = True,
        confirm: bool = True,
        replay: bool = True,
        verify_with: Callable[[LedgerEntry], str | None] | None = None,
        headers: HeaderTypes | None = None,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        attempt_timeout: float | None = None,
    ) -> Settled:
        """Goes over all writes that are to be verified: looks at each, confirms what is there for good, sends again
        what is missing for good and may be (`replay`), leaves the rest, and returns the numbers. Raises the event
        Settled.

        `confirm=False`, `replay=False`: not so. `verify=False`: what was found before counts. `verify_with`, `headers`
        and times: as those of `verify_all`. A look without an answer raises; what was done until then is on record.
        """
        if verify and verify_with is not None:
            for _ in self.verify_all(
                verify_with=verify_with,
                headers=headers,
                timeout=timeout,
                connect_timeout=connect_timeout,
                attempt_timeout=attempt_timeout,
            ):
                pass
            verify = False
        flags = (VERIFY if verify else 0) | (CONFIRM if confirm else 0) | (REPLAY if replay else 0)
        walk = walking(flags, headers, timeout, connect_timeout, attempt_timeout)
        while True:
            step, settled = step_of(self._send(walk, None))
            if step is None:
                return settled

    def _walk(self, walk: RawRequest) -> Iterator[SettleStep]:
        while True:
            step, _ = step_of(self._send(walk, None))
            if step is None:
                return
            yield step

    @raising
    def switch_endpoint(self) -> None:
        """Switches by hand. Raises `NoAlternateError` where there is nothing to switch to."""
        if self._wait is None:
            self._native.switch_endpoint()
        else:
            self._dispatcher.refuse_while_deciding()
            _green.do(self._native, "switch_endpoint", 0, self._wait)

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
        self._native.set_override(number_of(value), until_of(until))

    @raising
    def discover(self) -> None:
        """Reads now what the organization's WSDL says about failover, unless it said that there is an alternate.

        Where it disables the active endpoint and calls were sent there, a switch is tried and waited for.
        """
        self._send(discovering(), None)

    @raising
    def check(self, role: str, *, timeout: float | None = None) -> dict[str, Any]:
        """Looks at one endpoint, `"primary"` or `"alternate"`, whichever is active; changes nothing.

        A token, a probe on a connection of its own, and the WSDL's failover policy. `timeout` limits the probe in
        seconds (else the setting `probe_timeout`). Tells what it has found, also where the endpoint fails: `verdict`
        (`"serves"`; `"reachable"`: it answers, and wants a token or another one; `"failed"`), `steps` with `step`,
        `outcome`, `took_ms`, `detail`; `fault`, `policy`, `http_status`, `http_version`, `url`, `role`. More may
        come.
        """
        return report_of(self._send(checking(role, timeout), None))

    @raising
    def close(self, *, timeout: float = CLOSE_TIMEOUT) -> None:
        """Refuses new calls, waits at most `timeout` seconds for those in flight, and cancels the rest.

        Once it returned on another thread than the handlers' none of them runs, or it raises `BusyError`: one is still
        running. Again, or in the child of a fork, it does nothing.
        """
        timeout_ms = milliseconds(timeout, "timeout", least=0)
        if self._closed or self._native.forked:
            return
        end = time.monotonic() + timeout
        if self._wait is None or timeout_ms == 0:
            self._native.shutdown(timeout_ms)
        else:
            self._dispatcher.refuse_while_deciding()
            _green.do(self._native, "shutdown", timeout_ms, self._wait)
        self._closed = True
        self._native.close_queues()
        _lifecycle.closed(self)
        self._dispatcher.drain()
        for thread in self._threads():
            thread.join(max(0.0, end - time.monotonic()))
        events = self._dispatcher.thread
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
