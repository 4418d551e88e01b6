"""aiohttp over its own connector and over ours, on the same server: one list of points, as `test_httpx_parity.py`."""

from __future__ import annotations

import asyncio
import io
import json
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp_side import AiohttpSide
from parity import ANSWERS, BODY, Peer

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "drop-ins.md"


@dataclass(frozen=True)
class Point:
    name: str
    work: Callable[[AiohttpSide], Any]
    differs: str = ""


async def seen(response: aiohttp.ClientResponse) -> Any:
    body = await response.read()
    return (
        response.status,
        response.reason,
        response.version,
        response.raw_headers,
        body,
        await response.text(errors="replace"),
        response.charset,
        response.content_type,
        sorted((name, morsel.value) for name, morsel in response.cookies.items()),
        response.ok,
        response.url.path,
        response.method,
        response.closed,
        response.content.total_bytes,
        response.content.at_eof(),
    )


def error(work: Callable[[], Any]) -> list[str]:
    with pytest.raises(Exception) as raised:  # noqa: PT011
        work()
    return [kind.__name__ for kind in type(raised.value).__mro__]


def answer(path: str) -> Callable[[AiohttpSide], Any]:
    def work(side: AiohttpSide) -> Any:
        try:
            return side.do("GET", path, seen, allow_redirects=False)
        except aiohttp.ClientError as raised:
            return type(raised).__name__

    return work


def echo(side: AiohttpSide, method: str = "POST", path: str = "/echo", **keywords: Any) -> Any:
    async def told(response: aiohttp.ClientResponse) -> Any:
        told = await response.json()
        told["headers"] = sorted([name.lower(), value] for name, value in told["headers"])
        return told

    return side.do(method, path, told, **keywords)


def timed(times: aiohttp.ClientTimeout) -> Callable[[AiohttpSide], Any]:
    return lambda side: side.do("GET", "/json", seen, timeout=times)


def failing(path: str, method: str = "GET", **keywords: Any) -> Callable[[AiohttpSide], Any]:
    return lambda side: error(lambda: side.do(method, path, seen, **keywords))


async def given() -> Any:
    for piece in (b"abc", b"", b"def"):
        yield piece


def cookies_stay(side: AiohttpSide) -> Any:
    async def nothing(_: aiohttp.ClientResponse) -> None: ...

    session = side.open()
    side.do("GET", "/cookie", nothing, session=session)
    told = echo(side, "GET", session=session)["headers"]
    side.do("GET", "/cookie-off", nothing, session=session)
    again = echo(side, "GET", session=session)["headers"]
    side.close(session)
    return told, again


def followed(path: str, method: str = "GET", **keywords: Any) -> Callable[[AiohttpSide], Any]:
    async def told(response: aiohttp.ClientResponse) -> Any:
        body = await response.json()
        past = [(one.status, one.url.path) for one in response.history]
        return past, response.url.path, response.method, body.get("method"), body.get("sha256")

    return lambda side: side.do(method, path, told, **keywords)


def read(path: str, how: Callable[[aiohttp.StreamReader], Any]) -> Callable[[AiohttpSide], Any]:
    async def told(response: aiohttp.ClientResponse) -> Any:
        given = how(response.content)
        if hasattr(given, "__aiter__"):
            return [piece async for piece in given]
        return await given

    return lambda side: side.do("GET", path, told)


def pieces_of(path: str, size: int) -> Callable[[AiohttpSide], Any]:
    """Their bytes: how they are cut is the network's."""
    work = read(path, lambda content: content.iter_chunked(size))
    return lambda side: (b"".join(pieces := work(side)), max(map(len, pieces)) <= size)


def left_early(side: AiohttpSide) -> Any:
    async def told(response: aiohttp.ClientResponse) -> Any:
        return len(await response.content.read(10)), response.closed

    return side.do("GET", "/large?10000000", told), side.do("GET", "/json", seen)[0]


