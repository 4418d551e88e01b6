"""HTTP/1.1 as a server speaks it: requests of a whole body in, answers of a whole body out."""

from __future__ import annotations

import http
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import urlsplit

Read: TypeAlias = Callable[[int], bytes]

_MOST_HEAD = 64 << 10
_MOST_BODY = 256 << 20


class Gone(Exception):
    """The client has closed the connection, or what it sent is no HTTP."""


@dataclass(frozen=True)
class Request:
    """A request that came."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> str:
        return urlsplit(self.target).query

    def header(self, name: str) -> str | None:
        return first(self.headers, name)


@dataclass
class Answer:
    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def header(self, name: str) -> str | None:
        return first(self.headers, name)

    def encoded(self, *, with_body: bool = True) -> bytes:
        lines = [f"HTTP/1.1 {self.status} {reason(self.status)}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.status >= 200 and self.status not in (204, 304):
            lines.append(f"Content-Length: {len(self.body)}")
        head = "\r\n".join(lines) + "\r\n\r\n"
        return head.encode("latin-1") + (self.body if with_body else b"")


def first(headers: list[tuple[str, str]], name: str) -> str | None:
    wanted = name.lower()
    return next((value for key, value in headers if key.lower() == wanted), None)


def reason(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return ""


class Connection:
    """What was read of a connection."""

    def __init__(self, read: Read, write: Callable[[bytes], None]) -> None:
        self._read, self._write = read, write
        self._pending = b""

    def _more(self) -> None:
        data = self._read(64 << 10)
        if not data:
            raise Gone
        self._pending += data

    def _until(self, mark: bytes, most: int) -> bytes:
        while mark not in self._pending:
            if len(self._pending) > most:
                raise Gone
            self._more()
        found, _, self._pending = self._pending.partition(mark)
        return found

    def _exactly(self, count: int) -> bytes:
        if count > _MOST_BODY:
            raise Gone
        pieces = [self._pending]
        length = len(self._pending)
        while length < count:
            data = self._read(min(count - length, 1 << 20))
            if not data:
                raise Gone
            pieces.append(data)
            length += len(data)
        whole = b"".join(pieces)
        self._pending = whole[count:]
        return whole[:count]

    def request(self) -> Request:
        """The next request."""
        head = self._until(b"\r\n\r\n", _MOST_HEAD).decode("latin-1").lstrip("\r\n")
        line, *rest = head.split("\r\n")
        words = line.split(" ")
        if len(words) != 3:
            raise Gone
        headers = []
        for one in rest:
            name, _, value = one.partition(":")
            headers.append((name.strip(), value.strip()))
        if (first(headers, "Expect") or "").lower() == "100-continue":
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")
        coding = (first(headers, "Transfer-Encoding") or "").lower()
        body = self._chunks() if coding == "chunked" else self._exactly(_length(headers))
        return Request(words[0], words[1], headers, body)

    def _chunks(self) -> bytes:
        pieces: list[bytes] = []
        length = 0
        while True:
            size = _number(self._until(b"\r\n", _MOST_HEAD).split(b";")[0], 16)
            if not size:
                while self._until(b"\r\n", _MOST_HEAD):
                    pass
                return b"".join(pieces)
            length += size
            if length > _MOST_BODY:
                raise Gone
            pieces.append(self._exactly(size))
            self._until(b"\r\n", _MOST_HEAD)


def _length(headers: list[tuple[str, str]]) -> int:
    text = first(headers, "Content-Length")
    return 0 if text is None else _number(text.encode("latin-1"), 10)


def _number(text: bytes, base: int) -> int:
    try:
        return int(text, base)
    except ValueError:
        raise Gone from None
