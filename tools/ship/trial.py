"""make test-targets: what `make dist` has made, used on systems of its kind, as far as they can be had here.

Of each target: the C tests and the scenarios' C agent against the archive's library, Python's tests and agent with the
wheel, the Java agent with the jar. What was run and seen is a table at the end; what cannot run says why.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

from build import VERSION
from guests import Guest
from targets import Target, chosen
from toolchain import ROOT, run

HOUR = 3600
# What qemu's user mode cannot do: a child of a process with threads has locks that nobody opens.
NOT_BY_QEMU = {"fork"}
# Where what the tests of the wheel import is had: the guests' systems are younger than what the wheel promises.
PACKAGES_OF = {
    "manylinux2014": ("manylinux2014", "manylinux_2_17", "manylinux_2_28", "manylinux_2_34"),
    "musllinux_1_2": ("musllinux_1_1", "musllinux_1_2"),
}
# There is no package of it, or of what it needs.
NOT_FOR_MUSL = ["gevent"]


class Missing(Exception):
    """Why something cannot run here."""


class Trial:
    def __init__(self, target: Target, work: Path, dist: Path) -> None:
        self.target = target
        self.work = work
        self.dist = dist
        self.guest = Guest(target, work)
        self.out = work / "trial" / target.triple
        self.failed = False
        self.scenarios = work / "debug" / "scenarios"

    def parts(self) -> dict[str, Callable[[], str]]:
        return {
            "C tests": self.c_tests,
            "scenarios, C": self.c_scenarios,
            "Python tests": self.python_tests,
            "scenarios, Python": self.python_scenarios,
            "scenarios, Java": self.java_scenarios,
        }

    def all(self) -> dict[str, str]:
        self.out.mkdir(parents=True, exist_ok=True)
        self.guest.prepare()
        results = {}
        for name, part in self.parts().items():
            try:
                results[name] = part()
            except Missing as missing:
                results[name] = f"not run: {missing}"
            except (subprocess.SubprocessError, OSError) as error:
                self.failed = True
                results[name] = f"FAILED: {error}"
            print(f"{self.target.triple}: {name}: {results[name]}", flush=True)
        return results

    # ---- C ----

    def make(self, goals: str, **variables: str | Path) -> list[str]:
        name = f"d365-failover-{VERSION}-{self.target.triple}"
        with tarfile.open(self.dist / f"{name}.tar.gz") as archive:
            archive.extractall(self.out, filter="data")
        [library] = (self.out / name / "lib").glob("*.so.*")
        values = {
            "CC": self.guest.compiler("cc"),
            "CXX": self.guest.compiler("c++"),
            # What is in the sources is for the compilers of `make test` to warn of.
            "STRICT": "-w",
            "JSON": self.guest.json,
            "LIB": library,
            "OUT": self.out / "c",
            "RUN": self.guest.run,
            **variables,
        }
        return ["make", "-s", "-C", str(ROOT / "tests" / "c"), *goals.split(), *(f"{k}={v}" for k, v in values.items())]

    def c_tests(self) -> str:
        without = NOT_BY_QEMU if self.guest.foreign else set()
        said = self.logged("c", self.make("symbols run", WITHOUT=" ".join(without)))
        counted = sum(map(int, re.findall(r"^ +(\d+) checks$", said, re.M)))
        return f"{counted} checks" + "".join(f", without {name}" for name in sorted(without))

    def c_scenarios(self) -> str:
        self.logged("c-agent", self.make("programs"))
        return self.play("c", f"{self.guest.run} {self.out}/c/agent")

    # ---- Python ----

    def site(self) -> Path:
        """The wheel, and what its tests import."""
        site = self.out / "site"
        [wheel] = self.dist.glob(f"*{self.target.compatibility}_{self.target.processor}*.whl")
        pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--upgrade"]
        run(*pip, "--target", site, "--no-deps", "--platform", wheel.stem.split("-")[-1].split(".")[0], wheel)
        wanted = (ROOT / "bindings-python/requirements-dev.txt").read_text().split()
        without = {"maturin", "mypy", "ruff", *self.without()}
        wanted = [name for name in wanted if name.split("==")[0] not in without]
        tags = ["any", *(f"{system}_{self.target.processor}" for system in PACKAGES_OF[self.target.compatibility])]
        platforms = [word for tag in tags for word in ("--platform", tag)]
        run(*pip, "--target", site, "--only-binary=:all:", "--python-version", "3.11", *platforms, *wanted)
        return site

    def without(self) -> list[str]:
        return NOT_FOR_MUSL if self.target.is_musl else []

    def python_tests(self) -> str:
        python = self.guest.python()
        tests: list[str | Path] = [
            python,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            *(("-k", " and ".join(f"not {name}" for name in self.without())) if self.without() else ()),
            ROOT / "bindings-python/tests",
        ]
        said = self.logged(
            "python", tests, PYTHONPATH=self.site(), D365_TWIN=self.work / "debug/d365-twin", PYTHONNOUSERSITE="1"
        )
        return ", without ".join([said.strip().splitlines()[-1].strip("= "), *self.without()])

    def python_scenarios(self) -> str:
        python, agent = self.guest.python(), ROOT / "bindings-python/tests/agent.py"
        self.site()
        os.environ["PYTHONPATH"] = str(self.out / "site")
        try:
            return self.play("python", f"{python} {agent}")
        finally:
            del os.environ["PYTHONPATH"]

    # ---- Java ----

    def java_scenarios(self) -> str:
        java = self.guest.java()
        if java is None:
            raise Missing("no JVM for musl is to be had")
        jar = self.dist / f"d365-failover-{VERSION}.jar"
        run("make", "-s", "java", f"T={self.work}")
        built = ROOT / "bindings-java" / "target"
        path = f"{built}/test-classes:{jar}:{(built / 'agent.classpath').read_text().strip()}"
        return self.play("java", f"{java} -cp {path} io.github.d365failover.agent.Agent")

    # ---- how ----

    def play(self, language: str, agent: str) -> str:
        said = self.logged(
            f"scenarios-{language}",
            [
                self.scenarios,
                ROOT / "tests" / "scenarios",
                "--at-once",
                "4",
                "--subject",
                f"{language}={agent.strip()}",
            ],
        )
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
