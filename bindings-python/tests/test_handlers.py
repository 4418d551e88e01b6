"""Handlers that misbehave, of both clients: no deadlock, and no call that pays for it."""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

import d365_failover
import pytest
from d365_failover import EndpointSwitchRequiredEvent, Event
from subject import PATIENCE, Blocking, Do, OnLoop, Subject, Subjects
from twin import ACCOUNTS, WHO_AM_I, Organization

SUBJECTS = {
    f"{preset}-{name}": (preset, opened)
    for preset in ("dotnet", "safe")
    for name, opened in (("blocking", Blocking), ("asyncio", OnLoop))
}


@pytest.fixture(params=list(SUBJECTS.values()), ids=list(SUBJECTS))
def open_subject(request: pytest.FixtureRequest) -> Subjects:
    """Each preset keeps the same promises; without hold-down `safe` switches as often as it is asked to."""
    preset, opened = request.param
    return functools.partial(opened, preset=preset, hold_down=0.0)


def switch(org: Organization, subject: Subject) -> None:
    subject.call("switch_endpoint")


def doubt_a_write(org: Organization, subject: Subject) -> None:
    code = -2147204784
    org.fault(active(subject), "service_fault", code=code, message="a SQL error", status=500, method="POST", times=1)
    assert subject.call("post", ACCOUNTS, json={"name": "a"}).effect == "unknown"


def write_and_switch(org: Organization, subject: Subject) -> None:
    assert not subject.call("post", ACCOUNTS, json={"name": "a"}).is_error
    subject.call("switch_endpoint")


def fail_over(org: Organization, subject: Subject) -> None:
    side = active(subject)
    org.fault(side, "datacenter_not_available", times=1)
    assert not subject.call("get", WHO_AM_I).is_error


def active(subject: Subject) -> str:
    return "primary" if subject.client.is_primary else "alternate"


KINDS: dict[str, Callable[[Organization, Subject], None]] = {
    "endpoint_switch_required": fail_over,
    "endpoint_switched": switch,
    "write_in_doubt": doubt_a_write,
    "data_loss_suspected": write_and_switch,
    "call_retried": fail_over,
}
"""How each event is brought about, again and again."""

NOTIFICATIONS = [kind for kind in KINDS if kind != "endpoint_switch_required"]


def register(subject: Subject, kind: str, handler: Callable[[Any], object]) -> None:
    subject.call(f"on_{kind}", handler)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("raised", [ValueError("no"), d365_failover.FailoverError("no")])
def test_one_that_raises_is_logged(
    org: Organization, open_subject: Subjects, caplog: pytest.LogCaptureFixture, kind: str, raised: Exception
) -> None:
    seen: SimpleQueue[str] = SimpleQueue()

    async def broken(event: Event, do: Do) -> None:
        raise raised

    async def works(event: Event, do: Do) -> None:
        seen.put(event.name)

    with open_subject(org) as subject:
        register(subject, kind, subject.handler(broken))
        register(subject, kind, subject.handler(works))
        for _ in range(2):
            KINDS[kind](org, subject)
            assert seen.get(timeout=PATIENCE).lower() == kind.replace("_", "")
        assert subject.call("get", WHO_AM_I).status_code == 200
    failures = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.exc_info and record.exc_info[1] for record in failures] == [raised, raised]


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_removes_itself_is_called_once(org: Organization, open_subject: Subjects, kind: str) -> None:
    seen: SimpleQueue[str] = SimpleQueue()

    async def once(event: Event, do: Do) -> None:
        assert await do(lambda client: client.off(handler))
        assert not await do(lambda client: client.off(handler))
        seen.put("once")

    async def always(event: Event, do: Do) -> None:
        seen.put("always")

    with open_subject(org) as subject:
        handler = subject.handler(once)
        register(subject, kind, handler)
        register(subject, kind, subject.handler(always))
        KINDS[kind](org, subject)
        assert [seen.get(timeout=PATIENCE) for _ in range(2)] == ["once", "always"]
        KINDS[kind](org, subject)
        assert seen.get(timeout=PATIENCE) == "always"
    assert seen.empty()


@pytest.mark.parametrize("kind", NOTIFICATIONS)
def test_one_that_calls_and_switches(org: Organization, open_subject: Subjects, kind: str) -> None:
    seen: SimpleQueue[Any] = SimpleQueue()

    async def calls(event: Event, do: Do) -> None:
        assert await do(lambda client: client.off(handler))
        seen.put((await do(lambda client: client.get(WHO_AM_I))).status_code)
        seen.put((await do(lambda client: client.post(ACCOUNTS, json={"name": "b"}))).effect)
        epoch = await do(lambda client: client.epoch)
        await do(lambda client: client.switch_endpoint())
        seen.put(await do(lambda client: client.epoch) - epoch)

    with open_subject(org, handler_timeout=30) as subject:
        handler = subject.handler(calls)
        register(subject, kind, handler)
        KINDS[kind](org, subject)
        assert [seen.get(timeout=PATIENCE) for _ in range(3)] == [200, "executed", 1]


