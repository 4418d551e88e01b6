"""What compiles for a target: Debian's Rust, which comes with the source of its standard library; zig is compiler and
linker of everything in C, for Windows MinGW's GCC."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from targets import Target

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


def run(*command: str | Path, **environment: str) -> None:
    subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, **environment})


def told(*command: str | Path, **environment: str) -> str:
    return subprocess.run(
        command,
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    ).stdout


def need(*packages: str) -> None:
    run(ROOT / "tests" / "tools" / "need.sh", *packages)


def has_std(triple: str) -> bool:
    sysroot = Path(told("rustc", "--print", "sysroot").strip())
    return (sysroot / "lib" / "rustlib" / triple / "lib").exists()


# What libgcc_s has of the unwinder, and since which version; the same on each processor.
UNWINDER = {
    "GCC_3.0": "DeleteException ForcedUnwind GetDataRelBase GetGR GetIP GetLanguageSpecificData GetRegionStart "
    "GetTextRelBase RaiseException Resume SetGR SetIP",
    "GCC_3.3": "Backtrace FindEnclosingFunction GetCFA Resume_or_Rethrow",
    "GCC_4.2.0": "GetIPInfo",
}


def unwinder(target: Target, work: Path) -> Path:
    """A stand-in for libgcc_s to link against. zig would put an unwinder of its own into the library, which breaks on
    frames that glibc's unwinder or a C++ program's has begun to unwind: a thread that ends itself in a callback."""
    folder = work / target.triple
    folder.mkdir(parents=True, exist_ok=True)
    code, script, before = "", "", ""
    for version, names in UNWINDER.items():
        symbols = [f"_Unwind_{name}" for name in names.split()]
        code += "".join(f"void {symbol}(void) {{}}\n" for symbol in symbols)
        script += f"{version} {{ global: {'; '.join(symbols)}; }}{before};\n"
        before = f" {version}"
    (folder / "unwind.c").write_text(code)
    (folder / "unwind.map").write_text(script)
    library = folder / "libgcc_s.so.1"
    run(
        *(sys.executable, "-m", "ziglang", "cc", "-target", f"{target.processor}-linux-gnu.{target.glibc}"),
        *("-shared", "-nostdlib", f"-Wl,-soname,{library.name}", f"-Wl,--version-script={folder / 'unwind.map'}"),
        *(folder / "unwind.c", "-o", library),
    )
    return library


def own_std() -> dict[str, str]:
    """By what variables cargo builds the standard library as well: by Debian's rustc, which comes with its source."""
    need(
        "/usr/bin/rustc:rustc-web",
        "/usr/bin/cargo:cargo-web",
        "/usr/lib/rustlib/src:rust-web-src",
    )
    return {
        "CARGO": "/usr/bin/cargo",
        "CARGO_UNSTABLE_BUILD_STD": "std,panic_unwind",
        # Not what names the frames of a backtrace: a stripped library has no names. Sorting takes little code, and more
        # time where there is much.
        "CARGO_UNSTABLE_BUILD_STD_FEATURES": "panic-unwind,optimize_for_size",
        "PATH": f"/usr/bin:{os.environ['PATH']}",
        "RUSTC": "/usr/bin/rustc",
        "RUSTC_BOOTSTRAP": "1",
    }


def environment(target: Target, cargo_target: Path) -> dict[str, str]:
    """What cargo and maturin find in their environment to build for a target."""
    found = {
        "CARGO_TARGET_DIR": str(cargo_target),
        "CARGO_ZIGBUILD_PYTHON_PATH": sys.executable,
    }
    flags = f"CARGO_TARGET_{target.triple.upper().replace('-', '_')}_RUSTFLAGS"
    if target.is_windows:
        need("x86_64-w64-mingw32-gcc:gcc-mingw-w64-x86-64")
        found[flags.replace("RUSTFLAGS", "LINKER")] = "x86_64-w64-mingw32-gcc"
    elif target.is_musl:
        # A library that is loaded into a process uses the libc that is there.
        found[flags] = "-C target-feature=-crt-static"
    else:
        found[flags] = f"-C link-arg={unwinder(target, cargo_target.parent / 'unwinder')}"
    return found | own_std()


def as_cargo(target: Target, found: dict[str, str], work: Path) -> Path:
    """cargo for maturin: with the linker of the other libraries, so that what they have in common is compiled once. By
    its own option for zig maturin would name the linker otherwise, and cargo build all of it anew."""
    script = work / f"cargo-{target.triple}"
    cargo = found.get("CARGO", "cargo")
    script.write_text(
        "#!/bin/sh\n"
        f'[ "$1" = rustc ] || exec {cargo} "$@"\n'
        "for word; do\n"
        "    shift\n"
        f'    [ "$word" != {target.triple} ] || word={target.linked_for}\n'
        '    set -- "$@" "$word"\n'
        "done\n"
        f'CARGO={cargo} exec {BIN / "cargo-zigbuild"} "$@"\n'
    )
    script.chmod(0o755)
    return script


def command(environment: dict[str, str], program: str, *arguments: str) -> str:
    """As a recipe of make takes it."""
    words = ["env", *(f"{name}={value}" for name, value in environment.items())]
    return " ".join(f"'{word}'" if " " in word else word for word in (*words, str(BIN / program), *arguments))
