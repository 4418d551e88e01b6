from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from d365_failover import (
    AsyncClient,
    AsyncSettings,
    Client,
    InvalidArgumentError,
    InvalidSettingError,
    Settings,
    UnknownSettingError,
)
from d365_failover._settings import _DURATIONS, HELP, to_native

URL = "https://contoso.crm.dynamics.com"


FROM_ZERO = (
    "probe_after",
    "write_grace",
    "hold_down",
    "outage_wait",
    "failback_after",
    "replication_window",
    "state_max_age",
    "ledger_retention",
)
TEN_YEARS = 315_360_000


@pytest.mark.parametrize(
    ("name", "value", "pair"),
    [
        ("deadline", 1.5, ("deadline_ms", "1500")),
        ("attempt_timeout", 2, ("attempt_timeout_ms", "2000")),
        ("auto_switch", True, ("auto_switch", "on")),
        ("auto_switch", "auto", ("auto_switch", "auto")),
        ("tls_verify", False, ("tls_verify", "off")),
        ("max_connections", 7, ("max_connections", "7")),
        ("ca_bundle", Path("/x/ca.pem"), ("ca_bundle", str(Path("/x/ca.pem")))),
        ("connect_to", {"a:1": "b:2", "c:3": "[::1]:4"}, ("connect_to", "a:1:b:2,c:3:[::1]:4")),
        ("connect_to", "a:1:b:2", ("connect_to", "a:1:b:2")),
        ("http2", False, ("http2", "off")),
        ("decompress", True, ("decompress", "on")),
        ("proxy", "system", ("proxy", "system")),
        ("client_certificate", Path("/x/client.pem"), ("client_certificate", str(Path("/x/client.pem")))),
        ("max_redirects", 3, ("max_redirects", "3")),
        ("allowed_hosts", ["a.example", "b.example:8443"], ("allowed_hosts", "a.example,b.example:8443")),
        ("allowed_hosts", "a.example", ("allowed_hosts", "a.example")),
        ("allowed_host_headers", ["X-A", "x-b"], ("allowed_host_headers", "X-A,x-b")),
        ("preset", "safe", ("preset", "safe")),
        ("probe_after", 0, ("probe_after_ms", "0")),
        ("probe_timeout", 0.25, ("probe_timeout_ms", "250")),
        ("probe_path", "/x", ("probe_path", "/x")),
        ("write_grace", 1.5, ("write_grace_ms", "1500")),
        ("hold_down", 30, ("hold_down_ms", "30000")),
        ("outage_wait", 1.5, ("outage_wait_ms", "1500")),
        ("max_waiting", 7, ("max_waiting", "7")),
        ("failback", "probe", ("failback", "probe")),
        ("failback_interval", 0.5, ("failback_interval_ms", "500")),
        ("failback_after", 0, ("failback_after_ms", "0")),
        ("max_attempts", 2, ("max_attempts", "2")),
        ("retry_budget", 0.25, ("retry_budget", "0.250000")),
        ("retry_budget", 1e-5, ("retry_budget", "0.000010")),
        ("retry_budget", 1, ("retry_budget", "1")),
        ("replication_window", 900.0, ("replication_window_ms", "900000")),
        ("update_guard", False, ("update_guard", "off")),
        ("token_precedence", "provider", ("token_precedence", "provider")),
        ("service_mark", "any", ("service_mark", "any")),
    ],
)
def test_translation(name: str, value: Any, pair: tuple[str, str]) -> None:
    assert to_native({name: value}) == [pair]


def test_none_is_not_set() -> None:
    assert to_native({"preset": None, "deadline": None}) == []


def test_a_name_with_ms_is_refused_with_the_right_one() -> None:
    with pytest.raises(UnknownSettingError, match="the setting is deadline"):
        to_native({"deadline_ms": 1})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("user_agent", b"x"),
        ("user_agent", []),
        ("connect_to", {1: "a:1"}),
        ("deadline", "1"),
        ("allowed_hosts", [1]),
        ("max_attempts", 1.5),
        ("hold_down", "1"),
        ("retry_budget", []),
        ("probe_path", 1.5),
    ],
)
def test_wrong_types(name: str, value: Any) -> None:
    with pytest.raises(TypeError):
        to_native({name: value})


