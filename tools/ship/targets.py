"""What is built for, in one table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    triple: str
    """As Rust calls it."""
    platform: str
    """The folder of its native library in the jar."""
    compatibility: str
    """What a wheel's tag says of the systems that it runs on."""
    glibc: str | None = None
    """The oldest glibc that it runs on."""

    @property
    def processor(self) -> str:
        return self.triple.split("-", 1)[0]

    @property
    def is_musl(self) -> bool:
        return self.triple.endswith("-musl")

    @property
    def is_windows(self) -> bool:
        return "-windows-" in self.triple

    @property
    def linked_for(self) -> str:
        """As zig's linker driver is told."""
        return f"{self.triple}.{self.glibc}" if self.glibc else self.triple

    @property
    def shared(self) -> str:
        """The C library, in its archive."""
        return "bin/d365_failover.dll" if self.is_windows else "lib/libd365_failover.so.0"

    @property
    def jni(self) -> str:
        """As Java maps the name to a file's."""
        return "d365_failover_jni.dll" if self.is_windows else "libd365_failover_jni.so"

    @property
    def module(self) -> str:
        """The Python module, in the wheel."""
        return "_native.pyd" if self.is_windows else "_native.abi3.so"

    @property
    def archive(self) -> str:
        return "zip" if self.is_windows else "tar.gz"


TARGETS = {
    target.triple: target
    for target in (
        Target("x86_64-unknown-linux-gnu", "linux-x86_64-gnu", "manylinux2014", "2.17"),
        Target("aarch64-unknown-linux-gnu", "linux-aarch64-gnu", "manylinux2014", "2.17"),
        Target("x86_64-unknown-linux-musl", "linux-x86_64-musl", "musllinux_1_2"),
        Target("aarch64-unknown-linux-musl", "linux-aarch64-musl", "musllinux_1_2"),
        Target("x86_64-pc-windows-gnu", "windows-x86_64", "win_amd64"),
    )
}


def chosen(names: list[str]) -> list[Target]:
    unknown = [name for name in names if name not in TARGETS]
    if unknown:
        raise SystemExit(f"no such target: {' '.join(unknown)}; there are {' '.join(TARGETS)}")
    return [TARGETS[name] for name in names] or list(TARGETS.values())
