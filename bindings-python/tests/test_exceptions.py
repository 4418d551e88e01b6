from __future__ import annotations

import asyncio
import copy
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
    "no_resources": OSError,
    "no_ca_store": OSError,
    "invalid_url": ValueError,
    "invalid_argument": ValueError,
    "invalid_setting": ValueError,
    "unknown_setting": TypeError,
    "closed": RuntimeError,
}


def failure(kind: str, message: str, *attempts: Any) -> d365_failover.FailoverError:
    return told(kind, message, "not_executed", *attempts)


def told(kind: str, message: str, effect: str, *attempts: Any) -> d365_failover.FailoverError:
    args = (kind, message, effect, False, 503, None, 1500, list(attempts), None, 7, "a tag", "refused")
    return _exceptions.of_failure(NativeFailure(*args))


@pytest.mark.parametrize(("kind", "base"), BUILT_IN.items())
def test_bases(kind: str, base: type[Exception]) -> None:
    error = failure(kind, "what happened")
    assert isinstance(error, d365_failover.FailoverError)
    assert isinstance(error, base)
    assert str(error) == "what happened"
    assert (error.kind, error.effect, error.retry_after, error.status) == (kind, "not_executed", 1.5, 503)
    assert (error.ledger_id, error.tag, error.cause) == (7, "a tag", "refused")


@pytest.mark.parametrize("kind", sorted(_exceptions._BY_NAME))
def test_what_is_in_doubt_is_of_no_class_that_is_repeated(kind: str) -> None:
    error = told(kind, "what happened", "unknown")
    assert type(error) is d365_failover.WriteInDoubtError
    assert d365_failover.WriteInDoubtError.__mro__[1:] == (d365_failover.FailoverError, *Exception.__mro__)
    cause = error.__cause__
    assert type(cause) is type(failure(kind, "what happened"))
    assert (str(error), error.__dict__) == ("what happened", cause.__dict__)
    assert (error.kind, error.effect, error.ledger_id, error.cause) == (kind, "unknown", 7, "refused")


def test_the_librarys_error_is_found_behind_others() -> None:
    error = told("timeout", "late", "unknown")
    cancelled = asyncio.CancelledError()
    cancelled.__cause__ = error
    late = TimeoutError()
    late.__context__ = cancelled
    for outer in (error, cancelled, late):
        assert d365_failover.error_of(outer) is error
    late.__cause__ = late
    assert d365_failover.error_of(late) is None
    assert d365_failover.error_of(ValueError()) is None


def test_a_kind_of_a_newer_library_is_the_base() -> None:
    assert type(_exceptions.of_kind("something_new")) is d365_failover.FailoverError


@pytest.mark.parametrize("effect", ["not_executed", "unknown"])
@pytest.mark.parametrize("kind", ["timeout", "invalid_url", "cancelled"])
def test_errors_survive_pickling(kind: str, effect: str) -> None:
    url, version = "https://a.example", "HTTP/1.1"
    started = 1_700_000_000_000
    attempt = ("primary", 0, "sent", "timeout", None, None, started, 2_000_000, url, "late", version, "attempt_timeout")
    error = told(kind, "late", effect, attempt)
    for made in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert (type(made), str(made), made.__dict__) == (type(error), str(error), error.__dict__)
        assert made.attempts[0].took == 2.0
        # What it would be, were it no write.
        assert (type(made.__cause__), str(made.__cause__)) == (type(error.__cause__), str(error.__cause__))
    error.__cause__ = OSError(pickle)
    made = pickle.loads(pickle.dumps(error))
    assert (made.__cause__, made.__suppress_context__) == (None, False)