async def _beside_a_loop(url: str, **settings: Any) -> None:
    AsyncClient(url, **settings, store="/no/folder")


@pytest.fixture(
    params=[
        Client,
        AsyncClient,
        lambda url, **settings: asyncio.run(_beside_a_loop(url, **settings)),
        ("requests", "FailoverAdapter"),
        ("requests", "Session"),
        ("azure", "FailoverTransport"),
        ("httpx", "FailoverTransport"),
    ],
    ids=["Client", "AsyncClient", "beside a loop", "adapter", "session", "azure", "httpx"],
)
def opened(request: pytest.FixtureRequest) -> Any:
    """What opens a client, or is going to."""
    if callable(request.param):
        return request.param
    module, name = request.param
    return getattr(pytest.importorskip(f"d365_failover.{module}"), name)


@pytest.mark.parametrize("name", ["token_provider", "prepare"])
def test_what_is_not_callable_is_refused_at_once(opened: Any, name: str) -> None:
    with pytest.raises(TypeError, match=f"{name} is callable.*int"):
        opened(URL, **{name: 5})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        # What users of other clients type.
        *(({name: 30}, ['"deadline"', '"attempt_timeout"']) for name in ("timeout", "timeout_ms", "request_timeout")),
        *(({name: False}, ['"tls_verify"', '"ca_bundle"']) for name in ("verify", "verify_ssl", "ssl")),
        ({"cert": "a.pem"}, ['"client_certificate"']),
        ({"proxies": {"https": "http://p"}}, ['"proxy"']),
        ({"trust_env": True}, ['"proxy"']),
        ({"retries": 3}, ['"max_attempts"']),
        ({"max_retries": 3}, ['"max_attempts"']),
        ({"connect": 3}, ['"connect_timeout"']),
        ({"read_timeout": 3}, ['"attempt_timeout"']),
        ({"follow_redirects": True}, ['"max_redirects"']),
        ({"limits": object()}, ['"max_connections"']),
        ({"auth": ("a", "b")}, ['"token_provider"']),
        ({"headers": {}}, ["each request", '"prepare"']),
        ({"base_url": URL}, ["opened with"]),
        # Slips, also of what is Python's alone.
        ({"deadlin": 3}, ['"deadline"']),
        ({"deadlin_ms": 3}, ['"deadline"']),
        ({"tiemout": None}, ['"deadline"']),
        ({"maxAttempts": 3}, ['"max_attempts"']),
        ({"token_provder": print}, ['"token_provider"']),
        ({"prepar": print}, ['"prepare"']),
        ({"idle_time_out": 1}, ['"idle_timeout"']),
    ],
)
def test_an_unknown_setting_says_what_was_meant(opened: Any, settings: dict[str, Any], said: list[str]) -> None:
    with pytest.raises(UnknownSettingError) as caught:
        opened(URL, **settings)
    (name,) = settings
    message, _, known = str(caught.value).partition("; there are: ")
    assert message.startswith(f'there is no setting "{name}"; ')
    for part in said:
        assert part in message
    assert known.split(", ") == sorted(Settings.__annotations__)
    assert "_ms" not in message.replace(name, "")


