"""Responses that are read by and by, by the client for asyncio."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import d365_failover
import pytest
from d365_failover import _async_calls
from twin import ACCOUNTS, BULK, WHO_AM_I, Organization

SIZE = 1_000_003
BATCH = "/api/data/v9.2/$batch"

pytestmark = pytest.mark.usefixtures("loops")


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 60))


@pytest.mark.parametrize("http2", [False, True])
def test_a_body_comes_in_pieces(organization: Callable[..., Organization], http2: bool) -> None:
    async def main() -> None:
        async with organization(http2=http2).async_client() as client:
            digest = (await client.get(f"{BULK}/{SIZE}/digest")).json()["sha256"]
            async with client.stream("GET", f"{BULK}/{SIZE}") as response:
                assert response.status_code == 200
                pieces = [piece async for piece in response.aiter_bytes()]
                assert response.is_closed
            assert len(pieces) > 1
            assert hashlib.sha256(b"".join(pieces)).hexdigest() == digest
            async with client.stream("GET", f"{BULK}/100000") as response:
                sizes = [len(chunk) async for chunk in response.aiter_bytes(30_000)]
            assert sizes == [30_000, 30_000, 30_000, 10_000]

    run(main())


def test_read_makes_it_an_ordinary_response(org: Organization) -> None:
    async def main() -> None:
        async with org.async_client() as client:
            async with client.stream("GET", WHO_AM_I) as response:
                with pytest.raises(d365_failover.ResponseNotReadError):
                    _ = response.content
                assert await response.aread() == response.content == await response.aread()
                assert [piece async for piece in response.aiter_bytes()] == [response.content]
            assert response.json()["UserId"]

    run(main())


def test_reading_twice_and_after_close(org: Organization) -> None:
    async def main() -> None:
        async with org.async_client() as client:
            async with client.stream("GET", f"{BULK}/100000") as response:
                async for _ in response.aiter_bytes():
                    pass
                with pytest.raises(d365_failover.StreamConsumedError):
                    await response.aread()
            async with client.stream("GET", f"{BULK}/100000") as response:
                await response.aclose()
                with pytest.raises(d365_failover.StreamClosedError):
                    await response.aread()

    run(main())


def test_leaving_the_block_early_closes_the_connection(org: Organization) -> None:
    org.fault("primary", "stall_body")

    async def main() -> None:
        async with org.async_client() as client:
            async with client.stream("GET", f"{BULK}/{SIZE}") as response:
                async for _ in response.aiter_bytes():
                    break
            await asyncio.to_thread(org.wait, "primary", open_connections_at_most=0)

    run(main())


def test_a_body_that_breaks_off(org: Organization) -> None:
    org.fault("primary", "cut_body")

    async def main() -> None:
        async with org.async_client() as client, client.stream("GET", f"{BULK}/{SIZE}") as response:
            with pytest.raises(d365_failover.ConnectionLostError) as caught:
                await response.aread()
            assert [attempt.phase for attempt in caught.value.attempts] == ["responded"]

    run(main())


def test_a_body_that_stalls_is_a_timeout(org: Organization) -> None:
    org.fault("primary", "stall_body")

    async def main() -> None:
        async with (
            org.async_client(attempt_timeout=2) as client,
            client.stream("GET", f"{BULK}/{SIZE}") as response,
        ):
            with pytest.raises(d365_failover.CallTimeoutError):
                await response.aread()

    run(main())


def test_a_read_waits_for_the_request_s_read_timeout(org: Organization) -> None:
    org.fault("primary", "stall_body")

    async def main() -> None:
        async with (
            org.async_client() as client,
            client.stream("GET", f"{BULK}/{SIZE}", read_timeout=2) as response,
        ):
            with pytest.raises(d365_failover.CallTimeoutError):
                await response.aread()

    run(main())


def test_cancelling_a_read_closes_the_response(org: Organization) -> None:
    org.fault("primary", "stall_body", path=BULK)

    async def main() -> None:
        half = asyncio.Event()
        async with org.async_client() as client:

            async def download() -> None:
                async with client.stream("GET", f"{BULK}/{SIZE}") as response:
                    try:
                        async for _ in response.aiter_bytes():
                            half.set()
                    except asyncio.CancelledError:
                        assert response.is_closed
                        with pytest.raises(d365_failover.StreamConsumedError):
                            await response.aread()
                        raise

            task = asyncio.create_task(download())
            await half.wait()
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.to_thread(org.wait, "primary", open_connections_at_most=0)
            assert (await client.get(WHO_AM_I)).status_code == 200

    run(main())


@pytest.mark.parametrize("end", ["cancel", "close_response", "close_client", "give_up"])
def test_what_is_known_of_a_batch_whose_reading_is_ended(
    org: Organization, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = f"POST {ACCOUNTS} HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{{}}"
    batch = f"--b\r\nContent-Type: application/http\r\n\r\n{part}\r\n--b--\r\n"
    headers = {"Content-Type": "multipart/mixed; boundary=b"}
    org.fault("primary", "stall_body")

    async def main() -> None:
        half = asyncio.Event()
        client = org.async_client()
        call = client.stream("POST", BATCH, headers=headers, content=batch.encode(), tag="batch 7")
        async with call as response:

            async def read() -> None:
                async for _ in response.aiter_bytes():
                    half.set()

            task = asyncio.create_task(read())
            await half.wait()
            await asyncio.sleep(0)
            if end == "cancel":
                task.cancel()
            elif end == "close_response":
                await response.aclose()
            else:
                if end == "give_up":
                    monkeypatch.setattr(client, "_drain", lambda _: None)
                    monkeypatch.setattr(_async_calls, "_GRACE", 0.01)
                await client.close(timeout=0)
            with pytest.raises((asyncio.CancelledError, d365_failover.FailoverError)) as caught:
                await task
            error = d365_failover.error_of(caught.value)
            assert isinstance(error, d365_failover.WriteInDoubtError)
            assert (error.effect, error.tag, error.ledger_id) == ("unknown", "batch 7", response.ledger_id)
            assert error.ledger_id is not None
            assert len(error.attempts) == 1
        await client.close()

    run(main())


def test_a_timeout_of_asyncio_in_a_read(org: Organization) -> None:
    org.fault("primary", "stall_body", path=BULK)

    async def main() -> None:
        async with org.async_client() as client:
            async with client.stream("GET", f"{BULK}/{SIZE}") as response:
                with pytest.raises((TimeoutError, asyncio.TimeoutError)):
                    await asyncio.wait_for(response.aread(), 0.3)
            await asyncio.to_thread(org.wait, "primary", open_connections_at_most=0)

    run(main())


def test_close_ends_a_read(org: Organization) -> None:
    org.fault("primary", "stall_body")

    async def main() -> None:
        half = asyncio.Event()
        client = org.async_client()

        async def download() -> None:
            async with client.stream("GET", f"{BULK}/{SIZE}") as response:
                async for _ in response.aiter_bytes():
                    half.set()

        task = asyncio.create_task(download())
        await half.wait()
        await client.close(timeout=0)
        with pytest.raises((d365_failover.CallCancelledError, d365_failover.ClosedError)):
            await task

    run(main())


def test_many_downloads_at_once(org: Organization) -> None:
    async def main() -> None:
        async with org.async_client() as client:

            async def download() -> int:
                async with client.stream("GET", f"{BULK}/{SIZE}") as response:
                    return sum([len(piece) async for piece in response.aiter_bytes()])

            assert set(await asyncio.gather(*(download() for _ in range(50)))) == {SIZE}

    run(main())


def test_lines(org: Organization) -> None:
    org.fault("primary", "status", status=200, body="one\ntwo\r\n")

    async def main() -> None:
        async with org.async_client() as client, client.stream("GET", "/x") as response:
            assert [line async for line in response.aiter_lines()] == ["one", "two"]

    run(main())


def test_what_is_downloaded_is_uploaded(org: Organization) -> None:
    async def main() -> None:
        async with org.async_client() as client, client.stream("GET", f"{BULK}/{SIZE}") as response:

            async def through() -> AsyncIterator[bytes]:
                async for piece in response.aiter_bytes():
                    yield piece

            answer = (await client.put(BULK, content=through())).json()
            assert answer == (await client.get(f"{BULK}/{SIZE}/digest")).json()

    run(main())
