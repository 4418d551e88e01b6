from __future__ import annotations

import asyncio
import copy
import dataclasses
import logging
import pickle
import threading
import time
from collections.abc import Callable
from typing import Any

import d365_failover
import pytest
from d365_failover import Client, EndpointSwitchEvent, EndpointSwitchRequiredEvent
from twin import ACCOUNTS, WHO_AM_I, Organization


def test_required_comes_before_switched(org: Organization) -> None:
    org.fault("primary", "refuse")
    seen: list[tuple[str, str]] = []
    with org.client() as client:

        @client.on_endpoint_switch_required
        def required(event: EndpointSwitchRequiredEvent) -> None:
            seen.append((event.name, client.active_url))
            assert threading.current_thread() is not threading.main_thread()

        @client.on_endpoint_switched
        def switched(event: EndpointSwitchEvent) -> None:
            seen.append((event.name, client.active_url))
            assert (event.previous_url, event.new_url) == (org.primary_url, org.alternate_url)
            assert (event.previous_role, event.new_role) == ("primary", "alternate")
            assert (event.epoch, event.reason, event.automatic) == (1, "endpoint_not_found", True)
            assert abs(event.time.timestamp() - time.time()) < 600
            seen.append(("checked", ""))

        assert client.get(WHO_AM_I).switched
    assert callable(required)
    assert callable(switched)
    assert seen == [
        ("EndpointSwitchRequired", org.primary_url),
        ("EndpointSwitched", org.alternate_url),
        ("checked", ""),
    ]


def test_the_event_thread_exists_only_with_a_handler(org: Organization) -> None:
    before = set(threading.enumerate())
    with org.client() as client:
        client.get(WHO_AM_I)
        assert set(threading.enumerate()) == before
        client.on_endpoint_switched(print)
        (events,) = set(threading.enumerate()) - before
        assert events.daemon
    assert not events.is_alive()


def test_a_veto(org: Organization) -> None:
    org.fault("primary", "refuse")
    with org.client() as client:
        client.on_endpoint_switch_required(lambda event: event.veto())
        with pytest.raises(d365_failover.EndpointNotFoundError) as caught:
            client.get(WHO_AM_I)
        assert not caught.value.switched
        assert client.is_primary


def test_one_veto_of_two_handlers_is_enough(org: Organization) -> None:
    org.fault("primary", "refuse")
    seen: list[str] = []
    with org.client() as client:
        client.on_endpoint_switch_required(lambda event: event.veto())
        client.on_endpoint_switch_required(lambda event: seen.append("second"))
        with pytest.raises(d365_failover.EndpointNotFoundError):
            client.get(WHO_AM_I)
    assert seen == ["second"]


def test_a_veto_after_the_handler_is_late(org: Organization) -> None:
    org.fault("primary", "refuse")
    kept: list[EndpointSwitchRequiredEvent] = []
    with org.client() as client:
        client.on_endpoint_switch_required(kept.append)
        assert client.get(WHO_AM_I).switched
        with pytest.raises(d365_failover.FailoverError):
            kept[0].veto()


@pytest.mark.parametrize("enabled", [True, False])
def test_auto_switch_set_inside_required_counts(org: Organization, enabled: bool) -> None:
    org.fault("primary", "refuse")
    with org.client(auto_switch=not enabled) as client:

        @client.on_endpoint_switch_required
        def decide(event: EndpointSwitchRequiredEvent) -> None:
            client.endpoint_auto_switch_enabled = enabled

        if enabled:
            assert client.get(WHO_AM_I).switched
        else:
            with pytest.raises(ConnectionError):
                client.get(WHO_AM_I)
        assert client.is_primary is not enabled


@pytest.mark.parametrize("raised", [ValueError("no"), SystemExit(3), KeyboardInterrupt()])
def test_a_handler_that_raises_is_logged_and_no_reason_to_stay(
    org: Organization, caplog: pytest.LogCaptureFixture, raised: BaseException
) -> None:
    org.fault("primary", "refuse")
    seen: list[str] = []
    with org.client() as client:

        @client.on_endpoint_switch_required
        @client.on_endpoint_switched
        def broken(event: EndpointSwitchEvent) -> None:
            raise raised

        client.on_endpoint_switched(lambda event: seen.append(event.name))
        assert client.get(WHO_AM_I).switched
    assert seen == ["EndpointSwitched"]
    failures = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(failures) == 2
    assert all(record.exc_info and record.exc_info[1] is raised for record in failures)


def test_a_handler_may_remove_itself(org: Organization) -> None:
    seen: list[str] = []
    with org.client() as client:

        @client.on_endpoint_switched
        def once(event: EndpointSwitchEvent) -> None:
            seen.append(event.new_url)
            assert client.off(once)

        client.switch_endpoint()
        client.switch_endpoint()
    assert seen == [org.alternate_url]
    assert not client.off(once)


def test_a_call_from_switched_works(org: Organization) -> None:
    org.fault("primary", "refuse")
    seen: list[int] = []
    with org.client() as client:
        client.on_endpoint_switched(lambda event: seen.append(client.get(WHO_AM_I).status_code))
        assert client.get(WHO_AM_I).switched
    assert seen == [200]


