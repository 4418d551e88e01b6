"""How long a switch takes: shown, compared with nothing."""

import json
import socket

from .measure import Spread
from .process import Programs, Server, output

TITLES = {
    "healthy": "first call of a new client, primary answers",
    "switched": "first call of a new client, primary refuses, alternate answers",
    "from_fault": "of that, from the end of the refused attempt to the answer",
}


def switching(programs: Programs, server: Server, times: int) -> dict[str, Spread]:
    """Microseconds. A port that is bound and not listened on refuses, and nobody else can take it meanwhile."""
    with socket.socket() as refusing:
        refusing.bind(("127.0.0.1", 0))
        ports = [str(refusing.getsockname()[1]), str(server.ports["http"])]
        told = json.loads(output([str(programs.switch), *ports, str(times)]).stdout)
    return {name: Spread.of(told[name]) for name in TITLES}
