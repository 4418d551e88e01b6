"""How an `AsyncClient` calls handlers: one after the other, on its event loop."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections import deque
from typing import TYPE_CHECKING

from ._events import (
    REQUIRED,
    WOULD_DEADLOCK,
    Elsewhere,
    EndpointSwitchEvent,
    Handlers,
    Registered,
    awaited,
    event_of,
    log_failure,
)
from ._exceptions import of_kind
from ._log import report

if TYPE_CHECKING:
    from ._native import Item

__all__: list[str] = []


class _Decision:
    """A decision that is being made. Tasks that a handler leaves behind see that it is over."""

    def __init__(self, dispatcher: AsyncDispatcher) -> None:
        self.dispatcher = dispatcher
        self.open = True


_deciding: contextvars.ContextVar[_Decision | None] = contextvars.ContextVar("d365_failover_deciding", default=None)


class AsyncDispatcher:
    def __init__(self, handlers: Handlers, patience: float) -> None:
        self._handlers = handlers
        self._patience = patience
        self._backlog: deque[Item] = deque()
        self._silent = False
        self.worker: asyncio.Task[None] | None = None
        """Calls handlers, as long as there are events."""

    def add(self, item: Item) -> None:
        self._backlog.append(item)

    def start(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Begins with what was added, unless that is going on."""
        if self._backlog and self.worker is None and loop is not None:
            self.worker = loop.create_task(self._work())

    def silence(self) -> None:
        """No handler starts from now on."""
        self._silent = True

    def refuse_while_deciding(self) -> None:
        decision = _deciding.get()
        if decision is not None and decision.open and decision.dispatcher is self:
            raise of_kind("would_deadlock", WOULD_DEADLOCK)

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
        decision = _Decision(self) if item.kind == REQUIRED else None
        token = _deciding.set(decision)
        try:
            event = event_of(item)
            for registered in self._handlers.of(item.kind):
                if self._silent:
                    return
                try:
                    await self._call_handler(registered, event)
                except Exception as error:
                    log_failure(registered.handler, event, error)
        finally:
            if decision is not None:
                decision.open = False
            _deciding.reset(token)
            item.done()

    async def _call_handler(self, registered: Registered, event: EndpointSwitchEvent) -> None:
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
