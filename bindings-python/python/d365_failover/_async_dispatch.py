"""How an `AsyncClient` calls handlers: one after the other, on its event loop."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
from collections import deque
from typing import TYPE_CHECKING

from ._dispatch import WOULD_DEADLOCK, Elsewhere, Handlers, Registered, awaited, log_dropped, log_failure
from ._events import PROCEED, REQUIRED, Event, event_of
from ._exceptions import of_kind
from ._log import report
from ._native import NativeFailure

if TYPE_CHECKING:
    from ._native import Item

__all__: list[str] = []


class _Handled:
    """An event whose handlers are running. Tasks that a handler leaves behind see that it is over."""

    def __init__(self, dispatcher: AsyncDispatcher, kind: int) -> None:
        self.dispatcher = dispatcher
        self.kind = kind
        self.is_over = False
        self.waits = False
        """Whether one of them has begun to wait for a call, which may wait for a decision."""


_handled: contextvars.ContextVar[_Handled | None] = contextvars.ContextVar("d365_failover_handled", default=None)
"""Whose handler this is, if it is one."""


class AsyncDispatcher:
    def __init__(self, handlers: Handlers, patience: float) -> None:
        self._handlers = handlers
        self._patience = patience
        self._backlog: deque[Item] = deque()
        self._silent = False
        self._current: _Handled | None = None
        self.worker: asyncio.Task[None] | None = None
        """Calls handlers, as long as there are events."""

    def add(self, item: Item) -> None:
        self._backlog.append(item)
        if self._current is not None and self._current.waits:
            _decide(item)

    def start(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Begins with what was added, unless that is going on."""
        if self._backlog and self.worker is None and loop is not None:
            self.worker = loop.create_task(self._work())

    def silence(self) -> None:
        """No handler starts from now on."""
        self._silent = True

    def begin_waiting(self) -> None:
        """For what waits for the library. A handler of EndpointSwitchRequired is refused; while another one waits,
        decisions take their default, because no handler of theirs can be asked before."""
        if _handled.get() is None or (handled := self._handled()) is None:
            return
        if handled.kind == REQUIRED:
            raise of_kind("would_deadlock", WOULD_DEADLOCK)
        handled.waits = True
        for item in self._backlog:
            _decide(item)

    def is_handler(self) -> bool:
        """Whether it is a handler that asks."""
        return self._handled() is not None

    def _handled(self) -> _Handled | None:
        handled = _handled.get()
        return handled if handled is not None and handled.dispatcher is self and not handled.is_over else None

    async def _work(self) -> None:
        try:
            while self._backlog:
                try:
                    await self._dispatch(self._backlog.popleft())
                except Exception:
                    report("an event was not handed out")
        finally:
            self.worker = None

    async def _dispatch(self, item: Item) -> None:
        self._current = handled = _Handled(self, item.kind)
        token = _handled.set(handled)
        try:
            event = event_of(item)
            for registered in self._handlers.of(item.kind):
                if self._silent:
                    return
                try:
                    await self._call_handler(registered, event)
                except Exception as error:
                    log_failure(registered.handler, event, error)
            log_dropped(item)
        finally:
            self._current = None
            handled.is_over = True
            _handled.reset(token)
            item.done()

    async def _call_handler(self, registered: Registered, event: Event) -> None:
        running = asyncio.get_running_loop()
        patience: float | None = None
        if registered.loop is None or registered.loop is running:
            result = registered.handler(event)
            if not inspect.isawaitable(result):
                return
            task: asyncio.Future[object] = running.create_task(awaited(result))
        else:
            # That loop may be stopped, and never run again.
            patience = self._patience
            task = asyncio.wrap_future(Elsewhere(registered.handler, event, registered.loop).outcome)
        try:
            # Not awaited itself: a handler that was cancelled is the handler's failure, and does not end the worker.
            await asyncio.wait({task}, timeout=patience)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not task.done():
            task.cancel()
            raise TimeoutError("its event loop did not finish it within handler_timeout")
        if task.cancelled():
            raise RuntimeError("it was cancelled")
        task.result()


def _decide(item: Item) -> None:
    if item.kind == REQUIRED:
        with contextlib.suppress(NativeFailure):  # decided before
            item.reply(PROCEED)
