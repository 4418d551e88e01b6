"""The testing kit: what it makes go wrong, as a client meets it."""

from __future__ import annotations

import gc
import os
import re
import select
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import d365_failover
import pytest
from d365_failover.testing import FailoverPair, Side
from d365_failover.testing._channel import _AT_ONCE, Channel

WHO_AM_I = "/api/data/v9.2/WhoAmI"
ACCOUNTS = "/api/data/v9.2/accounts"


@pytest.fixture
def pair() -> Iterator[FailoverPair]:
    with FailoverPair() as pair:
        yield pair


def threads() -> list[threading.Thread]:
    names = ("d365-primary", "d365-alternate")
    return [thread for thread in threading.enumerate() if thread.name.startswith(names)]


# What goes wrong at the primary; whether a read is answered by the alternate then; and a create: how often it is in the
# rows, and its effect.
DAYS: dict[str, tuple[Callable[[Side], object], bool, int, str]] = {
    "refused": (lambda side: side.refuse(), True, 1, "executed"),
    "a black hole": (lambda side: side.black_hole(), True, 0, "unknown"),
    "cut after the commit": (lambda side: side.cut_after_commit(method="POST"), False, 1, "unknown"),
    "cut before the commit": (lambda side: side.cut_before_commit(method="POST"), False, 0, "unknown"),
    "503 of a front end": (lambda side: side.status(503, times=1, method="POST"), False, 0, "unknown"),
    "503 after a commit": (lambda side: side.status(503, times=1, method="POST", commit=True), False, 1, "unknown"),
    "a page": (lambda side: side.html_page(), True, 0, "unknown"),
    "throttled": (lambda side: side.throttle(1, method="POST"), False, 1, "executed"),
    "slow": (lambda side: side.slow(0.2, method="POST"), False, 1, "executed"),
}


WRONG: list[Callable[[FailoverPair], object]] = [
    lambda pair: pair.primary.status(42),
    lambda pair: pair.primary.status("503"),  # type: ignore[arg-type]
    lambda pair: pair.primary.status(503, body=5),  # type: ignore[arg-type]
    lambda pair: pair.primary.status(503, headers={"a b": "c"}),
    lambda pair: pair.primary.status(503, headers={"a": "b\r\nc: d"}),
    lambda pair: pair.primary.html_page(method=5),  # type: ignore[arg-type]
    lambda pair: pair.primary.slow(-1),
    lambda pair: pair.primary.slow(float("nan")),
    lambda pair: pair.primary.slow("soon"),  # type: ignore[arg-type]
    lambda pair: pair.primary.throttle("soon"),  # type: ignore[arg-type]
    lambda pair: pair.primary.cut_after_commit(times=0),
    lambda pair: pair.primary.cut_after_commit(path_contains=b"/"),  # type: ignore[arg-type]
    lambda pair: pair.replication(-1),
    lambda pair: pair.serve_at("nowhere"),  # type: ignore[arg-type]
    lambda pair: FailoverPair("con toso"),
    lambda pair: FailoverPair("contoso--s"),
    lambda pair: FailoverPair(lag=-1),
]


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_go_wrong_is_refused_at_once(pair: FailoverPair, wrong: Callable[[FailoverPair], object]) -> None:
    with pytest.raises((TypeError, ValueError)):
        wrong(pair)
    with pair.client() as client:
        assert client.get(WHO_AM_I).status_code == 200


@pytest.mark.parametrize("day", DAYS)
def test_what_a_client_meets(pair: FailoverPair, day: str) -> None:
    go_wrong, moves, rows, effect = DAYS[day]
    with pair.client(write_grace=0.5) as client:
        client.get(WHO_AM_I)
        go_wrong(pair.primary)
        try:
            told = client.post(ACCOUNTS, json={"name": "one"}).effect
        except d365_failover.WriteInDoubtError as error:
            told = error.effect
        assert told == effect
        assert client.get(WHO_AM_I).status_code == 200
        assert client.is_primary is not moves
    assert len(pair.rows("account")) == rows
    assert pair.duplicates() == []


def test_who_leaves_before_the_handshake_does_no_harm(pair: FailoverPair) -> None:
    for number in range(300):
        with socket.create_connection(("127.0.0.1", pair.primary.port), 30) as gone:
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            gone.send(b"x" * (number % 2))
    with pair.client(outage_wait=0, auto_switch=False) as client:
        assert client.get(WHO_AM_I).status_code == 200


def test_a_connection_whose_peer_has_gone_is_closed_at_once(pair: FailoverPair) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    with listener, socket.create_connection(listener.getsockname(), 30) as gone:
        accepted, _ = listener.accept()
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    assert select.select([accepted], [], [], 30)[0]
    with pytest.raises(OSError, match=r"descriptor|connected|socket|10038"):
        Channel(accepted, pair.primary._context)
    # What is left open the collector tells.
    gc.collect()


def test_a_side_recovers(pair: FailoverPair) -> None:
    with pair.client(auto_switch=False, outage_wait=0, max_attempts=1) as client:
        for fail in (pair.primary.refuse, pair.primary.black_hole, lambda: pair.primary.status(503)):
            fail()
            with pytest.raises(d365_failover.FailoverError):
                client.get(WHO_AM_I, attempt_timeout=0.5)
            pair.recover()
            assert client.get(WHO_AM_I).status_code == 200


