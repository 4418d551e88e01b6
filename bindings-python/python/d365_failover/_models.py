"""What a call answers."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

from . import _native
from ._charset import charset_of, decoded
from ._native import Answer
from ._types import RawAttempt, RawRequest

__all__ = ["Attempt", "BatchPart", "Headers", "Request", "Response"]

_Asked: TypeAlias = tuple[str, str, "list[tuple[str, str]] | dict[str, str] | None"]
"""Method, URL and headers of a request."""

_CREDENTIALS = frozenset(("authorization", "cookie", "proxy-authorization", "set-cookie"))
_BEARER = re.compile(r"""(bearer[\s:="']+)[^\s,;"']+""", re.IGNORECASE)


def shown(record: Any, *urls: str) -> str:
    """The text of a dataclass, with these fields as URLs are shown."""
    values = ((field.name, getattr(record, field.name)) for field in fields(record))
    texts = (
        f"{name}={_native.url_shown(value) if name in urls and value is not None else value!r}"
        for name, value in values
    )
    return f"{type(record).__name__}({', '.join(texts)})"


def report_of(answer: Answer) -> dict[str, Any]:
    """The JSON object that the library itself has answered."""
    report: dict[str, Any] = json.loads(answer.content or b"{}")
    return report


class Headers(Mapping[str, str]):
    """Headers, looked up by their names in any case. Several values of one name are joined by `", "`.

    They are listed in the order in which they came, with their names as they came: over HTTP/1.1 as the server spells
    them, over HTTP/2 in lower case. Two are equal if they have the same values, however their names are spelled.
    """

    __slots__ = ("__weakref__", "_names", "_pairs", "_values")

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._pairs = tuple(pairs)
        values: dict[str, list[str]] = {}
        names: dict[str, str] = {}
        for name, value in self._pairs:
            lower = name.lower()
            names.setdefault(lower, name)
            values.setdefault(lower, []).append(value)
        self._names = names
        self._values = values

    def __getitem__(self, name: str) -> str:
        if not isinstance(name, str):
            raise KeyError(name)
        try:
            return ", ".join(self._values[name.lower()])
        except KeyError:
            raise KeyError(name) from None

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._names.values())

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Headers):
            return self._values == other._values
        if isinstance(other, Mapping):
            mine = {name.lower(): value for name, value in self.items()}
            return mine == {name.lower() if isinstance(name, str) else name: value for name, value in other.items()}
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        pairs = [
            (name, "…" if name.lower() in _CREDENTIALS else _BEARER.sub(r"\1…", value)) for name, value in self._pairs
        ]
        return f"Headers({pairs!r})"

    def get_list(self, name: str) -> list[str]:
        """Every value of `name`, in the order in which they came. Empty where there is none."""
        return list(self._values.get(name.lower(), ()))

    def multi_items(self) -> list[tuple[str, str]]:
        """Every header as it came, each value with its name, in the order in which they came."""
        return list(self._pairs)


_STANDARD = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"))


@dataclass(frozen=True, repr=False)
class Request:
    """What a response was asked with."""

    method: str
    """`"GET"`, …"""
    url: str
    """As it was asked for, with the `params`: absolute, or a path. `Response.url` says where the answer came from."""
    headers: Headers
    """Those that the call was given, and the `Content-Type` of its `json`. What the library adds is not among them: the
    provider's token, what the `prepare` hook sets. Copies of the request by `copy` and `pickle` are
    without credentials."""

    @classmethod
    def _of(cls, raw: _Asked) -> Request:
        method, url, fields = raw
        headers = fields.items() if isinstance(fields, dict) else fields or ()
        upper = method.upper()
        return cls(upper if upper in _STANDARD else method, url, Headers(headers))

    def __repr__(self) -> str:
        return f"<Request {self.method} {_native.url_shown(self.url)}>"

    def __reduce__(self) -> tuple[Any, ...]:
        pairs = [(name, value) for name, value in self.headers.multi_items() if name.lower() not in _CREDENTIALS]
        return (Request._of, ((self.method, self.url, pairs),))


