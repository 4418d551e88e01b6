"""The soak: three applications work through all faults of the twin at random, then what they were told is held against
the rows of both sides, and what they held of the machine against what they held at first.

    soak.py TWIN C "JAVA COMMAND" DIRECTORY

SOAK_SECONDS (60): how long the faults last. SOAK_SEED: repeats the faults of a run, as far as they depend on chance.
Exits 0 where nothing is wrong.
"""

from __future__ import annotations

import json
import os
import random
import shlex
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SECONDS = float(os.environ.get("SOAK_SECONDS") or 60)
SEED = int(os.environ.get("SOAK_SEED") or random.SystemRandom().randrange(1 << 32))
RSS_ENTRY = 2048
"""Bytes that a call may leave in memory: its entry in the ledger, and what this application keeps of it."""
RSS_ROOM = 48 << 20
"""Bytes that a runtime's heap may grow by all the same."""

COMMITS: list[dict[str, Any]] = [
    {"kind": "commit_then_close"},
    {"kind": "commit_then_close", "close_notify": True},
    {"kind": "commit_then_reset"},
    {"kind": "html_page", "status": 502, "commit": True},
    {"kind": "status", "status": 504, "commit": True},
    {
        "kind": "service_fault",
        "code": -2147204784,
        "message": "SQL timeout",
        "commit": True,
    },
    {"kind": "cut_head"},
    {"kind": "cut_head", "reset": True},
    {"kind": "cut_body"},
    {"kind": "wrong_length"},
    {"kind": "slow_drip", "every_ms": 5, "bytes": 64},
    {"kind": "informational"},
    {"kind": "trailers"},
    {"kind": "coded", "coding": "gzip"},
    {"kind": "stall", "ms": 400},
    {"kind": "stall_body", "ms": 400},
]
REFUSES: list[dict[str, Any]] = [
    {"kind": "refuse"},
    {"kind": "listen_never_accept"},
    {"kind": "black_hole"},
    {"kind": "accept_never_answer"},
    {"kind": "stall_before_commit", "ms": 400},
    {"kind": "reset_before_request"},
    {"kind": "reset_after_request"},
    {"kind": "close_after_request"},
    {"kind": "html_page", "status": 503},
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 429, "headers": {"Retry-After": "1"}},
    {"kind": "datacenter_not_available"},
    {"kind": "service_fault", "code": -2147204784, "message": "no"},
    {"kind": "throttled"},
    {"kind": "close_after_answer"},
    {"kind": "close_after_answer", "reset": True},
    {"kind": "answer_at_head"},
    {"kind": "withhold_continue"},
    {"kind": "reset_within_request", "bytes": 3},
    {"kind": "close_idle"},
]
TLS: list[dict[str, Any]] = [
    {"kind": "break_handshake", "how": "alert"},
    {"kind": "break_handshake", "how": "eof"},
    {"kind": "break_handshake", "how": "reset"},
    {"kind": "certificate", "which": "expired"},
    {"kind": "certificate", "which": "other_host"},
]
HTTP2: list[dict[str, Any]] = [
    {"kind": "goaway"},
    {"kind": "goaway", "code": 11},
    {"kind": "goaway", "last_stream": "ours", "commit": True},
    {"kind": "goaway", "last_stream": "max", "commit": True, "answered": True},
    {"kind": "rst_stream"},
    {"kind": "rst_stream", "code": 2, "commit": True},
    {"kind": "rst_stream", "code": 2, "commit": True, "partial": True},
]
LASTING = {
    "refuse",
    "listen_never_accept",
    "black_hole",
    "accept_never_answer",
    "close_idle",
}
ORGANIZATIONS = {"contoso": COMMITS + REFUSES + TLS + HTTP2, "plain": COMMITS + REFUSES}


