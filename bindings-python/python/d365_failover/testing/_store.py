"""The rows of both sides, and how commits cross from one to the other."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Attributes: TypeAlias = dict[str, Any]
Key: TypeAlias = tuple[str, str]
"""Logical name of the table, and id."""

SIDES = ("primary", "alternate")


@dataclass(frozen=True)
class Row:
    """A row as it stands on both sides."""

    entity: str
    """The table's logical name: `"account"`."""
    id: str
    primary: bool
    """Whether the primary has it."""
    alternate: bool
    """Whether the alternate has it."""
    same: bool
    """Whether both have the same version of it."""
    attributes: Attributes
    """Of its newest version."""

    @property
    def name(self) -> str | None:
        """Its attribute `name`."""
        name = self.attributes.get("name")
        return name if isinstance(name, str) else None


@dataclass(frozen=True)
class Version:
    """What one commit left of a row; no attributes are the trace of a deletion."""

    commit: int
    attributes: Attributes | None


@dataclass(frozen=True)
class _Change:
    to: str
    key: Key
    version: Version
    at: float


@dataclass
class Savepoint:
    versions: dict[Key, Version]
    commits: int
    waiting: int


@dataclass
class Store:
    """Behind `lock`, which nobody holds while it waits for the network."""

    lag: float | None = 0.0
    """Seconds until a commit is at the other side; `None`: when `replicate` says so."""
    partitioned: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)
    _sides: dict[str, dict[Key, Version]] = field(default_factory=lambda: {side: {} for side in SIDES})
    _waiting: deque[_Change] = field(default_factory=deque)
    _commits: int = 0

    def settle(self) -> None:
        """Lets everything cross that is due."""
        if self.lag is None or self.partitioned:
            return
        while self._waiting and self._waiting[0].at + self.lag <= time.monotonic():
            self._apply(self._waiting.popleft())

    def replicate(self) -> int:
        """Lets everything cross that waits; tells how much that was."""
        count = len(self._waiting)
        while self._waiting:
            self._apply(self._waiting.popleft())
        return count

    def _apply(self, change: _Change) -> None:
        there = self._sides[change.to]
        known = there.get(change.key)
        # The last write wins.
        if known is None or known.commit < change.version.commit:
            there[change.key] = change.version

    def get(self, side: str, key: Key) -> Version | None:
        """The living row."""
        version = self._sides[side].get(key)
        return version if version is not None and version.attributes is not None else None

    def of(self, side: str, entity: str) -> list[tuple[str, Version]]:
        """The living rows of a table, in the order of their ids."""
        keys = sorted(key for key in self._sides[side] if key[0] == entity)
        rows = ((key[1], self.get(side, key)) for key in keys)
        return [(row_id, version) for row_id, version in rows if version is not None]

    def commit(self, side: str, key: Key, attributes: Attributes | None) -> int:
        self._commits += 1
        version = Version(self._commits, attributes)
        self._sides[side][key] = version
        other = SIDES[side == SIDES[0]]
        self._waiting.append(_Change(other, key, version, time.monotonic()))
        return self._commits

    def savepoint(self, side: str) -> Savepoint:
        return Savepoint(dict(self._sides[side]), self._commits, len(self._waiting))

    def rollback(self, side: str, before: Savepoint) -> None:
        self._sides[side] = before.versions
        self._commits = before.commits
        while len(self._waiting) > before.waiting:
            self._waiting.pop()

    def rows(self) -> list[Row]:
        """The living rows of both sides, in the order in which they were written."""
        primary, alternate = (self._sides[side] for side in SIDES)
        found = []
        for key in primary.keys() | alternate.keys():
            here, there = primary.get(key), alternate.get(key)
            living = [version for version in (here, there) if version is not None and version.attributes is not None]
            if not living:
                continue
            newest = max(living, key=lambda version: version.commit)
            assert newest.attributes is not None
            row = Row(key[0], key[1], here in living, there in living, here == there, dict(newest.attributes))
            found.append((newest.commit, row))
        return [row for _, row in sorted(found, key=lambda pair: pair[0])]
