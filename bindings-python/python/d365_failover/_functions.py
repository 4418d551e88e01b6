"""The pure functions: no client, no network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from . import _native
from ._exceptions import raising
from ._request import header_pairs

__all__ = ["Fault", "alternate_url", "classify", "is_alternate_url", "primary_url", "shown_url"]


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
    raw = _native.classify(status, header_pairs(headers), body)
    if raw is None:
        return None
    kind, code, retry_after_ms, message, starts_failover, cause = raw
    retry_after = None if retry_after_ms is None else retry_after_ms / 1000
    return Fault(kind, code, retry_after, message, starts_failover, cause)
