from __future__ import annotations

import logging

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
        with pytest.raises(d365_failover.InvalidArgumentError):
            subject.do(lambda client: client.set_override("on"))
    other = "alternate" if value == "primary" else "primary"
    assert org.counts(other)["received"] == 0
    assert any(f"D365_FAILOVER={value}" in record.getMessage() for record in caplog.records)


def test_off_moves_nobody_but_the_application(org: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("D365_FAILOVER", "off")
    org.fault("primary", "refuse")
    with org.client() as client:
        required = []
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
