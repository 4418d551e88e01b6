"""Token providers."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from ._exceptions import raising, told
from ._log import say

if TYPE_CHECKING:
    from ._native import TokenQueue, TokenRequest

__all__ = ["AccessToken", "TokenCredential", "TokenProvider"]


class AccessToken(Protocol):
    """As azure-core's."""

    @property
    def token(self) -> str: ...
    @property
    def expires_on(self) -> int:
        """Unix time, seconds."""


class TokenCredential(Protocol):
    """Anything with azure-core's `get_token`."""

    def get_token(self, *scopes: str) -> AccessToken | Awaitable[AccessToken]: ...


Token: TypeAlias = str | tuple[str, float] | AccessToken
"""A token to use once; or with the seconds for which it may be used again; or azure-core's."""

TokenProvider: TypeAlias = Callable[[str], Token | Awaitable[Token]] | TokenCredential
"""Called with the endpoint's origin, e.g. `https://contoso--s.crm.dynamics.com`, on a thread of the client's."""


class _Grant(NamedTuple):
    token: str
    expires_in_ms: int


class TokenSource:
    """Asks the provider, on a thread for each question: one that hangs is not to keep the other endpoint's token back.

    There is at most one question for each endpoint at a time.
    """

    def __init__(self, provider: TokenProvider, queue: TokenQueue) -> None:
        get_token = getattr(provider, "get_token", None)
        if callable(get_token):
            self._ask: Callable[[str], Any] = lambda url: get_token(f"{url}/.default")
        elif callable(provider):
            self._ask = provider
        else:
            raise TypeError(f"token_provider is callable or has get_token: {type(provider).__name__} is neither")
        self.loop: asyncio.AbstractEventLoop | None = None
        """Where a coroutine of the provider runs: an `AsyncClient`'s event loop."""
        self._asking: set[threading.Thread] = set()
        self._thread = threading.Thread(
            target=_serve, args=(queue, weakref.ref(self)), name="d365_failover-tokens", daemon=True
        )
        self._thread.start()

    def threads(self) -> Iterator[threading.Thread]:
        """The one that starts others first: when it has ended, there come no more of them."""
        yield self._thread
        yield from list(self._asking)

    def start(self, request: TokenRequest) -> None:
        thread = threading.Thread(target=self._answer_and_go, args=(request,), name="d365_failover-token", daemon=True)
        self._asking.add(thread)
        try:
            thread.start()
        except RuntimeError as error:  # no more threads
            self._asking.discard(thread)
            _fail(request, error)

    def _answer_and_go(self, request: TokenRequest) -> None:
        try:
            self.answer(request)
        finally:
            self._asking.discard(threading.current_thread())

    def answer(self, request: TokenRequest) -> None:
        try:
            given = self._ask(request.url)
            if inspect.isawaitable(given):
                self._await(given, request)
            else:
                _reply(request, given)
        except BaseException as error:
            _fail(request, error)

    def _await(self, given: Awaitable[Any], request: TokenRequest) -> None:
        if self.loop is None or self.loop.is_closed():
            if inspect.iscoroutine(given):
                given.close()
            raise TypeError("a provider that is a coroutine needs an AsyncClient")

        async def settle() -> None:
            try:
                _reply(request, await given)
            except BaseException as error:
                _fail(request, error)
                if not isinstance(error, Exception):
                    raise

        # Not waited for here: the other endpoint's token may be wanted meanwhile.
        asyncio.run_coroutine_threadsafe(settle(), self.loop)


@raising
def _reply(request: TokenRequest, given: Any) -> None:
    token, expires_in_ms = _grant(given)
    request.reply(token, expires_in_ms)


def _grant(given: Any) -> _Grant:
    if isinstance(given, str):
        return _Grant(given, 0)
    expires_on = getattr(given, "expires_on", None)
    if expires_on is not None:
        return _Grant(given.token, int((expires_on - time.time()) * 1000))
    if isinstance(given, tuple) and len(given) == 2:
        token, expires_in = given
        return _Grant(token, int(expires_in * 1000))
    raise TypeError(f"a token is str, (str, seconds) or has token and expires_on, not {type(given).__name__}")


def _fail(request: TokenRequest, error: BaseException) -> None:
    url = request.url
    try:
        request.fail(f"the token provider failed: {told(error)}")
    except Exception as late:
        # Answered in the meantime, by the deadline of the call.
        say(logging.DEBUG, "the failure of the token provider came too late", cause=late)
    say(logging.WARNING, "the token provider failed for %s", url, cause=error)


def _serve(queue: TokenQueue, reference: weakref.ref[TokenSource]) -> None:
    """Starts a thread for each request. Holds no provider while it waits, so that a forgotten client can go."""
    while (request := queue.next()) is not None:
        source = reference()
        if source is not None:
            source.start(request)
        del source, request
