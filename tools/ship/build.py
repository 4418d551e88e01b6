"""make dist: everything that ships, for one target or for all, into dist/.

Of each target: the C library as an archive, the wheel, the native library of the jar. Of all: the jar. Then what is
linked into them (CycloneDX), and the checksums of everything.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import re
import shutil
import sys
import tarfile
import time
import tomllib
import zipfile
from pathlib import Path

import check
import windows
from targets import TARGETS, Target, chosen
from toolchain import BIN, ROOT, as_cargo, command, environment, run, told

WORKSPACE = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]
MEMBERS: list[str] = WORKSPACE["members"]
VERSION: str = WORKSPACE["package"]["version"]
C_NAMES = re.compile("|".join((ROOT / "tests/c/symbols.txt").read_text().split()))
JNI_NAMES = re.compile(r"Java_io_github_d365failover_\w+|JNI_OnLoad|JNI_OnUnload")
MODULE_NAMES = re.compile(r"PyInit__native")


class Build:
    def __init__(self, work: Path, dist: Path) -> None:
        self.work = work
        self.dist = dist
        self.cargo_target = work / "cross"
        self.sources = work / "sources"

    def copy(self) -> None:
        """What is built from, with the C library's crate as an rlib alone. As it is, cargo builds its shared and static
        library as well for what depends on it, wants objects of all that is beneath, and compiles everything twice."""
        shutil.rmtree(self.sources, ignore_errors=True)
        for name in told("git", "ls-files").splitlines():
            if (ROOT / name).exists():
                (self.sources / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.sources / name)
        manifest = self.sources / "ffi-c" / "Cargo.toml"
        text, count = re.subn(r"(?m)^crate-type = .*$", 'crate-type = ["rlib"]', manifest.read_text())
        assert count == 1
        manifest.write_text(text)

    def target(self, target: Target) -> None:
        print(f"== {target.triple}", flush=True)
        found = environment(target, self.cargo_target)
        built = self.cargo_target / target.triple / "dist"
        if target.is_windows:
            cargo = for_maturin = str(shutil.which(found.get("CARGO", "cargo")))
        else:
            cargo, for_maturin = "cargo-zigbuild", str(as_cargo(target, found, self.work))
        variables = [
            f"T={self.work}",
            f"SYSTEM={'windows' if target.is_windows else 'linux'}",
            f"CROSS={command(found, cargo)}",
            f"MATURIN={command(found | {'CARGO': for_maturin}, 'maturin')}",
            f"RESULTS={built.parent}",
            f"TARGET_ARGS=--target {target.linked_for}",
            f"LICENCES_FOR=--target {target.triple}",
        ]
        self.c(target, variables)
        self.jni(target, variables, built)
        self.wheel(target, variables)

    def c(self, target: Target, variables: list[str]) -> None:
        name = f"d365-failover-{VERSION}-{target.triple}"
        stage = self.work / "stage" / target.triple
        shutil.rmtree(stage, ignore_errors=True)
        self.make("install", f"DESTDIR={stage}/{name}", "PREFIX=", "PC_PREFIX=$${pcfiledir}/../..", *variables)
        library = stage / name / target.shared
        settle(library, target)
        print(check.library(library, target, library.name, C_NAMES), flush=True)
        if target.is_windows:
            windows.define(library, stage / name / "lib" / "d365_failover.def")
        archive(stage / name, self.dist / f"{name}.{target.archive}")

    def jni(self, target: Target, variables: list[str], built: Path) -> None:
        self.make("jni", *variables)
        library = self.native(target)
        library.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(built / target.jni, library)
        settle(library, target)
        print(check.library(library, target, target.jni, JNI_NAMES), flush=True)

    def make(self, goal: str, *variables: str) -> None:
        run("make", "-s", "-C", self.sources, goal, *variables)

    def native(self, target: Target) -> Path:
        return self.work / "natives" / target.platform / target.jni

    def wheel(self, target: Target, variables: list[str]) -> None:
        folder = self.work / "wheels-dist" / target.triple
        shutil.rmtree(folder, ignore_errors=True)
        arguments = f"--target {target.triple}"
        if not target.is_windows:
            arguments += f" --compatibility {target.compatibility}"
        self.make("wheel", f"WHEELS={folder}", f"WHEEL_ARGS={arguments}", *variables)
        [wheel] = folder.glob("*.whl")
        run(BIN / "wheel", "unpack", "--dest", folder / "unpacked", wheel)
        [unpacked] = (folder / "unpacked").iterdir()
        [module] = unpacked.rglob(target.module)
        if settle(module, target):
            run(BIN / "wheel", "pack", "--dest-dir", folder, unpacked)
        name = "d365_failover_native.dll" if target.is_windows else "d365_failover._native"
        print(check.library(module, target, name, MODULE_NAMES), flush=True)
        check.wheel(wheel, target)
        shutil.copy2(wheel, self.dist)

    def jar(self, targets: list[Target]) -> None:
        missing = [target.triple for target in targets if not self.native(target).exists()]
        if missing:
            raise SystemExit(f"no native library yet of {', '.join(missing)}")
        run(
            "make",
            "-s",
            "jar-of",
            f"T={self.work}",
            f"NATIVES={self.work}/natives",
            f"JARS={self.dist}",
            "LICENCES_FOR=" + " ".join(f"--target {target.triple}" for target in targets),
        )

    def licences(self, target: Target) -> None:
        name = f"d365-failover-{VERSION}"
        [wheel] = (self.work / "wheels-dist" / target.triple).glob("*.whl")
        stage = self.work / "stage" / target.triple / f"{name}-{target.triple}"
        shipped = (wheel, self.dist / f"{name}.jar", stage, target.triple)
        run(sys.executable, ROOT / "tests/tools/shipped_licences.py", *shipped)

    def bills(self) -> None:
        """What is linked, by package, whatever the target."""
        for package, folder in (("c", "ffi-c"), ("java", "bindings-java"), ("python", "bindings-python")):
            name = f"d365-failover-{package}-{VERSION}.cdx"
            # One is written for each crate of the workspace.
            written = {member: ROOT / member / f"{name}.json" for member in MEMBERS}
            try:
                run(
                    self.work / "tools" / "bin" / "cargo-cyclonedx",
                    *("cyclonedx", "-q", "--format", "json", "--spec-version", "1.5", "--no-build-deps"),
                    *("--all", "--target", "all", "--override-filename", name),
                    *("--manifest-path", f"{folder}/Cargo.toml"),
                )
                # Not by where it was built.
                bill = json.loads(written[folder].read_text().replace(f"file://{ROOT}", "file://"))
                [carrier] = [one for one in bill["components"] if one["name"] == "libsqlite3-sys"]
                carrier["components"] = [sqlite()]
                (self.dist / f"{name}.json").write_text(json.dumps(bill, indent=2) + "\n")
            finally:
                for file in written.values():
                    file.unlink(missing_ok=True)

    def checksums(self) -> None:
        lines = [
            f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
            for path in sorted(self.dist.iterdir())
            if path.name != "SHA256SUMS"
        ]
        (self.dist / "SHA256SUMS").write_text("".join(lines))


def sqlite() -> dict[str, object]:
    """The one library in C that crates carry and that has versions of its own: its defects are told by them."""
    packages = json.loads(told("cargo", "metadata", "-q", "--locked", "--format-version", "1"))["packages"]
    [manifest] = [one["manifest_path"] for one in packages if one["name"] == "libsqlite3-sys"]
    header = (Path(manifest).parent / "sqlite3" / "sqlite3.h").read_text()
    [version] = re.findall(r'(?m)^#define SQLITE_VERSION +"(.+)"$', header)
    return {
        "type": "library",
        "bom-ref": f"sqlite@{version}",
        "name": "sqlite",
        "version": version,
        "licenses": [{"license": {"id": "blessing"}}],
        "cpe": f"cpe:2.3:a:sqlite:sqlite:{version}:*:*:*:*:*:*:*",
        "purl": f"pkg:generic/sqlite@{version}",
    }


def settle(library: Path, target: Target) -> bool:
    """zig's musl calls itself `libc.so`; every musl system, and packaging's rules, call it by its processor. Of a DLL a
    quarter is names, whatever the profile says of them. Tells whether something was done."""
    if target.is_musl:
        name = f"libc.musl-{target.processor}.so.1"
        run(BIN / "patchelf", "--replace-needed", "libc.so", name, library)
    if target.is_windows:
        run("x86_64-w64-mingw32-strip", library)
    return target.is_musl or target.is_windows


def archive(folder: Path, path: Path) -> None:
    """The same bytes whenever and by whomever it is made."""
    moment = int(told("git", "log", "-1", "--format=%ct").strip())
    members = [(member, str(member.relative_to(folder.parent))) for member in sorted(folder.rglob("*"))]
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
            for member, name in members:
                if member.is_file():
                    info = zipfile.ZipInfo(name, time.gmtime(moment)[:6])
                    info.external_attr = 0o644 << 16
                    packed.writestr(info, member.read_bytes(), zipfile.ZIP_DEFLATED)
        return

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.mtime = moment
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return member

    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", 9, raw, moment) as packed_tar,
        tarfile.open(fileobj=packed_tar, mode="w") as tar,
    ):
        for member, name in members:
            tar.add(member, name, recursive=False, filter=plain)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--dist", type=Path, required=True)
    parser.add_argument("targets", nargs="*")
    arguments = parser.parse_args()
    build = Build(arguments.work, arguments.dist)
    build.dist.mkdir(parents=True, exist_ok=True)
    build.copy()
    targets = chosen(arguments.targets)
    for target in targets:
        build.target(target)
    if len(targets) == len(TARGETS):
        build.jar(targets)
        for target in targets:
            build.licences(target)
    build.bills()
    build.checksums()


if __name__ == "__main__":
    main()
