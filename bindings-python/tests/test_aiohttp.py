"""What the session for aiohttp does beside what aiohttp's own does, and Microsoft's client over both."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import d365_failover
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp_side import AiohttpSide
from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential
from d365_failover._dataverse_async import async_client
from d365_failover.aiohttp import FailoverSession
from parity import Peer
from PowerPlatform.Dataverse.aio import AsyncDataverseClient
from PowerPlatform.Dataverse.core.errors import HttpError
from twin import ACCOUNTS, BULK, WHO_AM_I, Organization, Twin


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.stop()


@pytest.fixture
def side(peer: Peer) -> Iterator[AiohttpSide]:
    side = AiohttpSide(peer, ours=True)
    yield side
    side.end()


def sent(side: AiohttpSide) -> list[str]:
    """What came that is no probe."""
    return [asked.target for asked in side.peer.asked if asked.target != WHO_AM_I]


async def body(response: aiohttp.ClientResponse) -> bytes:
    return await response.read()


@pytest.mark.parametrize(
    ("method", "path", "total"),
    [
        *((method, "/close", None) for method in ("POST", "PATCH", "PUT", "DELETE")),
        ("POST", "/reset", None),
        ("POST", "/half-head", None),
        ("POST", "/silent", 1.5),
    ],
)
def test_a_write_in_doubt_is_no_error_of_aiohttp(
    side: AiohttpSide, method: str, path: str, total: float | None
) -> None:
    with pytest.raises(d365_failover.WriteInDoubtError) as raised:
        side.do(method, path, body, data=b"x", timeout=aiohttp.ClientTimeout(total=total))
    assert raised.value.ledger_id is not None
    assert not isinstance(raised.value, (aiohttp.ClientError, OSError, asyncio.TimeoutError))
    side.peer.wait()
    assert len(sent(side)) == 1


@pytest.mark.parametrize("path", ["/cut", "/cut-chunk", "/reset-in-body", "/silent-in-body", "/broken-gzip-of-a-write"])
def test_an_executed_write_whose_answer_breaks_off_is_no_error_of_aiohttp(side: AiohttpSide, path: str) -> None:
    with pytest.raises(d365_failover.FailoverError) as raised:
        side.do("POST", path, body, data=b"x", timeout=aiohttp.ClientTimeout(total=2))
    assert raised.value.effect == "executed"
    assert not isinstance(raised.value, (aiohttp.ClientError, OSError, asyncio.TimeoutError))


def test_a_status_that_leaves_a_write_in_doubt(side: AiohttpSide) -> None:
    session = side.open(raise_for_status=True)
    with pytest.raises(d365_failover.WriteInDoubtError) as raised:
        side.do("POST", "/500", body, session=session)
    assert isinstance(raised.value.__cause__, aiohttp.ClientResponseError)
    with pytest.raises(aiohttp.ClientResponseError):
        side.do("POST", "/400", body, session=session)
    side.close(session)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_aiohttp_sends_nothing_again_itself(side: AiohttpSide, method: str) -> None:
    with pytest.raises((aiohttp.ClientError, d365_failover.WriteInDoubtError)) as raised:
        side.do(method, "/close", body)
    error = d365_failover.error_of(raised.value)
    assert error is not None
    assert error.cause == "closed"
    assert len(sent(side)) == 1


def test_options_are_headers(side: AiohttpSide) -> None:
    async def known(response: aiohttp.ClientResponse) -> tuple[str, str | None, int | None]:
        failover = getattr(response, "failover")  # noqa: B009
        assert isinstance(failover, d365_failover.Response)
        return failover.effect, failover.tag, failover.ledger_id

    headers = {"D365-Failover-Operation": "read", "D365-Failover-Tag": "nightly"}
    assert side.do("POST", "/json", known, headers=headers) == ("none", "nightly", None)
    assert not [name for name, _ in side.peer.asked[0].headers if name.lower().startswith("d365")]


def test_what_is_the_connectors_is_refused(side: AiohttpSide) -> None:
    refused: list[dict[str, Any]] = [{"ssl": False}, {"proxy": "http://127.0.0.1:1"}, {"compress": True, "data": b"x"}]
    for keywords in refused:
        with pytest.raises(ValueError, match="settings of the client"):
            side.do("POST", "/json", body, **keywords)
    with pytest.raises(aiohttp.InvalidURL, match="allowed_hosts"):
        side.do("GET", "/json", body, base="http://other.example")
    with pytest.raises(ValueError, match="Host"):
        side.do("GET", "/json", body, headers={"Host": "other.example"})
    with pytest.raises(ValueError, match="web sockets"):
        side.run(side.session.ws_connect(side.base + "/json"))
    with pytest.raises(ValueError, match="setting of the client"):
        side.open(proxy="http://127.0.0.1:1")


@pytest.mark.parametrize("settings", [{}, {"proxy": None}])
def test_the_environment_s_proxy_is_for_who_trusts_it(
    peer: Peer, twin: Twin, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    proxy = twin.proxy()
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.delenv("no_proxy", raising=False)
    side = AiohttpSide(peer, ours=True, connect_to=None, max_attempts=1, **settings)
    session = side.open(trust_env=True)
    with contextlib.suppress(aiohttp.ClientError):  # nobody knows the host
        side.do("GET", "/json", body, session=session)
    side.close(session)
    assert bool(proxy.journal()) is not bool(settings)
    side.end()


def test_a_call_that_waits_in_vain_for_an_endpoint_is_not_connected(org: Organization) -> None:
    for role in ("primary", "alternate"):
        org.fault(role, "refuse")

    async def work() -> None:
        began = asyncio.Event()
        settings: dict[str, Any] = {**org.settings, "preset": "safe", "outage_wait": 3}
        async with FailoverSession(org.primary_url, **settings) as session:
            session.client.on_outage_started(lambda _: began.set())
            calls = [asyncio.ensure_future(session.get(org.primary_url + WHO_AM_I))]
            await asyncio.wait_for(began.wait(), 60)
            calls += [asyncio.ensure_future(session.get(org.primary_url + WHO_AM_I)) for _ in range(3)]
            errors: list[Any] = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(error) for error in errors] == [aiohttp.ClientConnectorError] * 4
        assert any(error.__cause__.attempts == () for error in errors), "one has none of its own"

    asyncio.run(work())


def test_what_is_not_made_leaves_nothing_open(peer: Peer) -> None:
    # What is left open warns when it goes, and a warning is an error here.
    with pytest.raises(RuntimeError, match="no running event loop"):
        FailoverSession(peer.url, **peer.settings)

    async def work() -> None:
        with pytest.raises(TypeError, match="nonsense"):
            FailoverSession(peer.url, session={"nonsense": 1}, **peer.settings)
        with pytest.raises(TypeError, match="nonsense"):
            FailoverSession(peer.url, nonsense=1, **peer.settings)  # type: ignore[call-arg]

    asyncio.run(work())
    gc.collect()


def test_a_client_that_is_closed_meanwhile(side: AiohttpSide) -> None:
    async def work() -> None:
        call = asyncio.ensure_future(side.session.get(side.base + "/silent"))
        await asyncio.to_thread(side.peer.wait)
        await side.session.client.close(timeout=0)
        with pytest.raises(aiohttp.ClientConnectionError) as raised:
            await call
        assert isinstance(raised.value.__cause__, d365_failover.CallCancelledError)

    side.run(work())


def test_a_cancelled_task_tells_of_its_write(side: AiohttpSide) -> None:
    async def work() -> None:
        task = asyncio.ensure_future(side.session.post(side.base + "/silent", data=b"x"))
        await asyncio.to_thread(side.peer.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as raised:
            await task
        error = d365_failover.error_of(raised.value)
        assert error is not None
        assert (error.effect, error.ledger_id is not None) == ("unknown", True)

    side.run(work())


def over(org: Organization, work: Callable[[Any], Awaitable[Any]], **settings: Any) -> Any:
    async def run() -> Any:
        async with FailoverSession(org.primary_url, **{**org.settings, **settings}) as session:
            return await work(session)

    return asyncio.run(run())


def test_a_call_goes_on_at_the_alternate(org: Organization) -> None:
    org.fault("primary", "refuse")

    async def work(session: Any) -> None:
        async with session.get(org.primary_url + WHO_AM_I) as response:
            assert (response.status, str(response.url)) == (200, org.primary_url + WHO_AM_I)
            failover = getattr(response, "failover")  # noqa: B009
            assert failover.switched
            assert failover.url.startswith(org.alternate_url)
            assert "UserId" in await response.json()
        async with session.post(org.alternate_url + ACCOUNTS, json={"name": "a"}) as response:
            assert response.status == 204
        assert [entry.effect for entry in await session.client.ledger()] == ["executed"]

    over(org, work)
    assert len(org.rows()) == 1


class Pipe(io.RawIOBase):
    def __init__(self, content: bytes) -> None:
        self._rest = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._rest.readinto(buffer)


@pytest.mark.parametrize(("kind", "status", "told"), [(io.BytesIO, 200, "100000"), (Pipe, 503, "8004b065")])
def test_a_file_is_sent_again_if_it_can_be(
    org: Organization, kind: Callable[[bytes], Any], status: int, told: str
) -> None:
    org.fault("primary", "datacenter_not_available", path=BULK)

    async def work(session: Any) -> Any:
        async with session.put(org.primary_url + BULK, data=kind(b"x" * 100_000)) as response:
            return response.status, (await response.text()).lower()

    answered, said = over(org, work)
    assert (answered, told in said) == (status, True), said


class Credential(AsyncTokenCredential):
    """Says for which endpoint it gave a token."""

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        return AccessToken("twin-token-for-" + scopes[0].partition("://")[2].partition("/")[0], 2**31)

    async def close(self) -> None: ...
    async def __aexit__(self, *_: object) -> None: ...


class Here(AbstractResolver):
    """Names of the twin's."""

    def __init__(self, org: Organization) -> None:
        self._to = {origin.rpartition(":")[0]: int(to.rpartition(":")[2]) for origin, to in org.connect_to.items()}

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[ResolveResult]:
        place: ResolveResult = {
            "hostname": host,
            "host": "127.0.0.1",
            "port": self._to[host],
            "family": socket.AF_INET,
            "proto": 0,
            "flags": 0,
        }
        return [place]

    async def close(self) -> None: ...


