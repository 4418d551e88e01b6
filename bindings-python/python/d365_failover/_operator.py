"""What the operator says, over the application's head."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from ._exceptions import InvalidArgumentError
from ._ledger import since_ms, time_of

__all__ = ["CurrentOverride"]

_VALUES = {"off": 1, "primary": 2, "alternate": 3}
_VALUE_NAMES = {number: name for name, number in _VALUES.items()}
_SOURCE_NAMES = {1: "environment", 2: "store"}


@dataclass(frozen=True)
class CurrentOverride:
    """An override of the operator's that is in force."""

    value: str
    """`"off"`: no fault moves calls; `"primary"`, `"alternate"`: calls are kept there."""
    source: str
    """`"environment"`: `D365_FAILOVER`, read when the client was opened; `"store"`: its override."""
    until: datetime.datetime | None
    """When it ends by itself. `None`: no end was set."""

    @classmethod
    def _of(cls, value: int, source: int, until_ms: int) -> CurrentOverride | None:
        if value == 0:
            return None
        until = time_of(until_ms) if until_ms else None
        return cls(_VALUE_NAMES.get(value, "unknown"), _SOURCE_NAMES.get(source, "unknown"), until)


def number_of(value: str | None) -> int:
    if value is None:
        return 0
    if not isinstance(value, str) or value not in _VALUES:
        raise InvalidArgumentError(
            f"an override is 'off', 'primary', 'alternate' or None, not {value!r}", kind="invalid_argument"
        )
    return _VALUES[value]


def until_of(until: datetime.datetime | float | None) -> int:
    # 0 would be none.
    return 0 if until is None else max(1, since_ms(until))
