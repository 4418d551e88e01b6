"""The ledger: the writes on record."""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ._exceptions import InvalidArgumentError
from ._models import shown
from ._numbers import number

if TYPE_CHECKING:
    from ._types import RawLedgerEntry

__all__ = ["Difference", "LedgerEntry", "SuspectedSince"]

_RESOLUTIONS = {"confirmed": 1, "replayed": 2, "lost": 3}


@dataclass(frozen=True, repr=False)
class Difference:
    """A value that a row has otherwise than a write has sent it."""

    name: str
    """As the write has it."""
    sent: str
    """What was sent, as JSON; one of more than 200 characters is cut."""
    found: str
    """What the row has, likewise."""

    def __repr__(self) -> str:
        # Values of rows are nobody's business in a log.
        return f"Difference(name={self.name!r})"


@dataclass(frozen=True, repr=False)
class LedgerEntry:
    """A write, from before it was sent to what became of it. As it was when the ledger was asked."""

    id: int
    """Its number at this client, from 1 on."""
    method: str
    """The method that it was sent with."""
    url: str
    """Where its last attempt went; before the first one, what the application gave."""
    operation: str
    """What a repeat of it would do: `"idempotent"`, `"guarded"`, `"unsafe"`."""
    effect: str | None
    """What is known of it: `"executed"` or `"unknown"`. `None`: it is in flight."""
    is_suspect: bool
    """Whether it is to be verified: in doubt; acknowledged shortly before its endpoint was left, or since the time that
    `suspect_since` was given; or executed after an attempt in doubt, which may still come late and undo what was
    written since, for `replication_window`. Not once it is resolved."""
    resolution: str | None
    """What the application has found out: `"confirmed"`, `"replayed"`, `"lost"`."""
    role: str | None
    """The endpoint of its last attempt: `"primary"` or `"alternate"`. `None`: it had none, or went to a host of
    `allowed_hosts`."""
    epoch: int
    """How often the client had switched by then."""
    attempts: int
    """How many there were; 0 while it is in flight."""
    started: datetime.datetime
    """When the call began. In UTC."""
    ended: datetime.datetime | None
    """When the call ended. `None`: it is in flight."""
    row_url: str | None
    """The row that the answer named (OData-EntityId, Location): absolute, at either endpoint."""
    body_length: int | None
    """Bytes. `None`: its length is not known, because it is read while it is sent."""
    body_digest: str | None
    """The SHA-256 of the body that the application gave, 64 digits. `None`: it has none, is read while it is sent, or
    `ledger_bodies` is `"off"`."""
    tag: str | None
    """The `tag` that its request was given."""
    verified: str | None
    """What `verify` has found last: `"present"`, `"missing"`, `"conflicting"`, `"unverifiable"`. `None`: nobody has
    looked."""
    verified_at: datetime.datetime | None
    """When that was. In UTC."""
    is_final: bool
    """Whether replication can change no more about what was found. Only when `replication_window` has passed since the
    write ended are final: `"missing"`, `"conflicting"`, the `"present"` of a delete, and whatever was found of a write
    of which an attempt may still come late. Resolve a write when it is, whichever verdict it has."""
    is_kept: bool
    """Whether its request is kept (`ledger_bodies`), so that its values can be compared with the row's, and it can be
    sent again."""
    why: str | None
    """One sentence about what was found: why it is `"unverifiable"`, or what else the verdict goes by."""
    left_out: tuple[str, ...]
    """The names of the values that were sent and could not be compared, at most 50."""
    differences: tuple[Difference, ...]
    """The values that the row has otherwise than they were sent, of a write that is `"conflicting"`, at most 50."""

    def __repr__(self) -> str:
        return shown(self, "url", "row_url")

    @classmethod
    def _of(cls, raw: RawLedgerEntry) -> LedgerEntry:
        started, ended = time_of(raw[10]), None if raw[11] is None else time_of(raw[11])
        verified_at = None if raw[17] is None else time_of(raw[17])
        left_out = tuple(raw[21].split(",")) if raw[21] else ()
        differences = tuple(Difference(*told) for told in raw[22])
        return cls(*raw[:10], started, ended, *raw[12:17], verified_at, *raw[18:21], left_out, differences)


@dataclass(frozen=True)
class SuspectedSince:
    """What `suspect_since` has put in question."""

    acknowledged: int
    """How many writes that were acknowledged since."""
    on_record_since: datetime.datetime
    """From when on the record has all that was acknowledged. Later than what was asked for: there may have been
    more."""

    @classmethod
    def _of(cls, acknowledged: int, on_record_since: int) -> SuspectedSince:
        return cls(acknowledged, time_of(on_record_since))


_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def time_of(ms: int) -> datetime.datetime:
    # `fromtimestamp()` ends with the year 3000 on Windows, and begins with 1970.
    return _EPOCH + datetime.timedelta(milliseconds=ms)


def since_ms(time: datetime.datetime | float) -> int:
    """A time as the C ABI has it. Rounded down: what was acknowledged in that millisecond counts."""
    if isinstance(time, datetime.datetime):
        if time.tzinfo is None:
            raise InvalidArgumentError(
                "a time without a time zone may be anybody's: give one, as datetime.timezone.utc",
                kind="invalid_argument",
            )
        time = time.timestamp()
    time = number(time, "a time is a datetime or seconds since 1970")
    if not math.isfinite(time) or abs(time) > 1e12:
        raise InvalidArgumentError(
            f"a time is a finite number of seconds since 1970, not {time}", kind="invalid_argument"
        )
    return math.floor(time * 1000)


def selection_of(*, suspects: bool, mine: bool) -> int:
    """The C ABI's number of what is listed."""
    if suspects and mine:
        raise ValueError("ledger takes suspects or mine, not both")
    return 1 if suspects else 2 if mine else 0


def resolution_of(name: str) -> int:
    number = _RESOLUTIONS.get(name) if isinstance(name, str) else None
    if number is None:
        known = ", ".join(_RESOLUTIONS)
        raise InvalidArgumentError(f"resolution is one of {known}, not {name!r}", kind="invalid_argument")
    return number
