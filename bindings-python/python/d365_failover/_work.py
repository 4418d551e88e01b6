"""What the application's code does for a call while it is sent."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import itertools
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from ._exceptions import CallCancelledError, FailoverError, completed, in_doubt, of_failure, of_kind, told
from ._native import Answer, Bell, NativeFailure
from ._outgoing import Outgoing
from ._request import is_read
from ._sys.wakeup import Wakeup, wake

if TYPE_CHECKING:
    from ._body import AsyncSource, Source
    from ._green import GreenCall
    from ._native import Call, Job
    from ._types import RawRequest

__all__: list[str] = []


class Work:
    """A call's body and its client's prepare hook."""

    def __init__(self, source: Source | None, prepare: Callable[[Outgoing], object] | None) -> None:
        self._source = source
        self._prepare = prepare

    def finish(self, call: Call | GreenCall) -> Answer:
        """Does what the call needs until it ends. Signals are handled meanwhile.

        What the application's code raises, or a signal, ends the call and is raised; a `FailoverError` that tells what
        is known of the call is its `__cause__`, unless it has another.
        """
        try:
            answer = self._finish(call)
        except BaseException as error:
            self._close(error)
            raise
        self._close(answer)
        return answer

    def _close(self, outcome: Answer | BaseException) -> None:
        if self._source is not None:
            with _telling(outcome):
                self._source.close()

    def _finish(self, call: Call | GreenCall) -> Answer:
        raised: BaseException | None = None
        outcome: Answer | NativeFailure
        try:
            while True:
                try:
                    turn = call.next(raised is None)
                except NativeFailure as failure:
                    outcome = failure
                    break
                except BaseException as interruption:
                    call.cancel()
                    raised = interruption
                    continue
                if isinstance(turn, Answer):
                    outcome = turn
                    break
                try:
                    if raised is None:
                        self._do(turn)
                    else:
                        turn.fail("the call is being ended")
                except BaseException as error:
                    raised = error
                    _fail(call, turn, error)
            return _result(outcome, raised)
        finally:
            del raised

    def _do(self, job: Job) -> None:
        if job.kind == "prepare":
            assert self._prepare is not None
            assert job.outgoing is not None
            result = self._prepare(Outgoing(job.outgoing))
            if inspect.isawaitable(result):
                if inspect.iscoroutine(result):
                    result.close()
                raise TypeError("the prepare hook is to be awaited, which needs an AsyncClient")
            job.done()
            return
        assert self._source is not None
        if job.kind == "read":
            job.give(bytes(self._source.read(job.most)))
        else:
            self._source.rewind()
            job.done()


is_working: ContextVar[bool] = ContextVar("d365_failover_is_working", default=False)
"""Whether this is the application's code for a call. What it sends must not wait for such calls to end."""


class AsyncWork:
    """The same for an event loop."""

    def __init__(
        self,
        source: AsyncSource | None,
        prepare: Callable[[Outgoing], Awaitable[None] | None] | None,
        request: RawRequest,
    ) -> None:
        self._source = source
        self._prepare = prepare
        self._request = request

    async def finish(self, call: Call, turns: Turns, key: int) -> Answer:
        """As `Work.finish`. Cancelling the task cancels the call; again, it is not waited for.

        What is raised then has no ledger id, which the library tells of such a call only at its end.
        """
        try:
            answer = await self._finish(call, turns, key)
        except GeneratorExit:
            # The loop has left its task: nothing can be awaited any more.
            raise
        except BaseException as error:
            await self._close(error)
            raise
        await self._close(answer)
        return answer

    async def _close(self, outcome: Answer | BaseException) -> None:
        if self._source is not None:
            with _telling(outcome):
                await self._source.close()

    async def _finish(self, call: Call, turns: Turns, key: int) -> Answer:
        raised: BaseException | None = None
        is_over = False
        outcome: Answer | NativeFailure
        try:
            while True:
                try:
                    turn = call.poll()
                    if turn is None:
                        await turns.wait(key)
                        continue
                except NativeFailure as failure:
                    outcome = failure
                    break
                except asyncio.CancelledError as cancelled:
                    interruption = turns.interruption(key)
                    if interruption == 1:
                        is_over = True
                        continue
                    if interruption:
                        error = unknown("the client was closed during the call", self._request)
                        raise error from error.__cause__
                    if raised is not None:
                        cancelled.__cause__ = unknown("cancelled again before the call was", self._request)
                        raise
                    call.cancel()
                    raised = cancelled
                    continue
                if isinstance(turn, Answer):
                    outcome = turn
                    break
                try:
                    if raised is None and not is_over:
                        await self._work(turn)
                    else:
                        turn.fail("the call is being ended")
                except GeneratorExit:
                    raise
                except BaseException as error:
                    if isinstance(error, asyncio.CancelledError) and turns.interruption(key):
                        is_over = True
                    else:
                        raised = error
                    _fail(call, turn, error)
            return _result(outcome, raised)
        finally:
            del raised
            turns.forget(key)

    async def _work(self, job: Job) -> None:
        entered = is_working.set(True)
        try:
            await self._do(job)
        except GeneratorExit:
            # The loop has left its task: this is another context.
            raise
        except BaseException:
            is_working.reset(entered)
            raise
        is_working.reset(entered)

    async def _do(self, job: Job) -> None:
        if job.kind == "prepare":
            assert self._prepare is not None
            assert job.outgoing is not None
            result = self._prepare(Outgoing(job.outgoing))
            if inspect.isawaitable(result):
                await result
            job.done()
            return
        assert self._source is not None
        if job.kind == "read":
            job.give(bytes(await self._source.read(job.most)))
        else:
            await self._source.rewind()
            job.done()


