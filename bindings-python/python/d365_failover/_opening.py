"""A client that is opened on a thread, while an event loop goes on."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import functools
import os
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from ._exceptions import FailoverError, of_kind
from ._threads import LibraryThread

if TYPE_CHECKING:
    from ._native import Client

__all__: list[str] = []


class Opening:
    """Stands in for the native client until there is one. Who uses it so waits; an event loop awaits it before."""

    def __init__(self) -> None:
        self._made: Future[Client] = Future()
        self._process = os.getpid()

    def begin(self, work: Callable[[], Client]) -> None:
        LibraryThread("d365_failover-opening", self._open, work).start()

    def _open(self, work: Callable[[], Client]) -> None:
        try:
            made = work()
        except BaseException as error:
            self._made.set_exception(error)
        else:
            self._made.set_result(made)

    @property
    def forked(self) -> bool:
        return self._process != os.getpid()

    def subscribe(self, mask: int) -> None:
        """Who opens it subscribes to all that there are handlers for by then."""

    def done(self) -> Client:
        """The client. Waits for it, and raises what it could not be opened for."""
        if self.forked:
            raise of_kind("forked")
        try:
            return self._made.result()
        except FailoverError as error:
            # Each who asks has an error of his own, to which what is known of a call is added.
            raise copy.copy(error) from error.__cause__

    async def over(self) -> None:
        """As `done`, while the loop goes on."""
        loop = asyncio.get_running_loop()
        rung: asyncio.Future[None] = loop.create_future()
        if not self.forked:
            self.then(functools.partial(_ring, loop, rung))
            await rung
        self.done()

    def then(self, function: Callable[[], object]) -> None:
        """Has it called when there is a client, or none: at once, or on the thread that opens it."""
        self._made.add_done_callback(lambda _: function())

    @property
    def endpoint_auto_switch_enabled(self) -> bool:
        return self.done().endpoint_auto_switch_enabled

    @endpoint_auto_switch_enabled.setter
    def endpoint_auto_switch_enabled(self, enabled: bool) -> None:
        self.done().endpoint_auto_switch_enabled = enabled

    def __getattr__(self, name: str) -> Any:
        return getattr(self.done(), name)


def _ring(loop: asyncio.AbstractEventLoop, rung: asyncio.Future[None]) -> None:
    with contextlib.suppress(RuntimeError):  # it is closed, and nobody waits
        loop.call_soon_threadsafe(lambda: None if rung.done() else rung.set_result(None))
