"""azure-core's pipelines over its own transports and over ours."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import d365_failover
import pytest
from azure.core import exceptions
from azure.core.pipeline import AsyncPipeline, Pipeline
from azure.core.pipeline.policies import AsyncRetryPolicy, RetryPolicy
from azure.core.pipeline.transport import AioHttpTransport, HttpRequest, RequestsTransport
from azure.core.rest import HttpRequest as RestRequest
from d365_failover.azure import AsyncFailoverTransport, FailoverTransport
from parity import Peer
from twin import ACCOUNTS, WHO_AM_I, Organization, Twin


class Piped:
    """A pipeline with azure-core's retries, blocking or not, over its transport or ours."""

    def __init__(self, peer: Peer, *, awaits: bool, ours: bool, rest: bool = False, **more: Any) -> None:
        self.peer = peer
        self._settings = {**peer.settings, **more}
        self._awaits, self._ours, self._rest = awaits, ours, rest
        self.base = peer.url if ours else peer.stock_url

    def request(self, method: str, path: str, content: bytes | None = None, headers: Any = None) -> Any:
        url = self.base + path
        if self._rest:
            return RestRequest(method, url, content=content, headers=headers)
        request = HttpRequest(method, url, headers=headers)
        if content is not None:
            request.set_bytes_body(content)
        return request

    def send(self, request: Any, read: Callable[[Any], Any], **options: Any) -> Any:
        """What `read` makes of the response."""
        if self._awaits:
            return asyncio.run(self._send(request, read, options))
        transport = FailoverTransport(self.base, **self._settings) if self._ours else RequestsTransport()
        with Pipeline[Any, Any](transport, [RetryPolicy(retry_backoff_factor=0)]) as pipeline:
            return read(pipeline.run(request, **options).http_response)

    async def _send(self, request: Any, read: Callable[[Any], Any], options: Any) -> Any:
        transport: Any = AsyncFailoverTransport(self.base, **self._settings) if self._ours else AioHttpTransport()
        async with AsyncPipeline[Any, Any](transport, [AsyncRetryPolicy(retry_backoff_factor=0)]) as pipeline:
            response = (await pipeline.run(request, **options)).http_response
            if options.get("stream"):
                given = response.iter_bytes() if self._rest else response.stream_download(pipeline)
                return b"".join([piece async for piece in given])
            return read(response)


def seen(response: Any) -> Any:
    body = response.content if isinstance(getattr(response, "content", None), bytes) else response.body()
    return (
        response.status_code,
        response.reason,
        {name.lower(): value for name, value in response.headers.items()},
        response.content_type,
        body,
        response.text() if body and b"\xf6" not in body else None,
    )


def echo(response: Any) -> Any:
    told = json.loads(response.text())
    told["headers"] = sorted([name.lower(), value] for name, value in told["headers"] if name.lower() != "connection")
    return told


@dataclass(frozen=True)
class Point:
    name: str
    work: Callable[[Piped], Any]


def get(path: str) -> Point:
    def work(side: Piped) -> Any:
        try:
            return side.send(side.request("GET", path), seen, retry_total=0)
        except Exception as error:  # azure-core lets some of others' pass
            return type(error).__name__

    return Point(f"GET {path}", work)


def streamed(path: str) -> Callable[[Piped], Any]:
    def read(response: Any) -> bytes:
        given = response.iter_bytes() if hasattr(response, "iter_bytes") else response.stream_download(None)
        return b"".join(given)

    return lambda side: side.send(side.request("GET", path), read, stream=True)