def knowing(client: AsyncDataverseClient) -> AsyncDataverseClient:
    """Without metadata, which the twin has none of."""
    odata = client._get_odata()
    odata._logical_to_entityset_cache["account"] = "accounts"
    odata._logical_primaryid_cache["account"] = "accountid"
    return client


def microsofts(org: Organization, work: Callable[[AsyncDataverseClient], Awaitable[Any]], *, ours: bool) -> Any:
    async def run() -> Any:
        if ours:
            client = async_client(org.primary_url, Credential(), None, **{**org.settings, "preset": "safe"})
        else:
            client = AsyncDataverseClient(org.primary_url, Credential())
            context = ssl.create_default_context(cafile=org.settings["ca_bundle"])
            client._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=Here(org), ssl=context))
        async with client:
            return await work(knowing(client))

    return asyncio.run(run())


async def create(client: AsyncDataverseClient) -> Any:
    return await client.records.create("account", {"numberofemployees": 7})


def test_microsofts_client_makes_one_row_of_one_create(org: Organization) -> None:
    """Where the service commits and the answer is lost: five with its own transport."""
    org.fault("primary", "commit_then_close", path=ACCOUNTS)
    with pytest.raises(aiohttp.ClientError):
        microsofts(org, create, ours=False)
    assert len(org.rows()) == 5
    with pytest.raises(d365_failover.WriteInDoubtError) as raised:
        microsofts(org, create, ours=True)
    assert raised.value.ledger_id is not None
    assert len(org.rows()) == 6


