"""OpenTelemetry: spans of calls and of their attempts, and metrics. Needs the extra `opentelemetry`.

    from d365_failover.opentelemetry import instrument

    with d365_failover.Client("https://contoso.crm.dynamics.com") as client:
        instrument(client)

Drop-ins take what they are given as a client of their own; `instrument` takes clients.
"""

from __future__ import annotations

import datetime
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from opentelemetry import metrics, propagate, trace
from opentelemetry.metrics import CallbackOptions, Histogram, MeterProvider, Observation
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, TracerProvider

from . import __version__
from ._async_client import AsyncClient
from ._client import Client
from ._exceptions import FailoverError, error_of
from ._functions import shown_url
from ._models import Attempt
from ._types import CHECKS, DISCOVERS, REPLAYS

if TYPE_CHECKING:
    from ._native import Answer
    from ._types import RawRequest

__all__ = ["instrument"]

_NAME = "d365_failover"
_SCHEMA = "https://opentelemetry.io/schemas/1.27.0"
_OWN = DISCOVERS | sum(CHECKS.values())
# Of the conventions for http.client.request.duration.
_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_METHODS = frozenset(("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"))

Attributes = dict[str, "str | int | bool"]


def instrument(
    client: Client | AsyncClient,
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    propagates: bool = True,
) -> Callable[[], None]:
    """From now on the client's calls have spans, and its statistics are metrics. Returns what ends that.

    A call is an internal span with `d365_failover.effect`, `.switched`, `.ledger_id`, `.attempts`; each of its attempts
    is a client span beneath it, by the conventions for HTTP clients, with `http.request.resend_count` from the second
    on and `d365_failover.role`, `.phase`, `.epoch`, `.cause`. Attempts are told when the call has ended: by when they
    started and how long they took. With `propagates` the call's context goes out in the request's headers, unless the
    application has set them. URLs have no query, and no header is told. What `verify` and `settle` ask has no spans; a
    `replay` has, with the method `_OTHER`.

    Metrics: `http.client.request.duration` of attempts; and, read when they are collected, `d365_failover.switches`,
    `.outages`, `.resends` (by cause), `.throttled`, `.writes.in_doubt`, `.writes.suspects`, `.probes` (by role and
    outcome), `.calls.active`, `.retries_left`. All have `d365_failover.organization`, the primary's URL.

    The providers are OpenTelemetry's own by default. A client is instrumented once: a second time raises `ValueError`.
    """
    if "_send" in vars(client):
        raise ValueError("the client is instrumented already")
    tracer = trace.get_tracer(_NAME, __version__, tracer_provider, _SCHEMA)
    meter = metrics.get_meter(_NAME, __version__, meter_provider, _SCHEMA)
    durations = meter.create_histogram(
        "http.client.request.duration", "s", "Duration of attempts.", explicit_bucket_boundaries_advisory=_BOUNDS
    )
    calls = _Calls(tracer, durations, {"d365_failover.organization": client.primary_url}, propagates)
    # No circle, so that a client that nobody has any more goes at once.
    behind = weakref.ref(client)
    was_plain = client._is_plain
    client._is_plain = False
    if isinstance(client, AsyncClient):
        vars(client)["_send"] = _asynchronous(behind, calls)
    else:
        vars(client)["_send"] = _blocking(behind, calls)
    told = _Told(behind)
    _observe(meter, told, calls.organization)

    def end() -> None:
        vars(client).pop("_send", None)
        client._is_plain = was_plain
        told.client = None

    return end


def _blocking(behind: weakref.ref[Any], calls: _Calls) -> Callable[..., Answer]:
    def send(request: RawRequest, source: Any) -> Answer:
        client = _there(behind)
        if _is_own(request):
            return Client._send(client, request, source)
        with calls.begin(request) as span:
            try:
                answer = Client._send(client, calls.prepared(request), source)
            except BaseException as error:
                calls.failed(span, request, error)
                raise
            calls.answered(span, request, answer)
            return answer

    return send


