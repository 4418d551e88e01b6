"""What a client tells of itself and its endpoints: statistics, check, explain."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import d365_failover
import pytest
from d365_failover.testing import FailoverPair
from subject import Subjects
from twin import ACCOUNTS, WHO_AM_I, Organization


@pytest.fixture
def pair() -> Iterator[FailoverPair]:
    with FailoverPair() as pair:
        yield pair


def test_what_is_counted(pair: FailoverPair) -> None:
    with pair.client(write_grace=0.2) as client:
        client.get(WHO_AM_I)
        pair.primary.cut_after_commit(method="POST")
        with pytest.raises(d365_failover.WriteInDoubtError):
            client.post(ACCOUNTS, json={"name": "one"})
        pair.primary.refuse()
        assert client.get(WHO_AM_I).switched
        counted = client.statistics()
    assert counted["active"] == "alternate"
    assert counted["switches"] == 1
    assert counted["calls"] == {"in_flight": 0, "answered": 2, "failed": 1}
    assert sum(counted["resends"].values()) == 1
    assert counted["writes"]["in_doubt"] == 1
    primary, alternate = (counted["endpoints"][role] for role in ("primary", "alternate"))
    # The read that met the refusal, and perhaps what had died of it before.
    assert primary["attempts"] >= 3
    assert primary["failed"] == primary["attempts"] - 1
    assert (alternate["attempts"], alternate["failed"]) == (1, 0)
    assert alternate["probes"]["serves"] >= 1
    for side in (primary, alternate):
        assert sum(side["latency_ms"]["counts"]) == side["attempts"]
        assert len(side["latency_ms"]["counts"]) == len(side["latency_ms"]["bounds"]) + 1
        # TLS alone takes more than this.
        assert side["bytes_sent"] > 300
        assert side["bytes_received"] > 300
    assert primary["url"] == pair.url
    # After its end too.
    assert client.statistics()["calls"]["answered"] == 2


def steps(report: dict[str, Any]) -> dict[str, str]:
    return {step["step"]: step["outcome"] for step in report["steps"]}


WELL = {"token": "skipped", "dns": "ok", "tcp": "ok", "tls": "ok", "http": "ok", "policy": "ok"}


def test_a_look_at_each_endpoint(org: Organization, open_subject: Subjects) -> None:
    with open_subject(org) as subject:
        org.fault("primary", "refuse")
        primary, alternate = (subject.call("check", role) for role in ("primary", "alternate"))
        assert (primary["verdict"], primary["fault"]["cause"]) == ("failed", "refused")
        assert steps(primary) == {"token": "skipped", "dns": "ok", "tcp": "failed", "policy": "skipped"}
        assert (alternate["verdict"], alternate["http_status"], alternate["fault"]) == ("serves", 200, None)
        assert steps(alternate) == WELL
        assert alternate["url"] == org.alternate_url
        assert subject.client.is_primary
        with pytest.raises(d365_failover.InvalidArgumentError, match="neither"):
            subject.call("check", "other")


@pytest.mark.parametrize(
    ("fault", "keys", "failed", "cause"),
    [
        ("accept_never_answer", {}, "http", "attempt_timeout"),
        ("black_hole", {}, "tls", "attempt_timeout"),
        ("html_page", {"status": 503}, "http", "unavailable"),
        ("datacenter_not_available", {}, "http", "datacenter_not_available"),
        ("certificate", {"which": "expired"}, "tls", "tls"),
    ],
)
def test_which_step_has_failed(org: Organization, fault: str, keys: dict[str, Any], failed: str, cause: str) -> None:
    org.fault("primary", fault, **keys)
    with org.client() as client:
        report = client.check("primary", timeout=2)
    assert report["verdict"] == "failed"
    assert report["fault"]["cause"] == cause
    assert next(step for step, outcome in steps(report).items() if outcome == "failed") == failed


def test_names_that_there_are_not() -> None:
    with d365_failover.Client("https://contoso.nowhere.invalid", alternate_url="https://x.nowhere.invalid") as client:
        report = client.check("alternate", timeout=10)
    assert report["verdict"] == "failed"
    assert steps(report)["dns"] == "failed"


@pytest.mark.parametrize(
    ("prefix", "verdict", "token"), [("twin-token-for-", "serves", "ok"), ("x", "reachable", "failed")]
)
def test_a_token_is_tried(org: Organization, prefix: str, verdict: str, token: str) -> None:
    org._twin.ask("POST", "/tokens", {"org": org.name, "tokens": "check"})
    with org.client(token_provider=lambda url: prefix + url.partition("://")[2]) as client:
        report = client.check("primary")
    assert report["verdict"] == verdict
    assert steps(report)["token"] == token
    assert prefix + org.primary_url.partition("://")[2] not in json.dumps(report)


def test_a_token_that_does_not_come_is_waited_for_no_longer_than_the_probe(org: Organization) -> None:
    is_over = threading.Event()

    def never(url: str) -> str:
        is_over.wait(60)
        return "late"

    with org.client(token_provider=never, probe_timeout=60, deadline=5) as client:
        try:
            report = client.check("primary", timeout=0.5)
        finally:
            is_over.set()
    assert report["verdict"] == "serves"
    assert steps(report) == {**WELL, "token": "failed"}


def test_explanations() -> None:
    told = d365_failover.explain("POST", ACCOUNTS, status=503)
    assert (told["operation"], told["evidence"], told["effect"], told["ends_as"]) == (
        "unsafe",
        "weak",
        "unknown",
        "error",
    )
    assert told["next"] == {"switched": None, "stayed": None}
    told = d365_failover.explain("GET", ACCOUNTS, status=429, headers={"Retry-After": "7"})
    assert told["next"] == {"switched": None, "stayed": {"again_after_ms": 7000, "reads_row": False}}
    told = d365_failover.explain("POST", ACCOUNTS, cause="refused", sent=False, preset="dotnet")
    assert (told["switch"], told["effect"], told["next"]["switched"]) == (
        "at_once",
        "not_executed",
        {"again_after_ms": 0, "reads_row": False},
    )
    told = d365_failover.explain("POST", ACCOUNTS, cause="reset", guarded_create=True)
    again = {"again_after_ms": 0, "reads_row": False}
    assert (told["operation"], told["next"]["switched"]) == ("guarded", again)
    assert told["next"]["stayed"]["reads_row"] is True
    with pytest.raises(d365_failover.InvalidArgumentError, match="guarded create is made of a POST"):
        d365_failover.explain("GET", ACCOUNTS, cause="reset", guarded_create=True)
    told = d365_failover.explain("GET", ACCOUNTS, status=200, headers={"OData-Version": "4.0"})
    assert (told["fault"], told["next"]) == (None, None)
    for wrong in (
        {"cause": "nonsense"},
        {"status": 42},
        {"status": 503, "preset": "other"},
        {"status": 503, "headers": {"a b": ""}},
    ):
        with pytest.raises(d365_failover.InvalidArgumentError):
            d365_failover.explain("GET", ACCOUNTS, **wrong)
    with pytest.raises(d365_failover.InvalidArgumentError, match=r"none of no_such_name, .*refused"):
        d365_failover.explain("GET", ACCOUNTS, cause="nonsense")
    with pytest.raises(TypeError, match="a status, or a cause"):
        d365_failover.explain("GET", ACCOUNTS)
