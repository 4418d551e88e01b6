"""The writes on record of a blocking client, and what becomes of them."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from . import _green
from ._base import BaseClient
from ._body import Source
from ._exceptions import FailoverError, of_entry, of_failure, raising
from ._ledger import LedgerEntry, SuspectedSince, resolution_of, selection_of, since_ms
from ._models import Response
from ._native import NativeFailure
from ._request import HeaderTypes, number_of_write, verifying
from ._settle import CONFIRM, REPLAY, VERIFY, Settled, SettleStep, asked_of, looked, replaying, step_of, url_of, walking

if TYPE_CHECKING:
    from ._native import Answer
    from ._types import Brought, RawRequest

__all__: list[str] = []


class BlockingLedger(BaseClient):
    _wait: _green.Wait | None

    def _send(self, request: RawRequest, source: Source | None) -> Answer:
        raise NotImplementedError

    def _do(self, what: str, *numbers: int) -> Brought:
        """Does what may wait for a file or for calls."""
        if self._wait is None:
            return self._native.do(what, numbers)
        return _green.do(self._native, what, numbers, self._wait)

    @raising
    def ledger(self, *, suspects: bool = False, mine: bool = False) -> list[LedgerEntry]:
        """The writes on record, the oldest first: all, with `suspects` only those to verify, with `mine` only those
        that this process has sent; one of the two.

        On record is each write from before it is sent. What was not executed goes at once; what was executed stays for
        `replication_window`, the last `ledger_entries`; what is in doubt stays until `resolve`. Which are suspects says
        `LedgerEntry.is_suspect`. In memory, and of this client only, without I/O; with `store` in its file, and of all
        processes that name it, for `ledger_retention`.
        """
        selection = selection_of(suspects=suspects, mine=mine)
        listed = self._do("ledger", selection)
        assert isinstance(listed, list)
        return list(map(LedgerEntry._of, listed))

    @raising
    def suspect_since(self, time: datetime.datetime | float) -> SuspectedSince:
        """Says that writes acknowledged since `time` may be lost, whatever endpoint is active.

        For a failover behind one URL, whose operator names the time up to which data was kept: a datetime with a time
        zone, or seconds since 1970. Those writes are suspects from now on, as after a switch, and so are those in
        flight once they are acknowledged. DataLossSuspected is raised, and `update_guard` holds for
        `replication_window`. Does no I/O but with `store`, to which it is written as by `resolve`.

        Raises `InvalidArgumentError` for a time in the future.
        """
        told = self._do("suspect_since", since_ms(time))
        assert isinstance(told, tuple)
        return SuspectedSince._of(*told)

    def resolve(self, ledger_id: int, resolution: str) -> None:
        """Tells what was found out about a suspect, which then is none any more.

        `"confirmed"`: it was executed, and is there. `"replayed"`: it was not there, and was sent again. `"lost"`: it
        is not there, and will not be. Found out by `verify`, or otherwise. Does no I/O but with `store`, whose file it
        writes to; while another process holds that it waits, for up to 5 s.

        Raises `LedgerEntryError` where no such write is on record, or nothing is in question about it.
        """
        number = resolution_of(resolution)
        ledger_id = number_of_write(ledger_id)
        try:
            self._do("resolve", ledger_id, number)
        except NativeFailure as failure:
            raise of_entry(of_failure(failure)) from None

    def verify(
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
        return self._verify(verifying(write, None, headers, timeout, connect_timeout, attempt_timeout))

    def verify_with(
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
        return self._verify(verifying(write, url, headers, timeout, connect_timeout, attempt_timeout))

    def _verify(self, request: RawRequest) -> str:
        try:
            answer = self._send(request, None)
        except FailoverError as error:
            raise of_entry(error) from error.__cause__
        assert answer.verified is not None
        return answer.verified

    def replay(
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
            return Response(self._send(request, None))
        except FailoverError as error:
            raise of_entry(error) from error.__cause__

    def verify_all(
        self,
        *,
        verify_with: Callable[[LedgerEntry], str | None] | None = None,
        headers: HeaderTypes | None = None,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        attempt_timeout: float | None = None,
    ) -> Iterator[SettleStep]:
        """Looks at all writes that are to be verified, and tells of each as it is done; `step.settled` says how far.

        Up to four are looked at at a time, also between the steps; with a `prepare` hook one, within them. Of a write
        that is not verifiable `verify_with` is asked for the URL to read, as that of `verify_with()`, or `None`.
        `headers` and times are those of each look. A look without an answer raises, and ends it.
        """
        entries = {entry.id: entry for entry in self.ledger(suspects=True)}
        walk = walking(VERIFY, headers, timeout, connect_timeout, attempt_timeout)
        for step in self._walk(walk):
            url = None if verify_with is None else url_of(asked_of(step, entries, verify_with))
            if url is None:
                yield step
                continue
            verified = self.verify_with(
                step.id,
                url,
                headers=headers,
                timeout=timeout,
                connect_timeout=connect_timeout,
                attempt_timeout=attempt_timeout,
            )
            entry = next((entry for entry in self.ledger(suspects=True) if entry.id == step.id), None)
            is_final, why = (False, "") if entry is None else (entry.is_final, entry.why or "")
            yield replace(step, verified=verified, is_final=is_final, why=why)

    def settling(
        self,
        *,
        verify: bool = True,
        confirm: bool = True,
        replay: bool = True,
        headers: HeaderTypes | None = None,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        attempt_timeout: float | None = None,
    ) -> Iterator[SettleStep]:
        """As `settle`, and tells of each write as it is done with; `step.settled` says how far."""
        flags = (VERIFY if verify else 0) | (CONFIRM if confirm else 0) | (REPLAY if replay else 0)
        walk = walking(flags, headers, timeout, connect_timeout, attempt_timeout)
        yield from self._walk(walk)

    def settle(
        self,
        *,
        verify: bool = True,
        confirm: bool = True,
        replay: bool = True,
        verify_with: Callable[[LedgerEntry], str | None] | None = None,
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
            steps = list(walk)
            if not (confirm or replay):
                return looked(steps)
            verify = False
        flags = (VERIFY if verify else 0) | (CONFIRM if confirm else 0) | (REPLAY if replay else 0)
        request = walking(flags, headers, timeout, connect_timeout, attempt_timeout)
        while True:
            step, settled = step_of(self._send(request, None))
            if step is None:
                return settled

    def _walk(self, walk: RawRequest) -> Iterator[SettleStep]:
        while True:
            step, _ = step_of(self._send(walk, None))
            if step is None:
                return
            yield step
