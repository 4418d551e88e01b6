"""What the transports for httpx do beside what httpx' own do."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from types import ModuleType
from typing import Any

import d365_failover
import httpx
import pytest
from d365_failover import azure
from d365_failover.aiohttp import FailoverSession
from d365_failover.httpx import AsyncFailoverTransport, FailoverTransport, async_mounts, mounts
from httpx_sides import Side, sides
from parity import HOST, Peer
from test_process import child, ended
from twin import ACCOUNTS, WHO_AM_I, Organization

KINDS = [(library, kind) for library in ("httpx", "httpx2") for kind in ("blocking", "asyncio")]
KINDS = [pair for pair in KINDS if pair[0] == "httpx" or sys.version_info >= (3, 11)]
WRITES = ["POST", "PATCH", "PUT", "DELETE"]


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.stop()


@pytest.fixture(params=KINDS, ids=" ".join)
def ours(request: pytest.FixtureRequest, peer: Peer) -> Iterator[Side]:
    library, kind = request.param
    with sides(library, kind, peer) as (_, side):
        yield side


def on(org: Organization, **settings: Any) -> httpx.Client:
    return httpx.Client(transport=FailoverTransport(org.primary_url, **{**org.settings, **settings}))


def test_a_call_goes_on_at_the_alternate(org: Organization) -> None:
    org.fault("primary", "refuse")
    with on(org) as client:
        response = client.get(org.primary_url + WHO_AM_I)
        created = client.post(org.primary_url + ACCOUNTS, json={"name": "a"})
    known = response.extensions["failover"]
    assert (response.status_code, known.switched, [attempt.role for attempt in known.attempts]) == (
        200,
        True,
        ["primary", "alternate"],
    )
    assert response.url == org.primary_url + WHO_AM_I
    assert known.url.startswith(org.alternate_url)
    assert (created.status_code, created.extensions["failover"].effect) == (204, "executed")
    assert len(org.rows()) == 1


def test_a_call_goes_on_at_the_alternate_in_a_loop(org: Organization) -> None:
    org.fault("primary", "refuse")

    async def work() -> tuple[int, bool, str]:
        transport = AsyncFailoverTransport(org.primary_url, **org.settings)
        async with httpx.AsyncClient(transport=transport) as client:
            response = await client.get(org.alternate_url + WHO_AM_I)
            created = await client.post(org.primary_url + ACCOUNTS, json={"name": "a"})
        return response.status_code, response.extensions["failover"].switched, created.extensions["failover"].effect

    assert asyncio.run(work()) == (200, True, "executed")


@pytest.mark.parametrize(
    ("method", "path"),
    [*((method, "/close") for method in WRITES), ("POST", "/reset"), ("POST", "/half-head"), ("POST", "/silent")],
)
def test_a_write_in_doubt_is_no_error_of_httpx(ours: Side, method: str, path: str) -> None:
    with pytest.raises(d365_failover.WriteInDoubtError) as raised:
        ours.request(method, path, content=b"x", timeout=1.5)
    assert raised.value.effect == "unknown"
    assert raised.value.ledger_id is not None
    assert not isinstance(raised.value, (ours.lib.HTTPError, OSError))


@pytest.mark.parametrize("path", ["/cut", "/cut-chunk", "/reset-in-body", "/silent-in-body", "/broken-gzip-of-a-write"])
def test_an_executed_write_whose_answer_breaks_off_is_no_error_of_httpx(ours: Side, path: str) -> None:
    with pytest.raises(d365_failover.FailoverError) as raised:
        ours.post(path, content=b"x", timeout=1.5)
    assert (raised.value.effect, raised.value.status) == ("executed", 200)
    assert not isinstance(raised.value, (ours.lib.HTTPError, OSError, d365_failover.WriteInDoubtError))
    known = (d365_failover.ConnectionLostError, d365_failover.CallTimeoutError, ours.lib.DecodingError)
    assert isinstance(raised.value.__cause__, known)


def test_a_status_that_leaves_a_write_in_doubt(ours: Side) -> None:
    response = ours.post("/500", json={})
    assert response.extensions["failover"].effect == "unknown"
    with pytest.raises(d365_failover.WriteInDoubtError) as raised:
        response.raise_for_status()
    assert (raised.value.status, raised.value.ledger_id is not None) == (500, True)
    assert isinstance(raised.value.__cause__, ours.lib.HTTPStatusError)
    with pytest.raises(ours.lib.HTTPStatusError):
        ours.post("/400", json={}).raise_for_status()
    assert ours.post("/json").raise_for_status().status_code == 200


def test_an_error_of_httpx_tells_what_it_comes_from(ours: Side) -> None:
    with pytest.raises(ours.lib.RemoteProtocolError) as raised:
        ours.get("/close")
    error = d365_failover.error_of(raised.value)
    assert error is not None
    assert (error.cause, len(error.attempts)) == ("closed", 1)
    assert raised.value.request.method == "GET"


def test_options_of_a_request(ours: Side) -> None:
    options = {"operation": "read", "tag": "nightly", "timeout": 30}
    known = ours.post("/json", extensions={"failover": options}).extensions["failover"]
    assert (known.effect, known.tag, known.ledger_id) == ("none", "nightly", None)
    with pytest.raises(ours.lib.LocalProtocolError, match="guarded_create"):
        ours.post("/json", extensions={"failover": {"guarded": True}})
    with pytest.raises(ours.lib.LocalProtocolError, match="operation is one of"):
        ours.post("/json", extensions={"failover": {"operation": "write"}})


def test_a_guarded_create_is_sent_again(org: Organization) -> None:
    org.fault("primary", "commit_then_close", times=1)
    with on(org, preset="safe") as client:
        response = client.post(
            org.primary_url + ACCOUNTS, json={"name": "a"}, extensions={"failover": {"guarded_create": True}}
        )
    assert response.extensions["failover"].effect == "executed"
    assert len(response.extensions["failover"].attempts) > 1
    assert len(org.rows()) == 1


@pytest.mark.skipif(sys.version_info < (3, 11), reason="there is no httpx2")
def test_a_request_of_another_library_is_not_sent(org: Organization) -> None:
    other: Any = import_module("httpx2")
    transport: Any = FailoverTransport(org.primary_url, **org.settings)
    with other.Client(transport=transport) as client, pytest.raises(TypeError, match=r"for httpx\.Client.*\(httpx2\)"):
        client.post(org.primary_url + ACCOUNTS, json={"name": "a"})
    assert org.rows() == []


def test_mounts_leave_other_hosts_to_httpx(peer: Peer) -> None:
    with httpx.Client(mounts=mounts(peer.url, **peer.settings), trust_env=False) as client:
        here = client.get(f"{peer.url}/json")
        there = client.get(f"{peer.stock_url}/json")
    assert "failover" in here.extensions
    assert "failover" not in there.extensions

    async def work() -> list[bool]:
        async with httpx.AsyncClient(mounts=async_mounts(peer.url, **peer.settings), trust_env=False) as client:
            answers = [await client.get(f"{base}/json") for base in (peer.url, peer.stock_url)]
        return ["failover" in answer.extensions for answer in answers]

    assert asyncio.run(work()) == [True, False]


def test_mounts_are_all_names_of_the_endpoints() -> None:
    mounted = mounts("https://contoso.crm.dynamics.com", tls_verify=False)
    names = ("contoso", "contoso.api", "contoso--s", "contoso--s.api")
    assert set(mounted) == {f"https://{name}.crm.dynamics.com" for name in names}
    (transport,) = set(mounted.values())
    assert transport is not None
    transport.close()


def test_other_hosts_are_refused(ours: Side) -> None:
    for url in ("http://other.example/", f"https://{HOST}/", f"http://{HOST}:81/"):
        client = ours.client
        with pytest.raises(ours.lib.UnsupportedProtocol, match="allowed_hosts"):
            getattr(ours, "run")(client.get(url)) if ours.is_async else client.get(url)  # noqa: B009


def test_a_client_of_ones_own_is_not_closed(peer: Peer) -> None:
    with d365_failover.Client(peer.url, **{**peer.settings, "decompress": False}) as client:
        with httpx.Client(transport=FailoverTransport(client)) as one:
            assert one.get(f"{peer.url}/json").status_code == 200
        assert client.get("/json").status_code == 200
        with pytest.raises(TypeError, match="settings"):
            FailoverTransport(client, deadline=3)


def test_a_client_of_another_kind_is_refused_before_it_is_asked(peer: Peer) -> None:
    async def work() -> None:
        async with d365_failover.AsyncClient(peer.url, **peer.settings) as other:
            for given in (other, None, httpx.URL(peer.url)):
                with pytest.raises(TypeError, match="of the type Client, or a URL as text"):
                    FailoverTransport(given)  # type: ignore[arg-type]
        with d365_failover.Client(peer.url, **peer.settings) as client:
            for kind in (AsyncFailoverTransport, FailoverSession, azure.AsyncFailoverTransport):
                with pytest.raises(TypeError, match="of the type AsyncClient, or a URL as text, not Client"):
                    kind(client)  # type: ignore[arg-type]

    asyncio.run(work())


@pytest.mark.parametrize("where", ["transport", "hook"])
def test_what_an_application_puts_around_a_body_is_read(org: Organization, where: str) -> None:
    seen: list[bytes] = []

    class Around(httpx.SyncByteStream):
        def __init__(self, stream: Any) -> None:
            self._stream = stream

        def __iter__(self) -> Iterator[bytes]:
            for piece in self._stream:
                seen.append(piece)
                yield piece

        def close(self) -> None:
            self._stream.close()

    def put_around(response: httpx.Response) -> None:
        response.stream = Around(response.stream)

    class Transport(FailoverTransport):
        def handle_request(self, request: httpx.Request) -> Any:
            response = super().handle_request(request)
            if where == "transport":
                put_around(response)
            return response

    hooks = {"response": [put_around]} if where == "hook" else {}
    with httpx.Client(transport=Transport(org.primary_url, **org.settings), event_hooks=hooks) as client:
        response = client.get(org.primary_url + WHO_AM_I)
    assert response.content
    assert b"".join(seen) == response.content


def test_events_and_the_ledger_are_the_clients(org: Organization) -> None:
    org.fault("primary", "refuse")
    transport = FailoverTransport(org.primary_url, **org.settings)
    seen: list[str] = []
    transport.client.on_endpoint_switched(lambda event: seen.append(event.new_url))
    with httpx.Client(transport=transport) as client:
        client.post(org.primary_url + ACCOUNTS, json={"name": "a"})
        assert [entry.effect for entry in transport.client.ledger()] == ["executed"]
    assert [url.rstrip("/") for url in seen] == [org.alternate_url.rstrip("/")]


@pytest.mark.parametrize("content", [b"bytes", iter([b"piece"])], ids=["bytes", "pieces"])
def test_the_read_time_is_for_standing_still(content: Any) -> None:
    module: ModuleType = import_module("d365_failover._httpx")
    kinds = import_module("d365_failover.httpx")._KINDS
    timeout = {"connect": 1.0, "read": 2.0, "write": 3.0, "pool": None}
    request = httpx.Request("POST", "http://a/", content=content, extensions={"timeout": timeout})
    raw, _ = module.sent(request, kinds, import_module("d365_failover._body").source_of, awaits=False)
    assert raw[9:12] == (1000, 86_400_000, 2000)


def test_a_cancelled_task_tells_of_its_write(peer: Peer) -> None:
    async def work() -> None:
        async with httpx.AsyncClient(transport=AsyncFailoverTransport(peer.url, **peer.settings)) as client:
            task = asyncio.ensure_future(client.post(f"{peer.url}/silent", content=b"x", timeout=30))
            await asyncio.to_thread(peer.wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as raised:
                await task
            error = d365_failover.error_of(raised.value)
            assert error is not None
            assert error.effect == "unknown"
            assert error.ledger_id is not None

    asyncio.run(work())


def test_a_call_that_waits_in_vain_for_an_endpoint_is_not_connected(org: Organization) -> None:
    for side in ("primary", "alternate"):
        org.fault(side, "refuse")
    began = threading.Event()
    with on(org, preset="safe", outage_wait=3) as client, ThreadPoolExecutor(4) as threads:
        transport = client._transport
        assert isinstance(transport, FailoverTransport)
        transport.client.on_outage_started(lambda _: began.set())
        calls = [threads.submit(client.get, org.primary_url + WHO_AM_I)]
        assert began.wait(60)
        calls += [threads.submit(client.get, org.primary_url + WHO_AM_I) for _ in range(3)]
        errors: list[Any] = [call.exception(60) for call in calls]
    assert [type(error) for error in errors] == [httpx.ConnectError] * 4
    assert any(error.__cause__.attempts == () for error in errors), "one has none of its own"


def test_a_client_that_is_closed_meanwhile(peer: Peer) -> None:
    with d365_failover.Client(peer.url, **peer.settings) as inner, ThreadPoolExecutor(1) as threads:
        client = httpx.Client(transport=FailoverTransport(inner))
        call = threads.submit(client.get, f"{peer.url}/silent", timeout=60)
        peer.wait()
        inner.close(timeout=0)
        with pytest.raises(httpx.ReadError) as raised:
            call.result(60)
    assert isinstance(raised.value.__cause__, d365_failover.CallCancelledError)


FORKED = """
import httpx
from d365_failover.httpx import FailoverTransport
client = httpx.Client(transport=FailoverTransport(os.environ["D365_URL"], **settings))
url = os.environ["D365_URL"] + WHO_AM_I
print(client.get(url).status_code, flush=True)
def call():
    os.write(1, b"%d\\n" % client.get(url).status_code)