def test_microsofts_client_goes_on_at_the_alternate(replicated: Organization) -> None:
    async def work(client: AsyncDataverseClient) -> Any:
        row = await create(client)
        replicated.fault("primary", "datacenter_not_available")
        await client.records.update("account", row, {"numberofemployees": 9})
        found = await client.records.retrieve("account", row)
        await client.records.delete("account", row)
        return found

    assert microsofts(replicated, work, ours=True)["numberofemployees"] == 9
    tokens = {(entry["side"], entry["token_for"]) for entry in replicated.journal() if entry["token_for"] is not None}
    assert tokens == {("primary", replicated.primary_url[8:]), ("alternate", replicated.alternate_url[8:])}


@pytest.fixture
def replicated(org: Organization) -> Organization:
    org._twin.ask("POST", "/replication", {"org": org.name, "mode": "lag", "lag_ms": 0})
    return org


def test_microsofts_pages_go_on_at_the_alternate(replicated: Organization) -> None:
    async def work(client: AsyncDataverseClient) -> Any:
        for number in range(10):
            await client.records.create("account", {"numberofemployees": number})
        seen: list[Any] = []
        async for page in client.records.list_pages("account", select=["numberofemployees"], page_size=3):
            if not seen:
                replicated.fault("primary", "datacenter_not_available")
            seen += [row["numberofemployees"] for row in page]
        return sorted(seen)

    assert microsofts(replicated, work, ours=True) == list(range(10))


