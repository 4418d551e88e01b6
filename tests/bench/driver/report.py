"""The result as Markdown, which is also what is printed, and as JSON."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from .counts import Counts
from .deadlines import Overshoot
from .measure import Rounds, Spread
from .process import Run
from .rows import TITLES, Case, Side
from .store import TITLES as STORE_TITLES
from .store import Stored
from .switching import TITLES as SWITCH_TITLES

PRESET = "safe"
"""Of all calls but where a row says otherwise: the default, so the clients set none."""

MEANING = """\
One line compares d365-failover, with the preset that it has by default (`safe`), with a peer of the same language, in \
the same run, both calling the same server, one call after the other (8 threads: each so); client and server share one \
CPU. **CPU** is what the client's process used for a call, user and system, in microseconds. **CPU ratio** is ours \
divided by the peer's: 0.80 means that where the peer spends 100 µs, d365-failover spends 80; below 1 it is the \
cheaper one. **Rate ratio** is calls a second, ours divided by the peer's: above 1 it is the faster one; the server's \
share of the CPU is in it. Each ratio is the median of the ratios of the single rounds, in brackets the least and the \
greatest. Times and rates are medians too: they are this machine's, the ratios less so. A row whose peer is a library \
over d365-failover compares that with the same library over its own transport."""


@dataclass(frozen=True)
class Counted:
    side: Side
    case: Case
    counts: Counts


