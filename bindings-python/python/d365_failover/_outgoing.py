"""The prepare hook: an attempt before it is sent."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeAlias, TypeVar

from . import _native
from ._exceptions import of_failure, of_kind
from ._native import NativeFailure
from ._native import Outgoing as NativeOutgoing

__all__ = ["Outgoing", "OutgoingHeaders"]

P = ParamSpec("P")
T = TypeVar("T")


def _lent(function: Callable[P, T]) -> Callable[P, T]:
    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except NativeFailure as failure:
            if failure.args[0] == "invalid_handle":
                raise of_kind("late", "an outgoing attempt can be used only while its prepare hook runs") from None
            error = of_failure(failure)
            raise error from error.__cause__

    return call


class OutgoingHeaders:
    """The headers of an attempt, those among them that the library adds; names in any case.

    They cannot be iterated over.
    """

    __iter__ = None

    def __init__(self, native: NativeOutgoing) -> None:
        self._native = native

    @_lent
    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value of `name`."""
        value = self._native.header(name)
        return default if value is None else value

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    @_lent
    def __setitem__(self, name: str, value: str) -> None:
        """Sets a header, in the place of all of its name. Raises InvalidArgumentError for what HTTP does not allow."""
        self._native.set_header(name, value)

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        self.pop(name)

    @_lent
    def pop(self, name: str, default: str | None = None) -> str | None:
        """Takes all headers of that name away. The first of them, or `default`."""
        value = self._native.header(name)
        self._native.remove_header(name)
        return default if value is None else value


class Outgoing:
    """An attempt that was not sent yet, in the hands of the `prepare` hook.

    It can be used only while the hook runs: afterwards everything here raises `LateError`. What is changed holds for
    this attempt only; the next one begins with the request as it was.
    """

    __slots__ = ("_native", "headers")

    headers: OutgoingHeaders
    """What is sent: `outgoing.headers["X-Signature"] = …`"""

    def __init__(self, native: NativeOutgoing) -> None:
        self._native = native
        self.headers = OutgoingHeaders(native)

    @property
    @_lent
    def url(self) -> str:
        """The whole URL that it goes to."""
        return self._native.url

    @property
    @_lent
    def endpoint_url(self) -> str | None:
        """Base URL of the endpoint, as `Client.active_url`. `None` for a host of `allowed_hosts`."""
        return self._native.endpoint_url

    @property
    @_lent
    def role(self) -> str | None:
        """`"primary"` or `"alternate"`. `None` for a host of `allowed_hosts`."""
        return self._native.role

    @property
    @_lent
    def epoch(self) -> int:
        """How often the client has switched by now."""
        return self._native.epoch

    @property
    @_lent
    def number(self) -> int:
        """Which attempt of its call it is, from 1."""
        return self._native.number_of_attempt

    @property
    @_lent
    def method(self) -> str:
        return self._native.method

    @property
    @_lent
    def content(self) -> bytes | None:
        """The body. `None` for one that is read while it is sent. Set, it is sent in the place of either."""
        return self._native.content

    @content.setter
    @_lent
    def content(self, content: bytes | bytearray | memoryview | str) -> None:
        self._native.set_content(content.encode() if isinstance(content, str) else bytes(memoryview(content)))

    def __repr__(self) -> str:
        # Headers and bodies may hold credentials and rows.
        return f"<Outgoing {self.method} {_native.url_shown(self.url)} attempt {self.number}>"


Prepare: TypeAlias = Callable[[Outgoing], None]
AsyncPrepare: TypeAlias = Callable[[Outgoing], Awaitable[None] | None]


def check_prepare(prepare: object, *, awaits: bool) -> None:
    if prepare is None:
        return
    if not callable(prepare):
        raise TypeError(f"prepare is callable, not {type(prepare).__name__}")
    if not awaits and inspect.iscoroutinefunction(prepare):
        raise TypeError("prepare is a coroutine function, which needs an AsyncClient")