def test_replication_lags_until_it_is_told(pair: FailoverPair) -> None:
    pair.replication(None)
    with pair.client() as client:
        client.post(ACCOUNTS, json={"name": "late"})
        assert [(row.primary, row.alternate) for row in pair.rows()] == [(True, False)]
        client.switch_endpoint()
        assert client.get(ACCOUNTS).json()["value"] == []
        assert pair.replicate() == 1
        assert [row["name"] for row in client.get(ACCOUNTS).json()["value"]] == ["late"]
    assert [(row.primary, row.alternate, row.same) for row in pair.rows()] == [(True, True, True)]


def test_a_partition_lets_nothing_cross_and_the_last_write_wins(pair: FailoverPair) -> None:
    row = f"{ACCOUNTS}(00000000-0000-0000-0000-000000000007)"
    pair.replication(0, partitioned=True)
    with pair.client() as client:
        client.patch(row, json={"name": "first"}, upsert=True)
        client.switch_endpoint()
        client.patch(row, json={"name": "last"}, upsert=True)
    assert [found.same for found in pair.rows()] == [False]
    pair.replication(0)
    assert [(found.same, found.name) for found in pair.rows()] == [(True, "last")]


@pytest.mark.parametrize(("where", "active"), [("alternate", False), ("primary", True)])
def test_the_datacenter_says_that_it_does_not_serve(pair: FailoverPair, where: str, active: bool) -> None:
    pair.serve_at("primary" if active else "alternate")
    with pair.client() as client:
        assert client.get(WHO_AM_I).status_code == 200
        assert client.is_primary is active
    with pytest.raises(ValueError, match="none of primary"):
        pair.serve_at("nowhere")  # type: ignore[arg-type]


def test_tokens_are_for_one_endpoint() -> None:
    with FailoverPair(tokens=True) as pair:
        with pair.client(token_provider=None) as client:
            assert client.get(WHO_AM_I).status_code == 401
        with pair.client() as client:
            assert client.get(WHO_AM_I).status_code == 200
            pair.primary.refuse()
            assert client.get(WHO_AM_I).status_code == 200


@pytest.mark.parametrize("policy", [True, False])
def test_the_wsdl_says_whether_there_is_an_alternate(policy: bool) -> None:
    with FailoverPair(policy=policy) as pair, pair.client(auto_switch="auto") as client:
        client.discover()
        assert (client.alternate_url is not None) is policy


def test_what_came_is_told(pair: FailoverPair) -> None:
    pair.primary.throttle(1)
    with pair.client() as client:
        client.post(ACCOUNTS, json={"name": "a"}, headers={"X-Own": "1"})
    first, second = pair.primary.wait_for(2, method="post")
    assert (first.status, first.executed, second.status, second.executed) == (429, False, 204, True)
    assert second.path == ACCOUNTS
    assert second.body == b'{"name": "a"}' or second.body == b'{"name":"a"}'
    assert ("x-own", "1") in [(name.lower(), value) for name, value in second.headers]
    with pytest.raises(TimeoutError, match="2 of 3"):
        pair.primary.wait_for(3, timeout=0)


def test_a_fault_meets_what_it_is_for(pair: FailoverPair) -> None:
    fault = pair.primary.status(418, method="post", path_contains="accounts", times=2)
    with pair.client() as client:
        assert client.get(ACCOUNTS).status_code == 200
        assert client.post("/api/data/v9.2/contacts", json={}).status_code == 204
        assert client.post(ACCOUNTS, json={}).status_code == 418
        fault.clear()
        assert client.post(ACCOUNTS, json={}).status_code == 204
    assert fault.met == 1


def test_its_certificates_are_good_for_the_strictest(pair: FailoverPair) -> None:
    context = ssl.create_default_context(cafile=pair.ca_file)
    # What Python 3.13 asks for by default.
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    for side in (pair.primary, pair.alternate):
        plain = socket.create_connection(("127.0.0.1", side.port), 30)
        with context.wrap_socket(plain, server_hostname=side.host) as connection:
            assert connection.getpeercert()


def test_nothing_is_left_of_it() -> None:
    for _ in range(3):
        with FailoverPair() as pair, pair.client() as client:
            client.get(WHO_AM_I)
            pair.primary.black_hole()
            directory = Path(pair.ca_file).parent
            # A private key lies nowhere.
            assert [path.name for path in directory.iterdir()] == ["ca.pem"]
        assert not directory.exists()
    for thread in threads():
        thread.join(30)
    assert threads() == []


def test_the_environment_is_for_another_process(pair: FailoverPair) -> None:
    program = (
        "import os, d365_failover as d\n"
        "with d.Client(os.environ['D365_URL'], ca_bundle=os.environ['D365_CA_BUNDLE'],"
        " connect_to=os.environ['D365_CONNECT_TO']) as client:\n"
        f"    print(client.get('{WHO_AM_I}').status_code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **pair.environment},
        text=True,
        capture_output=True,
        check=True,
    )
    assert done.stdout == "200\n"


FIRST_OF_ALL = """
import sys


def test_nothing_is_imported_before():
    assert "d365_failover" not in sys.modules
"""


def guide() -> list[str]:
    """The guide's programs that use the kit."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "guide" / "testing.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    return [block for block in blocks if "pair" in block]


def test_pytest_has_the_fixture(tmp_path: Path) -> None:
    for program in (FIRST_OF_ALL, guide()[0]):
        (tmp_path / "test_it.py").write_text(program)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"]
        done = subprocess.run(command, text=True, capture_output=True, cwd=tmp_path)
        assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_the_guide_works_without_pytest() -> None:
    exec(compile(guide()[1], "testing.md", "exec"), {})
