"""Request bodies that are read while they are sent, by the client for asyncio."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import hashlib
import io
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import d365_failover
import pytest
from twin import BULK, WHO_AM_I, Organization

DATA = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(DATA).hexdigest()

pytestmark = pytest.mark.usefixtures("loops")


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 60))


def pieces(of: bytes = DATA, size: int = 50_000) -> Iterator[bytes]:
    for begin in range(0, len(of), size):
        yield of[begin : begin + size]


async def apieces(of: bytes = DATA, size: int = 50_000) -> AsyncIterator[bytes]:
    for piece in pieces(of, size):
        await asyncio.sleep(0)
        yield piece


CONTENTS: dict[str, Callable[[], Any]] = {
    "an asynchronous generator": apieces,
    "a function that gives one": lambda: apieces,
    "another function that gives one": lambda: lambda: apieces(DATA, 7_001),
    "a generator": pieces,
    "a file": lambda: io.BytesIO(DATA),
    "a function that opens a file": lambda: lambda: io.BytesIO(DATA),
    "a function that gives bytes": lambda: lambda: DATA,
}


@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS.keys())
def test_everything_that_gives_bytes_is_sent(
    organization: Callable[..., Organization], content: Any, http2: bool
) -> None:
    async def main() -> None:
        async with organization(http2=http2).async_client() as client:
            response = await client.put(BULK, content=content())
            assert response.json() == {"bytes": len(DATA), "sha256": SHA256}

    run(main())


@pytest.mark.parametrize("what", [name for name in CONTENTS if "function" in name or name == "a file"])
def test_what_can_be_read_again_is_sent_again_after_a_switch(org: Organization, what: str) -> None:
    org.fault("primary", "datacenter_not_available")

    async def main() -> None:
        async with org.async_client() as client:
            response = await client.put(BULK, content=CONTENTS[what](), operation="idempotent")
            assert response.switched
            assert response.json()["sha256"] == SHA256

    run(main())


def test_what_can_be_read_once_is_not_sent_again(org: Organization) -> None:
    org.fault("primary", "datacenter_not_available")

    async def main() -> None:
        async with org.async_client() as client:
            with pytest.raises(d365_failover.DatacenterNotAvailableError, match="only once"):
                await client.put(BULK, content=apieces(), operation="idempotent")

    run(main())
    assert org.counts("alternate")["received"] == 0


def test_a_function_that_gives_the_same_again_ends_the_call(org: Organization) -> None:
    org.fault("primary", "datacenter_not_available")
    given = apieces()

    async def main() -> None:
        async with org.async_client() as client:
            with pytest.raises(RuntimeError, match="the same iterator again"):
                await client.put(BULK, content=lambda: given, operation="idempotent")

    run(main())
    assert "PUT bulk" not in org.counts("alternate")["received_by"]


@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_generator_that_fails_ends_the_call_with_what_it_raised(org: Organization, asynchronous: bool) -> None:
    class OwnError(Exception):
        pass

    async def afailing() -> AsyncIterator[bytes]:
        yield DATA
        raise OwnError

    def failing() -> Iterator[bytes]:
        yield DATA
        raise OwnError

    async def main() -> None:
        async with org.async_client() as client:
            with pytest.raises(OwnError) as caught:
                await client.post(BULK, content=afailing() if asynchronous else failing())
            assert isinstance(caught.value.__cause__, d365_failover.WriteInDoubtError)
            assert isinstance(caught.value.__cause__.__cause__, d365_failover.LocalError)
            assert (await client.get(WHO_AM_I)).status_code == 200

    run(main())


def test_text_where_bytes_are_due(org: Organization) -> None:
    async def texts() -> AsyncIterator[str]:
        yield "text"

    async def main() -> None:
        async with org.async_client() as client:
            wrong: list[Any] = [texts(), io.StringIO("text"), ["text"]]
            for content in wrong:
                with pytest.raises(TypeError, match="bytes are due"):
                    await client.put(BULK, content=content)

    run(main())


def test_an_asynchronous_body_runs_in_the_task_that_sends(org: Organization) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    seen: list[Any] = []

    async def where() -> AsyncIterator[bytes]:
        seen.append((threading.current_thread(), asyncio.current_task(), variable.get()))
        yield b"x"

    def elsewhere() -> Iterator[bytes]:
        seen.append((threading.current_thread() is threading.main_thread(), variable.get()))
        yield b"x"

    async def main() -> None:
        async with org.async_client() as client:
            variable.set("value")
            await client.put(BULK, content=where())
            await client.put(BULK, content=elsewhere())
            assert seen == [(threading.current_thread(), asyncio.current_task(), "value"), (False, "value")]

    run(main())


def test_a_body_that_blocks_leaves_the_loop_to_others(org: Organization) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def slow() -> Iterator[bytes]:
        yield b"a"
        asked.set()
        assert go_on.wait(30)
        yield b"b"

    async def main() -> None:
        async with org.async_client() as client:
            upload = asyncio.create_task(client.put(BULK, content=slow()))
            while not asked.is_set():
                assert (await client.get(WHO_AM_I)).status_code == 200
            assert not upload.done()
            go_on.set()
            assert (await upload).json()["bytes"] == 2

    run(main())


def test_cancelling_the_task_cancels_the_upload_and_its_body(org: Organization) -> None:
    seen: list[Any] = []

    async def endless() -> AsyncIterator[bytes]:
        try:
            yield b"begun"
            reached.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        finally:
            seen.append("closed")

    async def main() -> None:
        async with org.async_client() as client:

            async def call() -> None:
                try:
                    await client.post(BULK, content=endless())
                except asyncio.CancelledError as cancelled:
                    seen.append(cancelled.__cause__)
                    raise

            task = asyncio.create_task(call())
            await reached.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            cancelled, closed, cause = seen
            assert (cancelled, closed) == ("cancelled", "closed")
            assert isinstance(cause, d365_failover.WriteInDoubtError)
            assert isinstance(cause.__cause__, d365_failover.CallCancelledError)
            assert cause.effect == "unknown"
            await asyncio.to_thread(org.wait, "primary", open_connections_at_most=0)
            assert (await client.get(WHO_AM_I)).status_code == 200

    reached = asyncio.Event()
    run(main())


def test_cancelling_an_upload_whose_body_blocks_a_thread(org: Organization) -> None:
    asked, go_on, closed = threading.Event(), threading.Event(), threading.Event()

    def stuck() -> Iterator[bytes]:
        try:
            yield b"a"
            asked.set()
            assert go_on.wait(30)
            yield b"b"
        finally:
            closed.set()

    async def main() -> None:
        async with org.async_client() as client:
            task = asyncio.create_task(client.post(BULK, content=stuck()))
            await asyncio.to_thread(asked.wait, 30)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            assert isinstance(caught.value.__cause__, d365_failover.WriteInDoubtError)
            assert isinstance(caught.value.__cause__.__cause__, d365_failover.CallCancelledError)
            assert not closed.is_set()
            go_on.set()
            assert await asyncio.to_thread(closed.wait, 30)

    run(main())


def test_a_second_cancellation_leaves_at_once(org: Organization) -> None:
    org.fault("primary", "accept_never_answer")
    causes: list[BaseException | None] = []

    async def main() -> None:
        async with org.async_client() as client:

            async def call() -> None:
                try:
                    await client.post(BULK, content=apieces(), tag="upload 3")
                except asyncio.CancelledError as cancelled:
                    causes.append(cancelled.__cause__)
                    raise

            task = asyncio.create_task(call())
            await asyncio.to_thread(org.wait, "primary", in_flight_at_least=1)
            task.cancel()
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            (cause,) = causes
            assert isinstance(cause, d365_failover.WriteInDoubtError)
            assert isinstance(cause.__cause__, d365_failover.CallCancelledError)
            assert (cause.effect, cause.tag) == ("unknown", "upload 3")

    run(main())


def test_a_loop_that_ends_in_the_middle_of_an_upload(org: Organization) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"begun"
        await asyncio.Event().wait()
        yield b"never"

    client = org.async_client()
    begun: list[asyncio.Task[Any]] = []

    async def leave() -> None:
        begun.append(asyncio.create_task(client.post(BULK, content=endless())))
        await asyncio.to_thread(org.wait, "primary", connections_at_least=1)

    run(leave())
    assert begun[0].cancelled()

    async def again() -> None:
        assert (await client.put(BULK, content=apieces())).json()["sha256"] == SHA256
        await client.close()

    run(again())


def test_a_loop_that_stops_for_ever_in_the_middle_of_an_upload(org: Organization) -> None:
    asked = threading.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"begun"
        asked.set()
        await asyncio.Event().wait()
        yield b"never"

    loop = asyncio.new_event_loop()
    client = org.async_client()
    task = loop.create_task(client.post(BULK, content=endless()))
    while not asked.is_set():
        loop.run_until_complete(asyncio.sleep(0.01))
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    del task
    client._abandon()
    gc.collect()
    org.wait("primary", open_connections_at_most=0)


def test_close_ends_uploads(org: Organization) -> None:
    asked = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"begun"
        asked.set()
        await asyncio.Event().wait()
        yield b"never"

    async def main() -> None:
        client = org.async_client()
        task = asyncio.create_task(client.post(BULK, content=endless()))
        await asked.wait()
        await client.close(timeout=0)
        with pytest.raises(d365_failover.WriteInDoubtError) as caught:
            await task
        assert isinstance(caught.value.__cause__, d365_failover.CallCancelledError)

    run(main())


def test_close_waits_for_uploads(org: Organization) -> None:
    async def main() -> None:
        client = org.async_client()
        begun = asyncio.Event()

        async def body() -> AsyncIterator[bytes]:
            begun.set()
            yield b"a"
            await asyncio.sleep(0.2)
            yield b"b"

        task = asyncio.create_task(client.put(BULK, content=body()))
        await begun.wait()
        await client.close(timeout=30)
        assert (await task).json()["bytes"] == 2

    run(main())


def test_many_uploads_at_once(org: Organization) -> None:
    async def main() -> None:
        async with org.async_client() as client:
            uploads = [client.put(BULK, content=apieces(DATA[n:], 10_007)) for n in range(20)]
            uploads += [client.put(BULK, content=pieces(DATA[n:], 10_007)) for n in range(20)]
            for number, response in enumerate(await asyncio.gather(*uploads)):
                assert response.json()["sha256"] == hashlib.sha256(DATA[number % 20 :]).hexdigest()

    run(main())


def test_uploads_share_a_bounded_number_of_threads(org: Organization) -> None:
    def threads() -> int:
        return len(os.listdir("/proc/self/task"))

    async def main() -> None:
        go, full = asyncio.Event(), asyncio.Event()
        begun = 0

        async def body() -> AsyncIterator[bytes]:
            nonlocal begun
            begun += 1
            if begun == 64:
                full.set()
            await go.wait()
            yield b"{}"

        async with org.async_client() as client:
            before = threads()
            uploads = [asyncio.ensure_future(client.put(BULK, content=body())) for _ in range(1000)]
            await full.wait()
            assert threads() - before <= 64 + 16
            # All threads are taken: what waits for one can end all the same.
            cancelled = asyncio.ensure_future(client.put(BULK, content=body(), tag="waits"))
            await asyncio.sleep(0)
            cancelled.cancel()
            with pytest.raises(asyncio.CancelledError) as ended:
                await cancelled
            assert isinstance(ended.value.__cause__, d365_failover.CallCancelledError)
            assert (ended.value.__cause__.effect, ended.value.__cause__.tag) == ("not_executed", "waits")
            with pytest.raises(d365_failover.CallTimeoutError) as late:
                await client.put(BULK, content=body(), timeout=0.2, tag="waits")
            assert (late.value.effect, late.value.tag) == ("not_executed", "waits")
            assert (await client.get(WHO_AM_I)).status_code == 200
            assert begun == 64
            go.set()
            for response in await asyncio.gather(*uploads):
                assert response.json()["bytes"] == 2
            assert begun == 1000

    run(main())


def test_hooks_and_bodies_that_call_the_client_do_not_wait_for_each_other(org: Organization) -> None:
    async def main() -> None:
        async def hook(outgoing: d365_failover.Outgoing) -> None:
            if "WhoAmI" in outgoing.url:
                await client.get("/api/data/v9.2/accounts")

        async with org.async_client(prepare=hook) as client:
            for response in await asyncio.gather(*(client.get(WHO_AM_I) for _ in range(100))):
                assert response.status_code == 200

    run(main())


def test_a_body_may_call_the_client(org: Organization) -> None:
    async def main() -> None:
        async with org.async_client() as client:

            async def curious() -> AsyncIterator[bytes]:
                yield (await client.get(WHO_AM_I)).content
                yield (await client.put(BULK, content=apieces())).content

            assert (await client.put(BULK, content=curious())).json()["bytes"] > 0

    run(main())
