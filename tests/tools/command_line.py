"""docs/reference/command-line.md from what the commands say with --help: `--write` writes it, else it is compared."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "command-line.md"
BEGIN = "<!-- What follows is written by tests/tools/command_line.py. -->\n"
COMMANDS = (
    *("urls", "check", "watch", "explain"),
    *(
        "ledger",
        "ledger list",
        "ledger verify",
        "ledger replay",
        "ledger settle",
        "ledger export",
    ),
    "override",
    "completion",
)


def said(*arguments: str) -> str:
    # As wide as the page, wherever this runs.
    environment = {"COLUMNS": "100", "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    command = [sys.executable, "-m", "d365_failover", *arguments, "--help"]
    return subprocess.run(
        command, env=environment, text=True, capture_output=True, check=True
    ).stdout


def page() -> str:
    head = PAGE.read_text().partition(BEGIN)[0]
    parts = [f"{head}{BEGIN}\n```text\n{said()}```\n"]
    parts += [f"## {name}\n\n```text\n{said(*name.split())}```\n" for name in COMMANDS]
    return "\n".join(parts)


def main() -> int:
    wanted = page()
    if "--write" in sys.argv[1:]:
        PAGE.write_text(wanted)
        return 0
    if PAGE.read_text() != wanted:
        print(f"{PAGE}: run {sys.argv[0]} --write", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
