"""The ledger: the writes on record."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ._exceptions import InvalidArgumentError
from ._models import shown

if TYPE_CHECKING:
    from ._types import RawLedgerEntry

__all__ = ["LedgerEntry"]

_RESOLUTIONS = {"confirmed": 1, "replayed": 2, "lost": 3}


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
    """Whether it is in doubt, or was acknowledged by an endpoint shortly before that was left; and is not resolved."""
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
    """The row that the answer named (OData-EntityId)."""
    body_length: int | None
    """Bytes. `None`: its length is not known, because it is read while it is sent."""
    body_digest: str | None
    """The SHA-256 of the body that the application gave, 64 digits. `None`: it has none, or is read while it is
    sent."""

    def __repr__(self) -> str:
        return shown(self, "url", "row_url")

    @classmethod
    def _of(cls, raw: RawLedgerEntry) -> LedgerEntry:
        started, ended = _time(raw[10]), None if raw[11] is None else _time(raw[11])
        return cls(*raw[:10], started, ended, *raw[12:])


def _time(ms: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc)


def resolution_of(name: str) -> int:
    number = _RESOLUTIONS.get(name)
    if number is None:
        known = ", ".join(_RESOLUTIONS)
        raise InvalidArgumentError(f"resolution is one of {known}, not {name!r}", kind="invalid_argument")
    return number
