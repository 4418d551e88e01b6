"""What a call answers."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._types import RawAttempt, RawResponse

__all__ = ["Attempt", "Headers", "Response"]

_CHARSET = re.compile(r""";\s*charset\s*=\s*["']?([^"';\s]+)""", re.IGNORECASE)


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
        return f"Headers({list(self._pairs)!r})"

    def get_list(self, name: str) -> list[str]:
        """Every value of `name`, in the order in which they came."""
        return list(self._values.get(name.lower(), ()))

    def multi_items(self) -> list[tuple[str, str]]:
        """Every header as it came."""
        return list(self._pairs)


@dataclass(frozen=True)
class Attempt:
    """One attempt of a call."""

    role: str
    """`"primary"` or `"alternate"`."""
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

    @classmethod
    def _of(cls, raw: RawAttempt) -> Attempt:
        role, epoch, phase, fault, http_status, code, started_ms, took_us, url, message = raw
        started = datetime.datetime.fromtimestamp(started_ms / 1000, datetime.timezone.utc)
        return cls(role, epoch, phase, fault, http_status, code, started, took_us / 1_000_000, url, message)


class Response:
    """A response, whatever its status. Read whole; immutable."""

    __slots__ = ("_attempts", "_headers", "_raw")

    def __init__(self, raw: RawResponse) -> None:
        self._raw = raw
        self._headers: Headers | None = None
        self._attempts: tuple[Attempt, ...] | None = None

    def __repr__(self) -> str:
        return f"<Response [{self.status_code}]>"

    @property
    def status_code(self) -> int:
        return self._raw[0]

    @property
    def url(self) -> str:
        """The URL that answered: after a switch its host is the alternate's."""
        return self._raw[1]

    @property
    def headers(self) -> Headers:
        if self._headers is None:
            self._headers = Headers(self._raw[2])
        return self._headers

    @property
    def content(self) -> bytes:
        return self._raw[3]

    @property
    def text(self) -> str:
        """The content, decoded by the charset that the response names, else as UTF-8. Never fails."""
        named = _CHARSET.search(self.headers.get("content-type", ""))
        try:
            return self.content.decode(named[1] if named else "utf-8", "replace")
        except LookupError:
            return self.content.decode("utf-8", "replace")

    def json(self, **kwargs: Any) -> Any:
        """The content as JSON; `json.loads` gets the keywords, and raises ValueError."""
        return json.loads(self.content, **kwargs)

    @property
    def effect(self) -> str:
        """What is known of the write: `"executed"`, `"not_executed"`, `"unknown"`; `"none"` for a read."""
        return self._raw[4]

    @property
    def switched(self) -> bool:
        """Whether the endpoint changed during the call."""
        return self._raw[5]

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        if self._attempts is None:
            self._attempts = tuple(map(Attempt._of, self._raw[6]))
        return self._attempts

    @property
    def is_error(self) -> bool:
        """Whether the status is 400 or more."""
        return self.status_code >= 400

    def raise_for_status(self) -> Response:
        """Raises `HTTPStatusError` for a status of 400 or more; else returns the response."""
        if not self.is_error:
            return self
        from ._exceptions import HTTPStatusError
        from ._functions import classify

        fault = classify(self.status_code, self.headers, self.content)
        said = f": {fault.message}" if fault and fault.message else ""
        raise HTTPStatusError(
            f"HTTP status {self.status_code} from {self.url}{said}",
            kind=fault.kind if fault else "service",
            effect=self.effect,
            switched=self.switched,
            attempts=self.attempts,
            status=self.status_code,
            code=fault.code if fault else None,
            retry_after=fault.retry_after if fault else None,
            response=self,
        )
