from __future__ import annotations

from collections import Counter

import pytest
from kills import Entry, Told, check

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
