"""How an asyncio client's calls go: they are submitted, and the queue wakes the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import time
import weakref
from collections.abc import Awaitable, Coroutine
from typing import TYPE_CHECKING, Any

from . import _lifecycle
from ._async_dispatch import AsyncDispatcher
from ._base import CLOSE_TIMEOUT, LAST_EVENTS, BaseClient
from ._body import AsyncSource
from ._completion import Completion, GivenUp
from ._dispatch import log
from ._events import LOG, Handler
from ._exceptions import FailoverError, asked_with, completed, of_failure, of_kind, raising
from ._green import waiting
from ._log import report
from ._loops import needed_loop, running_loop
from ._native import Bell, NativeFailure
from ._opening import Opening
from ._request import milliseconds, wrongly_typed
from ._sys.wakeup import Wakeup, wake
from ._threads import Threads
from ._work import AsyncWork, Turns, is_working, unknown, unsent

if TYPE_CHECKING:
    from ._native import Answer, Item, Pending, Queue, Stream
    from ._types import Brought, RawRequest

__all__: list[str] = []

_GRACE = 2.0
"""Seconds that a close waits for the completions of what it has cancelled."""

_BODIES = 32
"""Files and plain iterables that are read at once; a thread each, while there are so many."""

_CALLS = 64
"""Calls at once that need the application's code, a body or a hook: the library has a thread for each."""

_BATCH = 256
"""Items that are taken before other callbacks of the loop get their turn."""


