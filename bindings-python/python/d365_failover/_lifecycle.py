"""Exit and fork."""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING

from . import _native
from ._exceptions import of_kind

if TYPE_CHECKING:
    from ._base import BaseClient

_PATIENCE = 2.0
"""Seconds that an exit waits for threads of clients that nobody closed."""

_open: weakref.WeakSet[BaseClient] = weakref.WeakSet()
_lock = threading.RLock()


_is_over = False
"""Whether exit has closed the clients. What `atexit` runs then was registered before this module."""


def check_may_open() -> None:
    if _is_over:
        raise of_kind("closed", "the interpreter is about to end, and no client opens any more")


def opened(client: BaseClient) -> None:
    with _lock:
        _open.add(client)


def closed(client: BaseClient) -> None:
    with _lock:
        _open.discard(client)


def _at_exit() -> None:
    global _is_over
    _is_over = True
    end = time.monotonic() + _PATIENCE
    with _lock:
        clients = [client for client in _open if not client._native.forked]
    for client in clients:
        client._abandon()
    for client in clients:
        for thread in client._threads():
            thread.join(max(0.0, end - time.monotonic()))
    _native.settle(max(0, int((end - time.monotonic()) * 1000)))


def _tell_main_thread() -> None:
    _native.set_main_thread(threading.main_thread().ident or 0)


def _after_fork() -> None:
    global _lock, _open
    _lock, _open = threading.RLock(), weakref.WeakSet()
    _tell_main_thread()


_tell_main_thread()
atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_native.before_fork, after_in_child=_after_fork)
