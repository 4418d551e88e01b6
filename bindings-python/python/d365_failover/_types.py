"""What crosses between Python and the native module."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from ._native import Stream

RawRequest: TypeAlias = tuple[
    str, str, list[tuple[str, str]], "bytes | tuple[int, bool] | None", "int | None", int, bool
]
"""method, url, headers, body or its length (-1: not known) and whether it can be read again, timeout in ms, operation,
whether the response's body is read by and by"""

RawAttempt: TypeAlias = tuple[
    "str | None", int, str, "str | None", "int | None", "int | None", int, int, str, str, "str | None"
]
"""role, epoch, phase, fault, HTTP status, code, started in ms, took in µs, url, message, HTTP version"""

RawResponse: TypeAlias = tuple[int, str, list[tuple[str, str]], "bytes | Stream", str, bool, list[RawAttempt]]
"""status, url, headers, content, effect, switched, attempts"""