@pytest.mark.parametrize("name", ["x", "no_such_setting", "a" * 1000, "\u00fc", "\0", " ", "__init__"])
def test_an_unknown_setting_that_is_like_none(opened: Any, name: str) -> None:
    for value in (None, 1, object()):
        with pytest.raises(UnknownSettingError) as caught:
            opened(URL, **{name: value})
        assert "there are: allowed_host_headers, " in str(caught.value)
        assert len(str(caught.value)) < 2000


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        *(
            ({name: value}, f"{name} = {value!r} cannot be used; it takes seconds from {least} to {most}")
            for name in sorted(_DURATIONS)
            for least in ["0" if name in FROM_ZERO else "0.001"]
            for most in [TEN_YEARS if name == "ledger_retention" else 86_400]
            for value in (-1, most + 1.5, float("nan"), float("inf"), 1e300, *([0] if least != "0" else []))
        ),
        ({"tls_verify": "perhaps"}, "tls_verify = 'perhaps' cannot be used; it takes True or False"),
        ({"auto_switch": "yes"}, "auto_switch = 'yes' cannot be used; it takes \"auto\", True or False"),
        ({"max_attempts": 0}, "max_attempts = 0 cannot be used; it takes a whole number from 1 to 100"),
        (
            {"max_response_headers": 1},
            "max_response_headers = 1 cannot be used; it takes a whole number of bytes from 8192 to 1048576",
        ),
        ({"max_waiting": 0}, "max_waiting = 0 cannot be used; it takes a whole number from 1 to 1000000"),
        ({"failback": "never"}, "failback = 'never' cannot be used; it takes on_fault or probe or manual"),
        ({"retry_budget": 2}, "retry_budget = 2 cannot be used; it takes a number from 0 to 1"),
        ({"preset": "bold"}, "preset = 'bold' cannot be used; it takes safe or dotnet"),
    ],
)
def test_a_value_out_of_range_is_told_in_pythons_units(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSettingError) as caught:
        Client(URL, **settings)
    assert str(caught.value) == message


@pytest.mark.parametrize("name", ["deadline", "max_connections", "max_response_body"])
def test_a_number_that_python_does_not_write(name: str) -> None:
    huge: dict[str, Any] = {name: 10**5000}
    with pytest.raises(InvalidSettingError, match=name):
        Client(URL, **huge)


def test_a_time_that_python_does_not_write() -> None:
    with Client(URL, tls_verify=False) as client, pytest.raises(InvalidArgumentError, match="timeout"):
        client.get("/", timeout=10**5000)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"deadline": "1"}, "deadline is a number of seconds, not str"),
        ({"deadline": True}, "deadline is a number of seconds, not bool"),
        ({"max_attempts": 1.5}, "max_attempts is a whole number, not float"),
        ({"tls_verify": None.__class__}, "tls_verify is True or False, not type"),
        ({"ca_bundle": b"x"}, "ca_bundle is a path, not bytes"),
        ({"store": True}, "store is a path, not bool"),
        ({"store": 5}, "store is a path, not int"),
        ({"allowed_hosts": [1]}, "allowed_hosts is a sequence of texts, not list"),
        ({"preset": 1.5}, "preset is text, not float"),
    ],
)
def test_a_value_of_a_wrong_type_is_told_the_right_one(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError) as caught:
        Client(URL, **settings)
    assert str(caught.value) == message


def test_auto_switch_is_set_to_what_it_can_be() -> None:
    with (
        Client(URL, tls_verify=False) as client,
        pytest.raises(TypeError, match="endpoint_auto_switch_enabled is True"),
    ):
        client.endpoint_auto_switch_enabled = "no"  # type: ignore[assignment]


def test_help_shows_each_setting() -> None:
    for client in (Client, AsyncClient):
        assert client.__doc__ is not None
        assert client.__doc__.endswith(HELP)
    lines = dict(line.split(maxsplit=1) for line in HELP.splitlines() if line.startswith("    "))
    assert set(lines) == set(Settings.__annotations__)
    for name, told in lines.items():
        assert "Default: " in told
        assert told.startswith("seconds, ") == (name in _DURATIONS)


def test_connect_to_needs_ports() -> None:
    with pytest.raises(InvalidSettingError):
        to_native({"connect_to": {"host": "127.0.0.1:1"}})


def test_every_duration_is_a_setting() -> None:
    assert set(Settings.__annotations__) >= _DURATIONS
    assert set(AsyncSettings.__annotations__) == set(Settings.__annotations__)
