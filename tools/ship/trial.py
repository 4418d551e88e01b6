"""make test-targets: what `make dist` has made, used on systems of its kind, as far as they can be had here.

Of each target: the C tests and the scenarios' C agent against the archive's library, Python's tests and agent with the
wheel, the Java agent with the jar. What was run and seen is a table at the end; what cannot run says why.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

from build import VERSION
from guests import Guest
from targets import Target, chosen
from toolchain import ROOT, run
from wine import Wine

HOUR = 3600
# What qemu's user mode cannot do: a child of a process with threads has locks that nobody opens; a thread's mask lacks
# the signals that qemu keeps for itself; memory has no limits; and a gigabyte is not through in the time of a call.
NOT_BY_QEMU = {"fork", "process", "scarce", "bulk"}
# Where what the tests of the wheel import is had: the guests' systems are younger than what the wheel promises.
PACKAGES_OF = {
    "manylinux2014": ("manylinux2014", "manylinux_2_17", "manylinux_2_28", "manylinux_2_34"),
    "musllinux_1_2": ("musllinux_1_1", "musllinux_1_2"),
    "win_amd64": ("win",),
}
# gevent: there is no package of what it needs. eventlet: greenlet crashes the CPython that is built for musl, by
# itself. The others import ssl, which that CPython lacks.
NOT_FOR_MUSL = ["anyio", "eventlet", "gevent", "trio", "uvloop"]
# What the others import.
WITHOUT_SSL = {
    "brotli",
    "click",
    "hypothesis",
    "nest-asyncio",
    "opentelemetry-sdk",
    "pytest",
    "pytest-xdist",
    "rich",
    "tqdm",
}
# The wheel is on the interpreter's path, and no program of it beside the interpreter.
OF_AN_INSTALLATION = ("test_it_is_installed_under_its_name", "test_its_page_is_what_it_says")
NOT_FOR_WINDOWS = ["anyio", "eventlet", "gevent", "trio", "uvloop"]

DISASTER = """
control=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["control_url"])' "$TWIN_JSON")
curl -sSf -o /dev/null -d '{"org":"contoso","side":"primary","kind":"refuse"}' "$control/faults"
exec "$@"
"""
"""The primary of the twin refuses before a program begins."""


PIP = (sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--upgrade")


class Trial:
    def __init__(self, target: Target, work: Path, dist: Path) -> None:
        self.target = target
        self.work = work
        self.dist = dist
        self.guest = Wine(target, work) if target.is_windows else Guest(target, work)
        self.out = work / "trial" / target.triple
        self.failed = False
        self.scenarios = work / "debug" / "scenarios"

    def parts(self) -> dict[str, Callable[[], str]]:
        return {
            "C tests": self.c_tests,
            "first program, C": self.first_program,
            "scenarios, C": self.c_scenarios,
            "Python tests": self.python_tests,
            "scenarios, Python": self.python_scenarios,
            "scenarios, Java": self.java_scenarios,
            **({"drill": self.drill} if self.target.is_windows else {}),
        }

    def all(self) -> dict[str, str]:
        self.out.mkdir(parents=True, exist_ok=True)
        results: dict[str, str] = {}
        if not self.has("a system of its kind", self.guest.prepare, results):
            return results
        results.clear()
        for name, part in self.parts().items():
            self.has(name, part, results)
        return results

    def has(self, name: str, part: Callable[[], str | None], results: dict[str, str]) -> bool:
        """Whatever a part fails by, the others are run and the table says so."""
        try:
            results[name] = part() or "there"
        except (Exception, SystemExit) as error:
            self.failed = True
            results[name] = f"FAILED: {type(error).__name__}: {error}"
        print(f"{self.target.triple}: {name}: {results[name]}", flush=True)
        return not self.failed

    # ---- C ----

    def make(self, goals: str, **variables: str | Path) -> list[str]:
        name = f"d365-failover-{VERSION}-{self.target.triple}"
        how: Literal["data"] | None = None if self.target.archive == "zip" else "data"
        shutil.unpack_archive(self.dist / f"{name}.{self.target.archive}", self.out, filter=how)
        values = {
            "CC": self.guest.compiler("cc"),
            "CXX": self.guest.compiler("c++"),
            # What is in the sources is for the compilers of `make test` to warn of.
            "STRICT": "-w",
            "JSON": self.guest.json,
            "LIB": self.out / name / self.target.shared,
            "OUT": self.out / "c",
            "RUN": self.guest.run,
            **self.guest.recipes(self.out / name, self.out / "c"),
            **variables,
        }
        return ["make", "-s", "-C", str(ROOT / "tests" / "c"), *goals.split(), *(f"{k}={v}" for k, v in values.items())]

    def c_tests(self) -> str:
        without = (NOT_BY_QEMU if self.guest.foreign else set()) | set(self.guest.without)
        # Of a DLL `make dist` has compared the names already.
        goals = "run" if self.target.is_windows else "symbols run"
        said = self.logged("c", self.make(goals, WITHOUT=" ".join(without)))
        counted = sum(map(int, re.findall(r"^ +(\d+) checks$", said, re.M)))
        return f"{counted} checks" + "".join(f", without {name}" for name in sorted(without))

    def first_program(self) -> str:
        """The one of docs/c.md, in a disaster: the primary refuses."""
        self.logged("c-examples", self.make("examples"))
        first = [*self.guest.run.split(), str(self.out / "c" / "first")]
        said = self.logged("first", [ROOT / "tests/tools/with_twin.sh", "sh", "-ec", DISASTER, "sh", *first])
        words = ("EndpointSwitchRequired: ", "EndpointSwitched: ", "created ", "Fabrikam")
        if missing := [word for word in words if word not in said]:
            raise subprocess.SubprocessError(f"it does not say {', '.join(missing)}")
        return "switched, created a row and read it back"

    def drill(self) -> str:
        """Its rounds, with this system's C application beside those of this machine."""
        self.logged("c-examples", self.make("examples"))
        also = f"{self.target.platform.split('-')[0]}={self.guest.run} {self.out}/c/drill"
        said = self.logged("drill", ["make", "-s", "drill", f"T={self.work}", f"ALSO={also}", "TIMEOUT=300"])
        rounds = re.findall(r"^  PASS +\w+: ", said, re.M)
        return f"{len(rounds)} rounds, passed"

    def c_scenarios(self) -> str:
        self.logged("c-agent", self.make("programs"))
        return self.play("c", f"{self.guest.run} {self.out}/c/agent")

    # ---- Python ----

    @cached_property
    def alone(self) -> Path:
        """The wheel, by itself."""
        alone = self.out / "alone"
        tag = self.target.compatibility
        [wheel] = self.dist.glob(f"*{tag}.whl" if self.target.is_windows else f"*{tag}_{self.target.processor}*.whl")
        platform = wheel.stem.split("-")[-1].split(".")[0]
        shutil.rmtree(alone, ignore_errors=True)
        run(*PIP, "--target", alone, "--no-deps", "--platform", platform, wheel)
        return alone

    @cached_property
    def imported(self) -> Path:
        """What the wheel's tests import besides."""
        wanted = (ROOT / "bindings-python/requirements-dev.txt").read_text().splitlines()
        without = {"maturin", "mypy", "ruff", *self.without()}
        wanted = [line for line in wanted if line.split("==")[0] not in without]
        if self.target.is_musl or self.target.is_windows or self.guest.foreign:
            wanted = [line for line in wanted if line.split("==")[0] in WITHOUT_SSL]
        processor = "amd64" if self.target.is_windows else self.target.processor
        tags = ["any", *(f"{system}_{processor}" for system in PACKAGES_OF[self.target.compatibility])]
        platforms = [word for tag in tags for word in ("--platform", tag)]
        version = ("--python-version", self.guest.python_version)
        imported = self.out / "imported"
        choice = [*version, *platforms, *wanted]
        # pip takes minutes to find out that all of it is there.
        ready = imported / ".ready"
        if not ready.exists() or ready.read_text() != " ".join(choice):
            run(*PIP, "--target", imported, "--only-binary=:all:", *choice)
            ready.write_text(" ".join(choice))
        return imported

    def without(self) -> list[str]:
        return NOT_FOR_MUSL if self.target.is_musl else NOT_FOR_WINDOWS if self.target.is_windows else []

    def python_tests(self) -> str:
        python = self.guest.python()
        tests: list[str | Path] = [
            python,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            *(f"--deselect=tests/test_command_line.py::{name}" for name in OF_AN_INSTALLATION),
            *(("-k", " and ".join(f"not {name}" for name in self.without())) if self.target.is_musl else ()),
            *self.guest.python_tests(ROOT / "bindings-python/tests"),
        ]
        with_twin = [ROOT / "tests/tools/with_twin.sh"] if self.target.is_windows else []
        said = self.logged(
            "python",
            [*with_twin, *tests],
            PYTHONPATH=self.guest.paths(self.alone, self.imported),
            D365_TWIN=self.work / "debug/d365-twin",
            PYTHONNOUSERSITE="1",
        )
        return ", without ".join([said.strip().splitlines()[-1].strip("= "), *self.without()])

    def python_scenarios(self) -> str:
        python, agent = self.guest.python(), ROOT / "bindings-python/tests/agent.py"
        os.environ["PYTHONPATH"] = str(self.alone)
        try:
            return self.play("python", f"{python} {agent}")
        finally:
            del os.environ["PYTHONPATH"]

    # ---- Java ----

    def java_scenarios(self) -> str:
        java = self.guest.java()
        jar = self.jar()
        run("make", "-s", "java-classes", f"T={self.work}", f"NATIVES={self.work}/natives")
        built = ROOT / "bindings-java" / "target"
        path = [built / "test-classes", jar, *(built / "agent.classpath").read_text().strip().split(":")]
        options = self.guest.java_options(jar)
        separator = ";" if self.target.is_windows else ":"
        classes = separator.join(map(str, path))
        return self.play("java", f"{java} {options} -cp '{classes}' io.github.d365failover.agent.Agent")

    def jar(self) -> Path:
        """The one with all libraries; where this target was built after it, or it never was, one with those that are
        there."""
        name = f"d365-failover-{VERSION}.jar"
        member = f"io/github/d365failover/native/{self.target.platform}/{self.target.jni}"
        native = (self.work / "natives" / self.target.platform / self.target.jni).read_bytes()
        if (self.dist / name).exists():
            with zipfile.ZipFile(self.dist / name) as jar:
                if member in jar.namelist() and jar.read(member) == native:
                    return self.dist / name
        licences = f"LICENCES_FOR=--target {self.target.triple}"
        run("make", "-s", "jar-of", f"T={self.work}", f"NATIVES={self.work}/natives", f"JARS={self.out}", licences)
        return self.out / name

    # ---- how ----

    def play(self, language: str, agent: str) -> str:
        try:
            return self.played(f"scenarios-{language}", language, agent, "--at-once", "4")
        except subprocess.SubprocessError:
            if not self.guest.loses_wakeups:
                raise
        said = (self.out / f"scenarios-{language}.log").read_text()
        titles = re.findall(rf"^FAILED {language}: (.*)$", said, re.M)
        [passed] = re.findall(r"^(\d+) passed, \d+ failed$", said, re.M)
        twice = [title for title in titles if not self.passes(language, agent, title)]
        if twice:
            raise subprocess.SubprocessError(f"{passed} passed; failed twice: {'; '.join(twice)}")
        return f"{passed} passed, and {len(titles)} when repeated"

    def passes(self, language: str, agent: str, title: str) -> bool:
        try:
            self.played(f"scenarios-{language}-again", language, agent, "--filter", title)
        except subprocess.SubprocessError:
            return False
        return True

    def played(self, name: str, language: str, agent: str, *options: str) -> str:
        subject = f"{language}={agent.strip()}"
        said = self.logged(name, [self.scenarios, ROOT / "tests" / "scenarios", *options, "--subject", subject])
        return said.strip().splitlines()[-1]

    def logged(self, name: str, command: Sequence[str | Path], **environment: str | Path) -> str:
        log = self.out / f"{name}.log"
        variables = {**os.environ, **{key: str(value) for key, value in environment.items()}}
        with log.open("w") as file:
            done = subprocess.run(
                command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, env=variables, timeout=HOUR, check=False
            )
        said = log.read_text()
        if done.returncode != 0:
            print("\n".join(said.splitlines()[-15:]), flush=True)
            raise subprocess.SubprocessError(f"{log} has the whole of it")
        return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--dist", type=Path, required=True)
    parser.add_argument("targets", nargs="*")
    arguments = parser.parse_args()
    trials = [Trial(target, arguments.work, arguments.dist) for target in chosen(arguments.targets)]
    table = {trial.target.triple: trial.all() for trial in trials}
    for triple, results in table.items():
        print(f"\n{triple}")
        for name, result in results.items():
            print(f"  {name:20} {result}")
    if any(trial.failed for trial in trials):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
