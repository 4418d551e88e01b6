"""How long a switch takes: shown, compared with nothing."""

import json
import socket

from .measure import Spread
from .process import Programs, Server, output

TITLES = {
    "dotnet_healthy": "`dotnet`: first call of a new client, primary answers",
    "dotnet_switched": "`dotnet`: first call of a new client, primary refuses, alternate answers",
    "dotnet_from_fault": "`dotnet`: of that, from the end of the refused attempt to the answer",
    "safe_healthy": "`safe`: first call of a new client, primary answers",
    "safe_switched": "`safe`: first call of a new client, primary refuses, alternate is probed and answers",
    "safe_from_fault": "`safe`: of that, from the end of the refused attempt to the answer",
    "hole_1_first": "`safe`: primary becomes a black hole, 1 read: from then to its answer",
    "hole_200_first": "`safe`: primary becomes a black hole, 200 reads in flight: from then to the first answer",
    "hole_200_last": "`safe`: of that, from then until all are answered",
}


def switching(programs: Programs, server: Server, switches: int, holes: int) -> dict[str, Spread]:
    """Microseconds. A port that is bound and not listened on refuses, and nobody else can take it meanwhile."""
    with socket.socket() as refusing:
        refusing.bind(("127.0.0.1", 0))
        ports = [refusing.getsockname()[1], server.ports["http"], server.ports["hole"]]
        numbers = [*ports, switches, holes]
        told = json.loads(output([str(programs.switch), *map(str, numbers)]).stdout)
    return {name: Spread.of(told[name]) for name in TITLES}
