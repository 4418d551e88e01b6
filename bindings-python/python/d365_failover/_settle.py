"""Walks over the writes that are to be verified."""

from __future__ import annotations

import inspect
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from ._exceptions import InvalidArgumentError
from ._native import Walk
from ._request import header_pairs, number_of_write, times
from ._types import REPLAYS, WANTED

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._ledger import LedgerEntry
    from ._native import Answer
    from ._request import HeaderTypes
    from ._types import RawRequest

T = TypeVar("T")

__all__ = ["SettleStep", "Settled"]

VERIFY, CONFIRM, REPLAY = 1, 2, 4
"""What a walk may do: bits of the C ABI."""
_VERDICTS = (None, "present", "missing", "unverifiable", "conflicting")
_RESOLUTIONS = (None, "confirmed", "replayed", "lost")


@dataclass(frozen=True)
class Settled:
    """How far a walk over the writes to verify has come."""

    total: int
    """How many were to be verified when it began."""
    done: int
    """How many it is done with."""
    present: int
    """How many of these are `"present"`."""
    missing: int
    """How many are `"missing"`."""
    conflicting: int
    """How many are `"conflicting"`."""
    unverifiable: int
    """How many are `"unverifiable"`."""
    confirmed: int
    """How many were resolved as confirmed."""
    replayed: int
    """How many were sent again and executed."""
    left: int
    """How many of those that are done are left to the application: what others have resolved meanwhile is not."""


@dataclass(frozen=True)
class SettleStep:
    """What became of one write in a walk."""

    id: int
    """Its number, as `LedgerEntry.id`."""
    verified: str | None
    """What was found: `"present"`, `"missing"`, `"conflicting"`, `"unverifiable"`. `None`: the service would not say,
    or it is in question no more."""
    is_final: bool
    """Whether replication can change no more about that."""
    resolution: str | None
    """What was done: `"confirmed"` or `"replayed"`. `None`: it is left."""
    why: str
    """One sentence: why nothing was done, or what the service has answered. May be empty."""
    settled: Settled
    """How far the walk has come with it."""


def step_of(answer: Answer) -> tuple[SettleStep | None, Settled]:
    """The step that an answer brings; `None`: the walk is over."""
    assert answer.settled is not None
    numbers, why = answer.settled
    settled = Settled(*numbers[4:])
    if numbers[0] < 0:
        return None, settled
    verified, resolution = _VERDICTS[numbers[1]], _RESOLUTIONS[numbers[3]]
    return SettleStep(numbers[0], verified, numbers[2] != 0, resolution, why, settled), settled


def walking(
    flags: int,
    headers: HeaderTypes | None,
    timeout: float | None,
    connect_timeout: float | None,
    attempt_timeout: float | None,
) -> RawRequest:
    """The request of which each sending brings a step."""
    if flags == 0:
        raise InvalidArgumentError("a walk verifies, confirms or replays", kind="invalid_argument")
    pairs = [] if headers is None else header_pairs(headers)
    whole, connect, attempt = times(timeout, connect_timeout, attempt_timeout)
    return ("GET", "", pairs, None, whole, 0, 0, None, Walk(flags), connect, attempt, None)


def replaying(
    write: LedgerEntry | int,
    wanted: bool,
    headers: HeaderTypes | None,
    timeout: float | None,
    connect_timeout: float | None,
    attempt_timeout: float | None,
) -> RawRequest:
    """The request that sends a write again."""
    ledger_id = number_of_write(write)
    pairs = [] if headers is None else header_pairs(headers)
    whole, connect, attempt = times(timeout, connect_timeout, attempt_timeout)
    flags = REPLAYS | (WANTED if wanted else 0)
    return ("GET", "", pairs, None, whole, 0, flags, None, ledger_id, connect, attempt, None)


def looked(steps: list[SettleStep]) -> Settled:
    """What a walk that only looks has found, with what the application has named."""
    found = Counter(step.verified for step in steps)
    return Settled(
        total=len(steps),
        done=len(steps),
        present=found["present"],
        missing=found["missing"],
        conflicting=found["conflicting"],
        unverifiable=found["unverifiable"],
        confirmed=0,
        replayed=0,
        left=steps[-1].settled.left if steps else 0,
    )


def asked_of(step: SettleStep, entries: dict[int, LedgerEntry], ask: Callable[[LedgerEntry], T]) -> T | None:
    """What the application answers of a write that is not verifiable otherwise."""
    entry = entries.get(step.id)
    return ask(entry) if step.verified == "unverifiable" and entry is not None else None


def url_of(answer: object) -> str | None:
    """The URL by which the application wants a write to be verified."""
    if answer is None or isinstance(answer, str):
        return answer
    if inspect.iscoroutine(answer):
        answer.close()
        raise TypeError("verify_with is to be awaited, which needs an AsyncClient")
    raise TypeError(f"verify_with gives a URL or None, not {type(answer).__name__}")
