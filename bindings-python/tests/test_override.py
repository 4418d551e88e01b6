from __future__ import annotations

import datetime
import logging
import pathlib
import queue

import d365_failover
import pytest
from subject import Blocking, OnLoop
from twin import WHO_AM_I, Organization

SUBJECTS = pytest.mark.parametrize("make", [Blocking, OnLoop])


@SUBJECTS
@pytest.mark.parametrize("value", ["primary", "alternate"])
def test_the_environment_keeps_calls_at_an_endpoint(
    make: type[Blocking | OnLoop],
    value: str,
    org: Organization,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("D365_FAILOVER", value)
    with caplog.at_level(logging.WARNING, "d365_failover"), make(org) as subject:
        monkeypatch.delenv("D365_FAILOVER")  # nothing, in a client that runs
        client = subject.client
        assert client.active_url == (org.primary_url if value == "primary" else org.alternate_url)
        assert client.current_override == d365_failover.CurrentOverride(value, "environment", None)
        assert not client.endpoint_auto_switch_enabled
        with pytest.raises(d365_failover.OverriddenError, match=f"D365_FAILOVER={value}") as caught:
            subject.do(lambda client: client.switch_endpoint())
        assert isinstance(caught.value, RuntimeError)
        assert caught.value.kind == "overridden"
        org.fault(value, "refuse")
        with pytest.raises(d365_failover.EndpointNotFoundError, match=f"keeps calls at the {value}"):
            subject.do(lambda client: client.get(WHO_AM_I))
        assert client.epoch == 0
        # Without a store there is nowhere to put one.
        with pytest.raises(d365_failover.FailoverError, match="no store") as refused:
            subject.do(lambda client: client.set_override("off"))
        assert refused.value.kind == "not_available"
        with pytest.raises(d365_failover.InvalidArgumentError) as refused:
            subject.do(lambda client: client.set_override("on"))
        assert refused.value.kind == "invalid_argument"
    other = "alternate" if value == "primary" else "primary"
    assert org.counts(other)["received"] == 0
    assert any(f"D365_FAILOVER={value}" in record.getMessage() for record in caplog.records)


def test_off_moves_nobody_but_the_application(org: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("D365_FAILOVER", "off")
    org.fault("primary", "refuse")
    with org.client() as client:
        required: list[d365_failover.Event] = []
        client.on_endpoint_switch_required(required.append)
        client.endpoint_auto_switch_enabled = True
        with pytest.raises(d365_failover.EndpointNotFoundError, match="D365_FAILOVER=off"):
            client.get(WHO_AM_I)
        assert client.is_primary
        assert len(required) == 1
        client.switch_endpoint()
        assert client.get(WHO_AM_I).status_code == 200


def test_a_word_that_is_none_is_refused(org: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("D365_FAILOVER", "Primary")
    with pytest.raises(d365_failover.InvalidSettingError, match="off, primary or alternate"):
        org.client()
    monkeypatch.setenv("D365_FAILOVER", "")
    with org.client() as client:
        assert client.current_override is None


@SUBJECTS
def test_the_store_s_override_is_heard_by_those_who_run(
    make: type[Blocking | OnLoop], org: Organization, tmp_path: pathlib.Path
) -> None:
    store = str(tmp_path / "store")
    with make(org, store=store) as subject, org.client(store=store) as other:
        heard: queue.Queue[d365_failover.EndpointSwitchEvent] = queue.Queue()
        other.on_endpoint_switched(heard.put)
        end = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) + datetime.timedelta(hours=1)
        subject.do(lambda client: client.set_override("alternate", end))
        assert subject.client.current_override == d365_failover.CurrentOverride("alternate", "store", end)
        assert not subject.client.is_primary
        event = heard.get(timeout=30)
        assert (event.reason, event.automatic, event.new_role) == ("override", False, "alternate")
        with pytest.raises(d365_failover.OverriddenError, match="set_override lifts it"):
            other.switch_endpoint()
        with pytest.raises(d365_failover.InvalidArgumentError):
            subject.do(lambda client: client.set_override("off", 1))
        subject.do(lambda client: client.set_override(None))
        assert subject.client.current_override is None
        assert other.current_override is None
        other.switch_endpoint()
        assert heard.get(timeout=30).reason == "manual"
        other.close()
    # Who opens now begins where the last one went.
    with org.client(store=store) as late:
        assert (late.is_primary, late.epoch) == (True, 0)
