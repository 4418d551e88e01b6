from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import hashlib
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import d365_failover
import pytest
from d365_failover import AsyncClient, Client, LedgerEntry, LedgerEntryError, WriteInDoubtEvent
from subject import PATIENCE, Blocking, Subject, Subjects
from twin import ACCOUNTS, WHO_AM_I, Organization


def ledger(subject: Subject, **selection: bool) -> list[LedgerEntry]:
    listed = subject.do(lambda client: client.ledger(**selection))
    assert isinstance(listed, list)
    return listed


def post_in_doubt(org: Organization, subject: Subject) -> int:
    org.fault("primary", "commit_then_close", method="POST", times=1)
    with pytest.raises(d365_failover.WriteInDoubtError) as caught:
        subject.do(lambda client: client.post(ACCOUNTS, json={"name": "in doubt"}))
    assert isinstance(caught.value.__cause__, d365_failover.ConnectionLostError)
    assert caught.value.ledger_id is not None
    return caught.value.ledger_id


def test_a_write_is_on_record(org: Organization, open_subject: Subjects) -> None:
    body = b'{"name":"a"}'
    with open_subject(org) as subject:
        headers = {"Content-Type": "application/json", "Authorization": "Bearer secret"}
        response = subject.do(lambda client: client.post(ACCOUNTS, content=body, headers=headers))
        (entry,) = ledger(subject)
        assert (entry.id, entry.method, entry.url) == (response.ledger_id, "POST", org.primary_url + ACCOUNTS)
        assert (entry.operation, entry.effect, entry.resolution) == ("unsafe", "executed", None)
        assert (entry.role, entry.epoch, entry.attempts) == ("primary", 0, 1)
        assert (entry.body_length, entry.body_digest) == (len(body), hashlib.sha256(body).hexdigest())
        assert entry.row_url == response.headers["OData-EntityId"]
        assert entry.ended is not None
        assert abs(entry.started.timestamp() - time.time()) < 600
        assert entry.started <= entry.ended
        assert not entry.is_suspect
        assert ledger(subject, suspects=True) == []
        assert "secret" not in repr(entry)
        with pytest.raises(dataclasses.FrozenInstanceError):
            entry.effect = None  # type: ignore[misc]


def test_a_read_is_not(org: Organization, open_subject: Subjects) -> None:
    with open_subject(org) as subject:
        assert subject.do(lambda client: client.get(WHO_AM_I)).ledger_id is None
        declared = subject.do(lambda client: client.post(ACCOUNTS, json={"name": "a"}, operation="read"))
        assert declared.ledger_id is None
        assert ledger(subject) == []


def test_entries_come_in_the_order_of_their_ids(org: Organization, open_subject: Subjects) -> None:
    with open_subject(org) as subject:
        created = subject.do(lambda client: client.post(ACCOUNTS, json={"name": "a"}))
        url = created.headers["OData-EntityId"]
        changed = subject.do(lambda client: client.patch(url, json={"name": "b"}))
        deleted = subject.do(lambda client: client.delete(url))
        entries = ledger(subject)
    assert [entry.id for entry in entries] == [created.ledger_id, changed.ledger_id, deleted.ledger_id]
    assert [entry.method for entry in entries] == ["POST", "PATCH", "DELETE"]
    assert entries[2].body_length == 0
    assert entries[2].body_digest is None


def test_one_in_flight(org: Organization, open_subject: Subjects) -> None:
    stall = org.fault("primary", "stall", method="POST")
    with open_subject(org) as subject, ThreadPoolExecutor(1) as threads:
        call = threads.submit(subject.do, lambda client: client.post(ACCOUNTS, content=iter([b'{"name":', b'"a"}'])))
        org.wait("primary", in_flight_at_least=1)
        (entry,) = ledger(subject)
        assert (entry.effect, entry.ended, entry.is_suspect) == (None, None, False)
        assert (entry.body_length, entry.body_digest) == (None, None)
        with pytest.raises(LedgerEntryError):
            subject.do(lambda client: client.resolve(entry.id, "lost"))
        org.clear_fault(stall)
        assert call.result(PATIENCE).status_code == 204
        (entry,) = ledger(subject)
        assert entry.effect == "executed"


