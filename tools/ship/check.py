"""What is promised of each library and package that ships; whoever breaks it does not ship."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import windows
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection, GNUVerSymSection
from elftools.elf.sections import SymbolTableSection
from targets import Target
from toolchain import BIN, ROOT

LARGEST = 6_000_000
"""Bytes of a stripped library, SQLite in it."""
LIBRARIES = re.compile(r"lib(c|m|dl|rt|pthread|util)\.so\.\d+|ld-linux-.*\.so\.\d+|libgcc_s\.so\.1")
"""What glibc consists of, and the unwinder that it loads itself to end a thread."""

INTERPRETER = re.compile(r"_?Py\w+")
"""What a module finds in the process that loads it; abi3audit knows which of it every Python has."""


class Broken(Exception):
    """A promise that is not kept."""


def library(path: Path, target: Target, soname: str, names: re.Pattern[str]) -> str:
    """Checks a shared library, and says what there is to know of it."""
    size = path.stat().st_size
    expect(size <= LARGEST, f"{path.name} has {size} bytes, more than {LARGEST}")
    if target.is_windows:
        exported = windows.exports(path)
        for broken in windows.broken(path, soname):
            raise Broken(f"{path.name} {broken}")
        only(path, exported, names)
        return f"{path.name}: {size / 1e6:.2f} MB, {len(exported)} names"
    with path.open("rb") as file:
        elf = ELFFile(file)
        dynamic = elf.get_section_by_name(".dynamic")
        assert isinstance(dynamic, DynamicSection)
        tags = {
            kind: [getattr(tag, kind.removeprefix("DT_").lower()) for tag in dynamic.iter_tags(kind)]
            for kind in ("DT_NEEDED", "DT_SONAME", "DT_RPATH", "DT_RUNPATH")
        }
        symbols = elf.get_section_by_name(".dynsym")
        assert isinstance(symbols, SymbolTableSection)
        exported = [
            symbol.name for symbol in symbols.iter_symbols() if symbol["st_shndx"] != "SHN_UNDEF" and symbol.name
        ]
        versions = [
            auxiliary.name
            for section in elf.iter_sections()
            if isinstance(section, GNUVerNeedSection)
            for _, needed in section.iter_versions()
            for auxiliary in needed
        ]
        # What no library promises by a version is looked for wherever it may be, and is not there in an old glibc.
        version_of = elf.get_section_by_name(".gnu.version")
        unversioned = [
            symbol.name
            for index, symbol in enumerate(symbols.iter_symbols())
            if symbol["st_shndx"] == "SHN_UNDEF"
            and symbol["st_info"]["bind"] == "STB_GLOBAL"
            and isinstance(version_of, GNUVerSymSection)
            and not isinstance(version_of.get_symbol(index)["ndx"], int)
        ]
        nodelete = any(tag.entry.d_val & 8 for tag in dynamic.iter_tags("DT_FLAGS_1"))
        machine = elf.get_machine_arch()
    expect(machine == {"x86_64": "x64", "aarch64": "AArch64"}[target.processor], f"{path.name} is for {machine}")
    expect(tags["DT_SONAME"] == [soname], f"{path.name} is named {tags['DT_SONAME']}, not {soname}")
    expect(not tags["DT_RPATH"] + tags["DT_RUNPATH"], f"{path.name} has a path of this machine")
    expect(nodelete, f"{path.name} can be unloaded under its threads")
    only(path, exported, names)
    if target.is_musl:
        libraries = {f"libc.musl-{target.processor}.so.1"}
        others = [name for name in tags["DT_NEEDED"] if name not in libraries]
        expect(not versions, f"{path.name} wants {versions}")
    else:
        others = [name for name in tags["DT_NEEDED"] if not LIBRARIES.fullmatch(name)]
        unknown = [name for name in unversioned if not INTERPRETER.fullmatch(name)]
        expect(not unknown, f"{path.name} wants {unknown}, which the oldest glibc has not")
        newest = max((number(name) for name in versions if name.startswith("GLIBC_")), default=(0,))
        expect(target.glibc is not None and newest <= number(target.glibc), f"{path.name} wants glibc {newest}")
    expect(not others, f"{path.name} needs {others}")
    return f"{path.name}: {size / 1e6:.2f} MB, {len(exported)} names"


def only(path: Path, exported: list[str], names: re.Pattern[str]) -> None:
    strangers = [name for name in exported if not names.fullmatch(name)]
    expect(bool(exported) and not strangers, f"{path.name} exports {strangers}")


def wheel(path: Path, target: Target) -> None:
    """What packaging's own checkers say."""
    if target.is_windows:
        expect(path.name.endswith(f"-abi3-{target.compatibility}.whl"), f"{path.name} is for another system")
    else:
        said = told("auditwheel", "show", str(path))
        # The tag of auditwheel's answer is wrapped anywhere.
        flat = re.sub(r"\s+", "", said)
        expected = {"manylinux2014": "manylinux_2_17", "musllinux_1_2": "musllinux_1_2"}[target.compatibility]
        expect(f'"{expected}_{target.processor}"' in flat, said)
    told("abi3audit", "--strict", str(path))
    # What pytest loads as a plugin stands beside the library, which it loads only when a test asks for it.
    told("check-wheel-contents", "--toplevel", "d365_failover,d365_failover_pytest", str(path))


def number(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))


def told(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [BIN / program, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    expect(done.returncode == 0, f"{program} {' '.join(arguments)}:\n{done.stdout}")
    return done.stdout


def expect(kept: bool, otherwise: str) -> None:
    if not kept:
        raise Broken(otherwise)