def _asynchronous(behind: weakref.ref[Any], calls: _Calls) -> Callable[..., Any]:
    async def send(request: RawRequest, source: Any) -> Answer:
        client = _there(behind)
        if _is_own(request):
            return await AsyncClient._send(client, request, source)
        with calls.begin(request) as span:
            try:
                answer = await AsyncClient._send(client, calls.prepared(request), source)
            except BaseException as error:
                calls.failed(span, request, error)
                raise
            calls.answered(span, request, answer)
            return answer

    return send


def _there(behind: weakref.ref[Any]) -> Any:
    client = behind()
    assert client is not None, "who calls has it"
    return client


def _is_own(request: RawRequest) -> bool:
    """Whether the library asks something of its own, which has no attempts."""
    looks_at_a_write = request[8] is not None and not request[1] and not request[6] & REPLAYS
    return looks_at_a_write or bool(request[6] & _OWN)


class _Calls:
    def __init__(self, tracer: Tracer, durations: Histogram, organization: Attributes, propagates: bool) -> None:
        self._tracer, self._durations = tracer, durations
        self._propagates = propagates
        self.organization = organization

    def begin(self, request: RawRequest) -> Any:
        attributes: Attributes = {**self.organization, **_asked(request)}
        if request[7] is not None:
            attributes["d365_failover.tag"] = request[7]
        # What ends it is told with what is known of the call.
        return self._tracer.start_as_current_span(
            f"d365_failover {'replay' if request[6] & REPLAYS else _named(request)}",
            kind=SpanKind.INTERNAL,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        )

    def prepared(self, request: RawRequest) -> RawRequest:
        """With the context of the span that is current."""
        if not self._propagates:
            return request
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        known = {name.lower() for name, _ in request[2]}
        more = [(name, value) for name, value in carrier.items() if name.lower() not in known]
        return (*request[:2], [*request[2], *more], *request[3:]) if more else request

    def answered(self, span: Span, request: RawRequest, answer: Answer) -> None:
        attempts = [Attempt._of(raw) for raw in answer.attempts]
        self._told(span, request, attempts, answer.effect, answer.switched, answer.ledger_id)

    def failed(self, span: Span, request: RawRequest, error: BaseException) -> None:
        known = error_of(error)
        if isinstance(known, FailoverError):
            self._told(span, request, known.attempts, known.effect, known.switched, known.ledger_id)
            span.set_attribute("error.type", known.kind)
        else:
            span.set_attribute("error.type", type(error).__qualname__)
        span.set_status(Status(StatusCode.ERROR, type(error).__qualname__))

    def _told(
        self,
        span: Span,
        request: RawRequest,
        attempts: Iterable[Attempt],
        effect: str,
        switched: bool,
        ledger_id: int | None,
    ) -> None:
        attempts = list(attempts)
        span.set_attribute("d365_failover.effect", effect)
        span.set_attribute("d365_failover.switched", switched)
        span.set_attribute("d365_failover.attempts", len(attempts))
        if ledger_id is not None:
            span.set_attribute("d365_failover.ledger_id", ledger_id)
        for number, attempt in enumerate(attempts):
            self._attempt(request, number, attempt)

    def _attempt(self, request: RawRequest, number: int, attempt: Attempt) -> None:
        attributes = _of_attempt(_method(request), attempt)
        self._durations.record(attempt.took, {**self.organization, **attributes})
        shown: Attributes = {
            **attributes,
            **_asked(request),
            "url.full": shown_url(attempt.url),
            "d365_failover.phase": attempt.phase,
            "d365_failover.epoch": attempt.epoch,
        }
        if attempt.role is not None:
            shown["d365_failover.role"] = attempt.role
        if attempt.cause is not None:
            shown["d365_failover.cause"] = attempt.cause
        if number:
            shown["http.request.resend_count"] = number
        started = int(attempt.started.timestamp() * 1_000_000) * 1_000
        span = self._tracer.start_span(_named(request), kind=SpanKind.CLIENT, attributes=shown, start_time=started)
        if "error.type" in attributes:
            # The message may hold what the service has said.
            span.set_status(Status(StatusCode.ERROR, attempt.fault))
        span.end(started + int(datetime.timedelta(seconds=attempt.took) / datetime.timedelta(microseconds=1)) * 1_000)