def test_what_was_not_executed_is_taken_off(org: Organization, open_subject: Subjects) -> None:
    org.fault("primary", "refuse")
    with open_subject(org, auto_switch=False) as subject:
        with pytest.raises(ConnectionError):
            subject.do(lambda client: client.post(ACCOUNTS, json={"name": "a"}))
        assert ledger(subject) == []


@pytest.mark.parametrize("resolution", ["confirmed", "replayed", "lost"])
def test_a_suspect_is_resolved(org: Organization, open_subject: Subjects, resolution: str) -> None:
    with open_subject(org, auto_switch=False) as subject:
        number = post_in_doubt(org, subject)
        (entry,) = ledger(subject, suspects=True)
        assert (entry.id, entry.effect, entry.is_suspect, entry.resolution) == (number, "unknown", True, None)
        subject.do(lambda client: client.resolve(number, resolution))
        assert ledger(subject, suspects=True) == []
        (entry,) = ledger(subject)
        assert (entry.id, entry.is_suspect, entry.resolution) == (number, False, resolution)
        with pytest.raises(LedgerEntryError):
            subject.do(lambda client: client.resolve(number, resolution))


def test_what_an_endpoint_acknowledged_before_it_was_left_is_suspect(org: Organization, open_subject: Subjects) -> None:
    with open_subject(org) as subject:
        before = subject.do(lambda client: client.post(ACCOUNTS, json={"name": "a"}))
        subject.do(lambda client: client.switch_endpoint())
        subject.do(lambda client: client.post(ACCOUNTS, json={"name": "b"}))
        (entry,) = ledger(subject, suspects=True)
        assert (entry.id, entry.effect, entry.role) == (before.ledger_id, "executed", "primary")
        subject.do(lambda client: client.resolve(entry.id, "confirmed"))
        assert ledger(subject, suspects=True) == []


def test_without_a_replication_window_nothing_that_was_acknowledged_is(
    org: Organization, open_subject: Subjects
) -> None:
    with open_subject(org, replication_window=0) as subject:
        subject.do(lambda client: client.post(ACCOUNTS, json={"name": "a"}))
        subject.do(lambda client: client.switch_endpoint())
        assert ledger(subject, suspects=True) == []


def test_what_cannot_be_resolved(org: Organization, open_subject: Subjects) -> None:
    with open_subject(org) as subject:
        executed = subject.do(lambda client: client.post(ACCOUNTS, json={"name": "a"})).ledger_id
        for number in (executed, 99, 0, -1, 2**63, -(2**70)):
            with pytest.raises(LedgerEntryError) as caught:
                subject.call("resolve", number, "lost")
            assert isinstance(caught.value, LookupError)
            assert caught.value.kind == "not_available"
            assert str(caught.value)
        for resolution in ("", "Lost", "none", None):
            with pytest.raises(d365_failover.InvalidArgumentError, match="confirmed"):
                subject.call("resolve", executed, resolution)
        wrong: list[Any] = ["1", None, 1.5]
        for number in wrong:
            with pytest.raises(TypeError):
                subject.call("resolve", number, "lost")


def test_it_outlives_close(org: Organization, open_subject: Subjects) -> None:
    with open_subject(org, auto_switch=False) as subject:
        number = post_in_doubt(org, subject)
        subject.do(lambda client: client.close())
        (entry,) = ledger(subject, suspects=True)
        assert entry.id == number
        subject.do(lambda client: client.resolve(number, "lost"))
        assert ledger(subject, suspects=True) == []


def test_errors_and_streams_tell_the_number(org: Organization) -> None:
    org.fault("primary", "status", status=400, method="DELETE", times=1)
    with org.client() as client:
        response = client.delete(f"{ACCOUNTS}(00000000-0000-0000-0000-000000000001)")
        with pytest.raises(d365_failover.HTTPStatusError) as caught:
            response.raise_for_status()
        assert caught.value.ledger_id == response.ledger_id is not None
        with client.stream("POST", ACCOUNTS, json={"name": "a"}) as streamed:
            assert streamed.ledger_id is not None
            assert client.ledger()[-1].id == streamed.ledger_id
        with client.stream("GET", WHO_AM_I) as streamed:
            assert streamed.ledger_id is None


