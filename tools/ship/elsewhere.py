"""make elsewhere: that the libraries compile for systems of other kinds.

Nothing is linked, and of C nothing is compiled: that takes what `make dist` takes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from toolchain import has_std, need, own_std, run

KINDS = ("x86_64-pc-windows-gnu", "aarch64-unknown-linux-musl")
"""Each system, libc and processor that this machine is not."""
PACKAGES = ("-pd365-failover-c", "-pd365-failover-jni", "-pd365-failover-python")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    for triple in KINDS:
        name = triple.replace("-", "_")
        if "windows" in triple:
            # std names the system's libraries by it.
            need("x86_64-w64-mingw32-dlltool:binutils-mingw-w64-x86-64")
        environment = {
            f"CARGO_TARGET_{name.upper()}_RUSTFLAGS": "-D warnings",
            "CARGO_TARGET_DIR": str(arguments.work),
            f"CC_{name}": "true",
            f"AR_{name}": "true",
            **({} if has_std(triple) else own_std()),
        }
        cargo = environment.get("CARGO", "cargo")
        run(cargo, "check", "-q", "--locked", "--target", triple, *PACKAGES, **environment)
        print(f"{triple}: compiles", flush=True)


if __name__ == "__main__":
    main()
