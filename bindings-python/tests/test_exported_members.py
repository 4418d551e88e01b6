from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import pydoc
import re
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path

import d365_failover
import pytest

PACKAGE = Path(d365_failover.__file__).parent
TESTS = Path(__file__).parent


def exported() -> set[str]:
    # pytest writes its own into a package that has a plugin for it.
    return {name for name in vars(d365_failover) if not name.startswith(("_", "@"))}


def test_all_that_modules_declare_public_is_exported() -> None:
    for module in pkgutil.iter_modules([str(PACKAGE)]):
        # Those that are public are imported by their name.
        if module.name == "_native" or not module.name.startswith("_"):
            continue
        declared = getattr(importlib.import_module(f"d365_failover.{module.name}"), "__all__", [])
        helpers = {"AccessToken", "AsyncContent", "AsyncTokenCredential", "AsyncTokenProvider", "BinaryFile", "Content"}
        helpers |= {"TokenCredential", "TokenProvider"}
        assert set(declared) - helpers <= exported()


def test_a_star_imports_what_is_exported() -> None:
    names: dict[str, object] = {}
    exec("from d365_failover import *", names)
    assert {name for name in names if not name.startswith("@")} - {"__builtins__"} == exported()


def test_help_of_the_package_is_a_page_that_names_everything() -> None:
    text = pydoc.plain(pydoc.render_doc(d365_failover))
    assert len(text.splitlines()) <= 160
    for name in exported():
        assert re.search(rf"\b{name}\b", text), name


@pytest.mark.parametrize("client", [d365_failover.Client, d365_failover.AsyncClient])
def test_help_of_a_client_has_its_settings(client: type) -> None:
    text = pydoc.plain(pydoc.render_doc(client))
    # From 3.13 on each parameter has a line of its own.
    assert len(text.splitlines()) <= (400 if sys.version_info < (3, 13) else 600)
    assert re.search(r"deadline +seconds, 0.001 to 86400: .* Default: 300", text)


def test_the_package_is_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()


def _resolve(function: object) -> None:
    # Python 3.10 has neither Self nor Unpack, and the package no dependency that has them.
    written = " ".join(map(str, inspect.get_annotations(function).values())) if callable(function) else ""
    if sys.version_info >= (3, 11) or not re.search(r"\b(Self|Unpack)\b", written):
        typing.get_type_hints(function)


def _members(public: type) -> Iterator[object]:
    for member, value in inspect.getmembers(public):
        function = value.fget if isinstance(value, property) else inspect.unwrap(getattr(value, "__func__", value))
        # What others' classes bring is theirs.
        is_ours = inspect.isfunction(function) and function.__module__.startswith("d365_failover")
        if is_ours and (not member.startswith("_") or member.endswith("__")):
            yield function


@pytest.mark.parametrize("name", sorted(exported()))
def test_types_are_resolved_at_run_time(name: str) -> None:
    """For what makes forms, command lines and mocks of a signature."""
    public = getattr(d365_failover, name)
    hints = typing.get_type_hints(public)
    if name in ("Settings", "AsyncSettings"):
        assert {"token_provider", "prepare", "deadline"} <= set(hints)
    if inspect.isclass(public):
        for function in _members(public):
            _resolve(function)


@pytest.mark.parametrize("name", ["aiohttp", "azure", "dataverse", "httpx", "opentelemetry", "requests", "testing"])
def test_types_of_the_modules_are_as_well(name: str) -> None:
    module = importlib.import_module(f"d365_failover.{name}")
    names = getattr(module, "__all__", None) or ["FailoverPair", "Fault", "Row", "Seen", "Side"]
    for public in (getattr(module, name) for name in names):
        for function in _members(public) if inspect.isclass(public) else [public]:
            _resolve(function)


def test_only_the_init_function_is_exported() -> None:
    libraries = list(PACKAGE.glob("_native*.so"))
    assert len(libraries) == 1
    listed = subprocess.run(
        ["nm", "-D", "--defined-only", libraries[0]], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert [line.split()[-1] for line in listed] == ["PyInit__native"]


OTHER_COPY = """
unsigned d365_abi_version(void) { __builtin_trap(); }
const char *d365_version(void) { __builtin_trap(); }
int d365_settings_new(void) { __builtin_trap(); }
int d365_url_alternate(void) { __builtin_trap(); }
"""


def test_another_copy_of_the_library_in_the_process_is_not_called(tmp_path: Path) -> None:
    source, library = tmp_path / "other.c", tmp_path / "libother.so"
    source.write_text(OTHER_COPY)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    program = f"""
import ctypes
other = ctypes.CDLL({str(library)!r}, ctypes.RTLD_GLOBAL)
assert other.d365_version
import d365_failover
print(d365_failover.__version__, d365_failover.alternate_url("https://contoso.crm.dynamics.com/api"))
d365_failover.Client("https://contoso.crm.dynamics.com", ca_bundle=None, tls_verify=False).close()
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.split()[1] == "https://contoso--s.crm.dynamics.com/api"


def test_another_copy_would_be_called_if_the_symbols_were_global(tmp_path: Path) -> None:
    """The proof above proves something: a library that leaves the symbol open does call the other copy."""
    if not sys.platform.startswith("linux"):
        pytest.skip("ELF")
    (tmp_path / "other.c").write_text("int d365_probe(void) { return 2; }")
    (tmp_path / "own.c").write_text("int d365_probe(void) { return 1; }\nint asked(void) { return d365_probe(); }")
    for name in ("other", "own"):
        subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / f"{name}.so", tmp_path / f"{name}.c"], check=True)
    program = f"""
import ctypes
ctypes.CDLL({str(tmp_path / "other.so")!r}, ctypes.RTLD_GLOBAL)
print(ctypes.CDLL({str(tmp_path / "own.so")!r}).asked())
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.strip() == "2"


def imported(module: Path) -> Iterator[str]:
    """What it cannot be imported without."""
    for statement in ast.parse(module.read_text()).body:
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.module:
            yield statement.module
            yield from (f"{statement.module}.{alias.name}" for alias in statement.names)


def test_other_systems_can_import_the_tests_that_are_run_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(TESTS.parents[1] / "tools" / "ship")
    own = {f"d365_failover.{name}" for name in ("aiohttp", "azure", "dataverse", "httpx", "httpx2", "requests")}
    lacking = own | {"aiohttp", "azure", "celery", "gevent", "eventlet", "httpx", "httpx2", "requests", "zeep"}
    wanting = {path.stem for path in TESTS.glob("test_*.py") if lacking & set(imported(path))}
    assert wanting <= importlib.import_module("guests").WITH_SSL
