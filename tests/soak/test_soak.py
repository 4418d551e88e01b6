from __future__ import annotations

from typing import Any

import pytest
import soak

GOOD: dict[str, Any] = {
    "told": {
        "c-1": {"effect": "executed", "ledger": 1, "id": "a"},
        "c-2": {"effect": "not_executed", "ledger": 2, "id": ""},
        "c-3": {"effect": "unknown", "ledger": 3, "id": ""},
    },
    "doubts": [3],
    "suspects": {"3": "unknown"},
}
ROWS = [
    {"name": "c-1", "id": "a"},
    {"name": "c-3", "id": "c"},
    {"name": "java-1", "id": "j"},
]


def test_a_good_run_has_no_violation() -> None:
    assert soak.check("c", GOOD, ROWS) == []
    assert soak.check("c", GOOD, ROWS[:1]) == []


@pytest.mark.parametrize(
    ("report", "rows", "word"),
    [
        ({}, [*ROWS, {"name": "c-3", "id": "d"}], "doubled"),
        ({}, ROWS[1:], "was executed"),
        ({}, [{"name": "c-1", "id": "b"}], "was executed as a"),
        ({}, [*ROWS, {"name": "c-2", "id": "b"}], "was not executed"),
        ({}, [*ROWS, {"name": "c-4", "id": "b"}], "never told"),
        ({"doubts": []}, ROWS, "no WriteInDoubt"),
        ({"suspects": {}}, ROWS, "no suspect"),
    ],
)
def test_each_thing_that_is_wrong_is_named(
    report: dict[str, Any], rows: list[dict[str, Any]], word: str
) -> None:
    (wrong,) = soak.check("c", {**GOOD, **report}, rows)
    assert word in wrong


@pytest.mark.parametrize(
    ("column", "word"), [(0, "memory"), (1, "threads"), (2, "descriptors")]
)
def test_what_grows_is_named(column: int, word: str) -> None:
    application = soak.Application.__new__(soak.Application)
    application.name = "c"
    steady = (10 << 20, 5, 10)
    application.samples = [steady] * 60
    assert application.growth(0)[1] == []
    for n in range(60):
        grown = list(steady)
        grown[column] += (n << 21) if column == 0 else n
        memory, threads, descriptors = grown
        application.samples[n] = (memory, threads, descriptors)
    (wrong,) = application.growth(0)[1]
    assert word in wrong
