"""What is promised of a library for Windows, and what who links it there needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pefile

SYSTEM = {
    "advapi32.dll",
    "api-ms-win-core-synch-l1-2-0.dll",
    "bcrypt.dll",
    "bcryptprimitives.dll",
    "crypt32.dll",
    "kernel32.dll",
    "msvcrt.dll",
    "ncrypt.dll",
    "ntdll.dll",
    "secur32.dll",
    "user32.dll",
    "userenv.dll",
    "ws2_32.dll",
}
"""Libraries that every Windows has, from Windows 10 on. None of MinGW's is among them."""
INTERPRETER = "python3.dll"
"""What a module for every CPython finds in the process that loads it."""
PINS = b"GetModuleHandleExW"
"""By which a library says that it is not to be unloaded under its threads."""
HARDENED = {
    "DYNAMIC_BASE": "can be at one address only",
    "HIGH_ENTROPY_VA": "cannot be at an address above 4 GB",
    "NX_COMPAT": "may execute its data",
}


def exports(path: Path) -> list[str]:
    with pefile.PE(path) as library:
        return [symbol.name.decode() for symbol in library.DIRECTORY_ENTRY_EXPORT.symbols]


def broken(path: Path, name: str) -> Iterator[str]:
    """The promises that are not kept."""
    with pefile.PE(path) as library:
        if library.FILE_HEADER.Machine != pefile.MACHINE_TYPE["IMAGE_FILE_MACHINE_AMD64"]:
            yield f"is for machine {library.FILE_HEADER.Machine:#x}"
        named = library.DIRECTORY_ENTRY_EXPORT.name.decode()
        if named != name:
            yield f"is named {named}, not {name}"
        # Of one library there may be several: of what Rust's code imports, and of what that in C does.
        imports = [(entry.dll.decode().lower(), entry.imports) for entry in library.DIRECTORY_ENTRY_IMPORT]
        wanted = SYSTEM | ({INTERPRETER} if path.suffix == ".pyd" else set())
        if others := sorted({name for name, _ in imports} - wanted):
            yield f"needs {', '.join(others)}"
        if not any(symbol.name == PINS for _, symbols in imports for symbol in symbols):
            yield "can be unloaded under its threads"
        for flag, otherwise in HARDENED.items():
            if not getattr(library.OPTIONAL_HEADER, f"IMAGE_DLLCHARACTERISTICS_{flag}"):
                yield otherwise
        has_debug = any(section.Name.startswith((b"/", b".debug")) for section in library.sections)
        if has_debug or library.FILE_HEADER.NumberOfSymbols:
            yield "is not stripped"


def define(library: Path, path: Path) -> None:
    """The module definition, from which each linker's tool makes an import library of its kind."""
    lines = [f"LIBRARY {library.name}", "EXPORTS", *(f"    {name}" for name in exports(library))]
    path.write_text("\n".join(lines) + "\n", newline="\r\n")
