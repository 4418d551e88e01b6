from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from subject import Blocking, OnLoop, Subjects
from twin import Organization, Twin

SEED = int(os.environ.get("D365_SEED") or random.SystemRandom().randrange(2**32))
# The processes among which xdist divides the tests have the same.
os.environ["D365_SEED"] = str(SEED)

hypothesis.settings.register_profile("here", database=None, print_blob=True, deadline=None)
hypothesis.settings.load_profile("here")


def pytest_report_header() -> str:
    return f"D365_SEED={SEED}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(f"D365_SEED={SEED} repeats the random tests")


@pytest.fixture(scope="session")
def seed() -> int:
    return SEED


@pytest.fixture(scope="session")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twin]:
    twin = Twin(Path(tmp_path_factory.mktemp("twin")))
    yield twin
    twin.stop()


@pytest.fixture
def org(twin: Twin) -> Organization:
    """An organization of the test's own, without a fault."""
    return twin.organization()


@pytest.fixture
def organization(twin: Twin) -> Callable[..., Organization]:
    """Makes organizations of the test's own, with more than the defaults."""
    return twin.organization


@pytest.fixture
def broken_logging() -> Iterator[None]:
    """All of the package's records go to a filter that fails."""

    def fail(record: logging.LogRecord) -> bool:
        raise RuntimeError("the filter fails")

    logger = logging.getLogger("d365_failover")
    level = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addFilter(fail)
    yield
    logger.removeFilter(fail)
    logger.setLevel(level)


@pytest.fixture
def log_handlers() -> Iterator[list[logging.Handler]]:
    """Handlers of the package's records, as long as the test runs."""
    logger = logging.getLogger("d365_failover")
    level = logger.level
    logger.setLevel(logging.DEBUG)
    handlers: list[logging.Handler] = []

    class Relay(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            for handler in handlers:
                handler.emit(record)

    relay = Relay()
    logger.addHandler(relay)
    yield handlers
    logger.removeHandler(relay)
    logger.setLevel(level)


def _refuse(*_: object) -> None:
    raise NotImplementedError


def _without_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Windows' own loop. Loops use no public function for what they wait for themselves."""
    for name in ("add_reader", "remove_reader"):
        monkeypatch.setattr(asyncio.SelectorEventLoop, name, _refuse)


@pytest.fixture(params=["loop with readers", "loop without"])
def loops(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Event loops that can wait for a descriptor, and such that cannot."""
    if request.param == "loop without":
        _without_readers(monkeypatch)


@pytest.fixture(params=["blocking", "asyncio", "asyncio without readers"])
def open_subject(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Subjects:
    """Opens a `Client`, or an `AsyncClient`: `with open_subject(org, **settings) as subject`."""
    if request.param == "asyncio without readers":
        _without_readers(monkeypatch)
    return Blocking if request.param == "blocking" else OnLoop
