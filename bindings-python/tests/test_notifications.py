"""Events beyond the switch's: what they carry."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from queue import SimpleQueue

import d365_failover
import pytest
from d365_failover import (
    CallRetriedEvent,
    DataLossSuspectedEvent,
    EndpointSwitchEvent,
    EndpointSwitchRequiredEvent,
    Event,
    ThrottledEvent,
    WriteInDoubtEvent,
)
from subject import PATIENCE, Subjects
from twin import ACCOUNTS, WHO_AM_I, Organization

Seen = SimpleQueue[Event]


def is_of_now(event: Event) -> bool:
    return abs(event.time.timestamp() - time.time()) < 600 and event.time.tzinfo is not None


def test_a_write_in_doubt(org: Organization, open_subject: Subjects) -> None:
    org.fault("primary", "commit_then_close", method="POST", times=1)
    seen: Seen = SimpleQueue()
    with open_subject(org, auto_switch=False) as subject:
        subject.do(lambda client: client.on_write_in_doubt(seen.put))
        with pytest.raises(d365_failover.WriteInDoubtError) as caught:
            subject.do(lambda client: client.post(ACCOUNTS, json={"name": "a"}))
        event = seen.get(timeout=PATIENCE)
        assert isinstance(event, WriteInDoubtEvent)
        assert (event.name, event.reason, event.epoch) == ("WriteInDoubt", "connection_lost", 0)
        assert (event.method, event.url) == ("POST", org.primary_url + ACCOUNTS)
        assert (caught.value.effect, caught.value.ledger_id) == ("unknown", event.ledger_id)
        assert event.message
        assert event.seq > 0
        assert is_of_now(event)
        with pytest.raises(dataclasses.FrozenInstanceError):
            event.ledger_id = 0  # type: ignore[misc]


def test_a_write_that_is_on_no_record_is_in_doubt_all_the_same(
    org: Organization, open_subject: Subjects, tmp_path: Path
) -> None:
    seen: Seen = SimpleQueue()
    store = tmp_path / "store"
    with open_subject(org, auto_switch=False, store=store, store_failure="go_on") as subject:
        subject.do(lambda client: client.on_write_in_doubt(seen.put))
        store.unlink()
        # That the file is gone is found within a second.
        while subject.call("post", ACCOUNTS, json={"name": "a"}).ledger_id is not None:
            pass
        org.fault("primary", "commit_then_close", method="POST", times=1)
        with pytest.raises(d365_failover.WriteInDoubtError) as caught:
            subject.do(lambda client: client.post(ACCOUNTS, json={"name": "b"}, tag="order 18"))
        event = seen.get(timeout=PATIENCE)
        assert isinstance(event, WriteInDoubtEvent)
        assert (event.ledger_id, event.tag, event.reason) == (caught.value.ledger_id, "order 18", "connection_lost")
        assert event.ledger_id is None
        assert subject.do(lambda client: client.statistics())["writes"] == {
            "in_doubt": 1,
            "suspects": None,
            "evicted": 0,
        }


def test_a_response_of_which_nothing_is_known_is_a_write_in_doubt(org: Organization, open_subject: Subjects) -> None:
    org.fault("primary", "service_fault", code=-2147204784, message="a SQL error", status=500, method="POST", times=1)
    seen: Seen = SimpleQueue()
    with open_subject(org) as subject:
        subject.do(lambda client: client.on_write_in_doubt(seen.put))
        response = subject.do(lambda client: client.post(ACCOUNTS, json={"name": "a"}))
        assert (response.status_code, response.effect) == (500, "unknown")
        event = seen.get(timeout=PATIENCE)
        assert isinstance(event, WriteInDoubtEvent)
        assert event.ledger_id == response.ledger_id


def test_data_loss_suspected(org: Organization, open_subject: Subjects) -> None:
    seen: Seen = SimpleQueue()
    with open_subject(org) as subject:
        subject.do(lambda client: client.on_data_loss_suspected(seen.put))
        for name in ("a", "b"):
            assert subject.call("post", ACCOUNTS, json={"name": name}).ledger_id
        subject.do(lambda client: client.switch_endpoint())
        event = seen.get(timeout=PATIENCE)
        assert isinstance(event, DataLossSuspectedEvent)
        assert (event.name, event.in_doubt, event.acknowledged, event.epoch) == ("DataLossSuspected", 0, 2, 1)
        assert is_of_now(event)


def test_nothing_was_written_so_no_loss_is_suspected(org: Organization, open_subject: Subjects) -> None:
    seen: Seen = SimpleQueue()
    with open_subject(org) as subject:
        subject.do(lambda client: client.on_data_loss_suspected(seen.put))
        subject.do(lambda client: client.on_endpoint_switched(seen.put))
        subject.do(lambda client: client.get(WHO_AM_I))
        subject.do(lambda client: client.switch_endpoint())
        subject.do(lambda client: client.post(ACCOUNTS, json={"name": "a"}))
        subject.do(lambda client: client.switch_endpoint())
        names = [seen.get(timeout=PATIENCE).name for _ in range(3)]
    assert names == ["EndpointSwitched", "EndpointSwitched", "DataLossSuspected"]


def test_a_call_retried(org: Organization, open_subject: Subjects) -> None:
    org.fault("primary", "refuse")
    seen: Seen = SimpleQueue()
    with open_subject(org) as subject:
        subject.do(lambda client: client.on_call_retried(seen.put))
        assert subject.do(lambda client: client.get(WHO_AM_I)).switched
        event = seen.get(timeout=PATIENCE)
        assert isinstance(event, CallRetriedEvent)
        assert (event.name, event.reason, event.epoch) == ("CallRetried", "endpoint_not_found", 1)
        assert event.method == "GET"
        assert event.url.endswith(WHO_AM_I)
        assert is_of_now(event)


def test_throttled(org: Organization, open_subject: Subjects) -> None:
    org.fault("primary", "status", status=429, headers={"Retry-After": "1"}, times=1)
    seen: Seen = SimpleQueue()
    with open_subject(org, preset="safe") as subject:
        subject.do(lambda client: client.on_throttled(seen.put))
        assert subject.do(lambda client: client.get(WHO_AM_I)).status_code == 200
        event = seen.get(timeout=PATIENCE)
        assert isinstance(event, ThrottledEvent)
        assert (event.name, event.epoch, event.method) == ("Throttled", 0, "GET")
        assert event.url == org.primary_url + WHO_AM_I
        assert 1 <= event.retry_after < 30
        assert is_of_now(event)


def test_a_switch_says_what_was_probed(org: Organization, open_subject: Subjects) -> None:
    org.fault("primary", "refuse")
    seen: Seen = SimpleQueue()
    with open_subject(org, preset="safe") as subject:
        subject.do(lambda client: client.on_endpoint_switch_required(seen.put))
        subject.do(lambda client: client.on_endpoint_switched(seen.put))
        assert subject.do(lambda client: client.get(WHO_AM_I)).switched
        required, switched = seen.get(timeout=PATIENCE), seen.get(timeout=PATIENCE)
    assert isinstance(required, EndpointSwitchRequiredEvent)
    assert isinstance(switched, EndpointSwitchEvent)
    assert required.probed == switched.probed
    assert switched.probed in ("reachable", "serves")


def test_dotnet_does_not_probe(org: Organization, open_subject: Subjects) -> None:
    org.fault("primary", "refuse")
    seen: Seen = SimpleQueue()
    with open_subject(org) as subject:
        subject.do(lambda client: client.on_endpoint_switched(seen.put))
        assert subject.do(lambda client: client.get(WHO_AM_I)).switched
        switched = seen.get(timeout=PATIENCE)
    assert isinstance(switched, EndpointSwitchEvent)
    assert switched.probed is None


def test_all_are_one_stream(org: Organization, open_subject: Subjects) -> None:
    """One handler of several events is called for each, in the order of `seq`."""
    org.fault("primary", "refuse")
    seen: Seen = SimpleQueue()
    with open_subject(org) as subject:

        def register(client: d365_failover.Client) -> None:
            client.on_endpoint_switch_required(seen.put)
            client.on_endpoint_switched(seen.put)
            client.on_call_retried(seen.put)
            client.on_data_loss_suspected(seen.put)

        subject.do(register)
        assert subject.do(lambda client: client.post(ACCOUNTS, json={"name": "a"})).switched
        subject.do(lambda client: client.switch_endpoint())
        events = [seen.get(timeout=PATIENCE) for _ in range(5)]
    assert [event.name for event in events] == [
        "EndpointSwitchRequired",
        "EndpointSwitched",
        "CallRetried",
        "EndpointSwitched",
        "DataLossSuspected",
    ]
    assert [event.seq for event in events] == sorted({event.seq for event in events})
