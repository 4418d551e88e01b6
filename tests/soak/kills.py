"""Processes that are killed in the middle of their writes, and what the store then says of each write.

    kills.py TWIN C "JAVA COMMAND" DIRECTORY

KILLS (50): how many, in turn C, Java and Python, eight writers each. KILLS_SEED: repeats the instants of a run and the
faults beside it. After each kill the store is opened as the next process would. Exits 0 where nothing is wrong.
"""

from __future__ import annotations

import os
import random
import re
import shlex
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import d365_failover
from soak import Twin, verdict

HERE = Path(__file__).parent
KILLS = int(os.environ.get("KILLS") or 50)
SEED = int(os.environ.get("KILLS_SEED") or random.SystemRandom().randrange(1 << 32))
LATEST = 0.25
"""Seconds from the first write to the latest kill."""
WHOLE_EACH = 100
"""So often, in kills, the whole record is looked through; else what is new in it."""
FAULTS: list[dict[str, Any]] = [
    {"kind": "stall", "ms": 50},
    {"kind": "commit_then_close"},
    {"kind": "status", "status": 504, "commit": True},
    {"kind": "close_after_request"},
    {"kind": "stall_before_commit", "ms": 50},
]
TOLD = re.compile(rb"told (\S+) (\w+) (\d+)\n")


class Told(NamedTuple):
    """What an application was told of a write before it was killed."""

    effect: str
    ledger_id: int


class Entry(NamedTuple):
    """What the store says of it."""

    ledger_id: int
    effect: str | None
    is_suspect: bool


def check(
    told: dict[str, Told], entries: dict[str, list[Entry]], rows: Counter[str]
) -> list[str]:
    """What was told, what is in the store and what is there, by the name of the row."""
    wrong = []
    for name in told.keys() | entries.keys() | rows.keys():
        said, found, count = told.get(name), entries.get(name, []), rows[name]
        if len(found) > 1:
            wrong.append(f"{name} is on record {len(found)} times")
        if count > 1:
            wrong.append(f"{name} is there {count} times")
        entry = found[0] if found else None
        if entry is None and count:
            wrong.append(f"{name} is there, and not on record")
        if entry is None and said is not None and said.effect != "not_executed":
            wrong.append(f"{name} was told to be {said.effect}, and is not on record")
        if entry is None:
            continue
        if entry.effect is None:
            wrong.append(f"{name} is in flight, by a process that is dead")
        if entry.effect == "executed" and not count:
            wrong.append(f"{name} is executed by the record, and not there")
        if entry.effect == "unknown" and not entry.is_suspect:
            wrong.append(f"{name} is in doubt, and no suspect")
        if said is not None and (entry.effect, entry.ledger_id) != (
            said.effect,
            said.ledger_id,
        ):
            wrong.append(f"{name} was told as {said}, and is on record as {entry}")
    return wrong


def on_record(url: str, settings: dict[str, Any]) -> dict[str, list[Entry]]:
    """What the store says, by the name of the row."""
    found: dict[str, list[Entry]] = {}
    with d365_failover.Client(url, **settings) as client:
        for entry in client.ledger():
            one = Entry(entry.id, entry.effect, entry.is_suspect)
            found.setdefault(str(entry.tag), []).append(one)
    return found


def new_on_record(store: Path, seen: int) -> tuple[list[tuple[int, str | None]], int]:
    """What is in flight of what is new, and the last number: a list of all after each kill grows with the square."""
    with closing(sqlite3.connect(store)) as connection:
        in_flight = connection.execute(
            "SELECT id, tag FROM writes WHERE id > ? AND (ended IS NULL OR effect IS NULL)",
            [seen],
        )
        last = connection.execute("SELECT coalesce(max(id), 0) FROM writes")
        return in_flight.fetchall(), int(last.fetchone()[0])