def read_after_a_cancelled_one(side: AiohttpSide) -> Any:
    async def told(response: aiohttp.ClientResponse) -> Any:
        await response.content.readexactly(1000)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(response.content.read(1), 0.3)
        try:
            await asyncio.wait_for(response.content.read(1), 0.3)
        except (asyncio.TimeoutError, RuntimeError) as error:
            return type(error).__name__

    return side.do("GET", "/silent-in-body", told)


def released(side: AiohttpSide) -> Any:
    async def work() -> Any:
        response = await side.session.get(side.base + "/lines")
        response.release()
        return await response.read()

    return error(lambda: side.run(work()))


def raised_for_status(side: AiohttpSide) -> Any:
    session = side.open(raise_for_status=True)
    with pytest.raises(aiohttp.ClientResponseError) as raised:
        side.do("GET", "/404", seen, session=session)
    side.close(session)
    return raised.value.status, raised.value.message, raised.value.headers is not None


def based(side: AiohttpSide) -> Any:
    async def work() -> Any:
        async with session.get("a b", params={"b": "ü"}) as response:
            return (await response.json())["target"]

    session = side.open(base_url=f"{side.base}/echo/", headers={"X-Always": "yes"})
    told = side.run(work())
    side.close(session)
    return told


def refused(side: AiohttpSide) -> Any:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    base = "http://contoso.crm.elsewhere.test" if side.ours else f"http://127.0.0.1:{port}"
    to = {"contoso.crm.elsewhere.test:80": f"127.0.0.1:{port}"}
    session = side.open(base, {"connect_to": to})
    try:
        return error(lambda: side.do("GET", "/json", seen, session=session, base=base))
    finally:
        side.close(session)


def after_closing(side: AiohttpSide) -> Any:
    session = side.open()
    side.close(session)
    return session.closed, error(lambda: side.do("GET", "/json", seen, session=session))


def middlewares(side: AiohttpSide) -> Any:
    async def signs(request: aiohttp.ClientRequest, handler: Any) -> aiohttp.ClientResponse:
        request.headers["X-Signed"] = "yes"
        answer: aiohttp.ClientResponse = await handler(request)
        return answer

    return echo(side, "GET", middlewares=[signs])["headers"]


def traced(side: AiohttpSide) -> Any:
    heard: list[str] = []

    async def note(name: str) -> None:
        heard.append(name)

    config = aiohttp.TraceConfig()
    config.on_request_start.append(lambda *_: note("start"))
    config.on_request_end.append(lambda *_: note("end"))
    session = side.open(trace_configs=[config])
    side.do("GET", "/json", seen, session=session)
    side.close(session)
    return heard


def traced_connection(side: AiohttpSide) -> Any:
    heard: list[str] = []

    async def note(*_: object) -> None:
        heard.append("sent")

    config = aiohttp.TraceConfig()
    config.on_request_headers_sent.append(note)
    session = side.open(trace_configs=[config])
    side.do("GET", "/json", seen, session=session)
    side.close(session)
    return heard


def form_with_a_file(side: AiohttpSide) -> Any:
    form = aiohttp.FormData({"field": "1"})
    form.add_field("file", io.BytesIO(b"text" * 1000), filename="a.txt", content_type="text/plain")
    told = echo(side, data=form)
    return told["length"] > 4000, [value.partition(";")[0] for name, value in told["headers"] if name == "content-type"]


_GIVEN = {
    "/latin-header": "`raw_headers` has a value that is Latin-1 in UTF-8.",
    "/no-reason": "A status line without a reason phrase has the standard's.",
    "/old": "`version` of an answer in HTTP/1.0 is 1.1.",
    "/bad-chunk": "A chunk that is none raises `ClientPayloadError`.",
}

