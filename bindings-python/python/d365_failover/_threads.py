"""Threads of the library's that run Python: daemons, which begin and end however late it is."""

from __future__ import annotations

import functools
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

from . import _native
from ._exceptions import LocalError, of_kind
from ._green import waiting_in_thread

__all__: list[str] = []

P = ParamSpec("P")
T = TypeVar("T")


class LibraryThread(threading.Thread):
    """A daemon that takes no signal of the application's: one that is blocked for `signal.sigwait` would end the
    process here. Where Python makes no more threads, because it is about to end, the library makes it."""

    def __init__(self, name: str, target: Callable[..., None], *args: Any) -> None:
        super().__init__(target=target, args=args, name=name, daemon=True)
        self._where: int | None = None
        self._over: threading.Lock | None = None
        """Held until it has ended. `None`: it is one of Python's own."""

    @property
    def is_current(self) -> bool:
        """Whether it is this thread that asks. To `threading`, one that the library has made is another."""
        return self._where == threading.get_ident()

    def start(self) -> None:
        try:
            super().start()
        except RuntimeError as lacking:
            over = threading.Lock()
            over.acquire()
            self._over = over
            try:
                _native.start_thread(functools.partial(self._enter, over))
            except RuntimeError:
                raise of_kind("no_resources", f"no thread for {self.name}: {lacking}") from lacking

    def run(self) -> None:
        self._where = threading.get_ident()
        if hasattr(signal, "pthread_sigmask") and waiting_in_thread() is None:
            # These a thread raises itself, by what it does: faulthandler needs them there.
            faults = {signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGSYS, signal.SIGTRAP}
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - faults)
        super().run()

    def _enter(self, over: threading.Lock) -> None:
        try:
            threading.current_thread().name = self.name
            self.run()
        finally:
            over.release()

    def join(self, timeout: float | None = None) -> None:
        if self._over is None:
            super().join(timeout)
        elif self._over.acquire(timeout=-1 if timeout is None else max(0.0, timeout)):
            self._over.release()


class Threads(Executor):
    """An executor that exit does not wait for, and that goes on after the main thread's end."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._idle = threading.Semaphore(0)
        self._count = 0
        self._is_shut = False

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        with self._lock:
            if self._is_shut:
                raise RuntimeError("the client is closed")
            if not self._idle.acquire(blocking=False) and self._count < self._most:
                self._grow()
            self._jobs.put((future, functools.partial(work, *args, **kwargs)))
        return future

    def _grow(self) -> None:
        try:
            LibraryThread(f"{self._name}-{self._count}", _work, self._jobs, self._idle).start()
        except LocalError:
            if self._count == 0:
                raise
            # It waits for one of those that there are.
        else:
            self._count += 1

    def shutdown(self, wait: bool = False, *, cancel_futures: bool = False) -> None:
        with self._lock:
            self._is_shut = True
            while cancel_futures and not self._jobs.empty():
                job = self._jobs.get()
                if job is not None:
                    job[0].cancel()
            self._end()

    def _end(self) -> None:
        for _ in range(self._count):
            self._jobs.put(None)

    def __del__(self) -> None:
        if not self._is_shut:
            self._end()


def _work(jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None], idle: threading.Semaphore) -> None:
    """A thread of an executor. Holds neither that nor a job while it waits."""
    while (job := jobs.get()) is not None:
        future, work = job
        if future.set_running_or_notify_cancel():
            try:
                result = work()
            except BaseException as error:
                future.set_exception(error)
                del error
            else:
                future.set_result(result)
                del result
        del job, future, work
        idle.release()
