"""Events: what handlers get."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ._exceptions import of_kind, raising
from ._native import Item

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "CallRetriedEvent",
    "DataLossSuspectedEvent",
    "EndpointSwitchEvent",
    "EndpointSwitchRequiredEvent",
    "Event",
    "OutageEndedEvent",
    "OutageStartedEvent",
    "SettledEvent",
    "StoreFailedEvent",
    "ThrottledEvent",
    "WriteInDoubtEvent",
]

# Numbers of the C ABI: d365_item_kind, fields of d365_item_text and d365_item_number, decisions.
REQUIRED, SWITCHED, WRITE_IN_DOUBT, DATA_LOSS_SUSPECTED, CALL_RETRIED, THROTTLED, LOG = range(1, 8)
OUTAGE_STARTED, OUTAGE_ENDED, SETTLED, STORE_FAILED = 8, 9, 10, 11
_PREVIOUS_URL, _NEW_URL, _REASON, MESSAGE, _METHOD, _URL, _TAG = range(1, 8)
_SEQ, _TIME_MS, _EPOCH, _PREVIOUS_ROLE, _NEW_ROLE, _AUTOMATIC, _FAULT_KIND, LEVEL, DROPPED = range(20, 29)
_LEDGER_ID, _IN_DOUBT, _ACKNOWLEDGED, _PROBED, _RETRY_AFTER_MS, _LASTED_MS, _PLANNED = range(30, 37)
_SETTLED_TOTAL, _SETTLED_CONFIRMED, _SETTLED_REPLAYED, _SETTLED_LEFT = range(37, 41)
PROCEED, _VETO = 1, 2
_PROBED_NAMES = {1: "reachable", 2: "serves"}


@dataclass(frozen=True, kw_only=True)
class Event:
    """What every event has."""

    name: ClassVar[str]
    """Its kind, as Microsoft spells it where it is theirs: `"EndpointSwitched"`."""

    seq: int
    """Counts the client's events and log records."""
    time: datetime.datetime
    """In UTC."""
    epoch: int
    """How often the client had switched; of a switch, this one counted."""
    reason: str
    """The kind of the fault that led to it, `"failback"` or `"manual"`; of DataLossSuspected and OutageEnded their own.
    Empty: nothing of the kind."""
    message: str
    """A sentence for a person."""
    planned: bool
    """Whether it came in a time for which `maintenance()` has announced an interruption."""

    @classmethod
    def _of(cls, item: Item) -> Self:
        return cls(**cls._fields(item))

    @classmethod
    def _fields(cls, item: Item) -> dict[str, Any]:
        return {
            "seq": item.number(_SEQ) or 0,
            "time": datetime.datetime.fromtimestamp((item.number(_TIME_MS) or 0) / 1000, datetime.timezone.utc),
            "epoch": item.number(_EPOCH) or 0,
            "reason": item.text(_REASON) or "",
            "message": item.text(MESSAGE) or "",
            "planned": bool(item.number(_PLANNED)),
        }


@dataclass(frozen=True, kw_only=True)
class EndpointSwitchEvent(Event):
    """One switch from an endpoint of the organization to the other."""

    name = "EndpointSwitched"

    previous_url: str
    """Base URL before the switch."""
    new_url: str
    """Base URL after it."""
    previous_role: str
    """`"primary"` or `"alternate"`."""
    new_role: str
    automatic: bool
    """Whether the library caused it, not `switch_endpoint()` or the operator."""
    probed: str | None
    """What a probe has found at `new_url`: `"serves"`: it answers authenticated requests; `"reachable"`: a living front
    end, more cannot be known without credentials. `None`: it was not probed."""

    @classmethod
    def _fields(cls, item: Item) -> dict[str, Any]:
        return {
            **super()._fields(item),
            "previous_url": item.text(_PREVIOUS_URL) or "",
            "new_url": item.text(_NEW_URL) or "",
            "previous_role": item.role(_PREVIOUS_ROLE) or "unknown",
            "new_role": item.role(_NEW_ROLE) or "unknown",
            "automatic": bool(item.number(_AUTOMATIC)),
            "probed": _PROBED_NAMES.get(item.number(_PROBED) or 0),
        }

    def __repr__(self) -> str:
        return f"<{self.name} {self.previous_url} -> {self.new_url} ({self.reason})>"


