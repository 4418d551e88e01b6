"""Exit codes, and how things are shown."""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from rich.console import Console

SERVES: Final = 0
"""The primary serves."""
ANSWERS: Final = 1
"""An endpoint answers, and none serves."""
SILENT: Final = 2
"""No endpoint answers."""
NO_ATTEMPT: Final = 3
"""Nothing was tried: something in the command is wrong."""
ALTERNATE_ONLY: Final = 4
"""Only the alternate serves."""

COLOURS = {"serves": "green", "ok": "green", "reachable": "yellow", "skipped": "dim", "failed": "red"}


def console(*, stderr: bool = False) -> Console:
    """rich looks at NO_COLOR, TERM and whether it writes to a terminal."""
    return Console(stderr=stderr, highlight=False, markup=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """One line."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()
