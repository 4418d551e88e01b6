"""A server whose behaviour is told by the path, for a library's stock transport and ours side by side."""

from __future__ import annotations

import gzip
import hashlib
import json
import socket
import struct
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from scripted import end_accepting

HOST = "contoso.crm.parity.test"
BODY = b"".join(b"line %d of the body\n" % number for number in range(2000))
TEXT = "Größe: 5 €\nzweite\r\ndritte"


@dataclass(frozen=True)
class Asked:
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes


def answer(head: bytes, body: bytes = b"", *, status: bytes = b"200 OK") -> bytes:
    lines = [line for line in head.split(b"\n") if line]
    if not any(line.lower().startswith((b"content-length", b"transfer-encoding")) for line in lines):
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join((b"HTTP/1.1 " + status, *lines, b"", b"")) + body


def in_chunks(body: bytes, size: int = 1000) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def without_header(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


def brotli(body: bytes) -> bytes:
    import brotli as library  # type: ignore[import-untyped]

    return bytes(library.compress(body))


_JSON = b"Content-Type: application/json\nOData-Version: 4.0"
_PLAIN = b"Content-Type: text/plain; charset=utf-8"
_CHUNKED = b"Transfer-Encoding: chunked"

ANSWERS: dict[str, bytes | Callable[[], bytes]] = {
    "/json": answer(_JSON, b'{"value":[1,2,3]}'),
    "/text": answer(_PLAIN, TEXT.encode()),
    "/latin": answer(b"Content-Type: text/plain; charset=iso-8859-1", "Größe".encode("latin-1")),
    "/no-type": answer(b"", b"plain"),
    "/lines": answer(_PLAIN, BODY),
    "/empty": answer(_PLAIN),
    "/chunked": answer(_CHUNKED, in_chunks(BODY)),
    "/chunked-trailer": answer(_CHUNKED, b"3\r\nabc\r\n0\r\nX-Trailer: t\r\n\r\n"),
    "/chunk-extension": answer(_CHUNKED, b"3;name=value\r\nabc\r\n0\r\n\r\n"),
    "/gzip": lambda: answer(_PLAIN + b"\nContent-Encoding: gzip", gzip.compress(BODY, mtime=0)),
    "/gzip-chunked": lambda: answer(b"Content-Encoding: gzip\n" + _CHUNKED, in_chunks(gzip.compress(BODY, mtime=0))),
    "/deflate": lambda: answer(b"Content-Encoding: deflate", zlib.compress(BODY)),
    "/raw-deflate": lambda: answer(b"Content-Encoding: deflate", without_header(BODY)),
    "/brotli": lambda: answer(b"Content-Encoding: br", brotli(BODY)),
    "/broken-gzip-of-a-write": answer(b"OData-Version: 4.0\nContent-Encoding: gzip", b"this is no gzip"),
    "/broken-gzip": answer(b"Content-Encoding: gzip", b"this is no gzip"),
    "/two-codings": lambda: answer(b"Content-Encoding: gzip\nContent-Encoding: identity", gzip.compress(BODY, mtime=0)),
    "/zstd": answer(b"Content-Encoding: zstd", b"this is no zstd"),
    "/unknown-coding": answer(b"Content-Encoding: rot13", b"abc"),
    "/identity": answer(b"Content-Encoding: identity", b"abc"),
    "/201": answer(_JSON + b"\nLocation: /json", b"{}", status=b"201 Created"),
    "/204": answer(b"OData-Version: 4.0\nContent-Length:", status=b"204 No Content").replace(
        b"Content-Length:\r\n", b""
    ),
    "/206": answer(b"Content-Range: bytes 0-2/10", b"abc", status=b"206 Partial Content"),
    "/304": answer(b'ETag: "1"', status=b"304 Not Modified").replace(b"Content-Length: 0\r\n", b""),
    "/400": answer(_JSON, b'{"error":{"code":"0x80040203","message":"bad"}}', status=b"400 Bad Request"),
    "/401": answer(_JSON + b"\nWWW-Authenticate: Bearer", b"{}", status=b"401 Unauthorized"),
    "/403": answer(_JSON, b"{}", status=b"403 Forbidden"),
    "/404": answer(_JSON, b'{"error":{"code":"0x80040217","message":"none"}}', status=b"404 Not Found"),
    "/404-bare": answer(b"", b"nothing here", status=b"404 Not Found"),
    "/410": answer(b"", status=b"410 Gone"),
    "/412": answer(_JSON, b"{}", status=b"412 Precondition Failed"),
    "/418": answer(b"", b"short and stout", status=b"418 I'm a teapot"),
    "/429": answer(b"Retry-After: 1", b"{}", status=b"429 Too Many Requests"),
    "/500": answer(_JSON, b'{"error":{"code":"0x80040216","message":"no"}}', status=b"500 Internal Server Error"),
    "/502": answer(b"", b"bad", status=b"502 Bad Gateway"),
    "/503": answer(b"", b"off", status=b"503 Service Unavailable"),
    "/504": answer(b"", b"late", status=b"504 Gateway Timeout"),
    "/599": answer(b"", b"?", status=b"599 Odd"),
    "/html": answer(b"Content-Type: text/html", b"<html>hello</html>"),
    "/own-reason": answer(b"", b"x", status=b"200 All Is Well"),
    "/no-reason": answer(b"", b"x", status=b"200 "),
    "/duplicates": answer(
        b"Set-Cookie: a=1; Path=/\nX-Two: one\nSet-Cookie: b=2; Path=/\nx-two: two\nLink: <a>\nLink: <b>"
    ),
    "/names": answer(b'X-UPPER: 1\nx-lower: 2\nX-MiXeD: 3\nETag: W/"5"'),
    "/utf8-header": answer("X-Name: Größe".encode()),
    "/latin-header": answer("X-Name: Größe".encode("latin-1")),
    "/empty-header": answer(b"X-Empty:\nX-Full: 1"),
    "/cookie": answer(b"Set-Cookie: session=abc; Path=/; HttpOnly"),
    "/cookie-off": answer(b"Set-Cookie: session=; Path=/; Max-Age=0"),
    "/301": answer(b"Location: /json", status=b"301 Moved Permanently"),
    "/302": answer(b"Location: /echo", status=b"302 Found"),
    "/303": answer(b"Location: /echo", status=b"303 See Other"),
    "/307": answer(b"Location: /echo", status=b"307 Temporary Redirect"),
    "/308": answer(b"Location: /echo", status=b"308 Permanent Redirect"),
    "/redirect-loop": answer(b"Location: /redirect-loop", status=b"302 Found"),
    "/redirect-away": answer(b"Location: ftp://other.example/", status=b"302 Found"),
    "/early": b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" + answer(_JSON, b"{}"),
    "/old": b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end",
    "/until-close": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end",
    "/no-http": b"220 ftp.example ready\r\n\r\n",
    "/bad-length": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nabc",
    "/two-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "/bad-chunk": answer(_CHUNKED, b"zz\r\nabc\r\n0\r\n\r\n"),
    "/huge-header": answer(b"X-Huge: " + b"x" * 200_000),
}

ENDS_BY_CLOSING = {"/old", "/until-close", "/no-http", "/bad-length", "/two-lengths", "/bad-chunk", "/huge-header"}

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"


class Peer:
    """The server. What each request was is in `asked`."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port: int = self._listener.getsockname()[1]
        self.asked: list[Asked] = []
        self.connections = 0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._is_asked = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def stock_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{HOST}"

    @property
    def settings(self) -> dict[str, Any]:
        """Of a client that does nothing of its own beside what it is asked for."""
        return {
            "connect_to": {f"{HOST}:80": f"127.0.0.1:{self.port}"},
            "auto_switch": False,
            "outage_wait": 0,
            "probe_after": 0,
            "max_attempts": 1,
            "service_mark": "any",
        }

    def wait(self) -> None:
        """Until a request has come."""
        assert self._is_asked.wait(60)

    def stop(self) -> None:
        self._is_over.set()
        end_accepting(self._listener, self._thread)
        with self._lock:
            for connection in self._open:
                connection.close()

    def _serve(self) -> None:
        while not self._is_over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open.add(connection)
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            try:
                while (asked := _read(stream, connection)) is not None:
                    self.asked.append(asked)
                    self._is_asked.set()
                    if not self._answer(connection, asked):
                        return
            except (OSError, ValueError):
                return
            finally:
                with self._lock:
                    self._open.discard(connection)

    def _answer(self, connection: socket.socket, asked: Asked) -> bool:
        """Whether the connection goes on."""
        parts = urlsplit(asked.target)
        path = parts.path
        found = ANSWERS.get(path)
        if found is not None:
            whole = found() if callable(found) else found
            if asked.method == "HEAD":
                whole = whole.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
            connection.sendall(whole)
            return path not in ENDS_BY_CLOSING
        if path.startswith("/echo"):
            told = {
                "method": asked.method,
                "target": asked.target,
                "headers": [pair for pair in asked.headers if pair[0].lower() != "host"],
                "length": len(asked.body),
                "sha256": hashlib.sha256(asked.body).hexdigest(),
            }
            connection.sendall(answer(_JSON, json.dumps(told).encode()))
            return True
        if path == "/large":
            size = int(parts.query)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            piece = bytes(range(256)) * 256
            for at in range(0, size, len(piece)):
                connection.sendall(piece[: size - at])
            return True
        if path == "/close":
            return False
        if path == "/reset":
            _reset(connection)
            return False
        if path == "/cut":
            connection.sendall(_HEAD + b"x" * 1000)
            return False
        if path == "/cut-error":
            connection.sendall(_HEAD.replace(b"200 OK", b"404 Not Found") + b"x" * 1000)
            return False
        if path == "/cut-chunk":
            connection.sendall(answer(_CHUNKED, b"ffff\r\nabc"))
            return False
        if path == "/reset-in-body":
            connection.sendall(_HEAD + b"x" * 1000)
            _reset(connection)
            return False
        if path == "/half-head":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-")
            return False
        if path == "/silent":
            self._is_over.wait(60)
            return False
        if path == "/silent-in-body":
            connection.sendall(_HEAD + b"x" * 1000)
            self._is_over.wait(60)
            return False
        if path == "/close-after":
            connection.sendall(answer(b"Connection: close", b"bye"))
            return False
        connection.sendall(answer(b"", b"no such behaviour", status=b"501 Not Implemented"))
        return True


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # The file that reads from it keeps it open otherwise.
    connection.shutdown(socket.SHUT_RD)
    socket.close(connection.detach())


def _read(stream: BinaryIO, connection: socket.socket) -> Asked | None:
    line = stream.readline()
    if not line:
        return None
    method, target, _ = line.decode().split(" ", 2)
    headers = []
    while (line := stream.readline().rstrip(b"\r\n")) != b"":
        name, _, value = line.partition(b":")
        headers.append((name.decode("latin-1"), value.strip().decode("latin-1")))
    low = {name.lower(): value for name, value in headers}
    if low.get("expect", "").lower() == "100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    if "chunked" in low.get("transfer-encoding", ""):
        body = b""
        while size := int(stream.readline().partition(b";")[0], 16):
            body += stream.read(size)
            stream.readline()
        while stream.readline().strip():
            pass
    else:
        body = stream.read(int(low.get("content-length", "0")))
    return Asked(method, target, headers, body)
