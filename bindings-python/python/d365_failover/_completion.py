"""What a task waits for that the library completes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ._exceptions import of_failure
from ._native import NativeFailure

if TYPE_CHECKING:
    from ._native import Answer

__all__: list[str] = []


class GivenUp(Exception):
    """Of what can come no more: the client was closed."""


class Completion:
    """A call, or a read. Who is cancelled while he waits for it may wait again: what has come is kept.

    As a future that is shielded, without the second one and its turn of the loop.
    """

    __slots__ = ("_loop", "_outcome", "_waiters")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._outcome: Answer | bytes | NativeFailure | GivenUp | None = None
        self._waiters: list[asyncio.Future[None]] = []

    @property
    def is_done(self) -> bool:
        return self._outcome is not None

    def complete(self, outcome: Answer | bytes | NativeFailure | GivenUp) -> None:
        """Raises where the loop of who waits is closed."""
        if self._outcome is None:
            self._outcome = outcome
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(None)

    async def wait(self) -> None:
        if self._outcome is None:
            waiter = self._loop.create_future()
            self._waiters.append(waiter)
            await waiter

    def result(self) -> Answer | bytes:
        outcome = self._outcome
        if isinstance(outcome, NativeFailure):
            raise of_failure(outcome)
        if isinstance(outcome, GivenUp):
            raise outcome
        assert outcome is not None
        return outcome
