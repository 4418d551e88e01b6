"""The client for asyncio: calls are submitted, and the queue wakes the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import functools
import itertools
import sys
import time
import weakref
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import _lifecycle
from ._async_dispatch import AsyncDispatcher
from ._base import CLOSE_TIMEOUT, BaseClient
from ._body import AsyncContent, AsyncSource, async_source_of
from ._completion import Completion, GivenUp
from ._dispatch import log
from ._events import LOG, Handler
from ._exceptions import FailoverError, asked_with, completed, of_entry, of_failure, of_kind, raising
from ._keywords import advised
from ._ledger import LedgerEntry
from ._log import report
from ._loops import needed_loop, running_loop
from ._models import Response, report_of
from ._native import Bell, NativeFailure
from ._operator import number_of, until_of
from ._request import HeaderTypes, ParamTypes, build, checking, discovering, is_read, milliseconds, verifying
from ._settings import AsyncSettings, described
from ._settle import CONFIRM, REPLAY, VERIFY, Settled, SettleStep, asked_of, replaying, step_of, walking
from ._stream import AsyncStreamedResponse
from ._threads import Threads
from ._wakeup import Wakeup, wake
from ._work import AsyncWork, Turns, is_working, unknown

# For who asks for the types at run time. Python 3.10 has them only in a package that is not needed otherwise.
if sys.version_info >= (3, 11):
    from typing import Self, Unpack
elif TYPE_CHECKING:
    from typing_extensions import Self, Unpack

if TYPE_CHECKING:
    from ._native import Answer, Item, Pending, Queue, Stream
    from ._types import RawRequest

__all__ = ["AsyncClient"]

_GRACE = 2.0
"""Seconds that a close waits for the completions of what it has cancelled."""

_BODIES = 32
"""Files and plain iterables that are read at once; a thread each, while there are so many."""

_CALLS = 64
"""Calls at once that need the application's code, a body or a hook: the library has a thread for each."""

_BATCH = 256
"""Items that are taken before other callbacks of the loop get their turn."""


def _unsent(kind: str, message: str, request: RawRequest) -> FailoverError:
    error = of_kind(kind, message)
    error.effect = "none" if is_read(request) else "not_executed"
    error.tag = request[7]
    return error


