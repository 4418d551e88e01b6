"""Writes core/src/public_suffixes.txt from the list that the crate psl, which the tests compare it with, carries."""

import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEADER = """\
The Public Suffix List (https://publicsuffix.org/list/), in ASCII: a line for each name that rules stand beneath, with
the labels of these rules. The line that begins with a space has the rules of one label. Written by `make suffixes`.
This Source Code Form is subject to the terms of the Mozilla Public License, v. 2.0.
If a copy of the MPL was not distributed with this file, You can obtain one at https://mozilla.org/MPL/2.0/.

"""


def main() -> None:
    asked = ["cargo", "metadata", "--format-version", "1", "--locked", "--manifest-path", str(ROOT / "Cargo.toml")]
    packages = json.loads(subprocess.run(asked, check=True, stdout=subprocess.PIPE).stdout)["packages"]
    [psl] = [package for package in packages if package["name"] == "psl"]
    rules = Path(psl["manifest_path"]).with_name("data").joinpath("rules.txt").read_text(encoding="utf-8").split()
    lines: dict[str, list[str]] = {}
    for rule in rules:
        label, _, parent = (rule if rule.isascii() else rule.encode("idna").decode()).partition(".")
        # The mark of an exception stays before its label.
        lines.setdefault(parent, []).append(label)
    target = ROOT / "core" / "src" / "public_suffixes.txt"
    text = "".join(f"{parent} {' '.join(sorted(labels))}\n" for parent, labels in sorted(lines.items()))
    target.write_text(HEADER + text, encoding="ascii")
    print(f"{target.relative_to(ROOT)}: {len(rules)} rules of psl {psl['version']}")


if __name__ == "__main__":
    main()
