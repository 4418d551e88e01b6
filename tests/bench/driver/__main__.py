"""python -m driver --out DIRECTORY … : runs the benchmark with the programs that run.sh has built."""

import argparse
import json
import os
import sys
from pathlib import Path

from .counts import Tools
from .deadlines import deadlines
from .machine import machine
from .measure import measure
from .process import BenchError, Programs, serving
from .refusal import refusal
from .report import Counted, Report
from .rows import CASES, ROWS, Case, Side
from .store import MANY, store
from .switching import switching

ROUNDS = 7
SWITCHES = 200
# Each takes about three seconds.
HOLES = 10
IN_FLIGHT = 10_000
# What --quick divides the numbers by: it shows that everything runs and answers, and measures nothing.
QUICK = 500


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compares d365-failover with its peers.")
    parser.add_argument("--quick", action="store_true", help="few calls: does everything run and answer?")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", default="", metavar="TEXT", help="rows whose title has it: 'C, GET, libcurl'")
    parser.add_argument("--out", type=Path, required=True, help="where bench.md and bench.json go")
    for program in Programs.__dataclass_fields__:
        parser.add_argument(f"--{program}", type=Path, required=True)
    return parser.parse_args()


def told(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def main() -> None:
    options = arguments()
    programs = Programs(**{name: getattr(options, name) for name in Programs.__dataclass_fields__})
    rows = [row for row in ROWS if options.only in row.title]
    rounds, divisor = (1, QUICK) if options.quick else (options.rounds, 1)
    switches, holes = (SWITCHES // 20, 1) if options.quick else (SWITCHES, HOLES)

    # Unpinned, runs of one call at a time have two speeds, up to ten times apart. Children inherit it.
    processors = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(processors)})
    with serving(programs, options.out / "ca.pem") as server:
        refusal(programs, server, rows)
        results = measure(programs, server, rows, rounds, divisor, told)
        tools = Tools(programs, server, divisor)
        told("counts")
        sides: dict[tuple[Side, Case], None] = {}
        for row in rows:
            if row.case.countable:
                sides |= {(row.ours, row.case): None, (row.peer, row.case): None}
        if options.quick:
            sides = {(side, case): None for side, case in sides if case is CASES["get"]}
        counted = [Counted(side, case, tools.count(side, case)) for side, case in sides]
        switch = switching(programs, server, switches, holes)
        overshoot = deadlines(programs, server, IN_FLIGHT // divisor)
        stored = store(programs, server, 1, rounds, divisor)
    os.sched_setaffinity(0, processors)
    with serving(programs, options.out / "ca.pem") as server:
        stored += store(programs, server, MANY, rounds, divisor)

    report = Report(machine(), rounds, results, counted, tools.skipped, switch, switches, holes, overshoot, stored)
    (options.out / "bench.md").write_text(report.markdown())
    (options.out / "bench.json").write_text(json.dumps(report.json(), indent=1) + "\n")
    if options.quick:
        print(f"{len(rows)} passed: all rows, every answer right; the times in {options.out} mean nothing")
    else:
        print(report.markdown(), end="")


if __name__ == "__main__":
    try:
        main()
    except BenchError as error:
        sys.exit(f"bench: {error}")
