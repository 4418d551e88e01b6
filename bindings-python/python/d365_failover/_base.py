"""What both clients are."""

from __future__ import annotations

import contextlib
import datetime
import functools
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn, TypeVar, cast

from . import _lifecycle, _native
from ._dispatch import Handlers, check_handler
from ._events import (
    CALL_RETRIED,
    DATA_LOSS_SUSPECTED,
    OUTAGE_ENDED,
    OUTAGE_STARTED,
    REQUIRED,
    SETTLED,
    STORE_FAILED,
    SWITCHED,
    THROTTLED,
    WRITE_IN_DOUBT,
    CallRetriedEvent,
    DataLossSuspectedEvent,
    EndpointSwitchEvent,
    EndpointSwitchRequiredEvent,
    Handler,
    OutageEndedEvent,
    OutageStartedEvent,
    SettledEvent,
    StoreFailedEvent,
    ThrottledEvent,
    WriteInDoubtEvent,
)
from ._exceptions import of_failure, of_kind, raising
from ._green import check_waiting
from ._ledger import since_ms
from ._native import NativeFailure
from ._opening import Opening
from ._operator import CurrentOverride
from ._outgoing import check_prepare
from ._request import by_request
from ._settings import in_python, to_native
from ._threads import LibraryThread
from ._tokens import AsyncTokenProvider, TokenSource, check_provider

RequiredHandler = TypeVar("RequiredHandler", bound=Callable[[EndpointSwitchRequiredEvent], object])
SwitchedHandler = TypeVar("SwitchedHandler", bound=Callable[[EndpointSwitchEvent], object])
WriteInDoubtHandler = TypeVar("WriteInDoubtHandler", bound=Callable[[WriteInDoubtEvent], object])
DataLossHandler = TypeVar("DataLossHandler", bound=Callable[[DataLossSuspectedEvent], object])
RetriedHandler = TypeVar("RetriedHandler", bound=Callable[[CallRetriedEvent], object])
ThrottledHandler = TypeVar("ThrottledHandler", bound=Callable[[ThrottledEvent], object])
OutageStartedHandler = TypeVar("OutageStartedHandler", bound=Callable[[OutageStartedEvent], object])
OutageEndedHandler = TypeVar("OutageEndedHandler", bound=Callable[[OutageEndedEvent], object])
SettledHandler = TypeVar("SettledHandler", bound=Callable[[SettledEvent], object])
StoreFailedHandler = TypeVar("StoreFailedHandler", bound=Callable[[StoreFailedEvent], object])

CLOSE_TIMEOUT = 5.0
LAST_EVENTS = 5.0
"""Seconds, and at most `timeout`, for the handlers of what happens when a close has no time left: writes in doubt."""


def told_natively(settings: Mapping[str, Any], *, awaits: bool) -> list[tuple[str, str]]:
    """A client's settings as the library takes them. What is no text is refused here if it is none of its kind."""
    check_prepare(settings.get("prepare"), awaits=awaits)
    check_provider(settings.get("token_provider"), awaits=awaits)
    return to_native({name: value for name, value in settings.items() if name not in ("prepare", "token_provider")})


def check_url(url: object) -> None:
    if not isinstance(url, str):
        raise TypeError(f"the URL is text, not {type(url).__name__}")


def refuse_wrong(url: str, told: list[tuple[str, str]], settings: Mapping[str, Any]) -> None:
    """Refuses what can be refused before a client is opened, without I/O."""
    check_url(url)
    try:
        _native.check_settings(url, told)
    except NativeFailure as failure:
        raise in_python(of_failure(failure), settings) from None