def _method(request: RawRequest) -> str:
    method = request[0].upper()
    # That of a write that is sent again is on record alone.
    return method if method in _METHODS and not request[6] & REPLAYS else "_OTHER"


def _named(request: RawRequest) -> str:
    """In the name of a span."""
    method = _method(request)
    return "HTTP" if method == "_OTHER" else method


def _asked(request: RawRequest) -> Attributes:
    method = _method(request)
    if method != "_OTHER" or request[6] & REPLAYS:
        return {"http.request.method": method}
    return {"http.request.method": method, "http.request.method_original": request[0]}


def _of_attempt(method: str, attempt: Attempt) -> Attributes:
    """What the conventions tell of an attempt, of which a metric has one value each."""
    parts = urlsplit(attempt.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    attributes: Attributes = {
        "http.request.method": method,
        "server.address": parts.hostname or "",
        "server.port": port,
        "url.scheme": parts.scheme,
    }
    if attempt.http_version is not None:
        attributes["network.protocol.name"] = "http"
        attributes["network.protocol.version"] = attempt.http_version.removeprefix("HTTP/")
    if attempt.http_status is not None:
        attributes["http.response.status_code"] = attempt.http_status
    if attempt.http_status is not None and attempt.http_status >= 400:
        attributes["error.type"] = str(attempt.http_status)
    elif attempt.cause is not None:
        attributes["error.type"] = attempt.cause
    return attributes


class _Told:
    """Whose statistics are told. What observes cannot be taken away from a meter."""

    def __init__(self, behind: weakref.ref[Any]) -> None:
        self.client: weakref.ref[Any] | None = behind


def _observe(meter: metrics.Meter, about: _Told, organization: Attributes) -> None:
    def told(tell: Callable[[Mapping[str, Any]], Iterable[tuple[float, Attributes]]]) -> list[Any]:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            client = None if about.client is None else about.client()
            if client is None:
                return
            try:
                counted = client.statistics()
            except FailoverError:
                # Of the parent of a fork, or of a store that has failed.
                return
            for value, attributes in tell(counted):
                yield Observation(value, {**organization, **attributes})

        return [observe]

    def one(*path: str) -> list[Any]:
        def tell(counted: Mapping[str, Any]) -> Iterable[tuple[float, Attributes]]:
            value: Any = counted
            for name in path:
                value = value[name]
            if value is not None:
                yield value, {}

        return told(tell)

    def resends(counted: Mapping[str, Any]) -> Iterable[tuple[float, Attributes]]:
        for cause, count in counted["resends"].items():
            yield count, {"d365_failover.cause": cause}

    def probes(counted: Mapping[str, Any]) -> Iterable[tuple[float, Attributes]]:
        for role, side in counted["endpoints"].items():
            for outcome, count in side["probes"].items():
                yield count, {"d365_failover.role": role, "d365_failover.outcome": outcome}

    counter, gauge = meter.create_observable_counter, meter.create_observable_gauge
    counter(f"{_NAME}.switches", one("switches"), "{switch}", "Switches to the other endpoint.")
    counter(f"{_NAME}.outages", one("outages"), "{outage}", "Outages of both endpoints.")
    counter(f"{_NAME}.resends", told(resends), "{resend}", "Calls that were sent again, by the cause.")
    counter(f"{_NAME}.throttled", one("throttled"), "{wait}", "Waits because the service asked for less.")
    counter(f"{_NAME}.writes.in_doubt", one("writes", "in_doubt"), "{write}", "Writes that ended in doubt.")
    counter(f"{_NAME}.probes", told(probes), "{probe}", "Probes, by the endpoint and what they found.")
    gauge(f"{_NAME}.writes.suspects", one("writes", "suspects"), "{write}", "Writes that are to be verified.")
    gauge(f"{_NAME}.calls.active", one("calls", "in_flight"), "{call}", "Calls in flight.")
    gauge(f"{_NAME}.retries_left", one("retries_left"), "{resend}", "What retry_budget has left.")