@dataclass(frozen=True, kw_only=True, repr=False)
class EndpointSwitchRequiredEvent(EndpointSwitchEvent):
    """A switch that is about to happen: the calls wait for the handlers, at most `handler_timeout`."""

    name = "EndpointSwitchRequired"

    # No field: it is of this process, and what is told of the event is not.
    _item: ClassVar[Item | None] = None

    @classmethod
    def _of(cls, item: Item) -> Self:
        event = super()._of(item)
        event.__dict__["_item"] = item
        return event

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_item"}

    @raising
    def veto(self) -> None:
        """Forbids this switch: the calls end with their fault. One veto is enough. With the preset `safe` it holds for
        `hold_down`, in which the event is not raised again.

        Raises `LateError` when the time for it is over, and in a copy.
        """
        if self._item is None:
            raise of_kind("late", "this is a copy of the event: the decision is taken in its handler")
        self._item.reply(_VETO)


@dataclass(frozen=True, kw_only=True)
class _CallEvent(Event):
    method: str
    url: str
    """Where the call's last attempt went, as `shown_url` shows it."""
    tag: str | None
    """The `tag` that its request was given."""

    @classmethod
    def _fields(cls, item: Item) -> dict[str, Any]:
        told = {"method": item.text(_METHOD) or "", "url": item.text(_URL) or "", "tag": item.text(_TAG)}
        return {**super()._fields(item), **told}


@dataclass(frozen=True, kw_only=True)
class WriteInDoubtEvent(_CallEvent):
    """A call has ended, and whether its write was executed is not known.

    It stays in the ledger until the application tells by `resolve(event.ledger_id, …)` what it has found out, by
    `verify(event.ledger_id)` or otherwise. Never dropped.
    """

    name = "WriteInDoubt"

    ledger_id: int | None
    """The write in the ledger. `None`: it is not there, because the store has failed, and was sent all the same
    (`store_failure="go_on"`)."""

    @classmethod
    def _fields(cls, item: Item) -> dict[str, Any]:
        return {**super()._fields(item), "ledger_id": item.number(_LEDGER_ID)}


@dataclass(frozen=True, kw_only=True)
class DataLossSuspectedEvent(Event):
    """Writes are on record that the active endpoint may lack: `ledger(suspects=True)` lists them.

    `reason`: `"switched"`: an endpoint was left, or one that was left has acknowledged a write; `"repeated"`: a write
    was executed after an attempt in doubt, which may still come late; `"suspect_since"`. Never dropped.
    """

    name = "DataLossSuspected"

    in_doubt: int
    """How many writes are in doubt."""
    acknowledged: int
    """How many writes that were acknowledged are in question: within `replication_window` before their endpoint was
    left, after an attempt in doubt, or since the time that `suspect_since` was given."""

    @classmethod
    def _fields(cls, item: Item) -> dict[str, Any]:
        return {
            **super()._fields(item),
            "in_doubt": item.number(_IN_DOUBT) or 0,
            "acknowledged": item.number(_ACKNOWLEDGED) or 0,
        }


@dataclass(frozen=True, kw_only=True)
class CallRetriedEvent(_CallEvent):
    """A call is sent again: `reason` is why. May be dropped when nobody takes it, counted."""

    name = "CallRetried"


@dataclass(frozen=True, kw_only=True)
class ThrottledEvent(_CallEvent):
    """A call waits because the service asks for less. May be dropped when nobody takes it, counted."""

    name = "Throttled"

    retry_after: float
    """Seconds that the call waits."""

    @classmethod
    def _fields(cls, item: Item) -> dict[str, Any]:
        return {**super()._fields(item), "retry_after": (item.number(_RETRY_AFTER_MS) or 0) / 1000}