POINTS = [
    *(Point(f"GET {path}", answer(path), _GIVEN.get(path, "")) for path in ANSWERS if not path.startswith("/redirect")),
    Point("HEAD", lambda side: side.do("HEAD", "/lines", seen)),
    Point("OPTIONS", lambda side: echo(side, "OPTIONS")),
    Point("DELETE", lambda side: echo(side, "DELETE"), "A DELETE without a body has no `Content-Length: 0`."),
    Point("PATCH", lambda side: echo(side, "PATCH", json={"a": 1})),
    Point("a body of bytes", lambda side: echo(side, data=b"\x00\xff" * 1000)),
    Point("a body in an array", lambda side: echo(side, data=bytearray(b"abc"))),
    Point("a body in a view", lambda side: echo(side, data=memoryview(b"abc"))),
    Point("a body of text", lambda side: echo(side, data="Größe")),
    Point("JSON", lambda side: echo(side, json={"ü": [1, None, True]})),
    Point("a form", lambda side: echo(side, data={"a": "1", "b": "2 ü"})),
    Point("a form with a file", form_with_a_file),
    Point("a file", lambda side: echo(side, data=io.BytesIO(b"0123456789" * 100_000))),
    Point("a body of pieces", lambda side: echo(side, data=given())),
    Point("a large body", lambda side: echo(side, data=BODY * 20)),
    Point("params", lambda side: echo(side, params={"$filter": "a eq b c", "ü": "ß"})["target"]),
    Point(
        "a quote in params",
        lambda side: echo(side, params={"$filter": "a eq 'b'"})["target"],
        "A `'` in a query is sent as `%27`.",
    ),
    Point("a path with escapes", lambda side: echo(side, path="/echo/%7Euser/%C3%BC")["target"]),
    Point("the headers of a request", lambda side: echo(side, headers={"X-A": "1", "Accept": "a/b"})["headers"]),
    Point("a header twice", lambda side: echo(side, headers=[("X-A", "1"), ("X-A", "2")])["headers"]),
    Point("basic authentication in the URL", lambda side: _with_user(side)),
    Point("skip_auto_headers", lambda side: echo(side, "GET", skip_auto_headers=["Accept"])["headers"]),
    Point(
        "no User-Agent",
        lambda side: echo(side, "GET", skip_auto_headers=["User-Agent"])["headers"],
        "A request without a `User-Agent` has the library's (`user_agent`).",
    ),
    Point(
        "headers of the connection",
        lambda side: echo(side, headers={"TE": "trailers", "Keep-Alive": "timeout=5"})["headers"],
        "`Connection`, `Keep-Alive`, `Proxy-Connection` and `TE` are not sent: connections are the library's.",
    ),
    Point("a header that is none", failing("/echo", headers={"X-A": "a\nb"})),
    Point("cookies", lambda side: echo(side, "GET", cookies={"a": "1"})["headers"]),
    Point("cookies stay", cookies_stay),
    Point("301", followed("/301")),
    Point("302 of a POST", followed("/302", "POST", data=b"abc")),
    Point("307 of a POST", followed("/307", "POST", data=b"abc")),
    Point("a circle of redirects", failing("/redirect-loop")),
    Point("a redirect to no HTTP", failing("/redirect-away")),
    Point("read", read("/gzip-chunked", lambda content: content.read())),
    Point("read of so many", read("/lines", lambda content: content.readexactly(1000))),
    Point("read of too many", lambda side: error(lambda: read("/json", lambda it: it.readexactly(1000))(side))),
    Point("readline", read("/lines", lambda content: content.readline())),
    Point("lines", read("/lines", lambda content: content)),
    Point("iter_chunked", pieces_of("/brotli", 777)),
    Point("iter_any", lambda side: b"".join(read("/lines", lambda content: content.iter_any())(side))),
    Point("iter_chunks", lambda side: b"".join(p for p, _ in read("/lines", lambda it: it.iter_chunks())(side))),
    Point("ssl as it is by default", lambda side: [side.do("GET", "/json", seen, ssl=ssl) for ssl in (None, True)]),
    Point("not decoded", lambda side: side.do("GET", "/gzip", seen, auto_decompress=False)[4]),
    Point("a large answer", lambda side: hash(side.do("GET", "/large?10000000", seen)[4])),
    Point("a stream that is left early", left_early),
    Point("read after release", released),
    Point("close before the answer", failing("/close")),
    Point("close in the head", failing("/half-head")),
    Point("close in the body", failing("/cut")),
    Point("close in the body of nobody's error", failing("/cut-error")),
    Point("close in a chunk", failing("/cut-chunk")),
    Point("reset before the answer", failing("/reset")),
    Point("reset in the body", failing("/reset-in-body")),
    Point("not in time", failing("/silent", timeout=aiohttp.ClientTimeout(total=1))),
    Point("not in time after connecting", failing("/silent", timeout=aiohttp.ClientTimeout(sock_read=0.3))),
    Point("no further byte in time", failing("/silent-in-body", timeout=aiohttp.ClientTimeout(sock_read=0.3))),
    Point("a body not in time", failing("/silent-in-body", timeout=aiohttp.ClientTimeout(total=1))),
    *(
        Point(f"no limit: {times}", timed(times))
        for times in (
            aiohttp.ClientTimeout(total=0),
            aiohttp.ClientTimeout(sock_read=0, connect=0),
            aiohttp.ClientTimeout(sock_connect=0, total=-1),
            aiohttp.ClientTimeout(sock_read=1e6, sock_connect=1e6),
            aiohttp.ClientTimeout(sock_read=float("inf")),
        )
    ),
    Point("no total", failing("/silent", timeout=aiohttp.ClientTimeout(total=0, sock_read=0.3))),
    Point("refused", refused),
    Point("a closed session", after_closing),
    Point("raise_for_status", raised_for_status),
    Point("a session with base_url and headers", based),
    Point("middlewares", middlewares),
    Point("traces of a request", traced),
    Point(
        "traces of a connection",
        traced_connection,
        "Of a trace only the events of a request come, none of a connection.",
    ),
    Point(
        "a read after one that was cancelled",
        read_after_a_cancelled_one,
        "A body whose read was cancelled is closed: what that read would have brought is lost.",
    ),
]

