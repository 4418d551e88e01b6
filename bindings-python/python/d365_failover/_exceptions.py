"""The exceptions. All derive from `FailoverError`, and from the built-in one where there is one."""

from __future__ import annotations

import functools
import itertools
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, TypeVar

from ._models import Attempt, Response
from ._native import NativeFailure
from ._types import CHECKS, DISCOVERS

if TYPE_CHECKING:
    from ._native import Answer
    from ._types import RawRequest

__all__ = [
    "AuthenticationError",
    "BusyError",
    "CaStoreError",
    "CallCancelledError",
    "CallTimeoutError",
    "ClosedError",
    "ConnectionLostError",
    "DatacenterNotAvailableError",
    "EndpointNotFoundError",
    "FailoverError",
    "ForkedError",
    "HTTPStatusError",
    "InvalidArgumentError",
    "InvalidSettingError",
    "InvalidUrlError",
    "LateError",
    "LedgerEntryError",
    "LocalError",
    "NoAlternateError",
    "OverriddenError",
    "ProtocolError",
    "ResponseNotReadError",
    "ServerUnavailableError",
    "StreamClosedError",
    "StreamConsumedError",
    "TlsError",
    "UnknownSettingError",
    "WouldDeadlockError",
    "WriteInDoubtError",
    "error_of",
]

P = ParamSpec("P")
T = TypeVar("T")


class ProviderFailure:
    """What a token provider has raised. Found by its number while who holds it lives."""

    __slots__ = ("__weakref__", "error", "number")

    _by_number: ClassVar[weakref.WeakValueDictionary[int, ProviderFailure]] = weakref.WeakValueDictionary()
    _numbers: ClassVar[itertools.count[int]] = itertools.count(1)

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.number = next(self._numbers)
        self._by_number[self.number] = self

    @classmethod
    def of(cls, number: int | None) -> BaseException | None:
        failure = None if number is None else cls._by_number.get(number)
        return None if failure is None else failure.error