@dataclass(frozen=True)
class Report:
    machine: dict[str, str]
    rounds: int
    results: list[Rounds]
    counted: list[Counted]
    skipped: list[str]
    switching: dict[str, Spread]
    switches: int
    holes: int
    overshoot: Overshoot
    stored: list[Stored]

    def markdown(self) -> str:
        parts = [
            "# Benchmark",
            "\n".join(f"- {name}: {value}" for name, value in (self.machine | self._versions()).items()),
            "## The blocking call",
            MEANING,
            self._calls(),
            "## Counts for each call",
            self._counts(),
            "\n".join(f"- skipped: {what}" for what in self.skipped),
            "## A switch",
            f"In C, plain HTTP over loopback; microseconds. A refusing primary {self.switches} times, a black hole "
            f"{self.holes} times, with `probe_after` 1 s.",
            self._switch(),
            "## Deadlines",
            f"In C, {self.overshoot.calls} reads begun within a second at endpoints that answer nothing, each with a "
            f"second of its own, while another process burns the same CPU: milliseconds after its deadline. "
            f"{self.overshoot.sent} of them had been sent; the others waited for a connection, or an outage to end.",
            self._deadlines(),
            "## A store",
            "In C, a POST of 1 kB over plain HTTP: microseconds of the client's CPU a write, how much of it more than "
            "without a store in the same round, and writes a second; one thread with the server on one CPU, many with "
            f"it on all {len(os.sched_getaffinity(0))}. Medians.",
            self._store(),
        ]
        return "\n\n".join(parts) + "\n"

    def json(self) -> dict[str, object]:
        return {
            "machine": self.machine,
            "versions": self._versions(),
            "rounds": self.rounds,
            "preset": PRESET,
            "rows": [_row(result) for result in self.results],
            "counts": [
                {"language": each.side.language, "side": each.side.name, "case": each.case.name, **asdict(each.counts)}
                for each in self.counted
            ],
            "skipped": self.skipped,
            "switch": {name: asdict(spread) for name, spread in self.switching.items()},
            "deadlines": asdict(self.overshoot),
            "store": [asdict(each) for each in self.stored],
        }

    def _versions(self) -> dict[str, str]:
        versions: dict[str, str] = {}
        for result in self.results:
            for side, runs in ((result.row.ours, result.ours), (result.row.peer, result.peer)):
                name = "d365-failover" if side.name == "d365" else TITLES[side.name]
                versions[name] = runs[0].version
        return versions

    def _calls(self) -> str:
        def cells(result: Rounds) -> list[str]:
            ours, peer = (result.spread(runs, _cpu) for runs in (result.ours, result.peer))
            rate, peer_rate = (result.spread(runs, _rate) for runs in (result.ours, result.peer))
            row = result.row
            return [
                row.peer.language,
                row.case.name,
                TITLES[row.peer.name] if row.ours.name == "d365" else TITLES[row.ours.name],
                _spread(ours, ".1f"),
                _spread(peer, ".1f"),
                f"**{result.ratio(_cpu).median:.2f}** ({_range(result.ratio(_cpu), '.2f')})",
                f"{rate.median:.0f}",
                f"{peer_rate.median:.0f}",
                f"{result.ratio(_rate).median:.2f} ({_range(result.ratio(_rate), '.2f')})",
            ]

        head = ["", "case", "peer", f"CPU µs, {PRESET}", "peer's", "CPU ratio", "calls/s", "peer's", "rate ratio"]
        return f"Medians of {self.rounds} rounds.\n\n" + _table(head, map(cells, self.results))

    def _counts(self) -> str:
        def cells(each: Counted) -> list[str]:
            counts = each.counts
            names = ", ".join(f"{name} {rate:.3g}" for name, rate in (counts.system_calls or {}).items())
            side = f"d365-failover, {PRESET}" if each.side.name == "d365" else TITLES[each.side.name]
            numbers = [(counts.all_system_calls, ".2f"), (counts.allocations, ".1f"), (counts.instructions, ".0f")]
            texts = ["" if number is None else format(number, form) for number, form in numbers]
            return [each.side.language, each.case.name, side, *texts, names]

        head = ["", "case", "", "system calls", "allocations", "instructions", "which system calls"]
        return _table(head, map(cells, self.counted))

    def _switch(self) -> str:
        rows = [
            [title, *(f"{value:.0f}" for value in asdict(self.switching[name]).values())]
            for name, title in SWITCH_TITLES.items()
        ]
        return _table(["", "median", "least", "most"], rows)

    def _deadlines(self) -> str:
        late = self.overshoot
        times = (late.median, late.p99, late.worst, late.waited)
        return _table(["median", "p99", "worst", "waited for the CPU"], [[f"{value:.1f}" for value in times]])

    def _store(self) -> str:
        def cells(each: Stored) -> list[str]:
            numbers = [each.cpu_us, each.added_us, each.writes_per_second]
            return [str(each.threads), STORE_TITLES[each.mode], *(f"{number:.0f}" for number in numbers)]

        return _table(["threads", "", "CPU µs", "more", "writes/s"], map(cells, self.stored))


def _cpu(run: Run) -> float:
    return run.cpu_us_per_call


def _rate(run: Run) -> float:
    return run.calls_per_second


def _row(result: Rounds) -> dict[str, object]:
    row = result.row
    return {
        "language": row.peer.language,
        "case": row.case.name,
        "peer": row.peer.name,
        "cpu_us": asdict(result.spread(result.ours, _cpu)),
        "peer_cpu_us": asdict(result.spread(result.peer, _cpu)),
        "cpu_ratio": asdict(result.ratio(_cpu)),
        "calls_per_second": asdict(result.spread(result.ours, _rate)),
        "peer_calls_per_second": asdict(result.spread(result.peer, _rate)),
        "rate_ratio": asdict(result.ratio(_rate)),
        "runs": [asdict(run) for run in result.ours],
        "peer_runs": [asdict(run) for run in result.peer],
    }


def _range(spread: Spread, form: str) -> str:
    return f"{spread.least:{form}}..{spread.most:{form}}"


def _spread(spread: Spread, form: str) -> str:
    return f"{spread.median:{form}} ({_range(spread, form)})"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Padded, so that it can also be read as it is."""
    lines = [list(head), *map(list, rows)]
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(head))]
    text = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines]
    text.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(line)} |" for line in text)
