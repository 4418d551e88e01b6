"""How much later than its deadline a call ends, among many and with half of a CPU: shown, compared with nothing."""

import json
from dataclasses import dataclass

from .process import Programs, Server, output


@dataclass(frozen=True)
class Overshoot:
    """Milliseconds."""

    calls: int
    median: float
    p99: float
    worst: float


def deadlines(programs: Programs, server: Server, calls: int) -> Overshoot:
    ports = [server.ports["hole"], server.ports["http"]]
    late = json.loads(output([str(programs.deadlines), *map(str, [*ports, calls])]).stdout)["late"]
    late = sorted(microseconds / 1000 for microseconds in late)
    return Overshoot(len(late), late[len(late) // 2], late[len(late) * 99 // 100], late[-1])