@pytest.mark.parametrize("kind", NOTIFICATIONS)
def test_one_whose_own_call_fails_over(org: Organization, open_subject: Subjects, kind: str) -> None:
    """A decision that arises while a handler waits takes its default: nobody can be asked, and nobody waits for it."""
    seen: SimpleQueue[Any] = SimpleQueue()
    is_called = threading.Event()

    async def calls(event: Event, do: Do) -> None:
        assert await do(lambda client: client.off(handler))
        is_called.set()
        side = "primary" if await do(lambda client: client.is_primary) else "alternate"
        org.fault(side, "datacenter_not_available", path=ACCOUNTS, method="GET", times=1)
        seen.put((await do(lambda client: client.get(ACCOUNTS, timeout=30))).switched)

    async def required(event: EndpointSwitchRequiredEvent, do: Do) -> None:
        if is_called.is_set():
            with contextlib.suppress(d365_failover.LateError):
                event.veto()

    with open_subject(org, handler_timeout=100) as subject:
        handler = subject.handler(calls)
        register(subject, "endpoint_switch_required", subject.handler(required))
        register(subject, kind, handler)
        KINDS[kind](org, subject)
        assert seen.get(timeout=PATIENCE)


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_hangs_holds_no_call_longer_than_its_time(
    org: Organization, open_subject: Subjects, kind: str
) -> None:
    is_called, let_go = threading.Event(), threading.Event()

    async def hangs(event: Event, do: Do) -> None:
        is_called.set()
        await do(lambda _: subject.block(let_go))

    with open_subject(org, handler_timeout=0.1) as subject:
        register(subject, kind, subject.handler(hangs))
        KINDS[kind](org, subject)
        assert is_called.wait(PATIENCE)
        # Another switch is called for while it hangs: nobody can be asked.
        fail_over(org, subject)
        doubt_a_write(org, subject)
        assert not let_go.is_set()
        let_go.set()


@pytest.mark.parametrize("kind", NOTIFICATIONS)
def test_one_that_closes_the_client(org: Organization, open_subject: Subjects, kind: str) -> None:
    seen: SimpleQueue[str] = SimpleQueue()

    async def closes(event: Event, do: Do) -> None:
        await do(lambda client: client.close())
        try:
            await do(lambda client: client.get(WHO_AM_I))
        except d365_failover.ClosedError as error:
            seen.put(error.kind)

    with open_subject(org) as subject:
        register(subject, kind, subject.handler(closes))
        try:
            KINDS[kind](org, subject)
        except (d365_failover.ClosedError, d365_failover.CallCancelledError):
            assert kind in ("call_retried", "endpoint_switched")
        assert seen.get(timeout=PATIENCE) == "closed"


def test_the_writes_that_close_leaves_in_doubt_are_told(org: Organization, open_subject: Subjects) -> None:
    seen: SimpleQueue[int | None] = SimpleQueue()

    async def heard(event: Event, do: Do) -> None:
        assert isinstance(event, d365_failover.WriteInDoubtEvent)
        seen.put(event.ledger_id)

    org.fault("primary", "accept_never_answer", method="POST")
    with open_subject(org) as subject, ThreadPoolExecutor(1) as pool:
        register(subject, "write_in_doubt", subject.handler(heard))
        call = pool.submit(subject.call, "post", ACCOUNTS, json={"name": "a"})
        org.wait("primary", in_flight_at_least=1)
        subject.call("close", timeout=2)
        with pytest.raises(d365_failover.WriteInDoubtError) as raised:
            call.result(PATIENCE)
        assert seen.get_nowait() == raised.value.ledger_id


def test_one_that_closes_the_client_in_a_decision_is_refused(org: Organization, open_subject: Subjects) -> None:
    seen: SimpleQueue[str] = SimpleQueue()

    async def required(event: Event, do: Do) -> None:
        for call in (lambda client: client.close(), lambda client: client.get(WHO_AM_I)):
            try:
                await do(call)
            except d365_failover.WouldDeadlockError as error:
                seen.put(error.kind)

    with open_subject(org, handler_timeout=60) as subject:
        register(subject, "endpoint_switch_required", subject.handler(required))
        org.fault("primary", "refuse")
        assert subject.call("get", WHO_AM_I, timeout=30).switched
        assert [seen.get(timeout=PATIENCE) for _ in range(2)] == ["would_deadlock"] * 2


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_is_none(org: Organization, open_subject: Subjects, kind: str) -> None:
    with open_subject(org) as subject, pytest.raises(TypeError, match="callable"):
        subject.call(f"on_{kind}", None)


@pytest.mark.parametrize("kind", [*KINDS, "throttled"])
def test_registering_is_a_decorator(org: Organization, open_subject: Subjects, kind: str) -> None:
    with open_subject(org) as subject:
        assert subject.call(f"on_{kind}", print) is print
        assert subject.call("off", print)
        subject.call("close")
        with pytest.raises(d365_failover.ClosedError):
            subject.call(f"on_{kind}", print)
