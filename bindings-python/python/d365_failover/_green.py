"""Greenlets: how a program of gevent's or eventlet's waits for the library while the others go on.

What the library waits for has a descriptor, and both wait for those in their own way. Nothing else of either is used:
with `monkey.patch_all()` the library's own threads are greenlets of the application's. Where there is no descriptor
(Windows) a wait would hold up all greenlets, and no client opens.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias

from ._exceptions import of_kind
from ._native import Bell, NativeFailure

if TYPE_CHECKING:
    from ._native import Answer, Call, Client, Errand, Item, Job, Queue, Stream, TokenQueue, TokenRequest
    from ._sys.wakeup import Source
    from ._types import Brought, RawRequest

__all__: list[str] = []

Wait: TypeAlias = Callable[["Source"], object]
"""Until there is something."""


def waiting() -> Wait | None:
    """How a call waits. `None`: its thread is its own."""
    return _waiting("socket") or _waiting("thread")


def waiting_in_thread() -> Wait | None:
    """How a thread of the library's waits. `None`: it is one."""
    return _waiting("thread")


def check_waiting(queue: Queue) -> None:
    """Refuses a system on which greenlets could not wait."""
    if (waiting() or waiting_in_thread()) and queue.descriptor() is None:
        raise of_kind("not_available", "on this system a call would hold up the greenlets of gevent and eventlet")


def _waiting(patched: str) -> Wait | None:
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None and gevent.is_module_patched({"thread": "threading"}.get(patched, patched)):
        wait_read = import_module("gevent.socket").wait_read
        return lambda source: wait_read(source.descriptor())
    eventlet = sys.modules.get("eventlet.patcher")
    if eventlet is not None and eventlet.is_monkey_patched(patched):
        trampoline = import_module("eventlet.hubs").trampoline
        return lambda source: trampoline(source.descriptor(), read=True)
    return None


class GreenCall:
    """A `Call` that is waited for so."""

    def __init__(self, client: Client, request: RawRequest, wait: Wait) -> None:
        self._bell = Bell()
        self._wait = wait
        self._call: Call = client.begin(request, self._bell, 0)

    def next(self, check: bool) -> Job | Answer:
        while (turn := self._call.poll()) is None:
            self._wait(self._bell)
            self._bell.take()
        return turn

    def cancel(self) -> None:
        self._call.cancel()


def do(client: Client, what: str, numbers: tuple[int, ...], wait: Wait) -> Brought:
    """As `Client.do`."""
    bell = Bell()
    return _brought(client.errand(what, numbers, bell), bell, wait)


def read(stream: Stream, most: int, wait: Wait) -> bytes:
    """As `Stream.read`; but one that is interrupted closes the stream, whose next bytes it has lost."""
    piece = stream.ready(most)
    if piece is not None:
        return piece
    bell = Bell()
    try:
        brought = _brought(stream.errand(most, bell), bell, wait)
    except NativeFailure:
        raise
    except BaseException:
        stream.close()
        raise
    assert isinstance(brought, bytes)
    return brought


def _brought(errand: Errand, bell: Bell, wait: Wait) -> Brought:
    while (brought := errand.poll()) is None:
        wait(bell)
        bell.take()
    return brought


def next_item(queue: Queue, wait: Wait | None) -> Item | None:
    """As `Queue.next`."""
    if wait is None:
        return queue.next()
    while True:
        items, closed = queue.drain(1)
        for item in items:
            assert not isinstance(item, tuple)  # this client submits nothing
            return item
        if closed:
            return None
        wait(queue)


def next_request(queue: TokenQueue, wait: Wait | None) -> TokenRequest | None:
    """As `TokenQueue.next`."""
    if wait is None:
        return queue.next()
    bell = Bell()
    queue.add_bell(bell)
    try:
        while True:
            request, closed = queue.poll()
            if request is not None or closed:
                return request
            wait(bell)
            bell.take()
    finally:
        queue.remove_bell(bell)
