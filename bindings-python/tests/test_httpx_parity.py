"""httpx over its own transport and over ours, on the same server: one list of points.

Where they differ, the point says how, and docs/reference/drop-ins.md has the same words.
"""

from __future__ import annotations

import io
import json
import pickle
import re
import socket
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from httpx_sides import Side, sides
from parity import ANSWERS, BODY, Peer

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "drop-ins.md"


@dataclass(frozen=True)
class Point:
    name: str
    work: Callable[[Side], Any]
    """What is compared."""
    differs: str = ""
    """How ours is not as the stock one."""


def seen(response: Any) -> tuple[Any, ...]:
    """All that a user sees of a response."""
    return (
        response.status_code,
        response.reason_phrase,
        response.http_version,
        response.headers.raw,
        response.content,
        response.text,
        response.encoding,
        sorted(response.cookies.items()),
        response.is_closed,
        response.num_bytes_downloaded,
        response.elapsed.total_seconds() > 0,
    )


def error(work: Callable[[], Any]) -> tuple[str, ...]:
    """The classes of what is raised, from the most exact one upward."""
    with pytest.raises(Exception) as raised:  # noqa: PT011
        work()
    return tuple(kind.__name__ for kind in type(raised.value).__mro__)


def either(side: Side, path: str) -> Any:
    try:
        return seen(side.get(path))
    except side.lib.HTTPError as raised:
        return type(raised).__name__


def answer(path: str) -> Callable[[Side], Any]:
    return lambda side: either(side, path)


def echo(side: Side, method: str = "POST", path: str = "/echo", **keywords: Any) -> Any:
    """What arrives, but for the spelling and the order of the header names, and the connection's own header."""
    told = side.request(method, path, **keywords).json()
    told["headers"] = sorted([name.lower(), value] for name, value in told["headers"] if name.lower() != "connection")
    return told


def names(side: Side) -> Any:
    return [name for name, _ in side.get("/echo", headers={"X-Own": "1"}).json()["headers"] if name.lower() == "x-own"]


def order(side: Side) -> Any:
    mine = [("x-b", "1"), ("x-a", "2"), ("x-b", "3")]
    told = side.get("/echo", headers=mine).json()["headers"]
    return [[name.lower(), value] for name, value in told if name.lower().startswith("x-")]


def connection(side: Side) -> Any:
    told = side.get("/echo", headers={"TE": "trailers", "Keep-Alive": "timeout=5"}).json()["headers"]
    return [value for name, value in told if name.lower() in ("connection", "te", "keep-alive")]


def cookies_stay(side: Side) -> Any:
    client = side.open()
    side.get("/cookie", client=client)
    told = echo(side, "GET", client=client)
    side.get("/cookie-off", client=client)
    again = echo(side, "GET", client=client)
    side.close(client)
    return told, again


def followed(path: str, method: str = "GET", **keywords: Any) -> Callable[[Side], Any]:
    def work(side: Side) -> Any:
        response = side.request(method, path, follow_redirects=True, **keywords)
        told = response.json()
        return (
            [past.status_code for past in response.history],
            response.url.path,
            told.get("method"),
            told.get("sha256"),
            response.request.method,
        )

    return work


def not_followed(side: Side) -> Any:
    response = side.get("/302")
    return response.status_code, response.has_redirect_location, response.next_request.url.path


def file_body(side: Side) -> Any:
    if side.is_async:
        return None
    return echo(side, content=io.BytesIO(b"0123456789" * 100_000))


def body_raises(side: Side) -> Any:
    def pieces() -> Iterator[bytes]:
        yield b"a"
        raise KeyError("from the body")

    async def async_pieces() -> Any:
        yield b"a"
        raise KeyError("from the body")

    return error(lambda: side.post("/echo", content=async_pieces() if side.is_async else pieces()))


def multipart(side: Side) -> Any:
    files = {"file": ("a.txt", io.BytesIO(b"text" * 1000), "text/plain")}
    headers = {"Content-Type": "multipart/form-data; boundary=the-boundary"}
    return echo(side, files=files, data={"field": "1"}, headers=headers)


def refused(side: Side) -> Any:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    return _elsewhere(side, port, timeout=10)


def never_connects(side: Side) -> Any:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        told = _elsewhere(side, full.getsockname()[1], timeout=side.lib.Timeout(20, connect=1))
        for one in waiting:
            one.close()
        return told


def no_such_name(side: Side) -> Any:
    name = "contoso.crm.no-such-name.invalid"
    other = type(side)(side.lib.__name__, side.peer, ours=side.ours, base=f"http://{name}", connect_to=None)
    try:
        return error(lambda: other.get("/json"))
    finally:
        _end(other)


