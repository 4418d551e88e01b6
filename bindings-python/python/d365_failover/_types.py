"""What crosses between Python and the native module."""

from __future__ import annotations

from typing import TypeAlias

RawRequest: TypeAlias = tuple[str, str, list[tuple[str, str]], "bytes | None", "int | None", int]
"""method, url, headers, body, timeout in ms, operation"""

RawAttempt: TypeAlias = tuple[str, int, str, "str | None", "int | None", "int | None", int, int, str, str]
"""role, epoch, phase, fault, HTTP status, code, started in ms, took in µs, url, message"""

RawResponse: TypeAlias = tuple[int, str, list[tuple[str, str]], bytes, str, bool, list[RawAttempt]]
"""status, url, headers, content, effect, switched, attempts"""