@described
class AsyncClient(BaseClient):
    """A client of one organization for the tasks of one event loop: the one that uses it first.

    Handlers, plain functions or coroutines, run on the loop that they were registered from, one at a time. One of
    another loop than the client's has `handler_timeout` for an event, and is cancelled then.
    """

    _awaits = True

    def __init__(self, url: str, **settings: Unpack[AsyncSettings]) -> None:
        super().__init__(url, dict(settings))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wakeup: Wakeup | None = None
        self._keys = itertools.count(1)
        self._completions: dict[int, Completion] = {}
        self._turns = Turns()
        self._lanes = asyncio.Semaphore(_CALLS)
        deadline = settings.get("deadline")
        self._deadline: float = 300.0 if deadline is None else deadline
        self._executor: Threads | None = None
        self._dispatcher = AsyncDispatcher(self._handlers, self._patience)

    async def __aenter__(self) -> Self:
        needed_loop()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        super().__del__()
        wakeup = self.__dict__.get("_wakeup")
        if wakeup is not None and not self._closed:
            wakeup.forget()

    @advised
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
            connect_timeout=connect_timeout,
            attempt_timeout=attempt_timeout,
            read_timeout=read_timeout,
            guarded_create=guarded_create,
            upsert=upsert,
            tag=tag,
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
            connect_timeout=connect_timeout,
            attempt_timeout=attempt_timeout,
            read_timeout=read_timeout,
            guarded_create=guarded_create,
            upsert=upsert,
            tag=tag,
            streaming=True,
        )
        response = AsyncStreamedResponse(await self._send(request, source), request, self._read)
        try:
            yield response
        finally:
            await response.aclose()

    async def _send(self, request: RawRequest, source: AsyncSource | None) -> Answer:
        self._dispatcher.begin_waiting()
        self._refuse_in_provider()
        loop = needed_loop()
        if loop is not self._loop:
            self._attached()
        if source is None and self._hook is None:
            return await self._call(loop, request)
        # What a hook or a body sends is not held back: its call holds a lane already, and waits for it.
        lanes = asyncio.Semaphore() if is_working.get() else self._lanes
        try:
            request = await self._lane(lanes, request)
        except BaseException:
            if source is not None:
                await source.close()
            raise
        try:
            key = self._turns.begin(loop)
            try:
                call = raising(self._native.begin)(request, self._turns.bell, key)
            except BaseException:
                self._turns.forget(key)
                raise
            return await AsyncWork(source, self._hook, request).finish(call, self._turns, key)
        except BaseException as error:
            asked_with(error, request)
            raise
        finally:
            lanes.release()

    async def _lane(self, lanes: asyncio.Semaphore, request: RawRequest) -> RawRequest:
        """Waits for its turn, within the call's time. The request, with what is left of that."""
        if not lanes.locked():
            await lanes.acquire()
            return request
        begin = time.monotonic()
        whole = self._deadline if request[4] is None else request[4] / 1000
        try:
            await asyncio.wait_for(lanes.acquire(), whole)
        except asyncio.TimeoutError:
            raise _unsent("timeout", "the call's time was over before a thread was free for it", request) from None
        except asyncio.CancelledError as cancelled:
            cancelled.__cause__ = _unsent("cancelled", "the call was cancelled before it was sent", request)
            raise
        left = max(1, int((whole - (time.monotonic() - begin)) * 1000))
        return (*request[:4], left, *request[5:])

    async def _read(self, stream: Stream, most: int) -> bytes | None:
        """The next bytes of a response. `None`: the client was closed, and nothing of it comes any more."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._attached()
        key = next(self._keys)
        completion = self._completions[key] = Completion(loop)
        try:
            raising(stream.submit)(most, key)
            await completion.wait()
            try:
                piece = completion.result()
            except GivenUp:
                return None
            assert isinstance(piece, bytes)
            return piece
        finally:
            self._completions.pop(key, None)

    def _threads_of_bodies(self) -> Threads:
        """Where bodies are read that may block."""
        if self._executor is None:
            self._executor = Threads(_BODIES, "d365_failover-body")
        return self._executor

    async def _call(self, loop: asyncio.AbstractEventLoop, request: RawRequest) -> Answer:
        key = next(self._keys)
        completion = self._completions[key] = Completion(loop)
        try:
            try:
                pending = self._native.submit(request, key)
            except NativeFailure as failure:
                error = of_failure(failure)
                raise error from error.__cause__
            try:
                await completion.wait()
            except asyncio.CancelledError as cancelled:
                cancelled.__cause__ = await self._cancelled(pending, completion, request)
                raise
            return _result(completion, request, pending)
        except BaseException as error:
            asked_with(error, request)
            raise
        finally:
            self._completions.pop(key, None)

    @staticmethod
    async def _cancelled(pending: Pending, completion: Completion, request: RawRequest) -> BaseException:
        """Cancels the call, unless it is done. What is known of it."""
        try:
            if not completion.is_done:
                raising(pending.cancel)()
                await completion.wait()
        except FailoverError as error:
            return error
        except asyncio.CancelledError as again:
            again.__cause__ = unknown("cancelled again before the call was", request, pending.ledger_id())
            raise
        try:
            return completed(_result(completion, request, pending))
        except BaseException as error:
            return error

    @advised
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
        return await self.request(
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
        return await self.request(
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
        return await self.request(
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
        return await self.request(
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
        return await self.request(
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

    async def verify(
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
        return await self._verify(verifying(write, None, headers, timeout, connect_timeout, attempt_timeout))

    async def verify_with(
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
        return await self._verify(verifying(write, url, headers, timeout, connect_timeout, attempt_timeout))

    async def _verify(self, request: RawRequest) -> str:
        try:
            answer = await self._send(request, None)
        except FailoverError as error:
            raise of_entry(error) from error.__cause__
        assert answer.verified is not None
        return answer.verified

    async def replay(
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
            return Response(await self._send(request, None))
        except FailoverError as error:
            raise of_entry(error) from error.__cause__

    async def verify_all(
        self,
        *,
        verify_with: Callable[[LedgerEntry], str | None] | None = None,
        headers: HeaderTypes | None = None,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        attempt_timeout: float | None = None,
    ) -> AsyncIterator[SettleStep]:
        """Looks at all writes that are to be verified, and tells of each as it is done; `step.settled` says how far.

        Up to four are looked at at a time, also between the steps; with a `prepare` hook one, within them. Of a write
        that is not verifiable `verify_with` is asked for the URL to read, as that of `verify_with()`, or `None`.
        `headers` and times are those of each look. A look without an answer raises, and ends it.
        """
        entries = {entry.id: entry for entry in await asyncio.to_thread(self.ledger, suspects=True)}
        walk = walking(VERIFY, headers, timeout, connect_timeout, attempt_timeout)
        async for step in self._walk(walk):
            url = None if verify_with is None else asked_of(step, entries, verify_with)
            if url is None:
                yield step
                continue
            verified = await self.verify_with(
                step.id,
                url,
                headers=headers,
                timeout=timeout,
                connect_timeout=connect_timeout,
                attempt_timeout=attempt_timeout,
            )
            suspects = await asyncio.to_thread(self.ledger, suspects=True)
            entry = next((entry for entry in suspects if entry.id == step.id), None)
            is_final, why = (False, "") if entry is None else (entry.is_final, entry.why or "")
            yield replace(step, verified=verified, is_final=is_final, why=why)

    async def settling(
        self,
        *,
        verify: bool = True,
        confirm: bool = True,
        replay: bool = True,
        headers: HeaderTypes | None = None,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        attempt_timeout: float | None = None,
    ) -> AsyncIterator[SettleStep]:
        """As `settle`, and tells of each write as it is done with; `step.settled` says how far."""
        flags = (VERIFY if verify else 0) | (CONFIRM if confirm else 0) | (REPLAY if replay else 0)
        walk = walking(flags, headers, timeout, connect_timeout, attempt_timeout)
        async for step in self._walk(walk):
            yield step

    async def settle(
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
            async for _ in self.verify_all(
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
            step, settled = step_of(await self._send(walk, None))
            if step is None:
                return settled

    async def _walk(self, walk: RawRequest) -> AsyncIterator[SettleStep]:
        while True:
            step, _ = step_of(await self._send(walk, None))
            if step is None:
                return
            yield step

    async def switch_endpoint(self) -> None:
        """Switches by hand. Raises `NoAlternateError` where there is nothing to switch to."""
        self._dispatcher.begin_waiting()
        await self._errand("switch_endpoint")

    async def set_override(self, value: str | None, until: datetime.datetime | float | None = None) -> None:
        """Puts the operator's override for this organization into the store. As `Client.set_override`."""
        number, until_ms = raising(number_of)(value), raising(until_of)(until)
        self._dispatcher.begin_waiting()
        await self._errand(f"set_override {number}", until_ms)

    async def discover(self) -> None:
        """Reads now what the organization's WSDL says about failover. As `Client.discover`."""
        await self._send(discovering(), None)

    @raising
    async def check(self, role: str, *, timeout: float | None = None) -> dict[str, Any]:
        """Looks at one endpoint. As `Client.check`."""
        return report_of(await self._send(checking(role, timeout), None))

    async def close(self, *, timeout: float = CLOSE_TIMEOUT) -> None:
        """Refuses new calls, waits at most `timeout` seconds for those in flight, and cancels the rest.

        Afterwards no handler runs but the one that closes, or it raises `BusyError`: one is still running. Again, or in
        the child of a fork, it does nothing.
        """
        timeout_ms = milliseconds(timeout, "timeout", least=0)
        if self._closed or self._native.forked:
            return
        if timeout_ms:
            self._dispatcher.begin_waiting()
        end = time.monotonic() + timeout
        try:
            await self._errand("shutdown", timeout_ms)
            if self._completions:
                # Cancelled calls complete at once, but in a queue that is open.
                waiting = asyncio.gather(*(completion.wait() for completion in self._completions.values()))
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(waiting, _GRACE)
            await self._turns.end(_GRACE)
        finally:
            self._closed = True
            self._native.close_queues()
            self._end_bodies()
            try:
                self._drain(self._queue)
            finally:
                self._detach()
                self._give_up()
                _lifecycle.closed(self)
        worker = self._dispatcher.worker
        if worker is not None and not self._dispatcher.is_handler():
            await asyncio.wait({worker}, timeout=max(0.0, end - time.monotonic()))
            if not worker.done():
                self._dispatcher.silence()
                raise of_kind("busy", "closed, but a handler is still running")

    aclose = close

    def _prepare(self, handler: Handler) -> None:
        # A handler may come from another loop than the client's: then it runs there.
        if running_loop() is not None and (self._loop is None or self._loop.is_closed()):
            self._attached()

    def _abandon(self) -> None:
        super()._abandon()
        if "_loop" in self.__dict__:
            self._detach()
            self._turns.detach()
            self._end_bodies()

    def _end_bodies(self) -> None:
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(cancel_futures=True)

    def _give_up(self) -> None:
        """Ends the calls whose completion can come no more."""
        completions, self._completions = self._completions, {}
        for completion in completions.values():
            completion.complete(GivenUp())

    @raising
    def _attached(self) -> asyncio.AbstractEventLoop:
        """The running loop, which the queue wakes."""
        loop = needed_loop()
        if self._loop is loop:
            return loop
        self._queue.descriptor()  # refuses a parent's client, before anything of it is touched
        if self._loop is not None:
            if not self._loop.is_closed():
                raise of_kind("invalid_argument", "this AsyncClient belongs to another event loop")
            self._completions.clear()
            self._lanes = asyncio.Semaphore(_CALLS)
            self._dispatcher.worker = None
            self._detach()
        if not self._closed:
            self._wakeup = wake(loop, self._queue, functools.partial(_readable, weakref.ref(self)))
            self._loop = loop
            if self._tokens is not None:
                self._tokens.loop = loop
        return loop

    async def _errand(self, what: str, timeout_ms: int = 0) -> None:
        """Has one of the client's done. An executor would not take it any more once the main thread has ended."""
        loop = self._attached()
        bell = Bell()
        errand = raising(self._native.errand)(what, timeout_ms, bell)
        rung: asyncio.Future[None] = loop.create_future()
        wakeup = wake(loop, bell, functools.partial(_ring, bell, rung))
        try:
            await rung
        finally:
            wakeup.cancel()
        raising(errand.poll)()

    def _detach(self) -> None:
        wakeup, self._wakeup, self._loop = self._wakeup, None, None
        if wakeup is not None:
            wakeup.cancel()

    def _drain(self, queue: Queue) -> None:
        records: list[Item] = []
        while True:
            items, closed = queue.drain(_BATCH)
            for item in items:
                if isinstance(item, tuple):
                    self._complete(*item)
                elif item.kind == LOG:
                    records.append(item)
                else:
                    self._dispatcher.add(item)
            if closed and self._wakeup is not None:
                self._wakeup.cancel()
            if len(items) < _BATCH or not self._closed:
                break
        self._dispatcher.start(self._loop)
        # Last: the application's code runs here, and may raise what ends the loop.
        for record in records:
            log(record)
            record.done()

    def _complete(self, key: int, outcome: Answer | bytes | NativeFailure) -> None:
        completion = self._completions.pop(key, None)
        if completion is None:
            return
        try:
            completion.complete(outcome)
        except Exception:  # the loop of its task is over
            report("a completion was not handed out")


def _ring(bell: Bell, rung: asyncio.Future[None]) -> None:
    bell.take()
    if not rung.done():
        rung.set_result(None)


def _result(completion: Completion, request: RawRequest, pending: Pending) -> Answer:
    try:
        answer = completion.result()
        assert not isinstance(answer, bytes)
        return answer
    except GivenUp:
        error = unknown("the client was closed during the call", request, pending.ledger_id())
    raise error from error.__cause__


def _readable(reference: weakref.ref[AsyncClient]) -> None:
    """Called by the loop. Does not keep the client, so that a forgotten one can go."""
    client = reference()
    if client is not None:
        client._drain(client._queue)