class Turns:
    """Wakes the tasks of one event loop whose calls have a job, or have ended."""

    def __init__(self) -> None:
        self.bell = Bell()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wakeup: Wakeup | None = None
        self._keys = itertools.count(1)
        self._open: dict[int, _Turn] = {}

    def begin(self, loop: asyncio.AbstractEventLoop) -> int:
        """The number of a new call of the running task."""
        if self._loop is not loop:
            self.detach()
            self._wakeup = wake(loop, self.bell, functools.partial(_rung, weakref.ref(self)))
            self._loop = loop
            self._open.clear()
        key = next(self._keys)
        self._open[key] = _Turn(asyncio.current_task(), loop.create_future())
        return key

    def forget(self, key: int) -> None:
        turn = self._open.pop(key, None)
        if turn is not None and not turn.ended.done() and not turn.ended.get_loop().is_closed():
            turn.ended.set_result(None)

    async def wait(self, key: int) -> None:
        """Until the call may have a turn."""
        turn = self._open[key]
        await turn.rung.wait()
        turn.rung.clear()

    def interruption(self, key: int) -> int:
        """Whether a cancellation of the task was by `end`: not (0), once (1), or for the last time (2)."""
        return self._open[key].taken()

    def rung(self) -> None:
        for key in self.bell.take():
            turn = self._open.get(key)
            if turn is not None:
                turn.rung.set()

    async def end(self, patience: float) -> None:
        """Interrupts the application's code in calls that the library has cancelled by now."""
        turns = [turn for turn in self._open.values() if turn.task is not asyncio.current_task()]
        for turn in turns:
            turn.interrupt()
        if turns:
            await asyncio.wait([turn.ended for turn in turns], timeout=patience)
        for turn in turns:
            turn.interrupt()
        self.detach()

    def detach(self) -> None:
        wakeup, self._wakeup, self._loop = self._wakeup, None, None
        if wakeup is not None:
            wakeup.cancel()

    def __del__(self) -> None:
        wakeup = self.__dict__.get("_wakeup")
        if wakeup is not None:
            wakeup.forget()


class _Turn:
    """One call: the task that it is in, and what it waits for."""

    def __init__(self, task: asyncio.Task[Any] | None, ended: asyncio.Future[None]) -> None:
        # Weak: a task that its loop has left must be able to go, and its call with it.
        self._task = None if task is None else weakref.ref(task)
        self.ended = ended
        self.rung = asyncio.Event()
        self._interruptions = 0
        self._is_taken = True

    @property
    def task(self) -> asyncio.Task[Any] | None:
        return None if self._task is None else self._task()

    def interrupt(self) -> None:
        task = self.task
        if not self.ended.done() and task is not None:
            self._interruptions += 1
            self._is_taken = False
            task.cancel()

    def taken(self) -> int:
        if self._is_taken:
            return 0
        self._is_taken = True
        uncancel = getattr(self.task, "uncancel", None)
        if uncancel is not None:  # Python 3.11
            uncancel()
        return self._interruptions


def unsent(refused: FailoverError, request: RawRequest) -> FailoverError:
    """The same, of a call that this side has refused or given up before the library had it."""
    refused.effect = "none" if is_read(request) else "not_executed"
    refused.tag = request[7]
    return refused


def unknown(message: str, request: RawRequest, ledger_id: int | None = None) -> FailoverError:
    """A cancelled call of which nothing will be known."""
    error = of_kind("cancelled", message)
    error.tag = request[7]
    if is_read(request):
        return error
    error.effect = "unknown"
    error.ledger_id = ledger_id
    return in_doubt(error)


def _rung(reference: weakref.ref[Turns]) -> None:
    """Called by the loop. Does not keep the client, so that a forgotten one can go."""
    turns = reference()
    if turns is not None:
        turns.rung()


def _fail(call: Call | GreenCall, job: Job, error: BaseException) -> None:
    """The application's code could not do it: the call ends."""
    if not isinstance(error, Exception):
        call.cancel()
    with contextlib.suppress(NativeFailure):  # done, and then interrupted
        job.fail(told(error))


def _result(outcome: Answer | NativeFailure, raised: BaseException | None) -> Answer:
    if raised is None:
        if isinstance(outcome, NativeFailure):
            error = of_failure(outcome)
            raise error from error.__cause__
        return outcome
    try:
        if raised.__cause__ is None:
            raised.__cause__ = _known(outcome, is_cancelled=not isinstance(raised, Exception))
        raise raised
    finally:
        del raised


@contextlib.contextmanager
def _telling(outcome: Answer | BaseException) -> Iterator[None]:
    """Has what the application's code raises after the call's end tell what the call has come to."""
    try:
        yield
    except GeneratorExit:
        raise
    except BaseException as error:
        if error.__cause__ is None:
            if isinstance(outcome, Answer):
                error.__cause__ = completed(outcome)
            else:
                error.__cause__ = outcome if isinstance(outcome, FailoverError) else outcome.__cause__
        raise


def _known(outcome: Answer | NativeFailure, is_cancelled: bool) -> FailoverError:
    """What is known of a call that the application's code has ended."""
    if not isinstance(outcome, NativeFailure):
        return completed(outcome)
    error = of_failure(outcome)
    if not is_cancelled or error.kind != "local":
        return error
    # The library only knows that the application's code has failed.
    interrupted = CallCancelledError(
        "the call was interrupted in its body or its prepare hook",
        kind="cancelled",
        effect=error.effect,
        switched=error.switched,
        attempts=error.attempts,
        ledger_id=error.ledger_id,
        tag=error.tag,
        cause="cancelled",
    )
    return in_doubt(interrupted) if error.effect == "unknown" else interrupted