def test_a_waiting_call_from_required_is_refused_at_once(org: Organization) -> None:
    org.fault("primary", "refuse")
    seen: list[Any] = []
    with org.client(handler_timeout=60) as client:

        def outcome(what: Callable[[], object]) -> str:
            try:
                what()
            except d365_failover.WouldDeadlockError as error:
                return f"{error.kind} {error.effect}"
            return "done"

        @client.on_endpoint_switch_required
        def required(event: EndpointSwitchRequiredEvent) -> None:
            seen.append(outcome(lambda: client.get(WHO_AM_I)))
            seen.append(outcome(lambda: client.post(ACCOUNTS, json={})))
            seen.append(outcome(lambda: client.post(ACCOUNTS, content=iter([b"{}"]))))
            seen.append(outcome(client.close))
            seen.append(client.active_url)

        assert client.get(WHO_AM_I, timeout=30).switched
    read, write = "would_deadlock none", "would_deadlock not_executed"
    assert seen == [read, write, write, read, org.primary_url]


def test_a_slow_handler_is_not_waited_for_longer_than_its_time(org: Organization) -> None:
    org.fault("primary", "refuse")
    let_go = threading.Event()
    with org.client(handler_timeout=0.1) as client:
        client.on_endpoint_switch_required(lambda event: let_go.wait(60))
        assert client.get(WHO_AM_I).switched
        assert not let_go.is_set()
        let_go.set()


def test_close_says_that_a_handler_is_still_running(org: Organization) -> None:
    running, let_go = threading.Event(), threading.Event()
    client = org.client(handler_timeout=0.1)

    @client.on_endpoint_switched
    def slow(event: EndpointSwitchEvent) -> None:
        running.set()
        let_go.wait(60)

    client.switch_endpoint()
    assert running.wait(30)
    with pytest.raises(d365_failover.BusyError):
        client.close(timeout=0.2)
    let_go.set()
    thread = client._dispatcher.thread
    assert thread is not None
    thread.join(30)
    assert not thread.is_alive()


def test_close_from_switched(org: Organization) -> None:
    client = org.client()
    client.on_endpoint_switched(lambda event: client.close())
    client.switch_endpoint()
    thread = client._dispatcher.thread
    assert thread is not None
    thread.join(30)
    assert not thread.is_alive()
    with pytest.raises(d365_failover.ClosedError):
        client.get(WHO_AM_I)


def test_no_handler_starts_after_close(org: Organization) -> None:
    closed = False
    late: list[str] = []

    def handler(event: EndpointSwitchEvent) -> None:
        if closed:
            late.append(event.name)

    client = org.client()
    client.on_endpoint_switched(handler)
    for _ in range(20):
        client.switch_endpoint()
    client.close(timeout=0)
    closed = True
    thread = client._dispatcher.thread
    assert thread is not None
    thread.join(30)
    assert late == []


def test_a_coroutine_handler_runs_on_the_loop_that_it_was_registered_from(org: Organization) -> None:
    org.fault("primary", "refuse")
    seen: list[bool] = []

    async def main(client: Client) -> None:
        loop = asyncio.get_running_loop()

        @client.on_endpoint_switch_required
        async def required(event: EndpointSwitchRequiredEvent) -> None:
            await asyncio.sleep(0)
            seen.append(asyncio.get_running_loop() is loop)
            event.veto()

        with pytest.raises(ConnectionError):
            await asyncio.to_thread(client.get, WHO_AM_I)

    with org.client() as client:
        asyncio.run(main(client))
    assert seen == [True]


def test_a_coroutine_handler_without_a_loop_is_refused(org: Organization) -> None:
    async def handler(event: EndpointSwitchEvent) -> None: ...

    with org.client() as client, pytest.raises(d365_failover.InvalidArgumentError, match="event loop"):
        client.on_endpoint_switched(handler)


def test_a_log_filter_that_fails_does_not_end_the_event_thread(
    org: Organization, broken_logging: None, capfd: pytest.CaptureFixture[str]
) -> None:
    org.fault("primary", "refuse")
    seen: list[str] = []
    with org.client() as client:

        @client.on_endpoint_switched
        def broken(event: EndpointSwitchEvent) -> None:
            seen.append(event.new_role)
            raise ValueError("no")

        assert client.get(WHO_AM_I).switched
        client.switch_endpoint()
    assert seen == ["alternate", "primary"]
    assert "the filter fails" in capfd.readouterr().err


def test_a_log_handler_that_exits_does_not_end_the_event_thread(
    org: Organization, log_handlers: list[logging.Handler]
) -> None:
    class Exiting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise SystemExit(3)

    org.fault("primary", "refuse")
    seen: list[str] = []
    with org.client() as client:
        client.on_endpoint_switched(lambda event: seen.append(event.new_role))
        log_handlers.append(Exiting())
        assert client.get(WHO_AM_I).switched
        client.switch_endpoint()
    assert seen == ["alternate", "primary"]


def test_a_copy_of_an_event_tells_and_decides_nothing(org: Organization) -> None:
    org.fault("primary", "refuse")
    copies: list[EndpointSwitchRequiredEvent] = []
    with org.client() as client:

        @client.on_endpoint_switch_required
        def required(event: EndpointSwitchRequiredEvent) -> None:
            copies.extend((copy.copy(event), copy.deepcopy(event), pickle.loads(pickle.dumps(event))))
            assert copies == [event] * 3
            assert {**dataclasses.asdict(event), "epoch": 7} == dataclasses.asdict(dataclasses.replace(event, epoch=7))
            for one in copies:
                with pytest.raises(d365_failover.LateError, match="copy"):
                    one.veto()

        assert client.get(WHO_AM_I).switched
    assert len(copies) == 3