BESIDES = [
    "`ssl`, `proxy` and `compress` of a request, and `proxy` of the session, raise `ValueError`; what is the "
    'connector\'s is a setting. `trust_env` is `proxy="system"`, of a client that the session opens.',
    "Of a request nothing is sent again by aiohttp; what may be, by the library.",
    "A body that raises is raised as it is.",
    "A write in doubt raises `WriteInDoubtError`, also where the `total` of a `ClientTimeout` is over.",
    "An executed write whose answer broke off, or cannot be decoded, raises `FailoverError`.",
    "`raise_for_status` of a response that leaves a write in doubt raises `WriteInDoubtError`.",
    "Of an answer that is no service's the body is read as far as `error_prefix` (1 MB), of a 2xx to a "
    "write as far as it came with the head. To a read `ClientPayloadError` says that there was more.",
    "Web sockets raise `ValueError`.",
]


def _with_user(side: AiohttpSide) -> Any:
    base = side.base.replace("http://", "http://user:pass@")
    return echo(side, "GET", base=base)["headers"]


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[AiohttpSide, AiohttpSide]]:
    peer = Peer()
    sides = AiohttpSide(peer, ours=False), AiohttpSide(peer, ours=True)
    yield sides
    for side in sides:
        side.end()
    peer.stop()


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)
def test_both_are_alike(both: tuple[AiohttpSide, AiohttpSide], point: Point) -> None:
    stock, ours = (point.work(side) for side in both)
    if point.differs:
        assert ours != stock, f"they are alike now: {point.differs}"
    else:
        assert ours == stock


def test_the_page_lists_what_differs() -> None:
    section = PAGE.read_text().partition("## aiohttp\n")[2].partition("\n## ")[0]
    listed = [re.sub(r"\s+", " ", item) for item in re.findall(r"^- (.*(?:\n  .*)*)", section, re.MULTILINE)]
    assert listed == [*(point.differs for point in POINTS if point.differs), *BESIDES], json.dumps(listed, indent=1)