POINTS = [
    *map(get, ("/json", "/text", "/latin", "/no-type", "/empty", "/chunked", "/gzip", "/deflate", "/201", "/204")),
    *map(get, ("/304", "/400", "/401", "/403", "/404", "/410", "/412", "/429", "/500", "/502", "/503", "/504")),
    *map(get, ("/html", "/own-reason", "/duplicates", "/302", "/until-close", "/close", "/reset", "/cut")),
    Point("POST", lambda side: side.send(side.request("POST", "/echo", b"abc"), echo)),
    Point("PUT", lambda side: side.send(side.request("PUT", "/echo", b"abc" * 100_000), echo)),
    Point("headers", lambda side: side.send(side.request("GET", "/echo", headers={"X-A": "1"}), echo)),
    Point("a streamed answer", streamed("/large?3000000")),
    Point("a streamed answer that is decoded", streamed("/gzip")),
]


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.stop()


KINDS = pytest.mark.parametrize(
    ("awaits", "rest"),
    [(awaits, rest) for awaits in (False, True) for rest in (False, True)],
    ids=["blocking", "blocking rest", "asyncio", "asyncio rest"],
)


@KINDS
@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)
def test_both_are_alike(peer: Peer, point: Point, awaits: bool, rest: bool) -> None:
    stock, ours = (point.work(Piped(peer, awaits=awaits, ours=ours, rest=rest)) for ours in (False, True))
    assert ours == stock


def posts(peer: Peer, path: str) -> int:
    return len([asked for asked in peer.asked if asked.target == path])


@KINDS
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/500"), ("POST", "/503"), ("PUT", "/504"), ("DELETE", "/close")]
)
def test_the_retry_policy_doubles_no_write_in_doubt(awaits: bool, rest: bool, method: str, path: str) -> None:
    peer = Peer()
    stock = Piped(peer, awaits=awaits, ours=False, rest=rest)
    try:
        stock.send(stock.request(method, path), seen)
    except exceptions.AzureError:
        assert path == "/close"
    doubled = posts(peer, path)
    assert doubled > 1, "azure-core sends it once by now"
    ours = Piped(peer, awaits=awaits, ours=True, rest=rest)
    with pytest.raises(d365_failover.WriteInDoubtError) as raised:
        ours.send(ours.request(method, path), seen)
    assert posts(peer, path) == doubled + 1
    assert raised.value.ledger_id is not None
    assert not isinstance(raised.value, exceptions.AzureError)
    peer.stop()


@pytest.mark.parametrize("awaits", [False, True])
def test_the_environment_s_proxy_counts(peer: Peer, twin: Twin, monkeypatch: pytest.MonkeyPatch, awaits: bool) -> None:
    proxy = twin.proxy()
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.delenv("no_proxy", raising=False)
    side = Piped(peer, awaits=awaits, ours=True, rest=True, connect_to=None)
    with contextlib.suppress(exceptions.AzureError):  # nobody knows the host
        side.send(side.request("GET", "/json"), seen, retry_total=0)
    assert proxy.journal()


@KINDS
def test_a_pipeline_goes_on_at_the_alternate(
    org: Organization, awaits: bool, rest: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    org.fault("primary", "refuse")
    request: Any = (RestRequest if rest else HttpRequest)("GET", org.primary_url + WHO_AM_I)
    create = RestRequest("POST", org.primary_url + ACCOUNTS, json={"name": "a"})

    def work() -> tuple[int, bool]:
        with Pipeline[Any, Any](FailoverTransport(org.primary_url, **org.settings)) as pipeline:
            status = pipeline.run(request).http_response.status_code
            pipeline.run(create)
            transport: Any = pipeline._transport
            is_primary = transport.client.is_primary
        assert len(transport.client.ledger()) == 1
        return status, is_primary

    async def async_work() -> tuple[int, bool]:
        transport = AsyncFailoverTransport(org.primary_url, **org.settings)
        async with AsyncPipeline[Any, Any](transport) as pipeline:
            status = (await pipeline.run(request)).http_response.status_code
            await pipeline.run(create)
            is_primary = transport.client.is_primary
        assert len(await transport.client.ledger()) == 1
        return status, is_primary

    assert (asyncio.run(async_work()) if awaits else work()) == (200, False)
    assert len(org.rows()) == 1