class BaseClient:
    """Endpoints and handlers. All of it may be used from any thread, and from any handler."""

    _closed = True  # until the native client stands, for __del__
    _opening: Opening | None = None
    """As long as nobody has seen its end, and for ever where that was none."""
    _awaits = False
    """Whether the application's code may be a coroutine."""
    _is_plain = False
    """Whether a call with nothing but headers and bytes need not go through `_send`."""

    def __init_subclass__(cls, **more: Any) -> None:
        """What `get` and its like send goes through a subclass's own `request`, if it has one."""
        super().__init_subclass__(**more)
        request, ask = (next((c for c in cls.__mro__ if name in c.__dict__), None) for name in ("request", "_ask"))
        if request is not ask:
            cls._ask = by_request  # type: ignore[attr-defined]

    @raising
    def __init__(self, url: str, settings: dict[str, Any]) -> None:
        _lifecycle.check_may_open()
        check_url(url)
        told = told_natively(settings, awaits=self._awaits)
        provider = settings.pop("token_provider", None)
        self._hook = settings.pop("prepare", None)
        self._handlers = Handlers()
        patience = settings.get("handler_timeout")
        self._patience: float = 5.0 if patience is None else patience
        self._tokens: TokenSource | None = None
        open = functools.partial(self._open, url, told, settings, provider)
        if not self._is_opened_beside(settings):
            open()
            return
        refuse_wrong(url, told, settings)
        self._opening = Opening()
        self._native = cast("_native.Client", self._opening)
        self._closed = False
        try:
            self._opening.begin(open)
        except BaseException:
            self._closed = True
            raise

    def _is_opened_beside(self, settings: dict[str, Any]) -> bool:
        """Whether a thread opens it, while who makes it goes on."""
        return False

    def _open(
        self, url: str, told: list[tuple[str, str]], settings: dict[str, Any], provider: AsyncTokenProvider | None
    ) -> _native.Client:
        try:
            native = _native.Client(url, told, provider is not None, self._hook is not None)
            self._queue = native.queue
            check_waiting(self._queue)
        except NativeFailure as failure:
            self._closed = True
            raise in_python(of_failure(failure), settings) from None
        except BaseException:
            self._closed = True
            raise
        self._native = native
        self._closed = False
        try:
            if provider is not None and native.tokens is not None:
                self._tokens = TokenSource(provider, native.tokens)
            with self._handlers.lock:
                native.subscribe(self._handlers.mask())
        except BaseException:
            self._abandon()
            raise
        _lifecycle.opened(self)
        return native

    def __repr__(self) -> str:
        if self._closed or self._native.forked:
            state = "closed" if self._closed else "forked"
        else:
            state = "opening" if isinstance(self._native, Opening) else self._native.active_url
        return f"<{type(self).__name__} {state}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} is of one process and cannot be pickled: open one in each process")

    def __del__(self) -> None:
        if not self._closed and not self._native.forked:
            warnings.warn(f"unclosed {type(self).__name__}", ResourceWarning, source=self, stacklevel=2)

    @property
    @raising
    def primary_url(self) -> str:
        """Base URL of the organization's own endpoint."""
        return self._native.primary_url

    @property
    @raising
    def alternate_url(self) -> str | None:
        """Base URL of the other datacenter. Known from the start; `None`: the FailoverPolicy has said that
        there is none."""
        return self._native.alternate_url

    @property
    @raising
    def active_url(self) -> str:
        """Base URL of the endpoint that calls go to now."""
        return self._native.active_url

    @property
    @raising
    def is_primary(self) -> bool:
        """Whether calls go to the primary now."""
        return self._native.is_primary

    @property
    @raising
    def epoch(self) -> int:
        """How often the client has switched."""
        return self._native.epoch

    @property
    @raising
    def endpoint_auto_switch_enabled(self) -> bool:
        """Whether a fault switches the endpoint. A handler of EndpointSwitchRequired may set it for that switch."""
        return self._native.endpoint_auto_switch_enabled

    @endpoint_auto_switch_enabled.setter
    @raising
    def endpoint_auto_switch_enabled(self, enabled: bool) -> None:
        if not isinstance(enabled, bool):
            raise TypeError(f"endpoint_auto_switch_enabled is True or False, not {type(enabled).__name__}")
        self._native.endpoint_auto_switch_enabled = enabled

    def on_endpoint_switch_required(self, handler: RequiredHandler) -> RequiredHandler:
        """Calls `handler(event)` before a switch; `event.veto()` forbids it. Usable as a decorator.

        The calls that met the fault wait for it, at most `handler_timeout` from when the switch is called for. Then,
        and where another handler is running just at that time, the switch goes on without it. It must not wait for a
        call of this client: that raises `WouldDeadlockError` at once. All else works.
        """
        self._register(REQUIRED, handler)
        return handler

    def on_endpoint_switched(self, handler: SwitchedHandler) -> SwitchedHandler:
        """Calls `handler(event)` after a switch. Usable as a decorator. It may send calls."""
        self._register(SWITCHED, handler)
        return handler

    def on_write_in_doubt(self, handler: WriteInDoubtHandler) -> WriteInDoubtHandler:
        """Calls `handler(event)` when a call has ended and whether its write was executed is not known.

        Usable as a decorator. The handler may send calls: `verify` looks whether the row is there, and then `resolve`.
        """
        self._register(WRITE_IN_DOUBT, handler)
        return handler

    def on_data_loss_suspected(self, handler: DataLossHandler) -> DataLossHandler:
        """Calls `handler(event)` when writes are on record that the active endpoint may lack: mostly after a switch.

        Usable as a decorator. The handler may send calls: to verify `ledger(suspects=True)`.
        """
        self._register(DATA_LOSS_SUSPECTED, handler)
        return handler

    def on_call_retried(self, handler: RetriedHandler) -> RetriedHandler:
        """Calls `handler(event)` when a call is sent again. Usable as a decorator. It may send calls.

        Where handlers do not follow, such events are dropped, and a log record says how many.
        """
        self._register(CALL_RETRIED, handler)
        return handler

    def on_throttled(self, handler: ThrottledHandler) -> ThrottledHandler:
        """Calls `handler(event)` when a call waits because the service asks for less. Usable as a decorator.

        It may send calls. Where handlers do not follow, such events are dropped, and a log record says how many.
        """
        self._register(THROTTLED, handler)
        return handler

    def on_outage_started(self, handler: OutageStartedHandler) -> OutageStartedHandler:
        """Calls `handler(event)` when no endpoint answers, and calls wait for one. Usable as a decorator.

        A call that it sends waits as well. With `outage_wait=0` there is no such event.
        """
        self._register(OUTAGE_STARTED, handler)
        return handler

    def on_outage_ended(self, handler: OutageEndedHandler) -> OutageEndedHandler:
        """Calls `handler(event)` when an outage is over. Usable as a decorator. It may send calls."""
        self._register(OUTAGE_ENDED, handler)
        return handler

    def on_settled(self, handler: SettledHandler) -> SettledHandler:
        """Calls `handler(event)` when a walk over the writes to verify is over: `settle`. Usable as a decorator. It may
        send calls."""
        self._register(SETTLED, handler)
        return handler

    def on_store_failed(self, handler: StoreFailedHandler) -> StoreFailedHandler:
        """Calls `handler(event)` when the store has failed and a call went on: a write that is not on record was sent,
        or a write's end is not. Usable as a decorator. It may send calls."""
        self._register(STORE_FAILED, handler)
        return handler

    @raising
    def off(self, handler: Handler) -> bool:
        """Removes `handler` from all events. Whether it was there. Works inside the handler."""
        if self._native.forked:
            # The lock may be held by a thread that exists only in the parent.
            raise of_kind("forked")
        with self._handlers.lock:
            found = self._handlers.remove(handler)
            if found:
                self._native.subscribe(self._handlers.mask())
        return found

    @raising
    def _register(self, kind: int, handler: Handler) -> None:
        check_handler(handler)
        if self._native.forked or self._closed:
            raise of_kind("forked" if self._native.forked else "closed")
        with self._handlers.lock:
            self._prepare(handler)
            self._handlers.add(kind, handler)
            self._native.subscribe(self._handlers.mask())

    @raising
    def statistics(self) -> dict[str, Any]:
        """What the client has counted since it was opened. Always on; works after `close`.

        `active`, `auto_switch`, `switches`, `outages`, `throttled`; `calls` (`in_flight`, `answered`, `failed`);
        `resends` by cause; `retries_left` of `retry_budget`; `writes` (`in_doubt`, `suspects`, which is `None` when the
        store has failed, `evicted`); and in
        `endpoints`, for `primary` and `alternate`, `attempts`, `failed`, `bytes_sent`, `bytes_received`, `probes`
        (`serves`, `reachable`, `failed`) and `latency_ms`: `counts[i]` attempts took at most `bounds[i]` milliseconds
        and more than the bound before; the last count has no bound. More may come.
        """
        counted: dict[str, Any] = json.loads(self._native.statistics())
        return counted

    @raising
    def maintenance(self, start: datetime.datetime | float, end: datetime.datetime | float) -> None:
        """Announces that an interruption is planned from `start` to `end`: datetimes with a time zone, or seconds since
        1970. The start may be past; the end is in the future, and within a year.

        In that time an outage is waited out up to `end`, whatever `outage_wait` says, within the calls' deadlines;
        events say `planned`; and the log does not warn of it. Calls are sent as ever, and the client switches when the
        other endpoint serves. Up to 100 windows are kept; those that meet or overlap are one. They are kept as times
        from now: a machine that sleeps, or whose clock is set, shifts them. Does no I/O.

        Raises `InvalidArgumentError` for times that are not so.
        """
        self._native.maintenance(since_ms(start), since_ms(end))

    @property
    @raising
    def current_override(self) -> CurrentOverride | None:
        """What the operator says, where calls go because of it or are not moved. `D365_FAILOVER` of the environment,
        read when the client was opened, goes before the store's override. Does no I/O."""
        return CurrentOverride._of(*self._native.current_override)

    @property
    @raising
    def ledger_evicted(self) -> int:
        """How many acknowledged writes went from the record before `replication_window` was over, and before they were
        verified or resolved, because there were more than `ledger_entries`."""
        return self._native.ledger_evicted

    def _prepare(self, handler: Handler) -> None:
        raise NotImplementedError

    def _refuse_in_provider(self) -> None:
        """A call from the client's own token provider would wait for the token that is being got."""
        if self._tokens is not None and self._tokens.is_asking_here():
            raise of_kind(
                "would_deadlock",
                "a call from the token provider would wait for the token that it has not given yet; get tokens with a "
                "client of their own",
            )

    def _threads(self) -> Iterator[LibraryThread]:
        """The client's threads, less the one that asks, in an order in which they can be joined."""
        if self._tokens is not None:
            yield from (thread for thread in self._tokens.threads() if not thread.is_current)

    def _abandon(self) -> None:
        """Closes without waiting."""
        self._closed = True
        with contextlib.suppress(NativeFailure):
            self._native.do("shutdown", (0,))
            self._native.close_queues()
        _lifecycle.closed(self)