def test_an_interruption_tells_the_number(org: Organization) -> None:
    class Broken(Exception):
        pass

    def body() -> Any:
        yield b"{"
        raise Broken

    with org.client() as client:
        with pytest.raises(Broken) as caught:
            client.post(ACCOUNTS, content=body())
        assert isinstance(caught.value.__cause__, d365_failover.FailoverError)
        assert caught.value.__cause__.ledger_id is not None


def test_a_guarded_create_of_what_is_none_is_refused(org: Organization, open_subject: Subjects) -> None:
    with open_subject(org) as subject:
        for method, url in (("GET", ACCOUNTS), ("GET", WHO_AM_I), ("DELETE", ACCOUNTS)):
            with pytest.raises(d365_failover.InvalidArgumentError):
                subject.call("request", method, url, guarded_create=True)
        assert org.counts("primary")["received"] == 0
        assert ledger(subject) == []


def test_a_guarded_create(org: Organization, open_subject: Subjects) -> None:
    with open_subject(org, preset="safe") as subject:
        created = subject.do(lambda client: client.post(ACCOUNTS, json={"name": "a"}, guarded_create=True))
        assert (created.is_error, created.effect) == (False, "executed")
        (entry,) = ledger(subject)
        assert (entry.id, entry.operation, entry.effect) == (created.ledger_id, "guarded", "executed")
    (row,) = org.rows()
    assert row["id"] in str(entry.row_url or entry.url)
    (sent,) = [request for request in org.journal() if request["committed"]]
    assert sent["method"] == "PATCH"


def test_a_guarded_create_that_is_sent_again_makes_one_row(org: Organization, open_subject: Subjects) -> None:
    org.fault("primary", "commit_then_close", times=1)
    with open_subject(org, preset="safe") as subject:
        created = subject.do(lambda client: client.post(ACCOUNTS, json={"name": "a"}, guarded_create=True))
        assert created.effect == "executed"
        assert len(created.attempts) > 1
        assert ledger(subject, suspects=True) == []
    assert len(org.rows()) == 1


def test_a_guarded_stream(org: Organization) -> None:
    with org.client(preset="safe") as client:
        with client.stream("POST", ACCOUNTS, json={"name": "a"}, guarded_create=True) as created:
            assert created.effect == "executed"
        with (
            pytest.raises(d365_failover.InvalidArgumentError),
            client.stream("GET", ACCOUNTS, guarded_create=True),
        ):
            pass


def test_after_a_switch_an_update_is_guarded_unless_it_is_an_upsert(org: Organization, open_subject: Subjects) -> None:
    url = f"{ACCOUNTS}(11111111-1111-1111-1111-111111111111)"
    with open_subject(org, preset="safe") as subject:
        subject.do(lambda client: client.switch_endpoint())
        guarded = subject.do(lambda client: client.patch(url, json={"name": "a"}))
        assert guarded.is_error
        assert org.rows() == []
        assert not subject.do(lambda client: client.patch(url, json={"name": "a"}, upsert=True)).is_error
    assert len(org.rows()) == 1


def test_a_handler_verifies_and_resolves(org: Organization, open_subject: Subjects) -> None:
    """What the event is for."""
    done: SimpleQueue[str] = SimpleQueue()
    with open_subject(org, auto_switch=False) as subject:

        async def verify(event: WriteInDoubtEvent, do: Any) -> None:
            found = await do(lambda client: client.get(ACCOUNTS, params={"$filter": "name eq 'in doubt'"}))
            resolution = "confirmed" if found.json()["value"] else "lost"
            await do(lambda client: client.resolve(event.ledger_id, resolution))
            done.put(resolution)

        subject.do(lambda client: client.on_write_in_doubt(subject.handler(verify)))
        post_in_doubt(org, subject)
        assert done.get(timeout=PATIENCE) == "confirmed"
        assert ledger(subject, suspects=True) == []


