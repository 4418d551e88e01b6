"""Both clients, so that a test is written once: `subject.do(lambda client: client.get(url))`."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from d365_failover import AsyncClient, Client
from scripted import Scripted
from twin import Organization

PATIENCE = 60
"""Seconds after which something is taken for hanging."""

Call = Callable[[Any], Any]
Do = Callable[[Call], Awaitable[Any]]


class _Subject:
    def do(self, call: Call) -> Any:
        raise NotImplementedError

    def call(self, method: str, *args: Any, **keywords: Any) -> Any:
        return self.do(lambda client: getattr(client, method)(*args, **keywords))


class Blocking(_Subject):
    """A `Client`. Handlers run on its event thread."""

    def __init__(self, org: Organization | Scripted, **settings: Any) -> None:
        self.client: Client | AsyncClient = org.client(**settings)

    def __enter__(self) -> Blocking:
        return self

    def __exit__(self, *_: object) -> None:
        self.do(lambda client: client.close())
        thread = getattr(self.client, "_dispatcher").thread  # noqa: B009
        if thread is not None:
            thread.join(PATIENCE)
            assert not thread.is_alive()

    def do(self, call: Call) -> Any:
        return call(self.client)

    def block(self, until: threading.Event) -> object:
        """What a handler hangs in."""
        return until.wait(PATIENCE)

    def handler(self, work: Callable[[Any, Do], Coroutine[Any, Any, None]]) -> Callable[[Any], object]:
        """A handler that does `work(event, do)`. What it awaits is only `do`."""

        async def do(call: Call) -> Any:
            return self.do(call)

        def handler(event: Any) -> None:
            try:
                work(event, do).send(None)
            except StopIteration:
                return
            raise AssertionError("it awaits something else")

        return handler


class OnLoop(_Subject):
    """An `AsyncClient` on an event loop of its own thread. Handlers are coroutines."""

    def __init__(self, org: Organization | Scripted, **settings: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.client: Client | AsyncClient = org.async_client(**settings)

    def __enter__(self) -> OnLoop:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.do(lambda client: client.close())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(PATIENCE)
            assert not self._thread.is_alive()
            self._loop.close()

    async def _do(self, call: Call) -> Any:
        result = call(self.client)
        return await result if inspect.isawaitable(result) else result

    def do(self, call: Call) -> Any:
        return asyncio.run_coroutine_threadsafe(self._do(call), self._loop).result(PATIENCE)

    def block(self, until: threading.Event) -> Awaitable[object]:
        return asyncio.to_thread(until.wait, PATIENCE)

    def handler(self, work: Callable[[Any, Do], Coroutine[Any, Any, None]]) -> Callable[[Any], object]:
        async def handler(event: Any) -> None:
            await work(event, self._do)

        return handler


Subject = Blocking | OnLoop
Subjects = Callable[..., Subject]
