"""A connection that another thread can end at any moment, with a reset and without a farewell of TLS."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import struct
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from ._http import Gone

# Winsock's structure has shorts.
_AT_ONCE = struct.pack("hh" if hasattr(socket, "SIO_RCVALL") else "ii", 1, 0)
_HANDSHAKE_TIME = 30.0

T = TypeVar("T")


class Secured(ssl.SSLSocket):
    """One that is closed where its peer has gone before it was made. `ssl` leaves it to the collector."""

    def getpeername(self) -> Any:
        try:
            return super().getpeername()
        except OSError:
            self.close()
            raise


class Channel:
    """Of one thread, but for `end`."""

    def __init__(self, accepted: socket.socket, context: ssl.SSLContext) -> None:
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        accepted.setblocking(False)
        self._tls = context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
        self._wake, self._waker = socket.socketpair()
        self._waker.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._selector.register(self._tls, selectors.EVENT_READ)

    def end(self) -> None:
        """Wakes its thread, whatever that waits for, which then gets `Gone`."""
        with contextlib.suppress(OSError):
            self._waker.send(b"!")

    def secure(self) -> None:
        self._do(self._tls.do_handshake, _HANDSHAKE_TIME)

    def read(self, count: int) -> bytes:
        return self._do(lambda: self._tls.recv(count))

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._do(partial(self._tls.send, rest)) :]

    def reset(self) -> None:
        """Closes it, and its peer is told by a reset."""
        with contextlib.suppress(OSError):
            self._tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self.close()

    def close(self) -> None:
        self._selector.close()
        for one in (self._tls, self._wake, self._waker):
            with contextlib.suppress(OSError):
                one.close()

    def _do(self, attempt: Callable[[], T], timeout: float | None = None) -> T:
        while True:
            try:
                return attempt()
            except ssl.SSLWantReadError:
                wanted = selectors.EVENT_READ
            except ssl.SSLWantWriteError:
                wanted = selectors.EVENT_WRITE
            self._selector.modify(self._tls, wanted)
            ready = self._selector.select(timeout)
            if not ready or any(key.fileobj is self._wake for key, _ in ready):
                raise Gone
