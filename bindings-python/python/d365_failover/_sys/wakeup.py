"""How an event loop is woken by what the library has for it.

Most loops wait for a descriptor. Windows has none for this, and its usual loop could not wait for one: there a thread
waits, and tells the loop. So it does wherever a loop has no `add_reader`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable
from queue import SimpleQueue
from typing import Protocol

from .._loops import running_loop
from .._native import Bell, NativeFailure
from .._threads import LibraryThread

__all__: list[str] = []


class Source(Protocol):
    """What has something for the loop, or not: a `Bell`, a `Queue`."""

    def descriptor(self) -> int | None: ...
    def wait_or(self, other: Bell, /) -> bool: ...


class Wakeup(Protocol):
    """Keeps its source."""

    def cancel(self) -> None:
        """On the loop. Afterwards nothing is called."""

    def forget(self) -> None:
        """The same from anywhere, soon."""


def wake(loop: asyncio.AbstractEventLoop, source: Source, call: Callable[[], object]) -> Wakeup:
    """Has the running `loop` call `call`, again and again while the source has something."""
    descriptor = source.descriptor()
    if descriptor is not None:
        with contextlib.suppress(NotImplementedError):
            return _Reader(loop, source, descriptor, call)
    return _Watch(loop, source, call)


class _Reader:
    def __init__(
        self, loop: asyncio.AbstractEventLoop, source: Source, descriptor: int, call: Callable[[], object]
    ) -> None:
        loop.add_reader(descriptor, call)
        self._loop = loop
        self._descriptor = descriptor
        self._source = source
        """The descriptor stays open until the loop has forgotten it."""

    def cancel(self) -> None:
        if not self._loop.is_closed() and running_loop() is self._loop:
            self._loop.remove_reader(self._descriptor)

    def forget(self) -> None:
        if not self._loop.is_closed():
            with contextlib.suppress(RuntimeError):  # closed just now
                self._loop.call_soon_threadsafe(self.cancel)


class _Watch:
    def __init__(self, loop: asyncio.AbstractEventLoop, source: Source, call: Callable[[], object]) -> None:
        self._over = Bell()
        self._turns: SimpleQueue[bool] = SimpleQueue()
        """Whether to go on: one when the loop has had its turn, and one when all is over."""
        self._is_over = False
        turn = functools.partial(self._turn, call)
        LibraryThread("d365_failover-wakeup", _watch, loop, source, self._over, self._turns, turn).start()

    def _turn(self, call: Callable[[], object]) -> None:
        if self._is_over:
            return
        try:
            call()
        finally:
            self._turns.put(True)

    def cancel(self) -> None:
        self._is_over = True
        self._over.ring(0)
        self._turns.put(False)

    forget = cancel


def _watch(
    loop: asyncio.AbstractEventLoop,
    source: Source,
    over: Bell,
    turns: SimpleQueue[bool],
    turn: Callable[[], object],
) -> None:
    """The thread. What it calls does not keep the client, so that a forgotten one can go."""
    # Not waited for any more: the interpreter is about to end, or the loop is closed.
    with contextlib.suppress(NativeFailure, RuntimeError):
        while source.wait_or(over):
            loop.call_soon_threadsafe(turn)
            if not turns.get():
                return