@dataclass(frozen=True, kw_only=True)
class OutageStartedEvent(Event):
    """No endpoint answers. Calls that may be sent again, and those that begin, wait until one does, at most for
    `outage_wait`. `reason`: the kind of the fault that has begun it; `message`: what probes have found. Never dropped.
    """

    name = "OutageStarted"


@dataclass(frozen=True, kw_only=True)
class OutageEndedEvent(Event):
    """An outage is over. `reason`: `"answered"`: an endpoint answers; if calls do not go there yet,
    EndpointSwitchRequired was raised before, and EndpointSwitched follows unless that was vetoed. `"manual"`: the
    application has switched. `"override"`: the operator has. `"closed"`: the client is closed. Never dropped."""

    name = "OutageEnded"

    new_url: str | None
    """Base URL of the endpoint that answers. `None`: none does."""
    new_role: str | None
    """`"primary"` or `"alternate"`, likewise."""
    automatic: bool
    """Whether an endpoint answers; else a person has switched, or the client is closed."""
    probed: str | None
    """What a probe has found at `new_url`: `"serves"` or `"reachable"`."""
    lasted: float
    """Seconds in which no endpoint has answered."""

    @classmethod
    def _fields(cls, item: Item) -> dict[str, Any]:
        return {
            **super()._fields(item),
            "new_url": item.text(_NEW_URL),
            "new_role": item.role(_NEW_ROLE),
            "automatic": bool(item.number(_AUTOMATIC)),
            "probed": _PROBED_NAMES.get(item.number(_PROBED) or 0),
            "lasted": (item.number(_LASTED_MS) or 0) / 1000,
        }


@dataclass(frozen=True, kw_only=True)
class SettledEvent(Event):
    """A walk over the writes to verify is over, which may do more than look: `client.settle()`. Never dropped."""

    name = "Settled"

    total: int
    """How many writes were to be verified."""
    confirmed: int
    """How many were resolved as confirmed."""
    replayed: int
    """How many were sent again and executed."""
    left: int
    """How many are left to the application."""

    @classmethod
    def _fields(cls, item: Item) -> dict[str, Any]:
        return {
            **super()._fields(item),
            "total": item.number(_SETTLED_TOTAL) or 0,
            "confirmed": item.number(_SETTLED_CONFIRMED) or 0,
            "replayed": item.number(_SETTLED_REPLAYED) or 0,
            "left": item.number(_SETTLED_LEFT) or 0,
        }


@dataclass(frozen=True, kw_only=True)
class StoreFailedEvent(Event):
    """The store has failed, and a call went on. `reason`: `"begin"`: a write was sent that could not be put on record,
    as `store_failure` says; `"end"`: the end of a write could not, and it is in doubt there from now on. May be dropped
    when nobody takes it, counted."""

    name = "StoreFailed"

    ledger_id: int | None
    """The write whose end is not on record. `None`: the write itself is not."""
    tag: str | None
    """The `tag` of the request that is not on record."""

    @classmethod
    def _fields(cls, item: Item) -> dict[str, Any]:
        return {**super()._fields(item), "ledger_id": item.number(_LEDGER_ID), "tag": item.text(_TAG)}


Handler = Callable[[Any], object]

EVENTS: dict[int, type[Event]] = {
    REQUIRED: EndpointSwitchRequiredEvent,
    SWITCHED: EndpointSwitchEvent,
    WRITE_IN_DOUBT: WriteInDoubtEvent,
    DATA_LOSS_SUSPECTED: DataLossSuspectedEvent,
    CALL_RETRIED: CallRetriedEvent,
    THROTTLED: ThrottledEvent,
    OUTAGE_STARTED: OutageStartedEvent,
    OUTAGE_ENDED: OutageEndedEvent,
    SETTLED: SettledEvent,
    STORE_FAILED: StoreFailedEvent,
}


def event_of(item: Item) -> Event:
    return EVENTS[item.kind]._of(item)
