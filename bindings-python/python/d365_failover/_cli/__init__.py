"""The command line `d365-failover`. What it is made with, click and rich, comes with the extra `cli`."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command, and tells its exit code."""
    try:
        from . import app
    except ModuleNotFoundError as missing:
        if missing.name not in ("click", "rich"):
            raise
        print("the command line needs more: pip install 'd365-failover[cli]'", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        return 130
    return app.run(arguments)
