"""What a small write costs with a ledger on disk, against the same without, and against what one would do by hand."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from .process import Programs, Server, output

TITLES = {
    "none": "no store",
    "process": "`store_durability` = `process`",
    "power": "`store_durability` = `power`",
    "naive": "by hand: a row of SQLite inserted before, updated after",
}
MANY = 32
WRITES = 4000
"""Of all threads together; of `power`, whose every commit reaches the disk, a tenth."""


@dataclass(frozen=True)
class Stored:
    """The medians of the rounds."""

    threads: int
    mode: str
    cpu_us: float
    """Of the client's process, a write."""
    added_us: float
    """Of that, more than without a store in the same round."""
    writes_per_second: float


def store(programs: Programs, server: Server, threads: int, rounds: int, divisor: int) -> list[Stored]:
    told: dict[str, list[tuple[float, float, float]]] = {mode: [] for mode in TITLES}
    for _ in range(rounds):
        without = 0.0
        for mode in TITLES:
            each = max(1, WRITES // (10 if mode == "power" else 1) // divisor // threads)
            with tempfile.TemporaryDirectory() as directory:
                numbers = [server.ports["http"], mode, Path(directory) / "store.db", threads, each]
                run = json.loads(output([str(programs.store), *map(str, numbers)]).stdout)
            writes = each * threads
            cpu = run["cpu_us"] / writes
            without = cpu if mode == "none" else without
            told[mode].append((cpu, cpu - without, 1e6 * writes / run["wall_us"]))
    medians = {mode: [median(column) for column in zip(*runs, strict=True)] for mode, runs in told.items()}
    return [Stored(threads, mode, cpu, added, rate) for mode, (cpu, added, rate) in medians.items()]