def test_a_write_is_verified(org: Organization, open_subject: Subjects) -> None:
    tag = "order 17 ✓"
    with open_subject(org) as subject:
        created = subject.do(lambda client: client.post(ACCOUNTS, json={"name": "a"}, tag=tag))
        assert created.tag == tag
        (entry,) = ledger(subject)
        assert (entry.tag, entry.verified, entry.verified_at, entry.is_final) == (tag, None, None, False)
        assert subject.do(lambda client: client.verify(entry)) == "present"
        subject.do(lambda client: client.switch_endpoint())
        assert subject.do(lambda client: client.verify(created.ledger_id, timeout=PATIENCE)) == "missing"
        (entry,) = ledger(subject, suspects=True)
        assert (entry.verified, entry.is_final) == ("missing", False)
        assert entry.verified_at is not None
        assert entry.ended is not None
        assert entry.ended <= entry.verified_at
        for number in (99, -1):
            with pytest.raises(LedgerEntryError):
                subject.call("verify", number)


def test_a_walk_that_only_looks_counts_what_the_application_finds(org: Organization, open_subject: Subjects) -> None:
    with open_subject(org, auto_switch=False) as subject:
        post_in_doubt(org, subject)
        for url, verified in ((f"{ACCOUNTS}?$filter=name eq 'nobody'", "missing"), (None, "unverifiable")):
            settled = subject.call("settle", confirm=False, replay=False, verify_with=lambda _, url=url: url)
            assert (settled.total, settled.done, settled.left, getattr(settled, verified)) == (1, 1, 1, 1)

        async def ask(_: LedgerEntry) -> str:
            return f"{ACCOUNTS}?$filter=name eq 'nobody'"

        wrong: dict[str, Callable[[LedgerEntry], object]] = {"bytes": lambda _: b"/", "int": lambda _: 1}
        if isinstance(subject.client, AsyncClient):
            assert subject.call("settle", confirm=False, replay=False, verify_with=ask).missing == 1
        else:
            wrong["awaited"] = ask
        for said, verify_with in wrong.items():
            with pytest.raises(TypeError, match=said):
                subject.call("settle", verify_with=verify_with)
        assert [entry.resolution for entry in ledger(subject)] == [None]


def test_what_is_resolved_beside_a_walk_is_not_left(org: Organization) -> None:
    with Blocking(org, auto_switch=False) as subject:
        client = subject.client
        assert isinstance(client, Client)
        numbers = [post_in_doubt(org, subject) for _ in range(6)]
        walk = client.settling(replay=False)
        # Of those that are not told yet four at most have begun.
        next(walk)
        client.resolve(numbers[-1], "lost")
        *_, last = walk
        assert (last.settled.total, last.settled.done, last.settled.left) == (6, 6, 5)


@pytest.mark.parametrize(("status", "effect"), [(400, "not_executed"), (500, "unknown")])
def test_an_error_status_names_the_request_by_its_tag(
    org: Organization, open_subject: Subjects, status: int, effect: str
) -> None:
    org.fault("primary", "status", status=status, times=1)
    with open_subject(org) as subject:
        response = subject.do(lambda client: client.post(ACCOUNTS, json={"name": "a"}, tag="order 17"))
        with pytest.raises(d365_failover.FailoverError) as caught:
            response.raise_for_status()
        error = caught.value
        assert (error.effect, error.tag, error.ledger_id) == (effect, "order 17", response.ledger_id)


def test_a_prepare_hook_is_asked_for_a_verify_as_well(org: Organization, open_subject: Subjects) -> None:
    seen: list[str] = []
    with open_subject(org, prepare=lambda outgoing: seen.append(outgoing.method)) as subject:
        created = subject.do(lambda client: client.post(ACCOUNTS, json={"name": "a"}))
        assert subject.do(lambda client: client.verify(created.ledger_id)) == "present"
    assert seen == ["POST", "GET"]


