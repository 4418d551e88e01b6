"""How handlers are called: one after the other, on the event thread of a blocking client."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import logging
import threading
import weakref
from collections import deque
from collections.abc import Awaitable
from typing import TYPE_CHECKING, NamedTuple

from ._events import DROPPED, EVENTS, LEVEL, LOG, MESSAGE, REQUIRED, Event, Handler, event_of
from ._exceptions import InvalidArgumentError, of_kind
from ._green import Wait, next_item, waiting_in_thread
from ._log import report, say
from ._loops import running_loop
from ._threads import LibraryThread

if TYPE_CHECKING:
    from ._native import Item, Queue

__all__: list[str] = []

WOULD_DEADLOCK = "this would wait for the handler of EndpointSwitchRequired that it is called from"
_LEVELS = {1: logging.ERROR, 2: logging.WARNING, 3: logging.INFO, 4: logging.DEBUG}


class Registered(NamedTuple):
    handler: Handler
    loop: asyncio.AbstractEventLoop | None
    """The event loop that it was registered from."""


class Handlers:
    """The handlers of a client. Readers take a snapshot, so that a handler may remove itself."""

    def __init__(self) -> None:
        self._by_kind: dict[int, tuple[Registered, ...]] = dict.fromkeys(EVENTS, ())
        self.lock = threading.Lock()

    def add(self, kind: int, handler: Handler) -> None:
        self._by_kind[kind] += (Registered(handler, running_loop()),)

    def remove(self, handler: Handler) -> bool:
        kept = {kind: tuple(r for r in rs if r.handler != handler) for kind, rs in self._by_kind.items()}
        found = kept != self._by_kind
        self._by_kind = kept
        return found

    def of(self, kind: int) -> tuple[Registered, ...]:
        return self._by_kind.get(kind, ())

    def mask(self) -> int:
        """The events to subscribe to. Log records always: they go to `logging`."""
        return 1 << LOG | sum(1 << kind for kind, registered in self._by_kind.items() if registered)


def check_handler(handler: Handler) -> None:
    if not callable(handler):
        raise TypeError(f"a handler is callable, not {type(handler).__name__}")


def check_loop(handler: Handler) -> None:
    """A blocking client has no event loop of its own."""
    if inspect.iscoroutinefunction(handler) and running_loop() is None:
        raise InvalidArgumentError(
            "a coroutine handler is registered from the event loop that it is to run on", kind="invalid_argument"
        )


def log_dropped(item: Item) -> None:
    """Says how many items did not come before this one."""
    dropped = item.number(DROPPED)
    if dropped:
        say(logging.WARNING, "%d log records or events were dropped before this one", dropped)


def log(item: Item) -> None:
    log_dropped(item)
    say(_LEVELS.get(item.number(LEVEL) or 0, logging.INFO), "%s", item.text(MESSAGE))


def log_failure(handler: Handler, event: Event, error: BaseException) -> None:
    say(logging.ERROR, "%s: handler %r failed", event.name, handler, cause=error)


class Dispatcher:
    """Calls a blocking client's handlers: on the event thread, or, for log records without one, after a call."""

    def __init__(self, queue: Queue, handlers: Handlers, patience: float) -> None:
        self._queue = queue
        self._handlers = handlers
        self._patience = patience
        self._draining = threading.Lock()
        """Held while log records are handed out. One of them may lead to a call, and that back to here."""
        self.left: deque[Item] = deque()
        """What an interruption leaves is for the next call."""
        self._entrance = threading.Lock()
        self._silent = False
        self._running = False
        self._deciding: int | None = None
        """The thread that is in a handler of EndpointSwitchRequired."""
        self.thread: LibraryThread | None = None

    def start(self) -> None:
        """Makes the event thread, if there is none. Under the handlers' lock."""
        if self.thread is None:
            # A call that ends meanwhile must not take what the thread is to have.
            self._queue.leave_to_thread()
            args = (self._queue, weakref.ref(self), waiting_in_thread())
            thread = LibraryThread("d365_failover-events", _pump, *args)
            thread.start()
            self.thread = thread

    def drain(self, taken: list[Item] | None = None) -> None:
        """Hands out what is there, after what was taken from there, unless the event thread does that."""
        if taken is not None:
            self.left.extend(taken)
        items = self._queue.take()
        if items is not None:
            self.left.extend(items)
        while self.left and self._draining.acquire(blocking=False):
            try:
                while self.left:
                    try:
                        self.dispatch(self.left.popleft())
                    except Exception:
                        report("an event was not handed out")
            finally:
                self._draining.release()

    def dispatch(self, item: Item) -> None:
        try:
            if item.kind == LOG:
                log(item)
                return
            event = event_of(item)
            for registered in self._handlers.of(item.kind):
                with self._entrance:
                    if self._silent:
                        return
                    self._running = True
                self._deciding = threading.get_ident() if item.kind == REQUIRED else None
                try:
                    result = registered.handler(event)
                    if inspect.isawaitable(result):
                        self._finish(result, registered.loop)
                except BaseException as error:  # the thread belongs to the client: not even SystemExit ends it
                    log_failure(registered.handler, event, error)
                finally:
                    self._running = False
                    self._deciding = None
            log_dropped(item)
        finally:
            item.done()

    def refuse_while_deciding(self) -> None:
        """For calls that another thread sends: where this one sends itself, the library knows."""
        if self._deciding == threading.get_ident():
            raise of_kind("would_deadlock", WOULD_DEADLOCK)

    def silence(self) -> bool:
        """No handler starts from now on. Whether one is running."""
        with self._entrance:
            self._silent = True
            return self._running

    def _finish(self, result: Awaitable[object], loop: asyncio.AbstractEventLoop | None) -> None:
        if loop is None or loop.is_closed():
            if inspect.iscoroutine(result):
                result.close()
            raise RuntimeError("its event loop is closed" if loop else "it was not registered from an event loop")
        future = asyncio.run_coroutine_threadsafe(awaited(result), loop)
        try:
            # No call waits for it longer, and a loop that is itself blocked by a call would hold the thread for ever.
            future.result(self._patience)
        except BaseException:
            future.cancel()
            raise


