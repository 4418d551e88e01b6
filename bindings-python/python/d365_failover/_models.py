"""What a call answers."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from . import _native

if TYPE_CHECKING:
    from ._native import Answer
    from ._types import RawAttempt

__all__ = ["Attempt", "BatchPart", "Headers", "Response"]

_CHARSET = re.compile(r""";\s*charset\s*=\s*["']?([^"';\s]+)""", re.IGNORECASE)
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


class Headers(Mapping[str, str]):
    """Response headers: names in any case, several values of one name joined by a comma."""

    __slots__ = ("_pairs", "_values")

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._pairs = tuple(pairs)
        values: dict[str, list[str]] = {}
        for name, value in self._pairs:
            values.setdefault(name.lower(), []).append(value)
        self._values = values

    def __getitem__(self, name: str) -> str:
        return ", ".join(self._values[name.lower()])

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        pairs = [
            (name, "…" if name.lower() in _CREDENTIALS else _BEARER.sub(r"\1…", value)) for name, value in self._pairs
        ]
        return f"Headers({pairs!r})"

    def get_list(self, name: str) -> list[str]:
        """Every value of `name`, in the order in which they came."""
        return list(self._values.get(name.lower(), ()))

    def multi_items(self) -> list[tuple[str, str]]:
        """Every header as it came."""
        return list(self._pairs)


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
    """A response, whatever its status. Read whole, unless `stream` gave it."""

    __slots__ = ("_attempts", "_headers", "_raw")

    def __init__(self, raw: Answer) -> None:
        self._raw = raw
        self._headers: Headers | None = None
        self._attempts: tuple[Attempt, ...] | None = None

    def __repr__(self) -> str:
        return f"<Response [{self.status_code}]>"

    @property
    def status_code(self) -> int:
        return self._raw.status

    @property
    def url(self) -> str:
        """The URL that answered: after a switch its host is the alternate's."""
        return self._raw.url

    @property
    def headers(self) -> Headers:
        if self._headers is None:
            self._headers = Headers(self._raw.headers)
        return self._headers

    @property
    def content(self) -> bytes:
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
        named = _CHARSET.search(self.headers.get("content-type", ""))
        try:
            b"".decode(named[1] if named else "utf-8")
        except LookupError:
            return "utf-8"
        return named[1] if named else "utf-8"

    @property
    def text(self) -> str:
        """The content, decoded by `charset`. Never fails."""
        return self.content.decode(self.charset, "replace")

    def json(self, **kwargs: Any) -> Any:
        """The content as JSON; `json.loads` gets the keywords, and raises ValueError."""
        return json.loads(self.content, **kwargs)

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
        """Whether the status is 400 or more."""
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
            f"HTTP status {self.status_code} from {_native.url_shown(self.url)}{said}",
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