def test_a_loss_of_data_puts_in_question_what_was_acknowledged_since(org: Organization, open_subject: Subjects) -> None:
    with open_subject(org) as subject:
        subject.do(lambda client: client.post(ACCOUNTS, json={"name": "a"}))
        (entry,) = ledger(subject)
        assert entry.ended is not None
        found = subject.call("suspect_since", entry.ended)
        assert found.acknowledged == 1
        assert found.on_record_since <= entry.ended
        assert [write.id for write in ledger(subject, suspects=True)] == [entry.id]
        assert subject.call("suspect_since", 0).on_record_since.timestamp() > 0
        naive = entry.ended.replace(tzinfo=None)
        for wrong in (time.time() + 3600, naive, float("nan")):
            with pytest.raises(d365_failover.InvalidArgumentError):
                subject.call("suspect_since", wrong)
        assert subject.do(lambda client: client.ledger_evicted) == 0


HOLDS = """
import sqlite3, sys
other = sqlite3.connect(sys.argv[1], isolation_level=None)
other.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
other.execute("COMMIT")
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that no client of this process has open."""
    made = tmp_path_factory.mktemp("made") / "store"
    program = f"import d365_failover as d; d.Client('https://contoso.crm.dynamics.com', store={str(made)!r}).close()"
    subprocess.run([sys.executable, "-c", program], check=True)
    return made