if (pid := os.fork()) == 0:
    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    client.close()
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print(client.get(url).status_code)
client.close()
"""


def test_a_child_of_a_fork_opens_a_client_of_its_own(org: Organization) -> None:
    with child(org, FORKED) as process:
        code, out, err = ended(process)
    assert (out.split(), code) == (["200"] * 4 + ["7", "200"], 0), err


def test_it_costs_nothing_until_it_is_imported(org: Organization) -> None:
    with child(org, "print({'httpx', 'httpx2', 'aiohttp', 'azure'} & set(sys.modules))") as process:
        assert ended(process) == (0, "set()\n", "")


def through(org: Organization, kind: str, ours: bool, **keywords: Any) -> Any:
    """A status, or what is raised."""
    if ours:
        settings = {**org.settings, "auto_switch": False, "outage_wait": 0, "max_attempts": 1, **keywords}
        client = httpx.Client(transport=FailoverTransport(org.primary_url, **settings))
        url, extensions, headers = org.primary_url, {}, {}
    else:
        client = httpx.Client(trust_env=False, **keywords)
        host = org.primary_url.partition("://")[2]
        place = org.connect_to[f"{host}:443"]
        url, extensions, headers = f"https://{place}", {"sni_hostname": host}, {"Host": host}
        if kind == "proxy":
            url, extensions, headers = org.primary_url, {}, {}
    with client:
        try:
            return client.get(url + WHO_AM_I, extensions=extensions, headers=headers).status_code
        except httpx.HTTPError as error:
            return type(error).__name__


def test_certificates(org: Organization) -> None:
    ca = org.settings["ca_bundle"]
    points: list[tuple[Any, dict[str, Any], Any]] = [
        (ssl.create_default_context(cafile=ca), {}, 200),
        (ssl.create_default_context(), {"ca_bundle": None}, "ConnectError"),
        (False, {"ca_bundle": None, "tls_verify": False}, 200),
    ]
    for verify, settings, expected in points:
        assert through(org, "tls", False, verify=verify) == expected
        assert through(org, "tls", True, **settings) == expected


def test_a_proxy(org: Organization) -> None:
    proxy = org._twin.proxy()
    verify = ssl.create_default_context(cafile=org.settings["ca_bundle"])
    assert through(org, "proxy", False, proxy=proxy.url, verify=verify) == 200
    assert through(org, "proxy", True, proxy=proxy.url, connect_to=None) == 200
    assert len(proxy.journal()) == 2
    proxy.fault("refuse", status=502)
    assert through(org, "proxy", False, proxy=proxy.url, verify=verify) == "ProxyError"
    assert through(org, "proxy", True, proxy=proxy.url, connect_to=None) == "ProxyError"
    with socket.create_server(("127.0.0.1", 0)) as gone:
        nobody = f"http://127.0.0.1:{gone.getsockname()[1]}"
    assert through(org, "proxy", False, proxy=nobody, verify=verify) == "ConnectError"
    assert through(org, "proxy", True, proxy=nobody, connect_to=None) == "ProxyError"


@pytest.mark.parametrize(("settings", "version"), [({}, "HTTP/1.1"), ({"http2": True}, "HTTP/2")])
def test_http2_is_asked_for(organization: Callable[..., Organization], settings: dict[str, Any], version: str) -> None:
    org = organization(http2=True)
    with on(org, **settings) as client:
        assert client.get(org.primary_url + WHO_AM_I).http_version == version
