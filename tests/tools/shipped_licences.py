"""Opens what is shipped: our licences are in it, and those of each crate that is linked.

    tests/tools/shipped_licences.py WHEEL JAR INSTALLED_PREFIX [TARGET]

What is linked is asked of cargo, and of the static library itself, whose members bear the crates' names: but for what is
built for a target by name, which is optimized as a whole, and one member.
"""

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = ("LICENSE-MIT", "LICENSE-APACHE")
OTHERS = "THIRD-PARTY-LICENSES.txt"
# No crates of others, or without code.
WITHOUT = {"d365_failover", "d365_failover_core", "rustc_std_workspace_alloc"}
WITHOUT |= {"rustc_std_workspace_core", "rustc_std_workspace_std"}
# Built in one tree with the standard library, and of one licence with it.
STD = {"alloc", "core", "panic_abort", "panic_unwind", "std", "std_detect", "unwind"}
# What the crates themselves do not bring.
MUST_SAY = (
    "https://publicsuffix.org/list/public_suffix_list.dat",
    "Mozilla Public License Version 2.0",
    "LLVM Exceptions to the Apache 2.0 License",
    "SQLite, which the crate carries as C, is in the public domain",
    "the Rust Standard Library is licensed under the Apache License, Version 2.0 or the MIT license",
)

Reader = Callable[[str], str]


def told(*command: str) -> str:
    return subprocess.run(
        command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def plain(text: str) -> str:
    return " ".join(text.split())


def numbered(document: str) -> dict[int, str]:
    parts = re.split(r"^={100}\n\[(\d+)\]\n", document, flags=re.MULTILINE)
    return {
        int(number): plain(text)
        for number, text in zip(parts[1::2], parts[2::2], strict=True)
    }


TARGET = sys.argv[4:]


def crates(package: str) -> list[tuple[str, str]]:
    """Names and versions of what cargo links, without our own."""
    lines = told(
        *("cargo", "tree", "-q", "-p", package, "-e", "normal,no-proc-macro"),
        *("--prefix", "none", "--format", "{p}"),
        *(word for triple in TARGET for word in ("--target", triple)),
    ).splitlines()
    words = {tuple(line.split()[:2]) for line in lines if "(/" not in line}
    return sorted((name, version.removeprefix("v")) for name, version in words)


def folders() -> dict[tuple[str, str], Path]:
    metadata = json.loads(told("cargo", "metadata", "-q", "--format-version", "1"))
    return {
        (one["name"], one["version"]): Path(one["manifest_path"]).parent
        for one in metadata["packages"]
    }


def own_texts(folder: Path) -> list[str]:
    names = ("LICEN[SC]E*", "COPYING*", "NOTICE*", "UNLICENSE*", "COPYRIGHT*")
    return [plain(path.read_text()) for name in names for path in folder.glob(name)]


def others(
    document: str, package: str, where: dict[tuple[str, str], Path]
) -> list[str]:
    texts = numbered(document)
    faults = [
        f"does not say: {text}" for text in MUST_SAY if text not in plain(document)
    ]
    linked = crates(package)
    if len(linked) < 50:
        faults.append(f"cargo names {len(linked)} crates alone")
    for name, version in linked:
        line = re.search(
            rf"^{re.escape(name)} {re.escape(version)}: .*\[([\d, ]+)\]",
            document,
            re.MULTILINE,
        )
        if line is None:
            faults.append(f"does not name {name} {version} with a text")
            continue
        numbers = [int(number) for number in line[1].split(",")]
        has = [texts.get(number, "") for number in numbers]
        if not all(has):
            faults.append(f"names a text of {name} that is not there")
        faults.extend(
            f"has not all texts of {name} {version}"
            for text in own_texts(where[name, version])
            if text not in has
        )
    return faults


def unnamed(document: str, archive: Path) -> list[str]:
    """Crates of which the static library has code, and which are not named."""
    members = re.findall(
        r"^([a-z_]\w*)-[0-9a-f]{16}\.", told("ar", "t", str(archive)), re.MULTILINE
    )
    inside = set(members) - WITHOUT - STD
    if len(inside) < 50:
        return [f"the static library names {len(inside)} crates alone"]
    listed = {
        word.replace("-", "_")
        for word in re.findall(
            r"^(\w[\w-]*?)(?:[- ]\d[\w.+]*:| \()", document, re.MULTILINE
        )
    }
    # The library's name is not the crate's.
    listed |= {"webpki"} if "rustls_webpki" in listed else set()
    return [
        f"does not name {name}, which is in the static library"
        for name in sorted(inside - listed)
    ]


def shipment(
    read: Reader, package: str, where: dict[tuple[str, str], Path]
) -> tuple[str, list[str]]:
    faults = [
        f"{name} is not ours"
        for name in OURS
        if read(name) != (ROOT / name).read_text()
    ]
    document = read(OTHERS)
    return document, faults + others(document, package, where)


def in_zip(path: Path, folder: str) -> Reader:
    """Reads what lacks as an empty text."""
    archive = zipfile.ZipFile(path)
    names = set(archive.namelist())

    def read(name: str) -> str:
        name = f"{folder}/{name}"
        return archive.read(name).decode() if name in names else ""

    return read


def in_folder(folder: Path) -> Reader:
    def read(name: str) -> str:
        return (folder / name).read_text() if (folder / name).exists() else ""

    return read


def main() -> int:
    wheel, jar, prefix = map(Path, sys.argv[1:4])
    where = folders()
    faults = []

    info = "-".join(wheel.name.split("-")[:2]) + ".dist-info"
    _, told_of = shipment(
        in_zip(wheel, f"{info}/licenses"), "d365-failover-python", where
    )
    faults += [f"the wheel {fault}" for fault in told_of]
    metadata = zipfile.ZipFile(wheel).read(f"{info}/METADATA").decode().splitlines()
    for line in (
        "License-Expression: MIT OR Apache-2.0",
        *(f"License-File: {name}" for name in (*OURS, OTHERS)),
    ):
        if line not in metadata:
            faults.append(f"the wheel's METADATA does not say {line}")

    _, told_of = shipment(in_zip(jar, "META-INF"), "d365-failover-jni", where)
    faults += [f"the jar {fault}" for fault in told_of]

    documents = prefix / "share/doc/d365-failover"
    document, told_of = shipment(in_folder(documents), "d365-failover-c", where)
    if not TARGET:
        told_of += unnamed(document, prefix / "lib/libd365_failover.a")
    faults += [f"the C library {fault}" for fault in told_of]

    for fault in faults:
        print(fault)
    print(f"3 shipments, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