@dataclass(frozen=True, repr=False)
class Attempt:
    """One attempt of a call."""

    role: str | None
    """`"primary"` or `"alternate"`. `None`: it went to a host of `allowed_hosts`."""
    epoch: int
    """How often the client had switched by then."""
    phase: str
    """How far it came: `"not_sent"`, `"sent"`, `"responded"`."""
    fault: str | None
    """Why it failed, if it did."""
    http_status: int | None
    code: int | None
    """The service's error code."""
    started: datetime.datetime
    """In UTC."""
    took: float
    """Seconds."""
    url: str
    message: str
    http_version: str | None
    """`"HTTP/1.1"` or `"HTTP/2"`. `None`: it came to no connection."""
    cause: str | None
    """What exactly made it fail: `"no_such_name"`, `"refused"`, `"connect_timeout"`, `"reset"`, … (`Fault.cause`)"""

    @classmethod
    def _of(cls, raw: RawAttempt) -> Attempt:
        role, epoch, phase, fault, http_status, code, started_ms, took_us, url, message, version, cause = raw
        started = datetime.datetime.fromtimestamp(started_ms / 1000, datetime.timezone.utc)
        took = took_us / 1_000_000
        return cls(role, epoch, phase, fault, http_status, code, started, took, url, message, version, cause)

    def __repr__(self) -> str:
        return shown(self, "url")


@dataclass(frozen=True)
class BatchPart:
    """What the answer to a `$batch` or an ExecuteMultiple says of one request in it."""

    index: int
    """Which request of the batch it answers, counted from 0, those in change sets one by one. Of the one answer to a
    change set that has failed: its first request."""
    status: int | None
    """The HTTP status. `None` in an ExecuteMultiple, whose parts have none."""
    code: int | None
    """The service's error code, if it sent one."""