def speaks_no_tls(side: Side) -> Any:
    base = f"https://{side.base.partition('://')[2]}"
    to = {f"{base.removeprefix('https://')}:443": f"127.0.0.1:{side.peer.port}"}
    other = type(side)(side.lib.__name__, side.peer, ours=side.ours, base=base, connect_to=to)
    try:
        return error(lambda: other.get("/json"))
    finally:
        _end(other)


def _elsewhere(side: Side, port: int, **keywords: Any) -> Any:
    base = "http://contoso.crm.elsewhere.test" if side.ours else f"http://127.0.0.1:{port}"
    to = {"contoso.crm.elsewhere.test:80": f"127.0.0.1:{port}"}
    other = type(side)(side.lib.__name__, side.peer, ours=side.ours, base=base, connect_to=to)
    try:
        return error(lambda: other.get("/json", **keywords))
    finally:
        _end(other)


def _end(side: Side) -> None:
    side.close()
    end = getattr(side, "end", None)
    if end is not None:
        end()


def after_closing(side: Side) -> Any:
    client = side.open()
    side.close(client)
    return error(lambda: side.get("/json", client=client))


def read_after_closing(side: Side) -> Any:
    _, response = side.stream("/lines", "iter_raw", most=1)
    return error(response.read if not side.is_async else lambda: getattr(side, "run")(response.aread()))  # noqa: B009


def pickled(side: Side) -> Any:
    response = pickle.loads(pickle.dumps(side.get("/json")))
    return response.status_code, response.json(), response.headers.raw, response.request.method


def raised_for_status(side: Side) -> Any:
    response = side.get("/404")
    with pytest.raises(side.lib.HTTPStatusError) as raised:
        response.raise_for_status()
    return raised.value.response.status_code, str(raised.value).replace(side.base, "")


def hooks(side: Side) -> Any:
    heard: list[str] = []

    def asked(request: Any) -> None:
        heard.append(request.method)

    def answered(response: Any) -> None:
        heard.append(str(response.status_code))

    async def asked_async(request: Any) -> None:
        asked(request)

    async def answered_async(response: Any) -> None:
        answered(response)

    hooks = (asked_async, answered_async) if side.is_async else (asked, answered)
    client = side.open(event_hooks={"request": [hooks[0]], "response": [hooks[1]]})
    side.get("/json", client=client)
    side.close(client)
    return heard


def based(side: Side) -> Any:
    client = side.open(base_url=f"{side.base}/echo/", params={"a": "1"}, headers={"X-Always": "yes"})
    if side.is_async:
        told = getattr(side, "run")(client.get("a b", params={"b": "ü"})).json()  # noqa: B009
    else:
        told = client.get("a b", params={"b": "ü"}).json()
    side.close(client)
    return told["target"], [value for name, value in told["headers"] if name.lower() == "x-always"]


def in_threads(side: Side) -> Any:
    if side.is_async:
        return None
    with ThreadPoolExecutor(8) as pool:
        return sorted(pool.map(lambda number: side.post("/echo", content=b"x" * number).json()["length"], range(64)))


def traced(side: Side) -> Any:
    heard: list[str] = []

    def trace(name: str, info: Any) -> None:
        heard.append(name)

    async def async_trace(name: str, info: Any) -> None:
        heard.append(name)

    side.get("/json", extensions={"trace": async_trace if side.is_async else trace})
    return bool(heard)


def own_host(side: Side) -> Any:
    try:
        return side.get("/echo", headers={"Host": "other.example"}).status_code
    except side.lib.HTTPError as raised:
        return type(raised).__name__


def host(side: Side) -> str:
    return side.base.partition("://")[2]


def half_read(side: Side) -> Any:
    pieces, response = side.stream("/large?10000000", "iter_raw", most=1)
    return pieces[0][:10], response.is_closed, either(side, "/json")[0]


_GIVEN = {
    "/no-reason": "A status line without a reason phrase has the standard's.",
    "/latin-header": "`headers.raw` of a header value that is Latin-1 has it in UTF-8; its text is the same.",
    "/old": "`http_version` of an answer in HTTP/1.0 is `HTTP/1.1`.",
}

