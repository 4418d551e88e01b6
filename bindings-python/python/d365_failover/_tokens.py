"""Token providers."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import math
import threading
import time
import weakref
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from ._exceptions import LocalError, ProviderFailure, raising, told
from ._green import Wait, next_request, waiting_in_thread
from ._log import say
from ._numbers import number
from ._threads import LibraryThread

if TYPE_CHECKING:
    from ._native import TokenQueue, TokenRequest

__all__ = ["AccessToken", "AsyncTokenCredential", "AsyncTokenProvider", "TokenCredential", "TokenProvider"]


class AccessToken(Protocol):
    """As azure-core's."""

    @property
    def token(self) -> str: ...
    @property
    def expires_on(self) -> int:
        """Unix time, seconds."""
        ...


class TokenCredential(Protocol):
    """Anything with azure-core's `get_token`."""

    def get_token(self, *scopes: str) -> AccessToken: ...


class AsyncTokenCredential(Protocol):
    """The same, of azure-core's asynchronous credentials."""

    def get_token(self, *scopes: str) -> Awaitable[AccessToken]: ...


Token: TypeAlias = str | tuple[str, float] | AccessToken
"""A token, without the word Bearer, which is kept for 5 seconds; or with the seconds for which it may be used (0: for
the calls that wait now); or azure-core's. One that an endpoint refuses with 401 is forgotten."""

TokenProvider: TypeAlias = Callable[[str], Token] | TokenCredential
"""Called with the endpoint's origin, e.g. `https://contoso--s.crm.dynamics.com`, on a thread of the client's.

What it raises is the cause of the `AuthenticationError` of each call that has waited. For one endpoint it is called
again only when it has returned, or when the calls that waited have given up: then at most three more times at once, and
later once in a while. The client that asks refuses calls from inside of it, by `WouldDeadlockError`; get tokens with
another one."""

AsyncTokenProvider: TypeAlias = TokenProvider | Callable[[str], Token | Awaitable[Token]] | AsyncTokenCredential
"""The same for an `AsyncClient`. A coroutine runs on the client's event loop."""

_SPARE = 2
"""Threads that wait for questions when there are none."""

_LONG = 315_360_000
"""Seconds: ten years. Some say `sys.maxsize` or infinity of a token that does not end."""

_FAILURES = 64
"""Failures that are kept for the errors of the calls that have waited: they come at once, or not at all."""


class _Grant(NamedTuple):
    token: str
    expires_in_ms: int


class _Question:
    """One run of the provider. Its context, which tasks and threads of asyncio inherit, says so while it lasts."""

    def __init__(self, source: TokenSource) -> None:
        self.source = weakref.ref(source)
        self.is_open = True


_question: ContextVar[_Question | None] = ContextVar("d365_failover_question", default=None)


def check_provider(provider: object, *, awaits: bool) -> None:
    get_token = getattr(provider, "get_token", None)
    asked = get_token if callable(get_token) else provider
    if asked is None:
        return
    if not callable(asked):
        raise TypeError(f"token_provider is callable or has get_token: {type(provider).__name__} is neither")
    if not awaits and any(map(inspect.iscoroutinefunction, (asked, type(asked).__call__))):
        raise TypeError("token_provider gives coroutines, which need an AsyncClient")


