"""Alternating runs, and what they say together."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .process import Programs, Run, Server, run
from .rows import Row, Side


@dataclass(frozen=True)
class Spread:
    median: float
    least: float
    most: float

    @staticmethod
    def of(values: Sequence[float]) -> "Spread":
        return Spread(statistics.median(values), min(values), max(values))


@dataclass
class Rounds:
    """The runs of one row: pairs, each made one right after the other."""

    row: Row
    ours: list[Run] = field(default_factory=list)
    peer: list[Run] = field(default_factory=list)

    def spread(self, runs: Sequence[Run], value: Callable[[Run], float]) -> Spread:
        return Spread.of([value(each) for each in runs])

    def ratio(self, value: Callable[[Run], float]) -> Spread:
        """Ours to the peer's within each round, so that what slows the machine for a while slows both."""
        return Spread.of([value(ours) / value(peer) for ours, peer in zip(self.ours, self.peer, strict=True)])


def measure(
    programs: Programs, server: Server, rows: Sequence[Row], rounds: int, divisor: int, told: Callable[[str], None]
) -> list[Rounds]:
    """`divisor` divides the numbers of calls."""
    results = [Rounds(row) for row in rows]

    def one(side: Side, row: Row) -> Run:
        calls, warm_up = max(side.calls // divisor, 16), max(side.warm_up // divisor, 8)
        return run(programs.command(server, side, row.case, warm_up, calls))

    for number in range(rounds):
        told(f"round {number + 1} of {rounds}")
        for result in results:
            row = result.row
            pair = [(row.ours, result.ours), (row.peer, result.peer)]
            # Who goes first changes, so that a drift of the machine favours nobody.
            for side, runs in pair if number % 2 == 0 else reversed(pair):
                runs.append(one(side, row))
    return results