POINTS = [
    *(Point(f"GET {path}", answer(path), _GIVEN.get(path, "")) for path in ANSWERS if not path.startswith("/redirect")),
    Point("HEAD", lambda side: seen(side.request("HEAD", "/lines"))),
    Point("HEAD of chunks", lambda side: seen(side.request("HEAD", "/chunked"))),
    Point("OPTIONS", lambda side: echo(side, "OPTIONS")),
    Point("DELETE", lambda side: echo(side, "DELETE")),
    Point("PUT", lambda side: echo(side, "PUT", content=b"abc")),
    Point("PATCH", lambda side: echo(side, "PATCH", json={"a": 1})),
    Point("a method of one's own", lambda side: echo(side, "MERGE", content=b"abc")),
    Point("GET with a body", lambda side: echo(side, "GET", content=b"abc")),
    Point("POST without a body", lambda side: echo(side)),
    Point("a body of bytes", lambda side: echo(side, content=b"\x00\xff" * 1000)),
    Point("a body of text", lambda side: echo(side, content="Größe")),
    Point("JSON", lambda side: echo(side, json={"ü": [1, None, True]})),
    Point("a form", lambda side: echo(side, data={"a": "1", "b": ["2", "3 ü"]})),
    Point("a form with files", multipart),
    Point("a body of pieces", lambda side: echo(side, content=side.body([b"abc", b"", b"def"]))),
    Point(
        "a body of pieces with its length",
        lambda side: echo(side, content=side.body([b"abc", b"def"]), headers={"Content-Length": "6"}),
    ),
    Point("a file", file_body),
    Point("a large body", lambda side: echo(side, content=BODY * 100)),
    Point("a large body in pieces", lambda side: echo(side, content=side.body([BODY] * 100))),
    Point("a body that raises", body_raises),
    Point("params", lambda side: echo(side, params={"$filter": "a eq 'b c'", "n": 1, "ü": "ß"})["target"]),
    Point("a path with spaces and escapes", lambda side: echo(side, path="/echo/%7Euser/%C3%BC")["target"]),
    Point("a query as it is", lambda side: echo(side, path="/echo?$select=a,b&x=%20+y")["target"]),
    Point(
        "a quote in a query",
        lambda side: echo(side, path="/echo?$filter=a eq 'b'")["target"],
        "A `'` in a query is sent as `%27`.",
    ),
    Point("a target", lambda side: echo(side, extensions={"target": b"/echo/else?a=%20b"})["target"]),
    Point("a fragment is not sent", lambda side: echo(side, path="/echo#part")["target"]),
    Point("the headers of a request", lambda side: echo(side, headers={"X-A": "1", "Accept": "a/b"})["headers"]),
    Point("a header without a value", lambda side: echo(side, headers={"X-Empty": ""})["headers"]),
    Point("a header twice", lambda side: echo(side, headers=[("X-A", "1"), ("X-A", "2")])["headers"]),
    Point("a header in UTF-8", lambda side: echo(side, headers={"X-Name": "Größe".encode()})["headers"]),
    Point("its own User-Agent", lambda side: echo(side, headers={"User-Agent": "mine/1"})["headers"]),
    Point("basic authentication", lambda side: echo(side, auth=("user", "pass"))["headers"]),
    Point("a cookie of the request", lambda side: echo(side, headers={"Cookie": "a=1; b=2"})["headers"]),
    Point("the case of header names", names, "Over HTTP/1.1 the names of a request's headers are sent in lower case."),
    Point(
        "the order of headers", order, "Headers of one name are sent one after the other, where the first of them was."
    ),
    Point(
        "headers of the connection",
        connection,
        "`Connection`, `Keep-Alive`, `Proxy-Connection` and `TE` are not sent: connections are the library's.",
    ),
    Point("a Host of one's own", own_host, "A `Host` header that is not the URL's raises `LocalProtocolError`."),
    Point("a header that is none", lambda side: error(lambda: side.get("/echo", headers={"X-A": "a\nb"}))),
    Point("a header name that is none", lambda side: error(lambda: side.get("/echo", headers={"X A": "a"}))),
    Point("cookies stay", cookies_stay),
    Point("redirects are not followed", not_followed),
    Point("301", followed("/301")),
    Point("302 of a POST", followed("/302", "POST", content=b"abc")),
    Point("303 of a PUT", followed("/303", "PUT", content=b"abc")),
    Point("307 of a POST", followed("/307", "POST", content=b"abc")),
    Point("308 of a POST", followed("/308", "POST", json={"a": 1})),
    Point("a circle of redirects", lambda side: error(lambda: side.get("/redirect-loop", follow_redirects=True))),
    Point("a redirect to no HTTP", lambda side: error(lambda: side.get("/redirect-away", follow_redirects=True))),
    Point("iter_raw is not decoded", lambda side: b"".join(side.stream("/gzip", "iter_raw")[0])),
    Point("iter_raw in chunks", lambda side: [len(piece) for piece in side.stream("/lines", "iter_raw", 1000)[0]]),
    Point("iter_bytes", lambda side: b"".join(side.stream("/gzip-chunked", "iter_bytes")[0])),
    Point("iter_bytes in chunks", lambda side: [len(piece) for piece in side.stream("/brotli", "iter_bytes", 777)[0]]),
    Point("iter_text", lambda side: "".join(side.stream("/text", "iter_text")[0])),
    Point("iter_lines", lambda side: side.stream("/lines", "iter_lines")[0]),
    Point("iter_lines of several line ends", lambda side: side.stream("/text", "iter_lines")[0]),
    Point("read of a stream", lambda side: side.stream("/lines", "read")[0]),
    Point("the bytes that have come", lambda side: side.stream("/large?500000", "iter_raw")[1].num_bytes_downloaded),
    Point("a large answer", lambda side: hash(side.get("/large?10000000").content)),
    Point("a stream that is left early", half_read),
    Point("read after closing", read_after_closing),
    Point("close before the answer", lambda side: error(lambda: side.get("/close"))),
    Point("close in the head", lambda side: error(lambda: side.get("/half-head"))),
    Point("close in the body", lambda side: error(lambda: side.get("/cut"))),
    Point("close in the body of nobody's error", lambda side: error(lambda: side.get("/cut-error"))),
    Point("close in a chunk", lambda side: error(lambda: side.get("/cut-chunk"))),
    Point("reset before the answer", lambda side: error(lambda: side.get("/reset"))),
    Point("reset in the body", lambda side: error(lambda: side.get("/reset-in-body"))),
    Point("no answer in time", lambda side: error(lambda: side.get("/silent", timeout=side.lib.Timeout(1, read=0.3)))),
    Point(
        "no further byte in time",
        lambda side: error(lambda: side.get("/silent-in-body", timeout=side.lib.Timeout(1, read=0.3))),
    ),
    Point("times of more than a day", lambda side: seen(side.get("/json", timeout=1e6))),
    Point("the URL's Host in capitals", lambda side: seen(side.get("/json", headers={"Host": host(side).upper()}))),
    Point("refused", refused),
    Point("no connection in time", never_connects),
    Point("no such name", no_such_name),
    Point("who speaks no TLS", speaks_no_tls),
    Point("no scheme", lambda side: error(lambda: side.client.request("GET", "/json")) if not side.is_async else None),
    Point("a closed client", after_closing),
    Point("a connection that the server closes", lambda side: [either(side, "/close-after")[0] for _ in range(3)]),
    Point("pickled", pickled),
    Point("raise_for_status", raised_for_status),
    Point("event hooks", hooks),
    Point("a client with base_url, params, headers", based),
    Point("threads", in_threads),
    Point("the trace extension", traced, "The extension `trace` is not called: an attempt may have several of each."),
]

