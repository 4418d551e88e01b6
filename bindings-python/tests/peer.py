"""A server of one script, asked by two clients for comparison: what it was asked is on record."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import pytest
from scripted import end_accepting

HOST = "contoso.crm.script.test"
URL = f"http://{HOST}"


@dataclass
class Asked:
    """A request as it came."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes
    chunks: list[bytes] = field(default_factory=list)
    """Of a body in chunks: what they were."""

    def of(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]


Script = Callable[[Asked, socket.socket], object]
"""Answers a request. What is no `None` is sent; `CUT` ends the connection."""

CUT = object()


class Peer:
    """Plays one script for all requests until the block ends."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.asked: list[Asked] = []
        self.over = threading.Event()
        """Set when the clients are done: what a script waits for that is never to answer."""
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._accept)

    def __enter__(self) -> Peer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        end_accepting(self._listener, self._thread)
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(60)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                break
            with self._lock:
                self._open.add(connection)
            self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream, contextlib.suppress(OSError, ValueError):
            try:
                while (asked := _read(stream)) is not None:
                    with self._lock:
                        self.asked.append(asked)
                    answer = self._script(asked, connection)
                    if answer is CUT:
                        return
                    if answer is not None:
                        assert isinstance(answer, bytes)
                        connection.sendall(answer)
            finally:
                with self._lock:
                    self._open.discard(connection)


def _read(stream: BinaryIO) -> Asked | None:
    line = stream.readline()
    if not line:
        return None
    headers = []
    while (header := stream.readline().decode("latin-1").rstrip("\r\n")) != "":
        name, _, value = header.partition(":")
        headers.append((name.lower(), value.strip()))
    asked = Asked(line.decode("latin-1").strip(), headers, b"")
    if "chunked" in asked.of("transfer-encoding"):
        while size := int(stream.readline(), 16):
            asked.chunks.append(stream.read(size))
            stream.readline()
        stream.readline()
        asked.body = b"".join(asked.chunks)
    else:
        asked.body = stream.read(sum(map(int, asked.of("content-length"))))
    return asked


def answer(status: str = "200 OK", *headers: str, body: bytes = b"", length: bool = True) -> bytes:
    """An answer's bytes."""
    lines = [f"HTTP/1.1 {status}", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def chunked(*chunks: bytes, status: str = "200 OK", headers: tuple[str, ...] = ()) -> bytes:
    head = answer(status, *headers, "Transfer-Encoding: chunked", length=False)
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))


@contextlib.contextmanager
def found(monkeypatch: pytest.MonkeyPatch, ports: dict[tuple[str, int], int]) -> Iterator[None]:
    """Has urllib3 find hosts at ports of this machine, as `connect_to` has ours."""
    from urllib3.util import connection

    connect = connection.create_connection

    def create_connection(address: tuple[str, int], *args: Any, **kwargs: Any) -> socket.socket:
        port = ports.get(address)
        return connect(address if port is None else ("127.0.0.1", port), *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(connection, "create_connection", create_connection)
        yield
