"""What the drop-ins for other HTTP libraries have in common."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ._base import BaseClient
from ._client import Client
from ._exceptions import FailoverError, InvalidArgumentError, WriteInDoubtError, of_kind
from ._request import milliseconds, operation_of
from ._types import GUARDED_CREATE, UPSERT

if TYPE_CHECKING:
    from ._models import Response

__all__: list[str] = []

C = TypeVar("C", bound=BaseClient)
E = TypeVar("E", bound=FailoverError)

LONGEST = 86_400_000
"""Milliseconds: what stands for no limit."""

OURS = frozenset(("host", "transfer-encoding", "connection", "keep-alive", "proxy-connection", "te"))
"""Headers of a request that are of its connection, or that the library sets itself for each attempt."""

_CATEGORIES = {
    "no_such_name": "connect",
    "name_try_again": "connect",
    "refused": "connect",
    "unreachable": "connect",
    "connect_timeout": "connect_timeout",
    "attempt_timeout": "timeout",
    "deadline": "timeout",
    "endpoint_left": "timeout",
    "reset": "reset",
    "closed": "closed",
    "closed_unsent": "connect",
    "unprocessed": "closed",
    "proxy": "proxy",
    "tls": "tls",
    "tls_alert": "tls",
    "bad_message": "protocol",
    "malformed": "protocol",
    "local_failure": "local",
    "no_resources": "local",
    "no_token": "token",
}
_KINDS = {
    "endpoint_not_found": "connect",
    # With no answer to show: a call that has waited for an endpoint without an attempt of its own.
    "datacenter_not_available": "connect",
    "server_unavailable": "connect",
    "timeout": "timeout",
    "connection_lost": "closed",
    "cancelled": "reset",
    "tls": "tls",
    "protocol": "protocol",
    "busy": "busy",
    "invalid_url": "url",
    "invalid_argument": "argument",
    "authentication": "token",
    "local": "local",
    "no_resources": "local",
}

_GATEWAYS = ("bad_gateway", "unavailable", "gateway_timeout")
"""What a gateway answers, or, where nothing has left, a proxy that does not get to the endpoint."""


def category(error: FailoverError) -> str:
    """What other libraries tell apart: `"connect"`, `"connect_timeout"`, `"timeout"`, `"reset"`, `"closed"`,
    `"proxy"`, `"tls"`, `"protocol"`, `"local"`, `"busy"`, `"url"`, `"argument"`, `"token"`; and what none of them has,
    `"other"`."""
    cause = error.cause
    last = error.attempts[-1] if error.attempts else None
    if cause in ("outage", "deadline") and last is not None and last.cause not in (None, cause):
        # The call has waited for an endpoint: why there was none is what its last attempt met.
        cause = last.cause
    if cause in _GATEWAYS and last is not None and last.phase == "not_sent":
        return "proxy"
    found = _CATEGORIES.get(cause or "") or _KINDS.get(error.kind, "other")
    if found == "timeout" and last is not None and last.phase == "not_sent":
        return "connect_timeout"
    return found


_ANSWERS = frozenset(
    (
        "not_found",
        "gone",
        "invalid_hostname",
        "destination_unreachable",
        "datacenter_not_available",
        "gateway_timeout",
        "bad_gateway",
        "unavailable",
        "html_page",
        "organization_off",
        "no_service_mark",
        "unauthorized",
        "forbidden",
        "throttled",
    )
)
"""Causes that are an answer, read to its end, which other libraries return whatever its status is."""


def answered(error: FailoverError) -> Response | None:
    """The response of an error that is an answer."""
    cause = error.cause
    if cause in ("outage", "deadline") and error.attempts:
        cause = error.attempts[-1].cause
    return error.response if cause in _ANSWERS else None


def lacking(known: Response) -> str | None:
    """What is said of a body that has not come whole: an answer is read as far as it tells what it means. For a write
    nothing is: that is no reason to send it again."""
    told = known.headers.get("content-length", "")
    method = known._asked[0] if known._asked else "HEAD"
    if known.effect != "none" or method == "HEAD" or not told.isdecimal():
        return None
    here = len(known.content)
    return f"the body broke off: {here} of its {told} bytes are here" if here < int(told) else None


def not_theirs(error: FailoverError) -> FailoverError | None:
    """What is raised instead of another library's exception, where a loop that catches those would do a write twice: it
    is in doubt, or was executed and only its answer has broken off. Neither is an `OSError`."""
    if isinstance(error, WriteInDoubtError):
        return error
    if error.effect != "executed":
        return None
    done = FailoverError(str(error))
    done.__dict__.update(error.__dict__)
    done.__cause__ = error
    return done


def doubt_of(known: Response, error: Exception) -> WriteInDoubtError | None:
    """What is raised for a status that leaves a write in doubt, instead of another library's `error`; which is its
    `__cause__`."""
    return _of(known, WriteInDoubtError, "service", error) if known.effect == "unknown" else None


def undecoded(known: Response, error: Exception) -> FailoverError | None:
    """What is raised where a body cannot be decoded, instead of another library's `error`, if that is of a write that
    may be done."""
    if known.effect == "executed":
        return _of(known, FailoverError, "protocol", error)
    return doubt_of(known, error)


def _of(known: Response, kind: type[E], of: str, error: Exception) -> E:
    made = kind(
        str(error),
        kind=of,
        effect=known.effect,
        switched=known.switched,
        attempts=known.attempts,
        status=known.status_code,
        response=known,
        ledger_id=known.ledger_id,
        tag=known.tag,
    )
    made.__cause__ = error
    return made


_lock = threading.Lock()


def _after_fork() -> None:
    # Whoever held the lock is a thread of the parent's.
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Opened(Generic[C]):
    """The client of a drop-in: one that it was given, or one of its own, which a child of a fork opens anew."""

    def __init__(self, client: C | str, kind: type[C], settings: Mapping[str, Any]) -> None:
        self._open: Callable[[], C] | None = None
        if isinstance(client, str):
            # Bodies are decoded by the library above, if at all. Over HTTP/2 names of headers are in lower case, which
            # code that was written over HTTP/1.1 may not look for.
            # What other libraries show of an answer is all of it.
            merged = {"decompress": False, "http2": False, "error_prefix": 1 << 20, **settings}
            self._open = lambda: kind(client, **merged)
            self._client = self._open()
        else:
            # Of the other kind it would do what it is asked, and nobody would take the answer.
            if not isinstance(client, kind):
                raise TypeError(f"client is of the type {kind.__name__}, or a URL as text, not {type(client).__name__}")
            if settings:
                raise TypeError("settings are those of the client that is given")
            self._client = client
        self._is_closed = False

    @property
    def is_owned(self) -> bool:
        return self._open is not None

    def get(self) -> C:
        """The client of this process."""
        if self._open is not None and not self._is_closed and self._client._native.forked:
            with _lock:
                if self._client._native.forked:
                    self._client = self._open()
        return self._client

    def leave(self) -> C | None:
        """The client, if it is to be closed with the drop-in."""
        if self._is_closed or self._open is None:
            return None
        self._is_closed = True
        return self._client


def bases(client: BaseClient | str, settings: Mapping[str, Any]) -> list[str]:
    """The base URLs of both endpoints, by each name that their hosts have; of a client, or of one that is opened with
    these settings."""
    if isinstance(client, str):
        # Nothing of TLS is read for it, and no store is waited for.
        alternate_url, url_form = settings.get("alternate_url"), settings.get("url_form")
        with Client(client, alternate_url=alternate_url, url_form=url_form, tls_verify=False) as named:
            return bases(named, settings)
    given = [url.rstrip("/") for url in (client.primary_url, client.alternate_url) if url is not None]
    # Of an endpoint that was named nobody knows what else it is called.
    if given[1:] not in ([], [given[0].replace(".", "--s.", 1)]):
        return given
    return [base for url in given for base in (url, _sibling(url)) if base is not None]


def _sibling(base: str) -> str | None:
    """Of `contoso.crm…` that is `contoso.api.crm…`, and the other way round."""
    scheme, _, authority = base.partition("://")
    label, _, domain = authority.partition(".")
    # Of `contoso.com` nobody knows whose `contoso.api.com` is.
    if "/" in authority or authority.count(".") < 3 or domain.replace(".", "").partition(":")[0].isdecimal():
        return None
    other = domain.removeprefix("api.") if domain.startswith("api.") else f"api.{domain}"
    return f"{scheme}://{label}.{other}"


_OPTIONS = frozenset(("operation", "tag", "guarded_create", "upsert", "timeout"))


class Options:
    """What a request says to this library alone."""

    __slots__ = ("flags", "operation", "tag", "timeout")

    def __init__(self, given: Mapping[str, Any]) -> None:
        if unknown := given.keys() - _OPTIONS:
            raise of_kind("invalid_argument", f"{sorted(unknown)}: there are {', '.join(sorted(_OPTIONS))}")
        self.operation = operation_of(given.get("operation"))
        self.flags = (GUARDED_CREATE if given.get("guarded_create") else 0) | (UPSERT if given.get("upsert") else 0)
        self.tag: str | None = given.get("tag")
        self.timeout: float | None = given.get("timeout")


PLAIN = Options({})


def clamped(seconds: float, what: str) -> int:
    """Milliseconds of a time of another library's, which knows no longest one."""
    return min(milliseconds(seconds, what), LONGEST)


def is_host(value: str, authority: str) -> bool:
    """Whether a Host header names what a URL names, of which this is the host with its port, without the user."""
    value, authority = value.lower(), authority.lower()
    return value == authority or any(value == authority + port or value + port == authority for port in (":80", ":443"))


def utf8(name: str, value: bytes) -> str:
    """A header's value for the library, which sends text as UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        said = f"the value of the header {name} is not UTF-8"
        raise InvalidArgumentError(said, kind="invalid_argument") from None