class Twin:
    """The twin, and its control endpoint."""

    def __init__(self, program: str, directory: Path) -> None:
        lag = {"mode": "lag", "lag_ms": 20}
        organizations = [
            {"name": "contoso", "http2": True, "tokens": "check", "replication": lag},
            {"name": "plain", "scheme": "http", "tokens": "check", "replication": lag},
        ]
        config = directory / "twin.config.json"
        config.write_text(json.dumps({"organizations": organizations}))
        command = [
            program,
            "--config",
            str(config),
            "--dir",
            str(directory),
            "--stdin-eof",
        ]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline().startswith(b"ready")
        self.state = json.loads((directory / "twin.json").read_text())

    def ask(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(
            self.state["control_url"] + path, data, timeout=30
        ) as answer:
            return json.load(answer)

    def settle(self, organization: str, side: str = "primary") -> None:
        """Waits until nothing that was sent is under way any more, and lets it cross."""
        where = f"org={organization}&side={side}"
        self.ask(f"/wait?{where}&in_flight_at_most=0&timeout_ms=30000")
        self.ask("/replicate", {"org": organization})

    def stop(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)

    def environment(self, organization: str) -> dict[str, str]:
        scheme = "https" if organization == "contoso" else "http"
        ways = ",".join(
            f"{where}:{to}" for where, to in self.state["connect_to"].items()
        )
        return {
            "D365_URL": f"{scheme}://{organization}.crm.twin.test",
            "D365_CA_BUNDLE": self.state["ca_file"],
            "D365_CONNECT_TO": ways,
            "D365_TOKEN_PREFIX": "twin-token-for-",
            "D365_PRESET": "safe",
        }


class Application:
    """One of the applications, and what it held of the machine over time."""

    def __init__(
        self,
        name: str,
        command: list[str],
        environment: dict[str, str],
        directory: Path,
    ) -> None:
        self.name = name
        self.log = directory / f"{name}.log"
        self.samples: list[tuple[int, int, int]] = []
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=out,
                env={**os.environ, **environment, "D365_APP": name},
            )

    def sample(self) -> None:
        if self.process.poll() is not None:
            return
        place = Path(f"/proc/{self.process.pid}")
        fields = dict(
            line.split(":", 1) for line in (place / "status").read_text().splitlines()
        )
        resident = int(fields["VmRSS"].split()[0]) << 10
        self.samples.append(
            (resident, int(fields["Threads"]), len(os.listdir(place / "fd")))
        )

    def end(self) -> list[str]:
        try:
            self.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return [f"{self.name}: it does not end"]
        return (
            []
            if self.process.returncode == 0
            else [f"{self.name}: exit {self.process.returncode}"]
        )

    def growth(self, calls: int) -> tuple[str, list[str]]:
        """The first third of the run against the last; the first tenth is start-up."""
        samples = self.samples[len(self.samples) // 10 :]
        third = max(1, len(samples) // 3)
        first = [
            statistics.median(column) for column in zip(*samples[:third], strict=True)
        ]
        last = [
            statistics.median(column) for column in zip(*samples[-third:], strict=True)
        ]
        room = (RSS_ROOM + RSS_ENTRY * calls, 6, 16)
        wrong = [
            f"{self.name}: {what} from {before:.0f} to {after:.0f}"
            for what, before, after, more in zip(
                ("memory", "threads", "descriptors"), first, last, room, strict=True
            )
            if after > before + more
        ]
        memory = f"{first[0] / 2**20:.0f} to {last[0] / 2**20:.0f} MB"
        return (
            f"{memory}, {first[1]:.0f} to {last[1]:.0f} threads, {first[2]:.0f} to {last[2]:.0f} descriptors",
            wrong,
        )


def report_of_lines(log: Path) -> dict[str, Any]:
    """What an application of the drill has said, as the worker reports it."""
    told: dict[str, dict[str, Any]] = {}
    doubts: list[int] = []
    suspects: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for line in log.read_text(errors="replace").splitlines():
        words = line.split()
        match words:
            case ["created", row, name, ledger]:
                told[name] = {"effect": "executed", "ledger": int(ledger), "id": row}
            case ["failed", name, effect, ledger]:
                told[name] = {"effect": effect, "ledger": int(ledger), "id": ""}
            case ["event", "WriteInDoubt", ledger, *_]:
                doubts.append(int(ledger))
            case ["suspect", ledger, effect, *_]:
                suspects[ledger] = effect
            case ["error", kind, *_]:
                counts[kind] += 1
            case ["call", "ok", what]:
                counts[what] += 1
            case _:
                pass
    return {"told": told, "doubts": doubts, "suspects": suspects, "counts": counts}


def check(name: str, report: dict[str, Any], rows: list[dict[str, Any]]) -> list[str]:
    """What an application was told against the rows that there are, when all has crossed."""
    by_name: dict[str, list[str]] = {}
    for there in rows:
        if str(there["name"]).startswith(f"{name}-"):
            by_name.setdefault(there["name"], []).append(there["id"])
    doubts = set(report["doubts"])
    suspects = {int(number): effect for number, effect in report["suspects"].items()}
    wrong = []
    for row, ids in by_name.items():
        if len(ids) > 1:
            wrong.append(f"{row} is doubled: {ids}")
        if row not in report["told"]:
            wrong.append(f"{row} is there, and it was never told of it")
    for row, said in report["told"].items():
        ids = by_name.get(row, [])
        match said["effect"]:
            case "executed":
                if not ids or (said["id"] and said["id"] not in ids):
                    wrong.append(
                        f"{row} was executed as {said['id']}, but there is {ids}"
                    )
            case "not_executed":
                if ids:
                    wrong.append(f"{row} was not executed, but its row is there")
            case "unknown":
                if said["ledger"] not in doubts:
                    wrong.append(f"{row} is in doubt, but no WriteInDoubt said so")
                if suspects.get(said["ledger"]) != "unknown":
                    wrong.append(f"{row} is in doubt, but no suspect of its ledger")
            case other:
                wrong.append(f"{row} had the effect {other}")
    return [f"{name}: {text}" for text in wrong]


def disturb(
    twin: Twin, chance: random.Random, until: float, applications: list[Application]
) -> Counter[str]:
    """Sets faults, a few at a time, and takes them away again."""
    made: Counter[str] = Counter()
    sampled = 0.0
    while (now := time.monotonic()) < until:
        if now - sampled > 0.25:
            sampled = now
            for application in applications:
                application.sample()
        organization = chance.choice(list(ORGANIZATIONS))
        fault = chance.choice(ORGANIZATIONS[organization])
        side = chance.choice(["primary", "primary", "alternate"])
        lasting = fault["kind"] in LASTING
        request = {
            "org": organization,
            "side": side,
            **fault,
            **({} if lasting else {"times": chance.randint(1, 6)}),
        }
        twin.ask("/faults", request)
        made[fault["kind"]] += 1
        time.sleep(chance.uniform(0.1, 0.7) if lasting else chance.uniform(0.02, 0.2))
        if lasting or chance.random() < 0.3:
            twin.ask("/clear", {"org": organization, "side": side})
    # What is never answered would be waited for as long as the attempt's time is.
    places = [
        {"org": organization, "side": side}
        for organization in ORGANIZATIONS
        for side in ("primary", "alternate")
    ]
    for place in places:
        twin.ask("/clear", place)
        twin.ask("/faults", {**place, "kind": "refuse"})
        twin.ask("/clear", place)
    return made


def verdict(who: str, wrong: list[str]) -> int:
    """Says what is wrong; the exit status."""
    for text in wrong[:40]:
        print("VIOLATION", text)
    print(f"{who}: {len(wrong)} violations")
    return 1 if wrong else 0


def main() -> int:
    program, c, java, where = sys.argv[1:]
    directory = Path(where)
    directory.mkdir(parents=True, exist_ok=True)
    print(f"soak: {SECONDS:.0f} s, SOAK_SEED={SEED} repeats the faults", flush=True)
    twin = Twin(program, directory)
    worker = {"SOAK_SEED": str(SEED), "SOAK_REPORT": str(directory / "python.json")}
    applications = [
        Application(
            "python",
            [sys.executable, str(HERE / "worker.py")],
            {**twin.environment("contoso"), **worker},
            directory,
        ),
        Application("c", [c], twin.environment("plain"), directory),
        Application("java", shlex.split(java), twin.environment("plain"), directory),
    ]
    made = disturb(twin, random.Random(SEED), time.monotonic() + SECONDS, applications)
    wrong: list[str] = [
        f"{one.name}: it ended too early"
        for one in applications
        if one.process.poll() is not None
    ]
    for application in applications:
        wrong += application.end()
    print(
        "soak: faults:",
        ", ".join(f"{kind} {count}" for kind, count in made.most_common()),
    )
    for application in applications:
        organization = "contoso" if application.name == "python" else "plain"
        twin.ask("/replicate", {"org": organization})
        rows = twin.ask(f"/rows?org={organization}")
        if application.name == "python":
            report = json.loads((directory / "python.json").read_text())
            if report["counts"].get("in doubt, and of a class that is repeated"):
                wrong.append("python: an error in doubt is of a class that is repeated")
        else:
            report = report_of_lines(application.log)
        effects = Counter(said["effect"] for said in report["told"].values())
        if not effects["executed"]:
            wrong.append(f"{application.name}: no create was executed")
        wrong += check(application.name, report, rows)
        text, grown = application.growth(sum(effects.values()))
        wrong += grown
        print(
            f"soak: {application.name}: {dict(effects)}, {len(report['suspects'])} suspects; {text}"
        )
    twin.stop()
    return verdict("soak", wrong)


if __name__ == "__main__":
    sys.exit(main())
