"""What compiles for a target: the Rust that is there if it has the target's standard library, else Debian's, which
comes with that library's source; and zig as compiler and linker of everything in C."""

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


def environment(target: Target, cargo_target: Path) -> dict[str, str]:
    """What cargo and maturin find in their environment to build for a target."""
    found = {
        "CARGO_TARGET_DIR": str(cargo_target),
        "CARGO_ZIGBUILD_PYTHON_PATH": sys.executable,
    }
    if target.is_musl:
        # A library that is loaded into a process uses the libc that is there.
        name = f"CARGO_TARGET_{target.triple.upper().replace('-', '_')}_RUSTFLAGS"
        found[name] = "-C target-feature=-crt-static"
    if not has_std(target.triple):
        need(
            "/usr/bin/rustc:rustc-web",
            "/usr/bin/cargo:cargo-web",
            "/usr/lib/rustlib/src:rust-web-src",
        )
        found |= {
            "CARGO": "/usr/bin/cargo",
            "CARGO_UNSTABLE_BUILD_STD": "std,panic_unwind",
            "PATH": f"/usr/bin:{os.environ['PATH']}",
            "RUSTC": "/usr/bin/rustc",
            "RUSTC_BOOTSTRAP": "1",
        }
    return found


def command(environment: dict[str, str], program: str, *arguments: str) -> str:
    """As a recipe of make takes it."""
    words = ["env", *(f"{name}={value}" for name, value in environment.items())]
    return " ".join(f"'{word}'" if " " in word else word for word in (*words, str(BIN / program), *arguments))
