"""The programs that are measured: the server, and one process for each run of a client."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .rows import Case, Side

PATIENCE = 300.0
"""Seconds after which a run is given up."""


class BenchError(Exception):
    """A client ended without the answers it should have got."""


@dataclass(frozen=True)
class Server:
    ports: dict[str, int]
    """By scheme, and `http2`."""
    ca_file: Path


@dataclass(frozen=True)
class Run:
    version: str
    calls: int
    cpu_us: float
    """Of the client's process, user and system, for all calls."""
    wall_us: float

    @property
    def cpu_us_per_call(self) -> float:
        return self.cpu_us / self.calls

    @property
    def calls_per_second(self) -> float:
        return 1e6 * self.calls / self.wall_us


@dataclass(frozen=True)
class Programs:
    """What `run.sh` has built."""

    server: Path
    client: Path
    switch: Path
    deadlines: Path
    store: Path
    allocations: Path
    java: Path
    jni: Path
    python: Path

    def command(
        self, server: Server, side: Side, case: Case, warm_up: int, calls: int, path: str | None = None
    ) -> list[str]:
        """`calls` are all threads' together."""
        origin = f"{case.scheme}://127.0.0.1:{server.ports[case.port or case.scheme]}"
        target = [side.name, case.method, origin, path or case.path, str(server.ca_file)]
        numbers = [str(warm_up), str(calls)]
        match side.language:
            case "C":
                numbers = [str(number // case.threads) for number in (warm_up, calls)]
                return [str(self.client), *target, str(case.threads), *numbers]
            case "Java":
                library = f"-Dd365failover.library.path={self.jni}"
                return ["java", "-cp", str(self.java), library, "Bench", *target, *numbers]
            case "Python":
                client = Path(__file__).parents[1] / "python" / "client.py"
                return [str(self.python), str(client), *target, *numbers]
        raise ValueError(side.language)


@contextmanager
def serving(programs: Programs, ca_file: Path) -> Iterator[Server]:
    """The server. It ends when its standard input does, which leaving the `with` closes."""
    with subprocess.Popen(
        [programs.server, ca_file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise BenchError("the server did not start")
        ports = {scheme: int(port) for scheme, _, port in (word.partition("=") for word in line.split())}
        yield Server(ports, ca_file)


def output(command: Sequence[str], environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, env=environment, check=False)
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{' '.join(command)}\nnot done within {PATIENCE} s") from error
    if done.returncode != 0:
        raise BenchError(f"{' '.join(command)}\n{done.stderr.strip()[-2000:]}")
    return done


def run(command: Sequence[str]) -> Run:
    return Run(**json.loads(output(command).stdout))
