"""What does not depend on the machine's mood: system calls, allocations and instructions for each call.

A program is run twice, with different numbers of calls; the difference is what the calls cost, without start and end.
"""

import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .process import BenchError, Programs, Server, output
from .rows import Case, Side


@dataclass(frozen=True)
class Counts:
    """For each call; None where it was not counted."""

    system_calls: dict[str, float] | None
    allocations: float | None
    instructions: float | None

    @property
    def all_system_calls(self) -> float | None:
        return None if self.system_calls is None else sum(self.system_calls.values())


class Tools:
    """Those that this machine has and allows. What is skipped is said in `skipped`."""

    def __init__(self, programs: Programs, server: Server, divisor: int) -> None:
        """`divisor` divides the numbers of calls."""
        self._programs = programs
        self._server = server
        self._divisor = divisor
        self.skipped = [
            "allocations outside C: the other languages allocate in ways of their own",
            "instructions outside C, and over TLS: valgrind runs no compiler of a JVM's, and misreads ring's assembly",
        ]
        self._strace = self._usable("system calls", ["strace", "-f", "-c", "-o", os.devnull, "true"])
        self._valgrind = self._usable("instructions", ["valgrind", "--tool=none", "true"])

    def count(self, side: Side, case: Case) -> Counts:
        in_c = side.language == "C"
        return Counts(
            self._system_calls(side, case) if self._strace else None,
            self._allocations(side, case) if in_c else None,
            self._instructions(side, case) if in_c and case.scheme == "http" and self._valgrind else None,
        )

    def _usable(self, what: str, command: list[str]) -> bool:
        if shutil.which(command[0]) is None:
            self.skipped.append(f"{what}: there is no {command[0]}")
            return False
        try:
            output(command)
        except BenchError as error:
            self.skipped.append(f"{what}: {command[0]} does not work here ({error})")
            return False
        return True

    def _pair(self, side: Side, case: Case, calls: int) -> list[tuple[int, list[str]]]:
        """Two commands and how many calls each makes. The warm-up is counted too, and is the same in both."""
        numbers = [max(calls // self._divisor, 10) * factor for factor in (1, 3)]
        return [(number, self._programs.command(self._server, side, case, 10, number)) for number in numbers]

    def _system_calls(self, side: Side, case: Case) -> dict[str, float]:
        counted: list[tuple[int, dict[str, int]]] = []
        for calls, command in self._pair(side, case, 2000):
            with tempfile.TemporaryDirectory() as directory:
                table = Path(directory) / "strace"
                output(["strace", "-f", "-c", "-U", "calls,name", "-o", str(table), *command])
                rows = re.findall(r"^\s*(\d+) (\w+)$", table.read_text(), re.MULTILINE)
            counted.append((calls, {name: int(number) for number, name in rows if name != "total"}))
        (few, before), (many, after) = counted
        rates = {name: (number - before.get(name, 0)) / (many - few) for name, number in after.items()}
        return {name: rate for name, rate in sorted(rates.items(), key=lambda item: -item[1]) if rate >= 0.01}

    def _allocations(self, side: Side, case: Case) -> float:
        counted: list[tuple[int, int]] = []
        for calls, command in self._pair(side, case, 2000):
            with tempfile.TemporaryDirectory() as directory:
                file = Path(directory) / "allocations"
                preload = {"LD_PRELOAD": str(self._programs.allocations), "BENCH_ALLOCATIONS": str(file)}
                output(command, os.environ | preload)
                counted.append((calls, int(file.read_text())))
        return _slope(counted)

    def _instructions(self, side: Side, case: Case) -> float:
        counted: list[tuple[int, int]] = []
        for calls, command in self._pair(side, case, 500):
            done = output(["valgrind", "--tool=callgrind", f"--callgrind-out-file={os.devnull}", *command])
            collected = re.search(r"Collected : (\d+)", done.stderr)
            if collected is None:
                raise BenchError(f"callgrind gave no count:\n{done.stderr}")
            counted.append((calls, int(collected[1])))
        return _slope(counted)


def _slope(counted: list[tuple[int, int]]) -> float:
    (few, before), (many, after) = counted
    return (after - before) / (many - few)
