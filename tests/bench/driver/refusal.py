"""Every client must end with an error when an answer is wrong: else the benchmark could measure failures."""

from collections.abc import Sequence

from .process import BenchError, Programs, Server, output
from .rows import CASES, Row

WRONG_ANSWERS = ("/short", "/created")


def refusal(programs: Programs, server: Server, rows: Sequence[Row]) -> None:
    sides = {row.ours: None for row in rows} | {row.peer: None for row in rows}
    for side in sides:
        for path in WRONG_ANSWERS:
            try:
                output(programs.command(server, side, CASES["get"], 1, 1, path))
            except BenchError as error:
                if "wrong answer" not in str(error):
                    raise
            else:
                raise BenchError(f"{side.language} {side.name} takes a wrong answer to {path} for a right one")
