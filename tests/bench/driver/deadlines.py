"""How much later than its deadline a call ends, among many and with half of a CPU: shown, compared with nothing."""

import json
from dataclasses import dataclass

from .process import Programs, Server, output


@dataclass(frozen=True)
class Overshoot:
    """Milliseconds. How many of the calls had been sent when they ended, and how long one of the client's threads
    had to wait for the CPU, all in all."""

    calls: int
    sent: int
    median: float
    p99: float
    worst: float
    waited: float


def deadlines(programs: Programs, server: Server, calls: int) -> Overshoot:
    ports = [server.ports["hole"], server.ports["http"]]
    told = json.loads(output([str(programs.deadlines), *map(str, [*ports, calls])]).stdout)
    late = sorted(microseconds / 1000 for microseconds in told["late"])
    median, p99 = late[len(late) // 2], late[len(late) * 99 // 100]
    return Overshoot(len(late), told["sent"], median, p99, late[-1], told["waited"] / 1000)
