from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from kills import Entry, Told, check, new_on_record

TOLD = {"a": Told("executed", 1), "b": Told("unknown", 2), "c": Told("not_executed", 0)}
ENTRIES = {
    "a": [Entry(1, "executed", False)],
    "b": [Entry(2, "unknown", True)],
    "d": [Entry(3, "unknown", True)],
}
ROWS = Counter({"a": 1, "d": 1})


def test_a_good_store_has_no_violation() -> None:
    assert check(TOLD, ENTRIES, ROWS) == []


@pytest.mark.parametrize(
    ("name", "told", "entry", "count", "word"),
    [
        ("e", None, None, 1, "not on record"),
        ("e", Told("executed", 4), None, 0, "is not on record"),
        ("e", Told("unknown", 4), None, 0, "is not on record"),
        ("e", None, Entry(4, None, False), 0, "in flight"),
        ("e", None, Entry(4, "executed", False), 0, "not there"),
        ("e", None, Entry(4, "unknown", False), 0, "no suspect"),
        ("e", Told("executed", 4), Entry(4, "unknown", True), 1, "on record as"),
        ("e", Told("executed", 4), Entry(5, "executed", False), 1, "on record as"),
        ("e", Told("not_executed", 4), Entry(4, "unknown", True), 0, "on record as"),
        ("a", Told("executed", 1), Entry(1, "executed", False), 2, "2 times"),
    ],
)
def test_each_thing_that_is_wrong_is_named(
    name: str, told: Told | None, entry: Entry | None, count: int, word: str
) -> None:
    all_told = {**TOLD, name: told} if told else TOLD
    entries = {**ENTRIES, name: [entry]} if entry else ENTRIES
    (wrong,) = check(all_told, entries, ROWS | Counter({name: count}))
    assert word in wrong


def test_what_is_new_and_in_flight_is_found(tmp_path: Path) -> None:
    store = tmp_path / "kills.db"
    with closing(sqlite3.connect(store)) as made, made:
        made.execute("CREATE TABLE writes (id INTEGER PRIMARY KEY, tag, ended, effect)")
        assert new_on_record(store, 0) == ([], 0)
        rows = [("a", None, None), ("b", 1, "executed"), ("c", None, None)]
        made.executemany(
            "INSERT INTO writes (tag, ended, effect) VALUES (?, ?, ?)", rows
        )
    assert new_on_record(store, 0) == ([(1, "a"), (3, "c")], 3)
    assert new_on_record(store, 1) == ([(3, "c")], 3)
    assert new_on_record(store, 3) == ([], 3)
