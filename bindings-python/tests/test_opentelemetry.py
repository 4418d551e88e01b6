"""Spans and metrics, as OpenTelemetry's own exporters in memory get them."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import d365_failover
import pytest
from d365_failover.opentelemetry import instrument
from d365_failover.testing import FailoverPair
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

WHO_AM_I = "/api/data/v9.2/WhoAmI"
ACCOUNTS = "/api/data/v9.2/accounts"
TRACE = {"Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}


class Telemetry:
    def __init__(self) -> None:
        self._exporter, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.meters = MeterProvider([self._reader], shutdown_on_exit=False)

    def instrument(self, client: Any, **options: Any) -> Any:
        return instrument(client, tracer_provider=self.tracers, meter_provider=self.meters, **options)

    def calls(self) -> list[ReadableSpan]:
        return [span for span in self._exporter.get_finished_spans() if span.kind is SpanKind.INTERNAL]

    def attempts(self) -> list[ReadableSpan]:
        return [span for span in self._exporter.get_finished_spans() if span.kind is SpanKind.CLIENT]

    def metrics(self) -> dict[str, Any]:
        data = self._reader.get_metrics_data()
        if data is None:
            return {}
        found = (scope.metrics for resource in data.resource_metrics for scope in resource.scope_metrics)
        return {metric.name: list(metric.data.data_points) for metrics in found for metric in metrics}


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    telemetry = Telemetry()
    yield telemetry
    telemetry.tracers.shutdown()
    telemetry.meters.shutdown()


@pytest.fixture
def pair() -> Iterator[FailoverPair]:
    with FailoverPair() as pair:
        yield pair


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_a_call_that_was_answered(pair: FailoverPair, telemetry: Telemetry) -> None:
    with pair.client() as client:
        telemetry.instrument(client)
        answer = client.get(f"{ACCOUNTS}?$filter=name eq 'secret'")
    (call,), (attempt,) = telemetry.calls(), telemetry.attempts()
    assert (call.name, call.status.status_code) == ("d365_failover GET", StatusCode.UNSET)
    assert attributes(call) == {
        "d365_failover.organization": pair.url,
        "http.request.method": "GET",
        "d365_failover.effect": "none",
        "d365_failover.switched": False,
        "d365_failover.attempts": 1,
    }
    assert (attempt.name, attempt.status.status_code) == ("GET", StatusCode.UNSET)
    assert attributes(attempt) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "network.protocol.name": "http",
        "network.protocol.version": "1.1",
        "server.address": pair.primary.host,
        "server.port": 443,
        "url.scheme": "https",
        "url.full": f"{pair.url}{ACCOUNTS}?…",
        "d365_failover.phase": "responded",
        "d365_failover.epoch": 0,
        "d365_failover.role": "primary",
    }
    assert attempt.parent is not None
    assert attempt.parent.span_id == call.context.span_id
    took = answer.attempts[0].took
    assert attempt.start_time is not None
    assert attempt.end_time is not None
    assert (attempt.end_time - attempt.start_time) / 1e9 == pytest.approx(took, abs=1e-6)
    # What the server got names the call.
    sent = {name.lower(): value for name, value in pair.primary.requests[-1].headers}
    assert sent["traceparent"].split("-")[2] == f"{call.context.span_id:016x}"


def test_a_method_that_is_no_known_one(pair: FailoverPair, telemetry: Telemetry) -> None:
    with pair.client() as client:
        telemetry.instrument(client)
        client.request("MERGE", f"{ACCOUNTS}(00000000-0000-0000-0000-000000000001)", json={})
    (call,), (attempt,) = telemetry.calls(), telemetry.attempts()
    assert (call.name, attempt.name) == ("d365_failover HTTP", "HTTP")
    for span in (call, attempt):
        told = attributes(span)
        assert (told["http.request.method"], told["http.request.method_original"]) == ("_OTHER", "MERGE")


def test_a_call_across_a_switch(pair: FailoverPair, telemetry: Telemetry) -> None:
    with pair.client() as client:
        telemetry.instrument(client)
        pair.primary.refuse()
        client.post(ACCOUNTS, json={"name": "a"}, tag="order 7")
        metrics = telemetry.metrics()
    first, second = telemetry.attempts()
    assert attributes(first)["error.type"] == "refused"
    assert attributes(first)["d365_failover.phase"] == "not_sent"
    assert first.status.status_code is StatusCode.ERROR
    assert "http.request.resend_count" not in attributes(first)
    assert attributes(second)["http.request.resend_count"] == 1
    assert attributes(second)["server.address"] == pair.alternate.host
    assert attributes(second)["d365_failover.role"] == "alternate"
    (call,) = telemetry.calls()
    told = attributes(call)
    assert (told["d365_failover.effect"], told["d365_failover.switched"]) == ("executed", True)
    assert (told["d365_failover.tag"], told["d365_failover.ledger_id"]) == ("order 7", 1)
    assert [point.value for point in metrics["d365_failover.switches"]] == [1]
    (resends,) = metrics["d365_failover.resends"]
    assert (resends.value, resends.attributes["d365_failover.cause"]) == (1, "refused")
    durations = metrics["http.client.request.duration"]
    assert sorted(point.attributes["server.address"] for point in durations) == [pair.alternate.host, pair.primary.host]
    assert all(point.count == 1 for point in durations)
    # Each value of an attribute is a series of its own.
    assert not any("url.full" in point.attributes for point in durations)
    probes = {
        (point.attributes["d365_failover.role"], point.attributes["d365_failover.outcome"]): point.value
        for point in metrics["d365_failover.probes"]
    }
    assert probes["alternate", "serves"] >= 1


@pytest.mark.parametrize("is_async", [False, True])
def test_a_write_in_doubt(pair: FailoverPair, telemetry: Telemetry, is_async: bool) -> None:
    pair.primary.cut_after_commit(method="POST")

    async def create() -> dict[str, Any]:
        async with pair.async_client() as client:
            telemetry.instrument(client)
            with pytest.raises(d365_failover.WriteInDoubtError):
                await client.post(ACCOUNTS, json={"name": "a"})
            while client.statistics()["calls"]["in_flight"]:  # noqa: ASYNC110
                await asyncio.sleep(0)  # it is over a moment after it is told
            return telemetry.metrics()

    if is_async:
        metrics = asyncio.run(create())
    else:
        with pair.client() as client:
            telemetry.instrument(client)
            with pytest.raises(d365_failover.WriteInDoubtError):
                client.post(ACCOUNTS, json={"name": "a"})
            metrics = telemetry.metrics()
    (call,), (attempt,) = telemetry.calls(), telemetry.attempts()
    assert (call.status.status_code, attributes(call)["d365_failover.effect"]) == (StatusCode.ERROR, "unknown")
    assert attributes(attempt)["error.type"] == "reset"
    assert [point.value for point in metrics["d365_failover.writes.in_doubt"]] == [1]
    assert [point.value for point in metrics["d365_failover.writes.suspects"]] == [1]
    assert [point.value for point in metrics["d365_failover.calls.active"]] == [0]


@pytest.mark.parametrize(("headers", "propagates"), [(TRACE, True), ({}, False)])
def test_what_goes_out(pair: FailoverPair, telemetry: Telemetry, headers: dict[str, str], propagates: bool) -> None:
    with pair.client() as client:
        telemetry.instrument(client, propagates=propagates)
        client.get(WHO_AM_I, headers=headers)
    sent = [value for name, value in pair.primary.requests[-1].headers if name.lower() == "traceparent"]
    assert sent == list(headers.values())


def test_what_the_library_asks_itself_has_no_spans(pair: FailoverPair, telemetry: Telemetry) -> None:
    with pair.client(auto_switch="auto") as client:
        telemetry.instrument(client)
        client.discover()
        client.check("alternate")
        pair.primary.cut_before_commit(method="POST")
        with pytest.raises(d365_failover.WriteInDoubtError) as doubt:
            client.post(ACCOUNTS, json={"name": "a"})
        assert doubt.value.ledger_id is not None
        client.verify(doubt.value.ledger_id)
        client.settle()
    (call,) = telemetry.calls()
    assert call.name == "d365_failover POST"


def test_a_write_that_is_sent_again_is_told_as_no_read(pair: FailoverPair, telemetry: Telemetry) -> None:
    pair.primary.cut_before_commit(method="POST")
    with pair.client(ledger_bodies="full") as client:
        with pytest.raises(d365_failover.WriteInDoubtError) as doubt:
            client.post(ACCOUNTS, json={"name": "a"})
        telemetry.instrument(client)
        assert doubt.value.ledger_id is not None
        client.replay(doubt.value.ledger_id, wanted=True)
    (call,), (attempt,) = telemetry.calls(), telemetry.attempts()
    assert (call.name, attempt.name) == ("d365_failover replay", "HTTP")
    for span in (call, attempt):
        assert attributes(span)["http.request.method"] == "_OTHER"
        assert "http.request.method_original" not in attributes(span)


def test_a_stream_has_its_span_too(pair: FailoverPair, telemetry: Telemetry) -> None:
    with pair.client() as client:
        telemetry.instrument(client)
        with client.stream("GET", WHO_AM_I) as response:
            response.read()
    assert len(telemetry.attempts()) == 1


def test_it_ends_and_holds_nothing(pair: FailoverPair, telemetry: Telemetry) -> None:
    client = pair.client()
    end = telemetry.instrument(client)
    with pytest.raises(ValueError, match="already"):
        telemetry.instrument(client)
    assert "d365_failover.switches" in telemetry.metrics()
    end()
    client.get(WHO_AM_I)
    assert telemetry.calls() == []
    assert "d365_failover.switches" not in telemetry.metrics()
    telemetry.instrument(client)
    client.close()
    gone = weakref.ref(client)
    del client, end
    gc.collect()
    assert gone() is None
    assert "d365_failover.switches" not in telemetry.metrics()


def test_own_exceptions_are_errors_of_the_call(pair: FailoverPair, telemetry: Telemetry) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"{"
        raise KeyError("mine")

    with pair.client() as client:
        telemetry.instrument(client)
        with pytest.raises(KeyError):
            client.post(ACCOUNTS, content=pieces())
    (call,) = telemetry.calls()
    assert call.status.status_code is StatusCode.ERROR
    assert call.status.description == "KeyError"
    assert "mine" not in str(attributes(call))
