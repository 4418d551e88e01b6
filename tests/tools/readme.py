"""Checks that the README shows the example programs as they stand in the tree, and no other code.

A block of code is a whole program, or lines that stand so in one. Of a `diff` the lines that are added do; those
that are taken away are another program's. The programs themselves are compiled and run by other steps; here it is
made sure that what a reader copies is what was run. Links to files must lead somewhere.
"""

import re
import sys
from itertools import groupby
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).resolve().parents[2]
# The fence's language, and the programs that must stand there whole, in this order.
SHOWN = {
    "c": ["ffi-c/examples/first.c"],
    "java": ["bindings-java/examples/First.java", "bindings-java/examples/Files.java"],
    "python": [
        "bindings-python/examples/first.py",
        "bindings-python/examples/files.py",
    ],
}
# The programs of which lines may stand there.
QUOTED = {
    "c": ["ffi-c/examples/ledger.c"],
    "java": ["bindings-java/examples/Ledger.java"],
    "python": ["bindings-python/examples/ledger.py"],
}
EVERYWHERE = [path for paths in QUOTED.values() for path in paths]


def is_quoted(quotation: str, paths: list[str]) -> bool:
    """Whether these lines stand in one of the programs one after the other, however far indented."""
    wanted = dedent(quotation).splitlines()
    for path in paths:
        lines = (ROOT / path).read_text().splitlines()
        for start in range(len(lines) - len(wanted) + 1):
            if (
                dedent("\n".join(lines[start : start + len(wanted)])).splitlines()
                == wanted
            ):
                return True
    return False


def added(diff: str) -> list[str]:
    """What a diff adds, in one piece each."""
    pieces = groupby(diff.splitlines(), lambda line: line[:1] == "-")
    return [
        "\n".join(line[1:] for line in lines)
        for is_taken, lines in pieces
        if not is_taken
    ]


def main() -> int:
    text = (ROOT / "README.md").read_text()
    faults: list[str] = []
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    for language, paths in SHOWN.items():
        programs = [(ROOT / path).read_text() for path in paths]
        shown = [body for name, body in blocks if name == language]
        if [body for body in shown if body in programs] != programs:
            faults.append(
                f"README.md does not show {paths} as they stand, in this order"
            )
        faults.extend(
            f"README.md shows {language} that stands in none of {QUOTED[language]}:\n{body}"
            for body in shown
            if body not in programs and not is_quoted(body, QUOTED[language])
        )
    faults.extend(
        f"README.md adds lines that stand in none of {EVERYWHERE}:\n{piece}"
        for name, body in blocks
        if name == "diff"
        for piece in added(body)
        if not is_quoted(piece, EVERYWHERE)
    )
    faults.extend(
        f"README.md has a block of {name!r}, which nothing checks"
        for name, _ in blocks
        if name not in {*SHOWN, "console", "diff"}
    )
    for link in re.findall(r"\]\((?!https?://|#)([^)#]+)", text):
        if not (ROOT / link).exists():
            faults.append(f"README.md links to {link}, which is not there")
    for fault in faults:
        print(fault)
    print(f"{len(blocks)} blocks, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
