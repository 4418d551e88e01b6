"""The pure functions: no client, no network."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from . import _native
from ._exceptions import InvalidArgumentError, raising
from ._request import HeaderTypes, build, header_pairs

__all__ = ["Fault", "alternate_url", "classify", "explain", "is_alternate_url", "primary_url", "shown_url"]


@dataclass(frozen=True)
class Fault:
    """What a response says about the endpoint."""

    kind: str
    """`"datacenter_not_available"`, `"throttled"`, `"service"`, …"""
    code: int | None
    """The service's error code."""
    retry_after: float | None
    """Seconds."""
    message: str
    starts_failover: bool
    """Whether the .NET SDK would switch for it (preset `dotnet`)."""
    cause: str | None
    """What exactly it is, finer than the kind: `"unavailable"`, `"bad_gateway"`, `"html_page"`, …; the names are those
    of the C constants `D365_CAUSE_…`."""


@raising
def alternate_url(url: str) -> str:
    """The URL on the other datacenter: `--s` on the first label of the host. One that has it stays as it is."""
    return _native.url_alternate(url)


@raising
def primary_url(url: str) -> str:
    """The URL without `--s`. One that has none stays as it is."""
    return _native.url_primary(url)


@raising
def shown_url(url: str) -> str:
    """The URL as it may stand in logs and messages: origin and path, at most 200 characters; a query becomes `?…`."""
    return _native.url_shown(url)


@raising
def is_alternate_url(url: str) -> bool:
    """Whether the first label of the host ends in `--s`."""
    return _native.url_is_alternate(url)


@raising
def classify(
    status: int, headers: Mapping[str, str] | Iterable[tuple[str, str]] = (), body: bytes = b""
) -> Fault | None:
    """The fault that a response is; `None` if it is none. For those who bring their own HTTP client."""
    raw = _native.classify(_status(status), header_pairs(headers), body)
    if raw is None:
        return None
    kind, code, retry_after_ms, message, starts_failover, cause = raw
    retry_after = None if retry_after_ms is None else retry_after_ms / 1000
    return Fault(kind, code, retry_after, message, starts_failover, cause)


def _status(status: int) -> int:
    """What is beyond the C ABI's numbers is no more a status than what is within."""
    return max(-1, min(operator.index(status), 1000))


_PRESETS = {"dotnet": 1, "safe": 2}


@raising
def explain(
    method: str,
    url: str,
    *,
    status: int | None = None,
    headers: HeaderTypes = (),
    body: bytes = b"",
    cause: str | None = None,
    sent: bool = True,
    preset: str = "safe",
    request_headers: HeaderTypes | None = None,
    content: bytes | str | None = None,
    operation: str | None = None,
    guarded_create: bool = False,
    upsert: bool = False,
) -> dict[str, Any]:
    """Tells what a client with this preset would do about an answer to the first attempt of this request (`status`,
    `headers`, `body`), or about an attempt that ended without one (`cause`: `"reset"`; `sent`: a byte of it had left).

    By the same rules, without a client and without I/O: `operation`, `is_compound`, `phase`, `http_status`, `fault`
    (`kind`, `cause`, `code`, `retry_after_ms`, `message`), `evidence` against the endpoint (`"never"`, `"weak"`,
    `"strong"`), `switch` (`"no"`, `"if_only_the_other_answers"`, `"if_the_other_answers"`, `"at_once"`), `effect` of
    a write, `parts`; `next`: what is done where calls go elsewhere then (`switched`) or stay (`stayed`),
    `again_after_ms` and `reads_row` (the row of a guarded create is read then, in place of a repeat) or `None`;
    `ends_as` `"response"` or `"error"` where it is not sent again. More may come.
    """
    if not isinstance(preset, str) or preset not in _PRESETS:
        raise InvalidArgumentError(f"preset: {preset!r} is neither 'safe' nor 'dotnet'", kind="invalid_argument")
    if (status is None) is (cause is None):
        raise TypeError("explain wants a status, or a cause")
    request = build(
        method,
        url,
        request_headers,
        None,
        content,
        None,
        None,
        operation,
        guarded_create=guarded_create,
        upsert=upsert,
    )
    if cause is not None:
        told = _native.explain_fault(request, _PRESETS[preset], cause, sent)
    else:
        assert status is not None
        told = _native.explain_response(request, _PRESETS[preset], _status(status), header_pairs(headers), body)
    explained: dict[str, Any] = json.loads(told)
    return explained
