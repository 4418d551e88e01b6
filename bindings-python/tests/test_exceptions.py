from __future__ import annotations

import pickle
from typing import Any

import d365_failover
import pytest
from d365_failover import _exceptions
from d365_failover._native import NativeFailure

BUILT_IN: dict[str, type[Exception]] = {
    "timeout": TimeoutError,
    "endpoint_not_found": ConnectionError,
    "datacenter_not_available": ConnectionError,
    "server_unavailable": ConnectionError,
    "connection_lost": ConnectionError,
    "tls": ConnectionError,
    "local": OSError,
    "no_ca_store": OSError,
    "invalid_url": ValueError,
    "invalid_argument": ValueError,
    "invalid_setting": ValueError,
    "unknown_setting": TypeError,
    "closed": RuntimeError,
}


def failure(kind: str, message: str, *attempts: Any) -> d365_failover.FailoverError:
    args = (kind, message, "unknown", False, 503, None, 1500, list(attempts), None, 7)
    return _exceptions.of_failure(NativeFailure(*args))


@pytest.mark.parametrize(("kind", "base"), BUILT_IN.items())
def test_bases(kind: str, base: type[Exception]) -> None:
    error = failure(kind, "what happened")
    assert isinstance(error, d365_failover.FailoverError)
    assert isinstance(error, base)
    assert str(error) == "what happened"
    assert (error.kind, error.effect, error.retry_after, error.status) == (kind, "unknown", 1.5, 503)
    assert error.ledger_id == 7


def test_a_kind_of_a_newer_library_is_the_base() -> None:
    assert type(_exceptions.of_kind("something_new")) is d365_failover.FailoverError


@pytest.mark.parametrize("kind", ["timeout", "invalid_url", "cancelled"])
def test_errors_survive_pickling(kind: str) -> None:
    url, version = "https://a.example", "HTTP/1.1"
    attempt = ("primary", 0, "sent", "timeout", None, None, 1_700_000_000_000, 2_000_000, url, "late", version)
    error = failure(kind, "late", attempt)
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.__dict__) == (type(error), str(error), error.__dict__)
    assert copy.attempts[0].took == 2.0
