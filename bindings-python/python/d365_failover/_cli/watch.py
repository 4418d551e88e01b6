"""`watch`: both endpoints as time goes by, and what a drill was like."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import IO, Any

import click
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .check import ROLES, code_of, look, serves
from .connection import connection, organization
from .output import COLOURS, INTERRUPTED, Seconds, console, print_json

_LINES = 12


@dataclass
class Span:
    """For how long an endpoint was the same."""

    verdict: str
    cause: str | None
    since: float
    until: float

    def told(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict,
            "cause": self.cause,
            "since": _clock(self.since),
            "seconds": round(self.until - self.since, 3),
        }


@dataclass
class Drill:
    """What was seen."""

    with_token: bool
    spans: dict[str, list[Span]] = field(default_factory=lambda: {role: [] for role in ROLES})
    looks: int = 0
    code: int = INTERRUPTED
    """Of the last look."""
    _out_since: float | None = None
    _longest: float = 0.0
    _last: float = 0.0

    def saw(self, at: float, found: dict[str, dict[str, Any]]) -> dict[str, Any]:
        """Takes a look, and tells its line."""
        self.looks += 1
        self._last = at
        self.code = code_of(found, with_token=self.with_token)
        line: dict[str, Any] = {"time": _clock(at), "code": self.code}
        for role, report in found.items():
            cause = None if report["fault"] is None else report["fault"]["cause"]
            took = next((step["took_ms"] for step in report["steps"] if step["step"] == "http"), None)
            line[role] = {"verdict": report["verdict"], "cause": cause, "answered_ms": took}
            spans = self.spans[role]
            if spans:
                spans[-1].until = at
            if not spans or (spans[-1].verdict, spans[-1].cause) != (report["verdict"], cause):
                spans.append(Span(report["verdict"], cause, at, at))
        if any(serves(report, with_token=self.with_token) for report in found.values()):
            self._end_outage(at)
        elif self._out_since is None:
            self._out_since = at
        return line

    def _end_outage(self, at: float) -> None:
        if self._out_since is not None:
            self._longest = max(self._longest, at - self._out_since)
            self._out_since = None

    def summary(self) -> dict[str, Any]:
        """Times from look to look: each is known to within the interval."""
        self._end_outage(self._last)
        return {
            "looks": self.looks,
            "code": self.code,
            "longest_without_any_s": round(self._longest, 3),
            **{role: [span.told() for span in spans] for role, spans in self.spans.items()},
        }


@click.command()
@organization
@click.option("--interval", type=Seconds(0.05), default=1.0, show_default=True, help="Seconds between looks.")
@click.option(
    "--timeout", type=Seconds(0.001), default=5.0, show_default=True, help="Seconds for a token, and for an answer."
)
@click.option("--for", "duration", type=Seconds(0), help="Ends after so many seconds; else by Ctrl-C.")
@click.option("--count", type=click.IntRange(1), help="Ends after so many looks.")
@click.option("--record", type=click.File("w", lazy=False), help="Writes the JSON lines to a file as well.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines in a terminal too.")
def watch(
    interval: float,
    timeout: float,
    duration: float | None,
    count: int | None,
    record: IO[str] | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Looks at both endpoints again and again: a table that is kept up to date in a terminal, else JSON lines.

    At the end, also by Ctrl-C, the last line tells the drill: for how long each endpoint was how, and the longest time
    in which none served. Exit code: as of check, of the last look.
    """
    reached = connection(**options)
    drill = Drill(reached.has_token)
    is_table = sys.stdout.isatty() and not as_json
    shown = console()
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(reached.client(auto_switch="off"))
        live = stack.enter_context(Live(console=shown, auto_refresh=False)) if is_table else None
        try:
            for _ in _times(interval, duration, count):
                line = drill.saw(time.time(), look(client, timeout))
                _write(record, line)
                if live is None:
                    print_json(line)
                else:
                    live.update(_table(drill, line), refresh=True)
        except KeyboardInterrupt:
            pass
    summary = {"summary": drill.summary()}
    _write(record, summary)
    if is_table:
        shown.print(f"{drill.looks} looks; longest without any: {summary['summary']['longest_without_any_s']} s")
    else:
        print_json(summary)
    return drill.code


def _times(interval: float, duration: float | None, count: int | None) -> Iterator[int]:
    begin = time.monotonic()
    number = 0
    while count is None or number < count:
        yield number
        number += 1
        # What a look takes is part of the interval.
        next_at = max(begin + number * interval, time.monotonic())
        if (duration is not None and next_at - begin > duration) or number == count:
            return
        time.sleep(max(next_at - time.monotonic(), 0))


def _write(record: IO[str] | None, line: dict[str, Any]) -> None:
    if record is not None:
        record.write(json.dumps(line, ensure_ascii=False) + "\n")
        record.flush()


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _table(drill: Drill, line: dict[str, Any]) -> Table:
    table = Table(title=line["time"], box=None, padding=(0, 2, 0, 0))
    for name in ("endpoint", "since", "verdict", "why", "answered"):
        table.add_column(name, justify="right" if name == "answered" else "left")
    for role in ROLES:
        for span in drill.spans[role][-_LINES:]:
            is_now = span is drill.spans[role][-1]
            took = line[role]["answered_ms"] if is_now else None
            table.add_row(
                role,
                _clock(span.since)[11:19],
                Text(span.verdict, COLOURS[span.verdict] if is_now else "dim"),
                span.cause or "",
                "" if took is None else f"{took} ms",
            )
    return table
