"""A command line, as the system's shell would have it for a program."""

from __future__ import annotations

import shlex
import sys

__all__: list[str] = []


def arguments_of(command: str, platform: str = sys.platform) -> str | list[str]:
    """What `subprocess` is given; empty where there is none. On Windows a program splits its own command line: a
    backslash is one there.

    Raises:
        ValueError: a quotation is not closed.
    """
    return command.strip() if platform == "win32" else shlex.split(command)
