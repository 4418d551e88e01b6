"""The adapter beside requests' own, on the same server, point by point."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import d365_failover.requests
import pytest
import requests
from peer import HOST, URL, Asked, Peer, found
from requests_points import POINTS, Point

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "drop-ins.md"

PROBE = "WhoAmI"

Sessions = Callable[[int], requests.Session]


def stock(port: int) -> requests.Session:
    return requests.Session()


def ours(port: int) -> requests.Session:
    # One attempt, as stock has it.
    return d365_failover.requests.Session(
        URL, connect_to={f"{HOST}:80": f"127.0.0.1:{port}"}, auto_switch=False, outage_wait=0, max_attempts=1
    )


def wire(asked: Asked) -> Any:
    """A request; where what says how long it is stands, and how the library says who it is for, counts for nothing."""
    framing = ("content-length", "transfer-encoding")
    headers = [pair for pair in asked.headers if pair[0] not in ("host", "connection", *framing)]
    return asked.line, headers, [pair for pair in asked.headers if pair[0] in framing], asked.body


def run(point: Point, open_session: Sessions, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Peer(point.plays()) as peer, found(monkeypatch, {(HOST, 80): peer.port}), open_session(peer.port) as session:
        given = point.act(session)
        return given, [wire(asked) for asked in peer.asked if PROBE not in asked.line] if point.asks else []


@pytest.mark.parametrize("point", POINTS, ids=[point.name for point in POINTS])
def test_the_adapter_behaves_as_requests_own(point: Point, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, own = run(point, stock, monkeypatch), run(point, ours, monkeypatch)
    if point.differs:
        assert own != theirs, "it does not differ any more"
    else:
        assert own == theirs


def test_what_differs_is_in_the_documentation() -> None:
    document = " ".join(DOCUMENT.read_text().split())
    for point in POINTS:
        assert point.differs in document, point.name
