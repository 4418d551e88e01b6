#!/usr/bin/env python3
"""Writes the licences of what ships: ours, and those of all code that cargo links into it.

    tests/tools/third_party.py PACKAGE FOLDER [--target TRIPLE]...

FOLDER then has LICENSE-MIT and LICENSE-APACHE, and THIRD-PARTY-LICENSES.txt: each linked crate and each part of Rust's
standard library with the texts that it brings; with several targets what is linked for any of them. What a crate does
not bring stands in `licences/<crate>.txt` beside this program, as does what our own crates have of others. It needs
what a build needs: cargo, the crates' sources, rustc and its documents; no network.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ADDED = Path(__file__).parent / "licences"
OURS = ("LICENSE-MIT", "LICENSE-APACHE")
NAME = "THIRD-PARTY-LICENSES.txt"
# Also with something after it: LICENSE-MIT, COPYING.md, LICENSE-Apache-2.0_WITH_LLVM-exception.
NOTICE = re.compile(r"(?i)(un)?licen[cs]e|copying|copyright|notice|authors")
CODE = {".rs", ".c", ".h", ".S", ".py", ".toml", ".html"}


def told(*command: str) -> str:
    return subprocess.run(
        command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def linked(package: str, targets: list[str]) -> list[dict[str, Any]]:
    """The packages of others whose code is in the library of `package`."""
    platform = [word for target in targets for word in ("--target", target)]
    tree = [
        "cargo",
        "tree",
        "-q",
        "-p",
        package,
        "-e",
        "normal,no-proc-macro",
        *platform,
    ]
    lines = told(*tree, "--prefix", "none", "--format", "{p}").splitlines()
    names = {tuple(line.split()[:2]) for line in lines if line}
    metadata = json.loads(told("cargo", "metadata", "-q", "--format-version", "1"))
    found = [
        one
        for one in metadata["packages"]
        if (one["name"], f"v{one['version']}") in names and one["source"] is not None
    ]
    return sorted(found, key=lambda one: (one["name"], one["version"]))


def notices(folder: Path) -> list[str]:
    """All notices of a crate's source, those of what it has taken over included."""
    paths = [
        path
        for path in sorted(folder.rglob("*"))
        if NOTICE.match(path.name) and path.suffix not in CODE and path.is_file()
    ]
    return [path.read_text(errors="replace") for path in paths]


def brought(crate: dict[str, Any], crates: list[dict[str, Any]]) -> list[str]:
    texts = notices(Path(crate["manifest_path"]).parent)
    if not texts:
        # Of one repository, one crate may bring them for all.
        siblings = [one for one in crates if one["repository"] == crate["repository"]]
        for sibling in siblings:
            texts += notices(Path(sibling["manifest_path"]).parent)
    texts += added(crate["name"])
    if not texts:
        sys.exit(
            f"{crate['name']} brings no licence: add {ADDED.name}/{crate['name']}.txt"
        )
    return texts


def added(name: str) -> list[str]:
    path = ADDED / f"{name}.txt"
    return [path.read_text()] if path.exists() else []


class Std(HTMLParser):
    """Reads COPYRIGHT-library.html: what it says of the library, then its crates with their licences and notices."""

    def __init__(self) -> None:
        super().__init__()
        self.before: list[str] = []
        self.crates: list[tuple[str, str, list[str]]] = []
        # What the sysroot has for the targets.
        self.built: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in ("p", "h2", "h3", "pre", "ul", "title"):
            self.text = ""

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_endtag(self, tag: str) -> None:
        line = " ".join(self.text.split())
        if tag == "h3":
            self.crates.append((line.strip(" \N{PACKAGE}"), "", []))
        elif tag == "p" and not self.crates:
            self.before.append(line)
        elif tag == "p" and line.startswith("License: "):
            name, _, texts = self.crates[-1]
            self.crates[-1] = (name, line.removeprefix("License: "), texts)
        elif tag == "pre":
            self.crates[-1][2].append(self.text)


def std(targets: list[str]) -> Std:
    """The notices of the library's parts that there are for the targets."""
    sysroot = Path(told("rustc", "--print", "sysroot").strip())
    path = sysroot / "share/doc/rust/COPYRIGHT-library.html"
    if not path.exists():
        sys.exit(f"{path} is not there: rustup's rustc has it")
    parser = Std()
    parser.feed(path.read_text())
    hosts = re.findall(r"^host: (.*)$", told("rustc", "-vV"), re.MULTILINE)
    for target in targets or hosts:
        libraries = sysroot / "lib/rustlib" / target / "lib"
        parser.built |= {crate_name(path.name) for path in libraries.glob("lib*.rlib")}
    return parser


def crate_name(file: str) -> str:
    """`rustc-demangle-0.1.27` and `librustc_demangle-0a1b.rlib`: rustc_demangle."""
    name = re.sub(r"^lib(.*)-\w+\.rlib$", r"\1", file)
    return re.sub(r"-\d.*", "", name).replace("-", "_")


class Texts:
    """Numbers texts; one that differs from another in white space only is the same."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.texts: list[str] = []

    def refer(self, texts: list[str]) -> str:
        numbers = []
        for text in texts:
            key = " ".join(text.split())
            if key not in self.numbers:
                self.texts.append(text.strip("\n"))
                self.numbers[key] = len(self.texts)
            if self.numbers[key] not in numbers:
                numbers.append(self.numbers[key])
        return f"[{', '.join(map(str, numbers))}]" if numbers else ""


def document(package: str, targets: list[str]) -> str:
    texts = Texts()
    crates = linked(package, targets)
    library = std(targets)
    lines = [
        "The library carries code of others, under the licences that are named. The numbers are those of the texts at",
        "the end. Where a licence offers a choice, all of its texts are there.",
        "",
        "== Crates",
        "",
    ]
    for one in crates:
        where = f" {one['repository']}" if one["repository"] else ""
        numbers = texts.refer(brought(one, crates))
        lines.append(
            f"{one['name']} {one['version']}: {one['license']} {numbers}{where}"
        )
    numbers = texts.refer(added("public-suffix-list"))
    lines += ["", "== Data", "", f"Public Suffix List: MPL-2.0 {numbers}"]
    if any(target.endswith("-windows-gnu") for target in targets):
        # What GCC's exception is of asks for no notice.
        numbers = texts.refer(added("mingw-w64"))
        lines += ["", "== The C runtime for Windows"]
        lines += [
            "",
            f"mingw-w64: ZPL-2.1 {numbers}",
            "libgcc: GPL-3.0 with the GCC Runtime Library Exception 3.1",
        ]
    version = told("rustc", "--version").split()[1]
    lines += ["", f"== The standard library of Rust {version}", "", *library.before, ""]
    for name, licence, notice in library.crates:
        if library.built and crate_name(name) not in library.built:
            continue
        lines.append(f"{name}: {licence} {texts.refer(notice)}".rstrip())
    lines.append(f"rest: {texts.refer(added('rust-std'))}")
    for number, text in enumerate(texts.texts, 1):
        lines += ["", "=" * 100, f"[{number}]", "", text]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--target", action="append", default=[])
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name in OURS:
        shutil.copyfile(ROOT / name, arguments.folder / name)
    text = document(arguments.package, arguments.target)
    (arguments.folder / NAME).write_text(text)


if __name__ == "__main__":
    main()