class Run:
    """One store, and all that are killed over it."""

    def __init__(
        self, twin: Twin, commands: dict[str, list[str]], directory: Path, seed: int
    ) -> None:
        self.twin = twin
        twin.ask("/tokens", {"org": "plain", "tokens": "off"})
        self.commands = commands
        self.store = directory / "kills.db"
        for file in directory.glob("kills.db*"):
            file.unlink()
        self.chance = random.Random(seed)
        self.told: dict[str, Told] = {}
        self.lines: Counter[str] = Counter()
        self.seen = 0
        """The last number on record by now: what has it or a lower one was seen to have an end."""
        places = ",".join(
            f"{where}:{to}" for where, to in twin.state["connect_to"].items()
        )
        self.url = twin.environment("plain")["D365_URL"]
        self.settings: dict[str, Any] = {"store": str(self.store), "connect_to": places}
        self.environment = {
            **os.environ,
            "D365_URL": self.url,
            "D365_CONNECT_TO": places,
            "D365_STORE": str(self.store),
        }

    def kill_one(self, number: int) -> None:
        """Starts an application, and ends it at an instant that nobody chooses."""
        language = list(self.commands)[number % len(self.commands)]
        fault = self.chance.choice([None, *FAULTS])
        instant = self.chance.uniform(0, LATEST)
        if fault is not None:
            self.twin.ask(
                "/faults", {"org": "plain", "side": "primary", "times": 8, **fault}
            )
        process = subprocess.Popen(
            self.commands[language],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if language == "java" else None,
            env={**self.environment, "D365_APP": f"{language}-{number}"},
        )
        assert process.stdout is not None
        ready = process.stdout.readline()
        # The instant is what is tried; nothing is awaited here.
        time.sleep(instant)
        process.kill()
        out = ready + process.stdout.read()
        process.wait()
        self.twin.ask("/clear", {"org": "plain", "side": "primary"})
        if b"ready\n" not in out:
            raise SystemExit(f"kills: {language} said {out[:200]!r}")
        for name, effect, ledger_id in TOLD.findall(out):
            self.told[name.decode()] = Told(effect.decode(), int(ledger_id))
            self.lines[language] += 1

    def open_again(self, number: int) -> list[str]:
        """The next that opens the store takes over what the dead has left."""
        in_flight: list[tuple[int, str | None]] = []
        with d365_failover.Client(self.url, **self.settings) as client:
            if number % WHOLE_EACH == WHOLE_EACH - 1:
                in_flight += [
                    (entry.id, entry.tag)
                    for entry in client.ledger()
                    if entry.effect is None
                ]
        found, last = new_on_record(self.store, self.seen)
        in_flight += found
        if last < self.seen:
            return [f"the last number on record was {self.seen}, and is {last}"]
        self.seen = last
        return [
            f"the write {number} ({tag}) is in flight, by a process that is dead"
            for number, tag in dict.fromkeys(in_flight)
        ]

    def check_all(self) -> list[str]:
        # What the dead have sent may still be on its way.
        self.twin.settle("plain")
        there = self.twin.ask("/rows?org=plain&side=primary")
        rows = Counter(str(row["name"]) for row in there)
        entries = on_record(self.url, self.settings)
        effects = Counter(found.effect for one in entries.values() for found in one)
        print(
            f"kills: {dict(self.lines)} told; on record {dict(effects)}; {sum(rows.values())} rows"
        )
        wrong = check(self.told, entries, rows)
        with closing(sqlite3.connect(self.store)) as store:
            if (said := store.execute("PRAGMA integrity_check").fetchone()) != ("ok",):
                wrong.append(f"the store: {said}")
        if not effects["executed"]:
            wrong.append("no write was executed")
        missing = [language for language in self.commands if not self.lines[language]]
        return [*wrong, *(f"{language} was told of no write" for language in missing)]


def main() -> int:
    program, c, java, where = sys.argv[1:]
    directory = Path(where)
    directory.mkdir(parents=True, exist_ok=True)
    print(f"kills: {KILLS}, KILLS_SEED={SEED} repeats them", flush=True)
    twin = Twin(program, directory)
    commands = {
        "c": [c],
        "java": shlex.split(java),
        "python": [sys.executable, str(HERE / "writers.py")],
    }
    run = Run(twin, commands, directory, SEED)
    wrong: list[str] = []
    for number in range(KILLS):
        run.kill_one(number)
        if found := run.open_again(number):
            print(f"kills: after kill {number}: {found[:3]}", flush=True)
        wrong += found
    wrong += run.check_all()
    twin.stop()
    return verdict("kills", wrong)


if __name__ == "__main__":
    sys.exit(main())