class FailoverError(Exception):
    """Base of everything that this package raises on its own account."""

    kind: str
    """What it is, in one word: `"timeout"`, `"endpoint_not_found"`, `"closed"`, `"invalid_url"`, …"""
    effect: str
    """What is known of a write: `"executed"`, `"not_executed"`, also where it was refused before it was sent (a closed
    client, a URL that is none of its), `"unknown"`. `"none"` for a read, and for what is no call."""
    switched: bool
    """Whether the endpoint changed during the call."""
    attempts: tuple[Attempt, ...]
    """What was tried, in order. Empty if nothing was sent."""
    status: int | None
    """The HTTP status, if there was one."""
    code: int | None
    """The service's error code, if it sent one: -2147176347 is 0x8004B065, DatacenterNotAvailable."""
    retry_after: float | None
    """Seconds after which the service wants to be asked again, if it said so."""
    response: Response | None
    """The response, as far as there was one."""
    ledger_id: int | None
    """The write in the client's ledger. `None`: it was a read, or nothing was sent."""
    tag: str | None
    """The `tag` that the request was given."""
    cause: str | None
    """What exactly made the call fail, finer than `kind`: `"no_such_name"`, `"refused"`, `"connect_timeout"`,
    `"reset"`, … `None` where no call failed. (`__cause__` is Python's: the exception that this one comes from.)"""

    def __init__(
        self,
        message: str = "",
        *,
        kind: str = "internal",
        effect: str = "none",
        switched: bool = False,
        attempts: Sequence[Attempt] = (),
        status: int | None = None,
        code: int | None = None,
        retry_after: float | None = None,
        response: Response | None = None,
        ledger_id: int | None = None,
        tag: str | None = None,
        cause: str | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.effect = effect
        self.switched = switched
        self.attempts = tuple(attempts)
        self.status = status
        self.code = code
        self.retry_after = retry_after
        self.response = response
        self.ledger_id = ledger_id
        self.tag = tag
        self.cause = cause

    def __reduce__(self) -> tuple[Any, ...]:
        # Of its own Python copies no cause. Another library's may hold what cannot be copied.
        cause = {"__cause__": self.__cause__} if isinstance(self.__cause__, FailoverError) else {}
        return type(self), self.args, {**self.__dict__, **cause}


class WriteInDoubtError(FailoverError):
    """A write that may have been executed or not (`effect` is `"unknown"`), whatever its call failed with.

    `__cause__` is the error that it would be if it were no write, with the same fields: a `ConnectionLostError`, a
    `CallTimeoutError`, a `CallCancelledError`, an `HTTPStatusError`, … It is none of them itself, and neither an
    `OSError` nor a `TimeoutError`: a loop that repeats what was lost or late does not catch it, and so does not do the
    write twice. What is to be done: look whether it is there (`ledger_id`, `Client.ledger`).
    """


class InvalidArgumentError(FailoverError, ValueError):
    """An argument has a value that it cannot have."""


class InvalidUrlError(InvalidArgumentError):
    """A URL that is none, or from which no pair of endpoints can be made; the message says what to do."""


class InvalidSettingError(InvalidArgumentError):
    """A setting has a value that it cannot have."""


class UnknownSettingError(FailoverError, TypeError):
    """A keyword that is no setting."""


class ClosedError(FailoverError, RuntimeError):
    """The client is closed."""


class WouldDeadlockError(FailoverError, RuntimeError):
    """A call from a handler of `EndpointSwitchRequired`, or from the client's own token provider, for which it would
    wait."""


class ForkedError(FailoverError, RuntimeError):
    """The client was opened by the parent of a fork: the child opens one of its own."""


class BusyError(FailoverError, RuntimeError):
    """`close` returned while a handler was still running; or a streamed response is being read by another thread."""


class LateError(FailoverError, RuntimeError):
    """A veto or a token that came after its time; an outgoing attempt that is used after it was sent."""


class LedgerEntryError(FailoverError, LookupError):
    """`resolve`, `verify` or `replay` was given a number that no write on record has; or `resolve` that of one that
    nothing is in question about, `verify` that of one in flight, `replay` one that is not sent again."""


class NoAlternateError(FailoverError, RuntimeError):
    """The organization has no alternate endpoint, says its FailoverPolicy; or, of a switch by hand, that was not read
    yet."""


class OverriddenError(FailoverError, RuntimeError):
    """The operator keeps calls where they are: `D365_FAILOVER`, or the store's override. The message says which, and
    how it is lifted."""


class CaStoreError(FailoverError, OSError):
    """No certificate authorities to check servers by: set `ca_bundle`."""


class EndpointNotFoundError(FailoverError, ConnectionError):
    """No such host, connection refused or not made in time, or nothing of the service there."""


class DatacenterNotAvailableError(FailoverError, ConnectionError):
    """The datacenter does not serve the organization now (0x8004B065)."""


class CallTimeoutError(FailoverError, TimeoutError):
    """No answer in time."""


class ServerUnavailableError(FailoverError, ConnectionError):
    """The front end answered, the service did not."""


class ConnectionLostError(FailoverError, ConnectionError):
    """The connection ended after the request was sent."""


class LocalError(FailoverError, OSError):
    """This machine's own trouble: no threads, no descriptors, no ports, no name service. `kind` is `no_resources` where
    that was outside of a call."""


class TlsError(FailoverError, ConnectionError):
    """No TLS connection: an unknown authority, a wrong name, no common version."""


class AuthenticationError(FailoverError):
    """The token provider gave no token. What it has raised is the `__cause__`."""


class ProtocolError(FailoverError):
    """The answer was no HTTP, or not all of it came."""


class CallCancelledError(FailoverError):
    """The call was cancelled, or the client closed during it."""


class HTTPStatusError(FailoverError):
    """A response with an error status, raised by `Response.raise_for_status()` and by nothing else."""


class ResponseNotReadError(FailoverError, RuntimeError):
    """The content of a streamed response was asked for before `read` or `aread`."""


class StreamConsumedError(FailoverError, RuntimeError):
    """A streamed response was read a second time."""


class StreamClosedError(FailoverError, RuntimeError):
    """A streamed response was read after its `with` block, or after `close`."""


_BY_NAME: dict[str, type[FailoverError]] = {
    "invalid_argument": InvalidArgumentError,
    "null_pointer": InvalidArgumentError,
    "invalid_utf8": InvalidArgumentError,
    "invalid_url": InvalidUrlError,
    "unknown_setting": UnknownSettingError,
    "invalid_setting": InvalidSettingError,
    "closed": ClosedError,
    "would_deadlock": WouldDeadlockError,
    "forked": ForkedError,
    "no_alternate": NoAlternateError,
    "overridden": OverriddenError,
    "busy": BusyError,
    "late": LateError,
    "no_ca_store": CaStoreError,
    "endpoint_not_found": EndpointNotFoundError,
    "datacenter_not_available": DatacenterNotAvailableError,
    "timeout": CallTimeoutError,
    "server_unavailable": ServerUnavailableError,
    "connection_lost": ConnectionLostError,
    "local": LocalError,
    "no_resources": LocalError,
    "tls": TlsError,
    "authentication": AuthenticationError,
    "protocol": ProtocolError,
    "cancelled": CallCancelledError,
}

_MESSAGES = {
    "busy": "it is being read by another thread",
    "closed": "the client is closed",
    "forked": "this client was opened before a fork: open one of its own in the child",
    "invalid_handle": "this event was handled already",
    "late": "the decision was already taken",
    "no_resources": "this machine has no thread for it",
}


def of_kind(kind: str, message: str = "") -> FailoverError:
    """The exception for `kind`, with nothing but a message."""
    return _BY_NAME.get(kind, FailoverError)(message or _message(kind), kind=kind)


def _message(kind: str) -> str:
    return _MESSAGES.get(kind, kind.replace("_", " "))


def of_failure(failure: NativeFailure) -> FailoverError:
    """The exception for what the native module raised; its cause is what the token provider has raised, if it has."""
    kind, message, effect, switched, status, code, retry_after_ms, attempts, response, ledger_id, tag, cause = (
        failure.args
    )
    error = _BY_NAME.get(kind, FailoverError)(
        message or _message(kind),
        kind=kind,
        effect=effect,
        switched=switched,
        attempts=tuple(map(Attempt._of, attempts)),
        status=status,
        code=code,
        retry_after=None if retry_after_ms is None else retry_after_ms / 1000,
        response=None if response is None else Response(response),
        ledger_id=ledger_id,
        tag=tag,
        cause=cause,
    )
    error.__cause__ = ProviderFailure.of(getattr(failure, "provider_data", None))
    return in_doubt(error) if effect == "unknown" else error


def in_doubt(error: FailoverError) -> WriteInDoubtError:
    """The error of a write in doubt that comes from this one."""
    doubt = WriteInDoubtError(str(error))
    doubt.__dict__.update(error.__dict__)
    doubt.__cause__ = error
    return doubt


def asked_with(error: BaseException, request: RawRequest) -> None:
    """Has the response of a call's error, or of the cause of what has ended the call, say what it was asked with."""
    # Not `__context__`: there is what the application was handling when it called.
    failed = error if isinstance(error, FailoverError) else error.__cause__
    # One that says it already, or says that nobody asked it, is of another call.
    if isinstance(failed, FailoverError) and failed.response is not None and failed.response._asked is None:
        is_question = request[8] is not None or request[6] & (DISCOVERS | sum(CHECKS.values()))
        failed.response._asked = () if is_question else request[:3]


def error_of(exception: BaseException) -> FailoverError | None:
    """The `FailoverError` that an exception is or comes from, with all that is known of the call; else `None`.

    For code that is left by another exception than the library's: a task that `asyncio.wait_for` or `asyncio.timeout`
    has ended, a `KeyboardInterrupt`, an exception of the request's body. Ask in the process that made the call: what
    `ProcessPoolExecutor` or `multiprocessing` hands on has lost where it comes from. The library's own exceptions keep
    all that is known there.

    >>> try:
    ...     await asyncio.wait_for(client.post("/api/data/v9.2/accounts", json={"name": "a"}), 1)
    ... except TimeoutError as late:
    ...     error = d365_failover.error_of(late)
    ...     if error is not None and error.effect == "unknown":
    ...         remember(error.ledger_id)
    """
    seen: set[int] = set()
    following: BaseException | None = exception
    while following is not None and id(following) not in seen:
        if isinstance(following, FailoverError):
            return following
        seen.add(id(following))
        following = following.__cause__ or following.__context__
    return None


def of_entry(error: FailoverError) -> FailoverError:
    """The exception of a method that is given a write on record."""
    if error.kind != "not_available":
        return error
    return LedgerEntryError(str(error), kind=error.kind, effect=error.effect, tag=error.tag)


def raising(function: Callable[P, T]) -> Callable[P, T]:
    """Makes a function that calls the native module raise what the documentation says."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except NativeFailure as failure:
            error = of_failure(failure)
            raise error from error.__cause__

    return call


def completed(raw: Answer) -> FailoverError:
    """The cause of a cancellation that came when the response was there."""
    response = Response(raw)
    error = CallCancelledError(
        "the call was done when it was interrupted",
        kind="cancelled",
        effect=response.effect,
        switched=response.switched,
        attempts=response.attempts,
        status=response.status_code,
        response=response,
        ledger_id=response.ledger_id,
        tag=response.tag,
    )
    return in_doubt(error) if response.effect == "unknown" else error


def told(error: BaseException) -> str:
    """An exception in a line that can be passed on, whatever its text is made of."""
    name = type(error).__name__
    try:
        text = f"{name}: {error}"
    except Exception:
        text = name
    return text.encode(errors="backslashreplace").decode()