BESIDES = [
    "A response has no extension `network_stream`.",
    "`write` and `pool` of a timeout have no meaning: for what stands still there is `read`, of the request as well.",
    "What waits for an endpoint (`outage_wait`, 30 s) may take longer than the timeouts, up to `deadline`.",
    "Of an answer that is no service's the body is read as far as `error_prefix` (1 MB), of a 2xx to a "
    "write as far as it came with the head. To a read `RemoteProtocolError` says that there was more.",
    "A write in doubt raises `WriteInDoubtError`, and an executed one whose answer broke off, or cannot be "
    "decoded, `FailoverError`.",
    "`raise_for_status` of a response that leaves a write in doubt raises `WriteInDoubtError`.",
    "A header value that is not UTF-8 cannot be sent: `LocalProtocolError`.",
    "`verify`, `cert`, `proxy`, `limits` are settings: `ca_bundle`, `client_certificate`, `proxy`, `max_connections`.",
    "A proxy that is not reached raises `ProxyError`, not `ConnectError`.",
    "With trio the asynchronous transport raises `RuntimeError`: it needs asyncio.",
]
"""What no point shows."""

LIBRARIES = ["httpx", *(["httpx2"] if sys.version_info >= (3, 11) else [])]


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.stop()


# The stock transport leaves sockets to the garbage collector where an answer is no HTTP.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

KINDS = [(library, kind) for library in LIBRARIES for kind in ("blocking", "asyncio")]


@pytest.fixture(scope="module", params=KINDS, ids=" ".join)
def both(request: pytest.FixtureRequest, peer: Peer) -> Iterator[tuple[Side, Side]]:
    library, kind = request.param
    with sides(library, kind, peer) as opened:
        yield opened


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)
def test_both_are_alike(both: tuple[Side, Side], point: Point) -> None:
    stock, ours = (point.work(side) for side in both)
    if point.differs:
        assert ours != stock, f"they are alike now: {point.differs}"
    else:
        assert ours == stock


def test_there_are_enough_points() -> None:
    assert len({point.name for point in POINTS}) == len(POINTS) >= 60


def test_the_page_lists_what_differs() -> None:
    section = PAGE.read_text().partition("## httpx\n")[2].partition("\n## ")[0]
    listed = [re.sub(r"\s+", " ", item) for item in re.findall(r"^- (.*(?:\n  .*)*)", section, re.MULTILINE)]
    assert listed == [*(point.differs for point in POINTS if point.differs), *BESIDES], json.dumps(listed, indent=1)