class AsyncCalls(BaseClient):
    """Sends, hears and closes."""

    _awaits = True

    def __init__(self, url: str, settings: dict[str, Any]) -> None:
        super().__init__(url, settings)
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

    def __del__(self) -> None:
        wakeup = self.__dict__.get("_wakeup")
        if wakeup is not None and not self._closed:
            wakeup.forget()
        super().__del__()

    def _send(self, request: RawRequest, source: AsyncSource | None) -> Coroutine[Any, Any, Answer]:
        """Is awaited at once."""
        # Each coroutine within another costs a call twice: when it begins to wait, and when it goes on.
        try:
            self._dispatcher.begin_waiting()
            if self._tokens is not None:
                self._refuse_in_provider()
            loop = needed_loop()
            if loop is not self._loop:
                if self._opening is not None:
                    return self._send_when_open(request, source)
                self._attached()
        except FailoverError as refused:
            unsent(refused, request)
            raise
        if source is None and self._hook is None:
            return self._call(loop, request)
        return self._work(loop, request, source)

    async def _send_when_open(self, request: RawRequest, source: AsyncSource | None) -> Answer:
        late = "the call's time was over before the client was open"
        try:
            request = await self._within(self._opened(), request, late)
        except FailoverError as refused:
            unsent(refused, request)
            raise
        return await self._send(request, source)

    async def _work(self, loop: asyncio.AbstractEventLoop, request: RawRequest, source: AsyncSource | None) -> Answer:
        """A call that needs the application's code."""
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
            if isinstance(error, TypeError) and (wrong := wrongly_typed(request)) is not None:
                raise wrong from None
            asked_with(error, request)
            raise
        finally:
            lanes.release()

    def _is_opened_beside(self, settings: dict[str, Any]) -> bool:
        """A store is a file, which another process may hold: an event loop goes on meanwhile."""
        return settings.get("store") is not None and running_loop() is not None and waiting() is None

    async def _opened(self) -> None:
        """Until it is open."""
        opening = self._opening
        if opening is not None:
            await opening.over()
            self._opening = None

    async def _opened_or_nobodys(self) -> None:
        """The same, where nobody has it yet who could close it."""
        opening = self._opening
        try:
            await self._opened()
        except asyncio.CancelledError:
            if opening is not None:
                # A thread is not to be stopped.
                opening.then(self._abandon_what_is_open)
            raise

    def _abandon_what_is_open(self) -> None:
        if not self._closed:
            self._abandon()

    async def _lane(self, lanes: asyncio.Semaphore, request: RawRequest) -> RawRequest:
        """Waits for its turn, within the call's time. The request, with what is left of that."""
        if not lanes.locked():
            await lanes.acquire()
            return request
        return await self._within(lanes.acquire(), request, "the call's time was over before a thread was free for it")

    async def _within(self, waiting: Awaitable[object], request: RawRequest, why: str) -> RawRequest:
        """Waits within the call's time. The request, with what is left of that."""
        begin = time.monotonic()
        whole = self._deadline if request[4] is None else request[4] / 1000
        try:
            await asyncio.wait_for(waiting, whole)
        except FailoverError:
            raise
        except asyncio.TimeoutError:
            raise unsent(of_kind("timeout", why), request) from None
        except asyncio.CancelledError as cancelled:
            cancelled.__cause__ = unsent(of_kind("cancelled", "the call was cancelled before it was sent"), request)
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
            if isinstance(error, TypeError) and (wrong := wrongly_typed(request)) is not None:
                raise wrong from None
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

    async def close(self, *, timeout: float = CLOSE_TIMEOUT) -> None:
        """Refuses new calls, waits at most `timeout` seconds for those in flight, and cancels the rest.

        Handlers hear first of what nobody may miss, such as which writes that left in doubt; where the time is over by
        then, they have as long again, at most 5 s. Afterwards no handler runs but the one that closes, or it raises
        `BusyError`: one is still running. Again, or in the child of a fork, it does nothing.
        """
        timeout_ms = milliseconds(timeout, "timeout", least=0)
        if self._closed or self._native.forked:
            return
        if timeout_ms:
            self._dispatcher.begin_waiting()
        end = time.monotonic() + timeout
        opening = self._opening
        if opening is not None:
            try:
                await asyncio.wait_for(self._opened(), timeout)
            except asyncio.TimeoutError:
                opening.then(self._abandon_what_is_open)
                return
            except Exception:
                return  # who could not be opened is closed
        try:
            self._attached()
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
            left = max(end - time.monotonic(), min(timeout, LAST_EVENTS))
            await asyncio.wait({worker}, timeout=left)
            if not worker.done():
                self._dispatcher.silence()
                raise of_kind("busy", "closed, but a handler is still running")

    def _prepare(self, handler: Handler) -> None:
        # A handler may come from another loop than the client's: then it runs there.
        loop = running_loop()
        if loop is not None and (self._loop is None or self._loop.is_closed()):
            if isinstance(self._native, Opening):
                self._native.then(functools.partial(_attach, weakref.ref(self), loop))
            else:
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

    async def _errand(self, what: str, *numbers: int) -> Brought:
        """Has one of the client's done, which goes on if who waits is cancelled.

        An executor would not take it any more once the main thread has ended.
        """
        loop = needed_loop()
        await self._opened()
        bell = Bell()
        errand = raising(self._native.errand)(what, numbers, bell)
        rung: asyncio.Future[None] = loop.create_future()
        wakeup = wake(loop, bell, functools.partial(_ring, bell, rung))
        try:
            await rung
        finally:
            wakeup.cancel()
        brought = raising(errand.poll)()
        assert brought is not None
        return brought

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
                    key, outcome = item
                    self._complete(key, outcome)
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


def _attach(reference: weakref.ref[AsyncCalls], loop: asyncio.AbstractEventLoop) -> None:
    """Has a client that is open now wake the loop that its handlers are to run on."""

    def attach() -> None:
        client = reference()
        if client is not None and client._loop is None and not client._closed:
            client._attached()

    with contextlib.suppress(RuntimeError):  # it is closed
        loop.call_soon_threadsafe(attach)


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


def _readable(reference: weakref.ref[AsyncCalls]) -> None:
    """Called by the loop. Does not keep the client, so that a forgotten one can go."""
    client = reference()
    if client is not None:
        client._drain(client._queue)
