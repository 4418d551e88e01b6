"""What a task waits for that the library completes."""

from __future__ import annotations

import asyncio

from ._exceptions import of_failure
from ._native import Answer, NativeFailure

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
        self._waiters: tuple[asyncio.Future[None], ...] = ()

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

    def wait(self) -> asyncio.Future[None]:
        """What is over when it is. Another one for each who waits, and each time."""
        waiter = self._loop.create_future()
        if self._outcome is None:
            self._waiters += (waiter,)
        else:
            waiter.set_result(None)
        return waiter

    def result(self) -> Answer | bytes:
        outcome = self._outcome
        if type(outcome) is Answer:  # nearly always
            return outcome
        if isinstance(outcome, NativeFailure):
            raise of_failure(outcome)
        if isinstance(outcome, GivenUp):
            raise outcome
        assert outcome is not None
        return outcome