class TokenSource:
    """Asks the provider, on threads that are kept for a next question.

    One waits while others ask: a provider that hangs is not to keep the other endpoint's token back. The library asks
    for an endpoint again when who waited for the answer has given up, and at most 16 times at once.
    """

    def __init__(self, provider: AsyncTokenProvider, queue: TokenQueue) -> None:
        get_token = getattr(provider, "get_token", None)
        self._ask: Callable[[str], Any] = provider  # type: ignore[assignment]
        if callable(get_token):
            self._ask = lambda url: get_token(f"{url}/.default")
        self.loop: asyncio.AbstractEventLoop | None = None
        """Where a coroutine of the provider runs: an `AsyncClient`'s event loop."""
        self._queue = queue
        self._lock = threading.Lock()
        self._waiting = 0
        self._threads: set[LibraryThread] = set()
        self._failures: deque[ProviderFailure] = deque(maxlen=_FAILURES)
        self._start()

    def threads(self) -> Iterator[LibraryThread]:
        """All of them, also those that begin while others are waited for."""
        seen: set[LibraryThread] = set()
        while fresh := self._threads.copy() - seen:
            seen |= fresh
            yield from fresh

    def is_asking_here(self) -> bool:
        """Whether the provider runs in this thread or task."""
        question = _question.get()
        return question is not None and question.is_open and question.source() is self

    def _start(self) -> None:
        args = (self._queue, weakref.ref(self), waiting_in_thread())
        thread = LibraryThread("d365_failover-tokens", _serve, *args)
        with self._lock:
            self._threads.add(thread)
            self._waiting += 1
        try:
            thread.start()
        except BaseException:
            with self._lock:
                self._threads.discard(thread)
                self._waiting -= 1
            raise

    def take(self, request: TokenRequest) -> bool:
        """Answers a request on this thread. Whether the thread is to wait for another."""
        with self._lock:
            self._waiting -= 1
            is_last = self._waiting == 0
        if is_last:
            # No more threads: the next question waits for this one.
            with contextlib.suppress(LocalError):
                self._start()
        self._answer(request)
        with self._lock:
            if self._waiting >= _SPARE:
                self._threads -= {thread for thread in self._threads if thread.is_current}
                return False
            self._waiting += 1
            return True

    def _answer(self, request: TokenRequest) -> None:
        question = _Question(self)
        entered = _question.set(question)
        try:
            given = self._ask(request.url)
            if inspect.isawaitable(given):
                self._await(given, request, question)
                return
            _reply(request, given)
        except BaseException as error:
            self._fail(request, error)
        finally:
            _question.reset(entered)
        question.is_open = False

    def _await(self, given: Awaitable[Any], request: TokenRequest, question: _Question) -> None:
        if self.loop is None or self.loop.is_closed():
            if inspect.iscoroutine(given):
                given.close()
            raise TypeError("a provider that is a coroutine needs an AsyncClient")

        async def settle() -> None:
            try:
                _reply(request, await given)
            except BaseException as error:
                self._fail(request, error)
                if not isinstance(error, Exception):
                    raise
            finally:
                question.is_open = False

        # Not waited for here: the other endpoint's token may be wanted meanwhile. The task inherits this context.
        asyncio.run_coroutine_threadsafe(settle(), self.loop)

    def _fail(self, request: TokenRequest, error: BaseException) -> None:
        url = request.url
        trace = error.__traceback__
        # Our own frames hold the source, and tell nobody anything.
        while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next
        failure = ProviderFailure(error.with_traceback(trace))
        self._failures.append(failure)
        try:
            request.fail(f"the token provider failed: {told(error)}", failure.number)
        except Exception as late:
            # Answered in the meantime, or nobody is left to wait for it.
            say(logging.DEBUG, "the failure of the token provider came too late", cause=late)
        say(logging.WARNING, "the token provider failed for %s", url, cause=error)


@raising
def _reply(request: TokenRequest, given: Any) -> None:
    token, expires_in_ms = _grant(given)
    request.reply(token, expires_in_ms)


def _grant(given: Any) -> _Grant:
    if isinstance(given, str):
        return _Grant(given, 0)
    expires_on = getattr(given, "expires_on", None)
    if expires_on is not None:
        return _Grant(given.token, _life(_time(expires_on, "expires_on") - time.time()))
    if isinstance(given, tuple) and len(given) == 2:
        token, expires_in = given
        return _Grant(token, _life(_time(expires_in, "the time")))
    raise TypeError(f"a token is str, (str, seconds) or has token and expires_on, not {type(given).__name__}")


def _life(seconds: float) -> int:
    """In milliseconds. What is over already is not 0, which says that nobody knows."""
    return int(max(min(seconds, _LONG), -1) * 1000) or -1


def _time(given: Any, what: str) -> float:
    """Answers of token servers have it as text, now and then."""
    seconds = number(given, f"{what} of a token is a number of seconds")
    if math.isnan(seconds):
        raise ValueError(f"{what} of a token is a number of seconds, not nan")
    return seconds


def _serve(queue: TokenQueue, reference: weakref.ref[TokenSource], wait: Wait | None) -> None:
    """Takes requests. Holds no provider while it waits, so that a forgotten client can go."""
    while (request := next_request(queue, wait)) is not None:
        source = reference()
        stays = source is None or source.take(request)
        del source, request
        if not stays:
            return