class Response:
    """A response, whatever its status. Read whole, unless `stream` gave it.

    It outlives its client and may be read by any thread, and by the child of a fork. It can be copied and pickled; a
    streamed one, once it was read.
    """

    __slots__ = ("__weakref__", "_asked", "_attempts", "_headers", "_raw", "_request")

    def __init__(self, raw: Answer, request: RawRequest | _Asked | None = None) -> None:
        self._raw = raw
        # Not the body: it may be large, and the call is over. To cut costs more than to look whether there is something
        # to be cut, and this is in every call.
        # Empty: the library itself has asked, by `verify` or `discover`.
        self._asked: _Asked | tuple[()] | None = request if request is None or len(request) == 3 else request[:3]
        self._request: Request | None = None
        self._headers: Headers | None = None
        self._attempts: tuple[Attempt, ...] | None = None

    def __getstate__(self) -> tuple[None, dict[str, Any]]:
        slots = [name for kind in type(self).__mro__ for name in getattr(kind, "__slots__", ()) if name[:2] != "__"]
        state = {name: getattr(self, name) for name in slots}
        if self._asked:
            state["_request"] = self.request
            state["_asked"] = None  # which has credentials
        return (None, state)

    def __repr__(self) -> str:
        return f"<Response [{self._status_text()}]>"

    def _status_text(self) -> str:
        return f"{self.status_code} {self.reason_phrase}".rstrip()

    @property
    def status_code(self) -> int:
        """The HTTP status, 100 to 999."""
        return self._raw.status

    @property
    def reason_phrase(self) -> str:
        """What the status is called: as it came, or where nothing came, as over HTTP/2, as the standard has it.

        `""` for a status without a name.
        """
        return self._raw.reason

    @property
    def ok(self) -> bool:
        """Whether the status is below 400. The opposite of `is_error`."""
        return not self.is_error

    @property
    def request(self) -> Request:
        """What it was asked with: method, URL, headers.

        Raises `RuntimeError` where the call had none: that of the response of an error of `verify` or `discover`.
        """
        if self._request is None:
            if not self._asked:
                raise RuntimeError("this response was not asked for by the application: it has no request")
            self._request = Request._of(self._asked)
        return self._request

    @property
    def elapsed(self) -> datetime.timedelta:
        """How long the call took, with all attempts and pauses: to its end; of a streamed response, to its head."""
        return datetime.timedelta(microseconds=self._raw.elapsed_us)

    @property
    def url(self) -> str:
        """The URL that answered: after a switch its host is the alternate's."""
        return self._raw.url

    @property
    def headers(self) -> Headers:
        """The headers, in any case, in the order in which they came."""
        if self._headers is None:
            self._headers = Headers(self._raw.headers)
        return self._headers

    @property
    def content(self) -> bytes:
        """The body, decoded from a content coding that the library asked for.

        Raises `ResponseNotReadError` for a streamed response that was not read.
        """
        content = self._raw.content
        if content is None:
            content = self._known_content()
        if content is None:
            from ._exceptions import ResponseNotReadError

            raise ResponseNotReadError(
                "the content of a streamed response is there only after read() or aread()", kind="not_available"
            )
        return content

    def _known_content(self) -> bytes | None:
        return self._raw.content

    @property
    def charset(self) -> str:
        """The text encoding that the response names, where Python knows it as one; else `"utf-8"`."""
        return charset_of(self.headers.get("content-type", ""))

    @property
    def text(self) -> str:
        """The content, decoded by `charset`, with U+FFFD for what is no text. Whatever it is, this never fails."""
        return decoded(self.content, self.charset)

    def json(self, **kwargs: Any) -> Any:
        """The content as JSON: UTF-8, UTF-16 or UTF-32, with a byte order mark or without, whatever `charset` is.

        `json.loads` gets the keywords. Raises `ValueError` for what is no JSON.
        """
        try:
            return json.loads(self.content, **kwargs)
        except RecursionError as error:
            raise ValueError("the JSON is nested too deeply") from error

    @property
    def effect(self) -> str:
        """What is known of the write: `"executed"`, `"not_executed"`, `"unknown"`; `"none"` for a read.

        Of a streamed `$batch` or ExecuteMultiple `"unknown"` until it was read to its end: only its parts tell.
        """
        return self._raw.effect

    @property
    def parts(self) -> tuple[BatchPart, ...]:
        """What the answer to a `$batch` or an ExecuteMultiple says of the requests in it, in the order of the answer.

        Empty for other requests, for an answer that cannot be read or is larger than 16 MiB, and for a streamed one
        until it was read to its end. A request that is not in it was not executed, where the batch stops at the first
        that fails; or it was, where an ExecuteMultiple asked for no responses.
        """
        return tuple(BatchPart(*part) for part in self._raw.parts)

    @property
    def switched(self) -> bool:
        """Whether the endpoint changed during the call."""
        return self._raw.switched

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """What was tried, in order. The last one is this response's."""
        if self._attempts is None:
            self._attempts = tuple(map(Attempt._of, self._raw.attempts))
        return self._attempts

    @property
    def ledger_id(self) -> int | None:
        """The write in the client's ledger. `None` for a read."""
        return self._raw.ledger_id

    @property
    def tag(self) -> str | None:
        """The `tag` that the request was given."""
        return self._raw.tag

    @property
    def is_error(self) -> bool:
        """Whether the status is 400 or more. The opposite of `ok`."""
        return self.status_code >= 400

    def raise_for_status(self) -> Response:
        """Raises `HTTPStatusError` for a status of 400 or more; else returns the response.

        Where the write is in doubt (a 500 to a POST), `WriteInDoubtError`, with the `HTTPStatusError` as its
        `__cause__`.

        Of a streamed response that is not read, the error tells what its first bytes say, which were read to classify
        it.
        """
        if not self.is_error:
            return self
        from ._exceptions import HTTPStatusError, in_doubt
        from ._functions import classify

        content = self._known_content()
        fault = classify(self.status_code, self.headers, content or b"")
        kind, code, message, cause = (
            (fault.kind, fault.code, fault.message, fault.cause) if fault else ("service", None, "", None)
        )
        if self.attempts and self.attempts[-1].fault is not None:
            # Told by whoever knows the token that was sent, should the answer say it.
            last = self.attempts[-1]
            kind, code, message, cause = last.fault or kind, last.code, last.message, last.cause
        said = f": {message}" if message else ""
        error = HTTPStatusError(
            f"HTTP status {self._status_text()} from {_native.url_shown(self.url)}{said}",
            kind=kind,
            effect=self.effect,
            switched=self.switched,
            attempts=self.attempts,
            status=self.status_code,
            code=code,
            retry_after=fault.retry_after if fault else None,
            response=self,
            ledger_id=self.ledger_id,
            tag=self.tag,
            cause=cause,
        )
        raise in_doubt(error) if self.effect == "unknown" else error
