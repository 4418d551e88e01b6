from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from d365_failover import InvalidSettingError, UnknownSettingError
from d365_failover._settings import _DURATIONS, AsyncSettings, Settings, to_native


@pytest.mark.parametrize(
    ("name", "value", "pair"),
    [
        ("deadline", 1.5, ("deadline_ms", "1500")),
        ("attempt_timeout", 2, ("attempt_timeout_ms", "2000")),
        ("auto_switch", True, ("auto_switch", "on")),
        ("auto_switch", "auto", ("auto_switch", "auto")),
        ("tls_verify", False, ("tls_verify", "off")),
        ("max_connections", 7, ("max_connections", "7")),
        ("ca_bundle", Path("/x/ca.pem"), ("ca_bundle", "/x/ca.pem")),
        ("connect_to", {"a:1": "b:2", "c:3": "[::1]:4"}, ("connect_to", "a:1:b:2,c:3:[::1]:4")),
        ("connect_to", "a:1:b:2", ("connect_to", "a:1:b:2")),
        ("http2", False, ("http2", "off")),
        ("decompress", True, ("decompress", "on")),
        ("proxy", "system", ("proxy", "system")),
        ("client_certificate", Path("/x/client.pem"), ("client_certificate", "/x/client.pem")),
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


def test_connect_to_needs_ports() -> None:
    with pytest.raises(InvalidSettingError):
        to_native({"connect_to": {"host": "127.0.0.1:1"}})


def test_every_duration_is_a_setting() -> None:
    assert set(Settings.__annotations__) >= _DURATIONS
    assert set(AsyncSettings.__annotations__) == set(Settings.__annotations__)
