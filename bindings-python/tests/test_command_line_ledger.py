"""The command line's `ledger`, beside an application that has the same store."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import d365_failover
import pytest
from d365_failover.testing import FailoverPair
from test_command_line import as_at_a_terminal, lines, program, run

ACCOUNTS = "/api/data/v9.2/accounts"
ROW = f"{ACCOUNTS}(00000000-0000-0000-0000-000000000007)"
WINDOW = 0.5
"""`replication_window`: what is missing after it is missing for good."""


@pytest.fixture
def pair() -> Iterator[FailoverPair]:
    with FailoverPair() as pair:
        yield pair


class Place:
    """A store with a write in doubt that was executed, and one that was not."""

    def __init__(self, pair: FailoverPair, path: Path) -> None:
        self.pair = pair
        self.environment = {**pair.environment, "D365_STORE": str(path)}
        self.settings: dict[str, Any] = {
            "store": str(path),
            "replication_window": WINDOW,
            "ledger_bodies": "full",
            "auto_switch": False,
            "retry_budget": 0,  # neither a repeat nor a look at the row
        }
        with pair.client(**self.settings) as client:
            client.post(ACCOUNTS, json={"name": "well"}, tag="well")
            for name, go_wrong in (("done", pair.primary.cut_after_commit), ("undone", pair.primary.cut_before_commit)):
                go_wrong()
                with pytest.raises(d365_failover.WriteInDoubtError):
                    client.post(ACCOUNTS, json={"name": name}, guarded_create=True, tag=name)

    def run(self, *arguments: str, code: int | None = 0) -> str:
        window = ["--set", f"replication_window={WINDOW}", "--set", "ledger_bodies=full"]
        return run(*arguments, *window, code=code, environment=self.environment)


@pytest.fixture
def place(pair: FailoverPair, tmp_path: Path) -> Place:
    return Place(pair, tmp_path / "store.db")


def test_what_is_on_record_is_listed(place: Place) -> None:
    entries = lines(place.run("ledger", "list", "--json"))
    assert [(entry["tag"], entry["effect"], entry["is_suspect"]) for entry in entries] == [
        ("well", "executed", False),
        ("done", "unknown", True),
        ("undone", "unknown", True),
    ]
    assert [entry["tag"] for entry in lines(place.run("ledger", "list", "--suspects", "--json"))] == ["done", "undone"]
    said = place.run("ledger", "list")
    assert "undone" in said
    for entry in entries:
        assert entry["url"] in said  # nothing is left out where no terminal is
    assert "POST" in said or "PATCH" in said
    rows = list(csv.DictReader(io.StringIO(place.run("ledger", "export", "--format", "csv"))))
    assert [row["tag"] for row in rows] == ["well", "done", "undone"]
    assert [json.loads(line)["id"] for line in place.run("ledger", "export").splitlines()] == [1, 2, 3]


def test_what_is_in_doubt_is_verified_and_settled(place: Place) -> None:
    steps = lines(place.run("ledger", "verify", "--json", code=1))
    assert {step["verified"] for step in steps} == {"present", "missing"}
    # The window has passed when the next command has begun, or the one after it.
    for _ in range(20):
        settled = json.loads(place.run("ledger", "settle", "--json", code=None))
        if not settled["left"]:
            break
    assert settled["left"] == 0
    assert place.run("ledger", "list", "--suspects", "--json") == ""
    assert sorted(row.name or "" for row in place.pair.rows("account")) == ["done", "undone", "well"]
    assert place.pair.duplicates() == []
    place.run("ledger", "settle")


def test_a_walk_that_is_broken_off_leaves_something(place: Place) -> None:
    for side in (place.pair.primary, place.pair.alternate):
        side.refuse()
    for asked in ("verify", "settle"):
        place.run("ledger", asked, "--set", "outage_wait=0", code=1)


def test_ctrl_c_waits_for_no_look(place: Place) -> None:
    for side in (place.pair.primary, place.pair.alternate):
        side.slow(600)
    seen = len(place.pair.primary.requests)
    environment = {**os.environ, **place.environment}
    with program("ledger", "verify", env=environment, preexec_fn=as_at_a_terminal) as asking:
        place.pair.primary.wait_for(seen + 1)
        asking.send_signal(signal.SIGINT)
        assert asking.wait(4) == 130


def test_a_write_is_sent_again_by_its_number(place: Place) -> None:
    # The URL is the environment's.
    place.run("ledger", "replay", "3", "--json", code=1)
    for _ in range(20):
        found = {step["id"]: step for step in lines(place.run("ledger", "verify", "--json", code=1))}
        if found[3]["is_final"]:
            break
    told = json.loads(place.run("ledger", "replay", place.pair.url, "3", "--json"))
    assert (told["id"], told["effect"]) == (3, "executed")
    place.run("ledger", "replay", place.pair.url, "99", code=1)
    for wrong in ([], ["0"], [place.pair.url], ["3", "x"]):
        place.run("ledger", "replay", *wrong, code=3)


def test_no_store_is_no_ledger(pair: FailoverPair, tmp_path: Path) -> None:
    run("ledger", "list", code=3, environment=pair.environment)
    (tmp_path / "other").write_text("no database")
    run("ledger", "list", "--store", str(tmp_path / "other"), code=3, environment=pair.environment)


def test_an_override_is_set_and_taken_away(place: Place) -> None:
    assert json.loads(place.run("override", "--json"))["value"] is None
    told = json.loads(place.run("override", place.pair.url, "alternate", "--minutes", "5", "--json"))
    assert (told["value"], told["source"]) == ("alternate", "store")
    assert told["until"] is not None
    with place.pair.client(store=place.settings["store"]) as client:
        assert not client.is_primary
    assert "alternate, by the store" in place.run("override")
    assert place.run("override", place.pair.url, "none") == "none\n"
    place.run("override", place.pair.url, "none", "--minutes", "5", code=3)
    # The URL is the environment's.
    assert "off, by the store" in place.run("override", "off")
    assert place.run("override", "none") == "none\n"
    # It is about the store, whatever this process was told.
    for told in ("off", "nonsense"):
        place.environment["D365_FAILOVER"] = told
        assert "primary, by the store" in place.run("override", place.pair.url, "primary")
        assert place.run("override", place.pair.url, "none") == "none\n"
