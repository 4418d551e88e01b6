"""Exit codes, and how things are shown."""

from __future__ import annotations

import json
import math
import sys
from typing import Any, Final

import click
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
INTERRUPTED: Final = 130
"""Ended by Ctrl-C."""

_WIDE: Final = 1 << 16

COLOURS = {"serves": "green", "ok": "green", "reachable": "yellow", "skipped": "dim", "failed": "red"}


def console(*, stderr: bool = False) -> Console:
    """rich looks at NO_COLOR, TERM and whether it writes to a terminal."""
    made = Console(stderr=stderr, highlight=False, markup=False, soft_wrap=True)
    if made.no_color:
        # By itself that takes the colours, and leaves what is dim or bold.
        made = Console(stderr=stderr, highlight=False, markup=False, soft_wrap=True, color_system=None)
    # A file has no edge at which something would be broken, or left out; and COLUMNS=0 shows nothing.
    made.width = made.width or 80 if made.file.isatty() else _WIDE
    return made


class Seconds(click.FloatRange):
    """A time that ends."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        seconds = super().convert(value, param, ctx)
        if not math.isfinite(seconds):
            self.fail(f"{value} is no time that ends.", param, ctx)
        return seconds


def print_json(value: Any) -> None:
    """One line, in what it is written to can hold."""
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    sys.stdout.write(json.dumps(value, ensure_ascii=not is_unicode) + "\n")
    sys.stdout.flush()