async def awaited(result: Awaitable[object]) -> object:
    return await result


class Elsewhere:
    """A handler's run on another loop than the client's."""

    def __init__(self, handler: Handler, event: Event, loop: asyncio.AbstractEventLoop) -> None:
        self._handler = handler
        self._event = event
        self._loop = loop
        self.outcome: concurrent.futures.Future[object] = concurrent.futures.Future()
        """Cancelled, it cancels the handler, or lets it not start."""
        loop.call_soon_threadsafe(self._start)

    def _start(self) -> None:
        if self.outcome.cancelled():
            return
        task = self._loop.create_task(self._run())
        task.add_done_callback(self._ended)
        self.outcome.add_done_callback(lambda outcome: self._cancel(task) if outcome.cancelled() else None)

    async def _run(self) -> None:
        result = self._handler(self._event)
        if inspect.isawaitable(result):
            await result

    def _cancel(self, task: asyncio.Task[None]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(task.cancel)

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = RuntimeError("it was cancelled") if task.cancelled() else task.exception()
        if not self.outcome.set_running_or_notify_cancel():
            return
        if error is None:
            self.outcome.set_result(None)
        else:
            self.outcome.set_exception(error)


def _pump(queue: Queue, reference: weakref.ref[Dispatcher], wait: Wait | None) -> None:
    """The event thread. Holds no client while it waits, so that a forgotten one can go."""
    while (item := next_item(queue, wait)) is not None:
        dispatcher = reference()
        if dispatcher is not None:
            try:
                dispatcher.dispatch(item)
            except BaseException:  # the thread belongs to the client: not even SystemExit ends it
                report("an event was not handed out")
        item.done()
        del dispatcher, item
