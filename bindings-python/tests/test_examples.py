"""The examples and the scenario agent, as programs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from twin import Organization

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parent / "examples"


def start(org: Organization, *command: Any, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "error", *command],
        env={**org.environment, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_first(org: Organization) -> None:
    with start(org, EXAMPLES / "first.py") as process:
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out == f"Contoso Ltd. is at {org.primary_url}\n"


def test_drill_goes_through_a_failover(org: Organization) -> None:
    org._twin.ask("POST", "/replication", {"org": org.name, "mode": "lag", "lag_ms": 0})
    with start(org, EXAMPLES / "drill.py", D365_APP="app", D365_TOKEN_PREFIX="twin-token-for-") as process:
        org.wait("primary", committed_at_least=4)
        org.fault("primary", "refuse")
        org.wait("alternate", committed_at_least=4)
        out, _ = process.communicate("", timeout=60)
    assert process.returncode == 0
    lines = out.splitlines()
    assert lines[0] == "ready"
    assert lines[-1].startswith("done ")
    events = [line for line in lines if line.startswith("event ")]
    pair = f"{org.primary_url} {org.alternate_url}"
    assert [line.split()[1] for line in events] == ["EndpointSwitchRequired", "EndpointSwitched"]
    assert all(line.split(maxsplit=2)[2].startswith(pair) for line in events)
    assert any(line.startswith("call retried ") for line in lines)
    told = {tuple(line.split()[1:]) for line in lines if line.startswith("created ")}
    rows = {(row["id"], row["name"]) for row in org.rows()}
    assert told <= rows
    assert {name.rsplit("-", 1)[0] for _, name in told} == {"app-web", "app-soap"}


class Agent:
    def __init__(self, org: Organization, *flags: str) -> None:
        self._process = start(org, HERE / "agent.py", *flags)

    def ask(self, do: str, **keys: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **keys}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def end(self) -> int:
        self._process.communicate(timeout=60)
        return self._process.returncode


@pytest.mark.parametrize("flags", [[], ["--async"]])
def test_the_agent_answers(org: Organization, flags: list[str]) -> None:
    agent = Agent(org, *flags)
    assert agent.ask("hello")["language"] == "python"
    settings = {
        "preset": "dotnet",
        "auto_switch": "on",
        "attempt_timeout_ms": 20_000,
        "ca_bundle": org.environment["D365_CA_BUNDLE"],
        "connect_to": org.connect_to,
    }
    opened = agent.ask(
        "open",
        client="c",
        url=org.primary_url,
        settings=settings,
        on_required="call",
        on_switched="call",
        token="by_host",
    )
    assert opened == {"ok": True}
    created = agent.ask("call", client="c", method="POST", url="/api/data/v9.2/accounts", body='{"name":"a"}')
    assert created["ok"], created
    assert created["response"]["effect"] == "executed"
    org.fault("primary", "refuse")
    assert agent.ask("start", client="c", call="1", method="GET", url="/api/data/v9.2/WhoAmI", submit=True) == {
        "ok": True
    }
    answer = agent.ask("await", call="1")["response"]
    assert answer["status"] == 200
    assert answer["switched"]
    assert [(a["role"], a["fault"]) for a in answer["attempts"]] == [
        ("primary", "endpoint_not_found"),
        ("alternate", None),
    ]
    events = agent.ask("events", client="c", at_least=2, timeout_ms=30_000)["events"]
    assert [event["event"] for event in events] == ["EndpointSwitchRequired", "EndpointSwitched"]
    assert [event["inner"] for event in events] == [{"error": "would_deadlock"}, {"status": 200}]
    assert agent.ask("state", client="c")["state"]["is_primary"] is False
    org.clear()
    org.fault("alternate", "refuse")
    assert agent.ask("set_auto_switch", client="c", enabled=False)["ok"]
    refused = agent.ask("call", client="c", method="GET", url="/api/data/v9.2/WhoAmI")["error"]
    assert (refused["kind"], refused["type"]) == ("endpoint_not_found", "EndpointNotFoundError")
    assert agent.ask("switch_endpoint", client="c")["ok"]
    assert agent.ask("discover", client="c")["ok"]
    for what in ("none_argument", "wrong_type", "bad_url", "unknown_setting", "closed_client", "lone_surrogate"):
        assert agent.ask("misuse", what=what)["got"]
    assert agent.ask("close", client="c")["ok"]
    assert agent.ask("call", client="c", method="GET", url="/")["error"]["kind"] == "closed"
    assert agent.end() == 0


def test_the_agent_cancels(org: Organization) -> None:
    org.fault("primary", "accept_never_answer")
    agent = Agent(org, "--async")
    settings = {"auto_switch": "on", "ca_bundle": org.environment["D365_CA_BUNDLE"], "connect_to": org.connect_to}
    agent.ask("open", client="c", url=org.primary_url, settings=settings)
    agent.ask("start", client="c", call="1", method="POST", url="/api/data/v9.2/accounts", body="{}", submit=True)
    org.wait("primary", in_flight_at_least=1)
    assert agent.ask("cancel", call="1") == {"ok": True}
    error = agent.ask("await", call="1")["error"]
    assert (error["kind"], error["effect"]) == ("cancelled", "unknown")
    assert agent.end() == 0