@contextlib.contextmanager
def held(store: Path | str) -> Iterator[Callable[[], None]]:
    """Another process holds a store, until it is let go. Of this process SQLite's locks would hold nothing: they are of
    processes."""
    command = [sys.executable, "-c", HOLDS, str(store)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline().split() == [b"held"]
        yield other.stdin.close


@pytest.mark.usefixtures("loops")
def test_a_loop_goes_on_while_its_clients_store_is_held_by_another(org: Organization, tmp_path: Path) -> None:
    store = tmp_path / "store"
    acts: list[Callable[[AsyncClient, int], Coroutine[Any, Any, object]]] = [
        lambda client, number: client.resolve(number, "lost"),
        lambda client, number: client.suspect_since(0),
    ]

    async def main() -> None:
        for act in acts:
            async with org.async_client(store=store, auto_switch=False) as client:
                org.fault("primary", "commit_then_close", method="POST", times=1)
                with pytest.raises(d365_failover.WriteInDoubtError) as caught:
                    await client.post(ACCOUNTS, json={"name": "in doubt"})
                assert caught.value.ledger_id is not None
                with held(store) as let_go:
                    waits = asyncio.ensure_future(act(client, caught.value.ledger_id))
                    # Let go only if the loop has its turn: else the store is given up, for whom it is held too long.
                    asyncio.get_running_loop().call_soon(let_go)
                    await waits
                listed = await client.ledger()
                assert [entry.id for entry in listed if entry.is_suspect] == [
                    entry.id for entry in await client.ledger(suspects=True)
                ]

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_mounts_wait_for_no_store(org: Organization, tmp_path: Path, store: Path) -> None:
    httpx = pytest.importorskip("httpx")
    from d365_failover.httpx import async_mounts

    mine = shutil.copy(store, tmp_path / "mine")

    async def main() -> None:
        with held(mine) as let_go:
            mounted = async_mounts(org.primary_url, **{**org.settings, "store": mine})
            asyncio.get_running_loop().call_soon(let_go)
            async with httpx.AsyncClient(mounts=mounted, trust_env=False) as client:
                assert (await client.get(f"{org.primary_url}{WHO_AM_I}")).status_code == 200

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


@pytest.mark.usefixtures("loops")
def test_a_loop_goes_on_while_a_client_is_opened_on_a_store_that_another_holds(
    org: Organization, tmp_path: Path, store: Path
) -> None:
    async def main() -> None:
        for is_wanted in (True, False):
            mine = shutil.copy(store, tmp_path / f"wanted {is_wanted}")
            with held(mine) as let_go:
                opening = asyncio.ensure_future(AsyncClient.open(org.primary_url, **{**org.settings, "store": mine}))
                asyncio.get_running_loop().call_soon(let_go)
                if is_wanted:
                    async with await opening as client:
                        assert (await client.post(ACCOUNTS, json={"name": "a"})).ledger_id == 1
                else:
                    await asyncio.sleep(0)
                    opening.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await opening
        with pytest.raises(d365_failover.InvalidUrlError):
            await AsyncClient.open("nonsense")

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


async def _enter(client: AsyncClient) -> None:
    async with client:
        assert client.is_primary


async def _send(client: AsyncClient) -> None:
    assert (await client.post(ACCOUNTS, json={"name": "a"}, timeout=PATIENCE)).ledger_id is not None


async def _listen(client: AsyncClient) -> None:
    heard: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    client.on_call_retried(print)
    assert client.off(print)
    client.on_endpoint_switched(heard.set_result)
    await asyncio.to_thread(lambda: client.active_url)
    # Another's switch: this one has sent nothing that would wait for it.
    await asyncio.to_thread(client._native.do, "switch_endpoint", ())
    await heard


@pytest.mark.usefixtures("loops")
@pytest.mark.parametrize(
    "use",
    [
        _enter,
        _send,
        _listen,
        lambda client: client.ledger(),
        lambda client: client.set_override(None),
        lambda client: client.verify_all().__anext__(),
    ],
    ids=["entered", "a call", "a handler", "the ledger", "an override", "a walk"],
)
def test_what_is_awaited_first_waits_for_a_store_that_another_holds(
    org: Organization, tmp_path: Path, store: Path, use: Callable[[AsyncClient], Coroutine[Any, Any, object]]
) -> None:
    async def main() -> None:
        for is_wanted in (True, False):
            mine = shutil.copy(store, tmp_path / f"wanted {is_wanted}")
            with held(mine) as let_go:
                client = AsyncClient(org.primary_url, **{**org.settings, "store": mine})
                assert repr(client) == "<AsyncClient opening>"
                using = asyncio.ensure_future(use(client))
                await asyncio.sleep(0)
                if not is_wanted:
                    using.cancel()
                let_go()
                with contextlib.suppress(StopAsyncIteration, asyncio.CancelledError):
                    await using
            await client.close()
            assert repr(client) == "<AsyncClient closed>"

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_a_close_waits_for_an_opening_no_longer_than_its_time(org: Organization, tmp_path: Path, store: Path) -> None:
    async def main() -> None:
        with held(store) as let_go:
            for timeout in (0, 0.1):
                client = AsyncClient(org.primary_url, **{**org.settings, "store": store})
                begin = time.monotonic()
                await client.close(timeout=timeout)
                # Another process holds it for longer, and it is waited for 5 s.
                assert time.monotonic() - begin < 4
            let_go()
        with pytest.raises(d365_failover.ClosedError):
            await client.get(WHO_AM_I)

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_a_store_that_cannot_be_opened_beside_a_loop(org: Organization, tmp_path: Path) -> None:
    async def main() -> None:
        client = AsyncClient(org.primary_url, **{**org.settings, "store": tmp_path / "none" / "store"})
        for tag in ("one", "two"):
            with pytest.raises(d365_failover.InvalidSettingError, match="its folder does not exist") as caught:
                await client.post(ACCOUNTS, json={}, tag=tag)
            assert (caught.value.effect, caught.value.tag) == ("not_executed", tag)
        for use in (client.ledger, client.__aenter__, client.switch_endpoint):
            with pytest.raises(d365_failover.InvalidSettingError):
                await use()
        with pytest.raises(d365_failover.InvalidSettingError):
            assert client.is_primary
        await client.close()
        assert repr(client) == "<AsyncClient closed>"
        with pytest.raises(d365_failover.UnknownSettingError):
            AsyncClient(org.primary_url, store=tmp_path / "store", nonsense=1)  # type: ignore[call-arg]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(asyncio.wait_for(main(), PATIENCE))
        gc.collect()


def test_the_log_tells_of_doubt_and_of_what_is_left_when_nobody_listens(
    org: Organization, open_subject: Subjects, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "d365_failover")
    with open_subject(org, auto_switch=False) as subject:
        number = post_in_doubt(org, subject)
        subject.do(lambda client: client.switch_endpoint())
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert any(f"the write {number} to" in text and "in doubt" in text for text in warnings), warnings
    assert any("1 writes in doubt and 0 that were acknowledged" in text for text in warnings), warnings
    assert any("closed with 1 writes" in text for text in warnings), warnings
    assert any(
        "switched from the primary" in record.getMessage() for record in caplog.records if record.levelname == "INFO"
    )
