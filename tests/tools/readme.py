"""Checks that the README shows the example programs as they stand in the tree, and no other code.

The programs themselves are compiled and run by other steps; here it is made sure that what a reader copies
is what was run. Links to files must lead somewhere.
"""

import re
import sys
from pathlib import Path

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


def main() -> int:
    text = (ROOT / "README.md").read_text()
    faults: list[str] = []
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    for language, paths in SHOWN.items():
        shown = [body for name, body in blocks if name == language]
        if shown != [(ROOT / path).read_text() for path in paths]:
            faults.append(
                f"README.md shows {len(shown)} blocks of {language}, not exactly {paths} as they stand"
            )
    faults.extend(
        f"README.md has a block of {name!r}, which nothing checks"
        for name, _ in blocks
        if name not in {*SHOWN, "console"}
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
