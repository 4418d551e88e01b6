"""The writes on record of an asyncio client, and what becomes of them."""

from __future__ import annotations

import datetime
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from ._async_calls import AsyncCalls
from ._exceptions import FailoverError, of_entry
from ._ledger import LedgerEntry, SuspectedSince, resolution_of, selection_of, since_ms
from ._models import Response
from ._request import HeaderTypes, number_of_write, verifying
from ._settle import CONFIRM, REPLAY, VERIFY, Settled, SettleStep, asked_of, looked, replaying, step_of, url_of, walking

if TYPE_CHECKING:
    from ._types import RawRequest

__all__: list[str] = []


class AsyncLedger(AsyncCalls):
    async def ledger(self, *, suspects: bool = False, mine: bool = False) -> list[LedgerEntry]:
        """The writes on record, the oldest first. As `Client.ledger`; the loop goes on while a store is read."""
        listed = await self._errand("ledger", selection_of(suspects=suspects, mine=mine))
        assert isinstance(listed, list)
        return list(map(LedgerEntry._of, listed))

    async def resolve(self, ledger_id: int, resolution: str) -> None:
        """Tells what was found out about a suspect. As `Client.resolve`; the loop goes on while a store is written. It
        is done also if the task is cancelled meanwhile."""
        number = resolution_of(resolution)
        ledger_id = number_of_write(ledger_id)
        try:
            await self._errand("resolve", ledger_id, number)
        except FailoverError as error:
            raise of_entry(error) from None

    async def suspect_since(self, time: datetime.datetime | float) -> SuspectedSince:
        """Says that writes acknowledged since `time` may be lost. As `Client.suspect_since`; the loop goes on while a
        store is written. It is done also if the task is cancelled meanwhile."""
        told = await self._errand("suspect_since", since_ms(time))
        assert isinstance(told, tuple)
        return SuspectedSince._of(*told)

    async def verify(
        self,
        write: LedgerEntry | int,
        *,
        headers: HeaderTypes | None = None,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        attempt_timeout: float | None = None,
    ) -> str:
        """Asks the active endpoint what became of a write on record: `"present"`, `"missing"`, `"conflicting"`,
        `"unverifiable"`.

        A create is proved by its row, a delete by the row's absence, an update by the version that its answer named,
        or, where its request is kept (`ledger_bodies="full"`), by the values that it sent; a create whose row nobody
        knows by a key (`verify_keys`). Not final until `replication_window` has passed since the write ended:
        `"missing"`, `"conflicting"`, a delete's `"present"`, all of a write of which an attempt may still come late.
        `LedgerEntry.is_final` says so: resolve when it is true. For all else nothing is sent, and a person has to look,
        or `verify_with`: an action (also by SOAP's Execute), an upload. The verdict is kept in the entry; to `resolve`
        it is the application's.

        The read has the provider's token, else the `Authorization` that the application last sent to that endpoint;
        `headers` and times are its own, as those of `request`. Raises `LedgerEntryError` for a number that is not on
        record or in flight, and `FailoverError` for an answer that says neither that the row is there nor that it is
        not: 401, 403, 404 of a front end, 5xx.
        """
        return await self._verify(verifying(write, None, headers, timeout, connect_timeout, attempt_timeout))

    async def verify_with(
        self,
        write: LedgerEntry | int,
        url: str,
        *,
        headers: HeaderTypes | None = None,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        attempt_timeout: float | None = None,
    ) -> str:
        """As `verify`, by a read of `url`: of the row that the write must have created or changed, or of a list of the
        rows that it may be (`$filter` by a key that only the application knows).

        An empty list, or no such row: `"missing"`; one row with the values that were sent: `"present"`, with others:
        `"conflicting"`; several rows, and one whose values cannot be compared because the request is not kept:
        `"unverifiable"`.
        """
        return await self._verify(verifying(write, url, headers, timeout, connect_timeout, attempt_timeout))

    async def _verify(self, request: RawRequest) -> str:
        try:
            answer = await self._send(request, None)
        except FailoverError as error:
            raise of_entry(error) from error.__cause__
        assert answer.verified is not None
        return answer.verified

    async def replay(
        self,
        write: LedgerEntry | int,
        *,
        wanted: bool = False,
        headers: HeaderTypes | None = None,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        attempt_timeout: float | None = None,
    ) -> Response:
        """Sends a write again that was found to be missing for good, and gives its response: a create under its id and
        with the condition that there is none, a change or a delete with the version that its row was seen to have.

        At most one at a time, over all clients and processes of a store. When it was executed, its entry is resolved as
        replayed. In doubt again, it is on record so, and raises `WriteInDoubtError`; refused, it stays to be verified.
        With `wanted` the application wants it for just this write, whatever was found of it and whatever a repeat of it
        does; a condition is set all the same where there is one to set.

        Its request must be kept (`ledger_bodies="full"`), which has no credential: that is the provider's, or stands in
        `headers`, which go in the place of those that are kept. Raises `LedgerEntryError`, with why it is not sent.
        """
        request = replaying(write, wanted, headers, timeout, connect_timeout, attempt_timeout)
        try:
            return Response(await self._send(request, None))
        except FailoverError as error:
            raise of_entry(error) from error.__cause__

    async def verify_all(
        self,
        *,
        verify_with: Callable[[LedgerEntry], str | Awaitable[str | None] | None] | None = None,
        headers: HeaderTypes | None = None,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        attempt_timeout: float | None = None,
    ) -> AsyncIterator[SettleStep]:
        """Looks at all writes that are to be verified, and tells of each as it is done; `step.settled` says how far.

        Up to four are looked at at a time, also between the steps; with a `prepare` hook one, within them. Of a write
        that is not verifiable `verify_with` is asked for the URL to read, as that of `verify_with()`, or `None`; it may
        be a coroutine.
        `headers` and times are those of each look. A look without an answer raises, and ends it.
        """
        entries = {entry.id: entry for entry in await self.ledger(suspects=True)}
        walk = walking(VERIFY, headers, timeout, connect_timeout, attempt_timeout)
        async for step in self._walk(walk):
            answer = None if verify_with is None else asked_of(step, entries, verify_with)
            url = url_of(await answer if inspect.isawaitable(answer) else answer)
            if url is None:
                yield step
                continue
            verified = await self.verify_with(
                step.id,
                url,
                headers=headers,
                timeout=timeout,
                connect_timeout=connect_timeout,
                attempt_timeout=attempt_timeout,
            )
            suspects = await self.ledger(suspects=True)
            entry = next((entry for entry in suspects if entry.id == step.id), None)
            is_final, why = (False, "") if entry is None else (entry.is_final, entry.why or "")
            yield replace(step, verified=verified, is_final=is_final, why=why)

    async def settling(
        self,
        *,
        verify: bool = True,
        confirm: bool = True,
        replay: bool = True,
        headers: HeaderTypes | None = None,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        attempt_timeout: float | None = None,
    ) -> AsyncIterator[SettleStep]:
        """As `settle`, and tells of each write as it is done with; `step.settled` says how far."""
        flags = (VERIFY if verify else 0) | (CONFIRM if confirm else 0) | (REPLAY if replay else 0)
        walk = walking(flags, headers, timeout, connect_timeout, attempt_timeout)
        async for step in self._walk(walk):
            yield step

    async def settle(
        self,
        *,
        verify: bool = True,
        confirm: bool = True,
        replay: bool = True,
        verify_with: Callable[[LedgerEntry], str | Awaitable[str | None] | None] | None = None,
        headers: HeaderTypes | None = None,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        attempt_timeout: float | None = None,
    ) -> Settled:
        """Goes over all writes that are to be verified: looks at each, confirms what is there for good, sends again
        what is missing for good and may be (`replay`), leaves the rest, and returns the numbers. Raises the event
        Settled.

        `confirm=False`, `replay=False`: not so. `verify=False`: what was found before counts. `verify_with`, `headers`
        and times: as those of `verify_all`. A look without an answer raises; what was done until then is on record.
        """
        if verify and verify_with is not None:
            walk = self.verify_all(
                verify_with=verify_with,
                headers=headers,
                timeout=timeout,
                connect_timeout=connect_timeout,
                attempt_timeout=attempt_timeout,
            )
            steps = [step async for step in walk]
            if not (confirm or replay):
                return looked(steps)
            verify = False
        flags = (VERIFY if verify else 0) | (CONFIRM if confirm else 0) | (REPLAY if replay else 0)
        request = walking(flags, headers, timeout, connect_timeout, attempt_timeout)
        while True:
            step, settled = step_of(await self._send(request, None))
            if step is None:
                return settled

    async def _walk(self, walk: RawRequest) -> AsyncIterator[SettleStep]:
        while True:
            step, _ = step_of(await self._send(walk, None))
            if step is None:
                return
            yield step
