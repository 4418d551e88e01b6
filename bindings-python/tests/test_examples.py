"""The examples and the scenario agent, as programs."""

from __future__ import annotations

import json
import os
import re
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


def test_session(org: Organization) -> None:
    with start(org, EXAMPLES / "session.py") as process:
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    lines = out.splitlines()
    assert lines[0] == f"Contoso Ltd. is at {org.primary_url}"
    assert lines[1].startswith("created data/v9.2/accounts(")


def test_session_is_told_of_a_write_in_doubt(org: Organization) -> None:
    org.fault("primary", "commit_then_close", method="POST", skip=1, times=1)
    with start(org, EXAMPLES / "session.py") as process:
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out.splitlines()[1:] == ["in doubt: write 2"]
    assert len(org.rows()) == 2


def test_ledger_confirms_nothing_that_no_row_can_tell(org: Organization) -> None:
    org.fault("primary", "commit_then_close", method="POST", times=1)
    with start(org, EXAMPLES / "ledger.py") as process:
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    # The handler's line comes from another thread.
    lines = sorted(out.splitlines())
    assert lines[0].startswith(f"created {org.primary_url}/api/data/v9.2/accounts(")
    assert lines[1:] == [
        f"in doubt: write 1, POST {org.primary_url}/api/data/v9.2/accounts",
        "in question: 1",
        "look yourself: account python-2 unverifiable",
        "still in question: 1",
    ]
    assert sorted(row["name"] for row in org.rows()) == ["Contoso Ltd.", "Fabrikam"]


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
    events = [line for line in lines if line.startswith("event EndpointSwitch")]
    pair = f"{org.primary_url} {org.alternate_url}"
    assert [line.split()[1] for line in events] == ["EndpointSwitchRequired", "EndpointSwitched"]
    assert all(line.split(maxsplit=2)[2].startswith(pair) for line in events)
    assert any(line.startswith("call retried ") for line in lines)
    told = {tuple(line.split()[1:3]) for line in lines if line.startswith("created ")}
    # What is in flight when the primary dies may be a create.
    doubts = sum(line.startswith("event WriteInDoubt ") for line in lines)
    assert any(line.startswith(f"event DataLossSuspected {doubts} ") for line in lines)
    assert any(line.startswith("suspect ") for line in lines)
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


@pytest.mark.parametrize("flags", [[], ["--async"]])
def test_the_agent_streams_reads_bodies_and_prepares(org: Organization, flags: list[str]) -> None:
    agent = Agent(org, *flags)
    settings = {"preset": "dotnet", "auto_switch": "on", "http2": False, "ca_bundle": org.environment["D365_CA_BUNDLE"]}
    settings["connect_to"] = org.connect_to
    opened = agent.ask(
        "open",
        client="c",
        url=org.primary_url,
        settings=settings,
        prepare={"set_header": {"Authorization": "Bearer x"}, "fail": "no more", "fail_from": 3},
    )
    assert opened == {"ok": True}
    org.fault("primary", "datacenter_not_available", times=1)
    for kind, length in (("rewindable", True), ("rewindable", False), ("one_shot", True), ("one_shot", False)):
        reader = {"kind": kind, "size": 10_000, "chunk": 999, "length": length}
        sent = agent.ask("call", client="c", method="PUT", url="/bulk", body_reader=reader, operation="idempotent")
        assert sent["ok"], sent
        assert json.loads(sent["response"]["body"])["bytes"] == 10_000
        switched = len(sent["response"]["attempts"]) == 2
        assert sent["response"]["body_reads"] == {"bytes": 20_000 if switched else 10_000, "rewinds": int(switched)}
        assert {attempt["http_version"] for attempt in sent["response"]["attempts"]} == {"1.1"}
    for broken in ({"claims": 9_999}, {"claims": 10_001}, {"fail_at": 5_000}):
        reader = {"kind": "one_shot", "size": 10_000, "chunk": 999, **broken}
        failed = agent.ask("call", client="c", method="PUT", url="/bulk", body_reader=reader)
        assert failed["error"]["kind"] == "local", failed
        assert failed["error"]["body_reads"]["bytes"] >= 5_000 - 999
    streamed = agent.ask("call", client="c", method="GET", url="/bulk/100000", stream={"read": 1000})["response"]
    assert (streamed["read"]["bytes"], streamed["read"]["error"]) == (100_000, None)
    assert agent.ask(
        "start", client="c", call="1", method="GET", url="/bulk/9000", stream={"read": 1000, "stop_after": 5000}
    )
    stopped = agent.ask("await", call="1")["response"]
    assert stopped["read"]["bytes"] == 5000
    org.fault("alternate", "cut_body")
    cut = agent.ask("call", client="c", method="GET", url="/bulk/1000", stream={"read": 1000})["response"]
    assert cut["read"]["error"]["kind"] == "connection_lost"
    prepared = agent.ask("prepared", client="c")["prepared"]
    assert [(seen["role"], seen["attempt"]) for seen in prepared[:2]] == [("primary", 1), ("alternate", 2)]
    assert prepared[0]["body"] is None
    assert prepared[-1]["body"] == ""
    assert not prepared[-1]["has_authorization"]
    assert agent.end() == 0


ROWS = int(os.environ.get("D365_LOAD_ROWS", "1000"))


@pytest.mark.parametrize("program", ["load.py", "load_dlt.py"])
def test_a_load_goes_on_across_a_switch(org: Organization, program: str, tmp_path: Path) -> None:
    rows = ROWS
    org._twin.ask("POST", "/replication", {"org": org.name, "mode": "lag", "lag_ms": 0})
    table = tmp_path / "accounts.csv"
    lines = [f"Account {number},{number}\n" for number in range(rows)]
    table.write_text("".join(("name,accountnumber\n", *lines)))
    environment = {
        **org.environment,
        # What is acknowledged before it is final when it is settled: the load takes longer than that after it.
        "D365_REPLICATION_WINDOW": "0.5",
        "D365_WORK": str(tmp_path / "work"),
        "D365_STORE": str(tmp_path / "store"),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
    }
    command = [sys.executable, str(EXAMPLES / program), str(table)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as load:
        for loaded in range(rows // 20, rows // 2 + 1, rows // 20):
            org.wait("primary", committed_at_least=loaded)
        org.fault("primary", "datacenter_not_available")
        out, err = load.communicate(timeout=600)
    assert load.returncode == 0, out + err
    assert f"{rows}/{rows}" in err or "100%" in err
    assert len(org.rows()) == rows
    assert {row["attributes"]["accountnumber"] for row in org.rows()} == {str(number) for number in range(rows)}
    told = re.search(r"in question (\d+), confirmed (\d+), sent again (\d+)", out)
    assert told is not None, out
    total, confirmed, again = map(int, told.groups())
    assert total > 0
    assert (confirmed, again) == (total, 0)
    with org.client(store=tmp_path / "store") as client:
        assert client.ledger(suspects=True) == []