def test_microsofts_batch_goes_to_the_alternate(replicated: Organization) -> None:
    replicated.fault("primary", "refuse")

    async def work(client: AsyncDataverseClient) -> Any:
        batch = client.batch.new()
        batch.records.create("account", {"numberofemployees": 1})
        batch.records.create("account", {"numberofemployees": 2})
        return [part.is_success for part in (await batch.execute()).responses]

    assert microsofts(replicated, work, ours=True) == [True, True]
    assert len(replicated.rows()) == 2


@pytest.mark.parametrize(("status", "raises"), [(500, True), (504, True), (403, False), (412, False)])
def test_a_status_that_leaves_microsofts_create_in_doubt_says_so(
    replicated: Organization, status: int, raises: bool
) -> None:
    replicated.fault("primary", "status", status=status, method="POST")
    with pytest.raises(d365_failover.WriteInDoubtError if raises else HttpError) as raised:
        microsofts(replicated, create, ours=True)
    assert isinstance(raised.value, HttpError) is not raises


@pytest.mark.filterwarnings("ignore:Sending a large body")
def test_microsofts_upload_in_chunks_says_why_it_does_not_cross(replicated: Organization, tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"x" * (5 << 20))

    async def work(client: AsyncDataverseClient) -> Any:
        row = await create(client)
        odata: Any = client._get_odata()
        odata._get_entity_by_table_schema_name = nothing
        # The PATCH that begins the upload passes, and no chunk.
        replicated.fault("primary", "datacenter_not_available", method="PATCH", skip=1)
        with pytest.raises(HttpError, match="token is none of this server's"):
            await client.files.upload("account", row, "document", str(path), mode="chunk", if_none_match=False)
        await client.files.upload("account", row, "document", str(path), mode="chunk", if_none_match=False)
        return row

    async def nothing(*_: Any, **__: Any) -> None: ...

    row = microsofts(replicated, work, ours=True)
    with replicated.client(token_provider=lambda url: f"twin-token-for-{url.partition('://')[2]}") as client:
        client.switch_endpoint()
        assert len(client.get(f"{ACCOUNTS}({row})/document/$value").content) == 5 << 20
