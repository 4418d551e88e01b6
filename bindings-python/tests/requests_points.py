"""How requests behaves, point by point: what one session does against one scripted server.

Each point runs on a stock session and on one with the adapter. What both give, and what the server was asked, is the
same; or the point says why not, and what the documentation says of it.
"""

from __future__ import annotations

import gzip
import io
import pickle
import shutil
import signal
import socket
import warnings
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import brotli  # type: ignore[import-untyped]
import requests
from peer import CUT, HOST, URL, Asked, Script, answer, chunked
from requests.auth import HTTPDigestAuth
from urllib3.util import Timeout

X = f"{URL}/x"
"""Not where a service is: nothing of an answer is looked at."""
LARGE = bytes(range(256)) * (1 << 13)
JSON = b'{"value": [1, 2, 3]}'
LINES = b"one\ntwo\r\nthree"
WITHOUT_CODING: Any = {"Accept-Encoding": None}
SERVICE = "OData-Version: 4.0"
"""Where it is missing, a write is answered by nobody."""

Act = Callable[[requests.Session], Any]


@dataclass(frozen=True)
class Point:
    name: str
    plays: Callable[[], Script]
    act: Act
    differs: str = ""
    """What the documentation says of it, where the two are not the same."""
    asks: bool = True
    """Whether what the server was asked is compared as well."""


def plays(*answers: Any) -> Callable[[], Script]:
    """One answer after the other; the last one for all that follow."""

    def begin() -> Script:
        left = list(answers)

        def script(asked: Asked, connection: socket.socket) -> object:
            given = left.pop(0) if len(left) > 1 else left[0]
            return given(asked, connection) if callable(given) else given

        return script

    return begin


def _silent(asked: Asked, connection: socket.socket) -> object:
    connection.recv(1)  # until the client has gone
    return CUT


def _then_silent(begin: bytes) -> Script:
    def script(asked: Asked, connection: socket.socket) -> object:
        connection.sendall(begin)
        return _silent(asked, connection)

    return script


def _then_cut(begin: bytes) -> Script:
    def script(asked: Asked, connection: socket.socket) -> object:
        connection.sendall(begin)
        return CUT

    return script


def _echo(asked: Asked, connection: socket.socket) -> object:
    return answer("200 OK", "Content-Type: application/octet-stream", SERVICE, body=asked.body)


def seen(response: requests.Response) -> Any:
    """What can be seen of a response."""
    return (
        response.status_code,
        response.reason,
        response.url,
        dict(response.headers),
        response.content,
        response.encoding,
        response.ok,
        response.is_redirect,
        dict(response.cookies),
        [step.status_code for step in response.history],
        response.request.method,
        response.elapsed.total_seconds() > 0,
    )


def get(**keywords: Any) -> Act:
    return lambda session: seen(session.get(X, **keywords))


def post(**keywords: Any) -> Act:
    return lambda session: seen(session.post(X, **keywords))


def sending(method: str, **keywords: Any) -> Act:
    return lambda session: seen(session.request(method, X, **keywords))


def streamed(read: Callable[[requests.Response], Any]) -> Act:
    def act(session: requests.Session) -> Any:
        with session.get(X, stream=True) as response:
            return read(response)

    return act


def read(read: Callable[[requests.Response], Any]) -> Act:
    return lambda session: read(session.get(X))


def raised(act: Callable[[], Any]) -> Any:
    """The names of the classes that what was raised is of, of requests' and Python's own."""
    try:
        act()
    except BaseException as error:
        modules = ("requests.exceptions", "builtins")
        return [kind.__name__ for kind in type(error).__mro__ if kind.__module__ in modules]
    return None


def failing(**keywords: Any) -> Act:
    return lambda session: raised(lambda: session.get(X, **keywords))


def failing_read(read: Callable[[requests.Response], Any]) -> Act:
    return lambda session: raised(lambda: streamed(read)(session))


def _generated() -> Iterator[bytes]:
    yield b"one"
    yield b"two" * 1000


def _failing() -> Iterator[bytes]:
    yield b"one"
    raise ZeroDivisionError


class _Texts:
    def __iter__(self) -> Iterator[str]:
        return iter(["ä", "b"])


def _text_uploaded(session: requests.Session) -> Any:
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # requests would rather have it binary
        path = Path(folder, "body")
        path.write_text("äöü\n" * 50_000, encoding="utf-8")
        with path.open(encoding="utf-8") as file:
            return session.put(X, data=file).content == path.read_bytes()


def _hooked(session: requests.Session) -> Any:
    calls: list[Any] = []

    def hook(response: requests.Response, **keywords: Any) -> None:
        calls.append((response.status_code, sorted(keywords), response.raw is not None))

    session.hooks["response"].append(hook)
    return seen(session.get(X)), calls


def _cookies(session: requests.Session) -> Any:
    first = seen(session.get(X))
    second = seen(session.get(X, cookies={"own": "1"}))
    return first, second, sorted((cookie.name, cookie.value, cookie.path) for cookie in session.cookies)


def _pickled(session: requests.Session) -> Any:
    session.cookies.set("a", "b")
    response = pickle.loads(pickle.dumps(session.get(X)))
    return seen(response), response.raw, response.json()


def _pickled_session(session: requests.Session) -> Any:
    session.headers["X-Own"] = "1"
    copy = pickle.loads(pickle.dumps(session))
    with copy:
        return copy.headers["X-Own"], type(copy.get_adapter(X)) is type(session.get_adapter(X))


def _interrupted(session: requests.Session) -> Any:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        return raised(lambda: session.get(X))
    finally:
        signal.signal(signal.SIGALRM, before)


def _threads(session: requests.Session) -> Any:
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda number: session.post(X, data=str(number)).content, range(64)))


def _prepared(session: requests.Session) -> Any:
    request = requests.Request("PATCH", X, params={"$select": "a b,c"}, json={"ä": 1}, headers={"If-Match": "*"})
    return seen(session.send(session.prepare_request(request)))


def _no_defaults(session: requests.Session) -> Any:
    session.headers.clear()
    session.headers["User-Agent"] = "own"
    return seen(session.get(X))


def _again_after_close(session: requests.Session) -> Any:
    session.get(X)
    session.close()
    return seen(session.get(X))


def _closed_early(session: requests.Session) -> Any:
    with session.get(X, stream=True) as response:
        begin = next(response.iter_content(10))
    return begin, response.raw.closed, session.get(X).status_code


def _raw(response: requests.Response) -> Any:
    raw = response.raw
    told = raw.status, raw.reason, raw.version, dict(raw.headers), raw.tell(), raw.closed, raw.isclosed()
    first = raw.read(5)
    rest = raw.read()
    return told, first, rest, raw.tell(), raw.closed, raw.read(), raw.read(3)


def _raw_decoded(response: requests.Response) -> Any:
    return response.raw.read(7, decode_content=True), response.raw.read(decode_content=True)


def _as_file(response: requests.Response) -> Any:
    response.raw.decode_content = True
    copy = io.BytesIO()
    shutil.copyfileobj(response.raw, copy, 100)
    return copy.getvalue()


def _digest(session: requests.Session) -> Any:
    session.auth = HTTPDigestAuth("user", "password")
    response = session.get(X)
    return response.status_code, [step.status_code for step in response.history]


_CHALLENGE = 'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth", algorithm=MD5'


def _digest_script(asked: Asked, connection: socket.socket) -> object:
    return answer("200 OK") if asked.of("authorization") else answer("401 Unauthorized", _CHALLENGE)


def _uploaded(make: Callable[[Path], Any]) -> Act:
    def act(session: requests.Session) -> Any:
        with TemporaryDirectory() as folder:
            path = Path(folder, "body")
            path.write_bytes(LARGE)
            with path.open("rb") as file:
                file.seek(make(path))
                return session.put(X, data=file).content == LARGE[make(path) :]

    return act


_UTF8_LOCATION = answer("302 Found", "Location: /ü€".encode().decode("latin-1"))
ZIPPED = gzip.compress(LINES * 1000)
GZIP = "Content-Encoding: gzip"
TEXT = "Content-Type: text/plain; charset=utf-8"

POINTS = [
    # ---- responses ----
    Point("a status, its reason, headers and a body", plays(answer("200 Fine", TEXT, "X-A: b", body=b"abc")), get()),
    Point(
        "names as the server spells them",
        plays(answer("200 OK", "x-LOWER: 1", "X-Upper: 2")),
        read(lambda response: list(response.headers.items())),
    ),
    Point("a header that comes twice", plays(answer("200 OK", "X-A: 1", "x-a: 2", "X-B: 3")), get()),
    Point("values beyond ASCII", plays(answer("200 OK", "X-A: caf\xe9")), get()),
    Point(
        "values in UTF-8",
        plays(answer("200 OK", "X-A: ü€".encode().decode("latin-1"))),
        get(),
        "A header's value that is UTF-8 is read as such; stock reads Latin-1.",
    ),
    Point(
        "no reason",
        plays(answer("200 ")),
        get(),
        '`reason` where the server names none, as over HTTP/2, is the standard\'s name for the status; stock has `""`.',
    ),
    Point("no body, 204", plays(answer("204 No Content", length=False)), get()),
    Point("not modified, 304", plays(answer("304 Not Modified", "ETag: x", length=False)), get()),
    Point("HEAD", plays(answer("200 OK", "Content-Length: 1000", length=False)), lambda session: seen(session.head(X))),
    Point(
        "OPTIONS",
        plays(answer("200 OK", "Allow: GET")),
        sending("OPTIONS"),
        "`Content-Length: 0` is not sent with an `OPTIONS` or a `DELETE` that has no body.",
    ),
    Point("an empty body of a known length", plays(answer()), get()),
    Point("until the connection's end", plays(_then_cut(answer(length=False, body=LARGE))), get()),
    Point("a body in chunks", plays(chunked(b"one", b"two" * 5000, b"three")), get()),
    Point("a large body", plays(answer(body=LARGE)), get()),
    Point("JSON", plays(answer("200 OK", "Content-Type: application/json", body=JSON)), read(lambda r: r.json())),
    Point("no JSON", plays(answer(body=b"<html>")), lambda s: raised(s.get(X).json)),
    Point(
        "the text's encoding", plays(answer("200 OK", TEXT, body="ä€".encode())), read(lambda r: (r.text, r.encoding))
    ),
    Point("an encoding that is guessed", plays(answer(body="ä€".encode())), read(lambda r: r.apparent_encoding)),
    Point("links", plays(answer("200 OK", 'Link: <https://a/b>; rel="next"')), read(lambda r: r.links)),
    *(
        Point(
            f"status {status}",
            plays(answer(f"{status} S", body=b"why")),
            lambda s: (seen(s.get(X)), raised(s.get(X).raise_for_status)),
            asks=False,
        )
        for status in (400, 401, 403, 404, 409, 412, 418, 429, 500, 501, 502, 503, 504, 599)
    ),
    # ---- codings ----
    Point("gzip", plays(answer("200 OK", TEXT, GZIP, body=ZIPPED)), get()),
    Point("gzip in chunks", plays(chunked(ZIPPED[:30], ZIPPED[30:], headers=(GZIP,))), get()),
    Point("deflate", plays(answer("200 OK", "Content-Encoding: deflate", body=zlib.compress(LINES))), get()),
    Point(
        "deflate without its frame",
        plays(answer("200 OK", "Content-Encoding: deflate", body=zlib.compress(LINES)[2:-4])),
        get(),
    ),
    Point("brotli", plays(answer("200 OK", "Content-Encoding: br", body=brotli.compress(LINES))), get()),
    Point("two codings", plays(answer("200 OK", "Content-Encoding: gzip, br", body=brotli.compress(ZIPPED))), get()),
    Point("a coding that is not known", plays(answer("200 OK", "Content-Encoding: own", body=LINES)), get()),
    Point("what is no gzip", plays(answer("200 OK", GZIP, body=b"abc" * 100)), failing()),
    Point(
        "HEAD with a coding",
        plays(answer("200 OK", GZIP, "Content-Length: 77", length=False)),
        lambda session: seen(session.head(X)),
    ),
    Point("no coding wanted", plays(answer()), lambda s: seen(s.request("GET", X, headers=WITHOUT_CODING))),
    # ---- reading ----
    Point("iter_content", plays(answer(body=LARGE)), streamed(lambda r: list(map(len, r.iter_content(1000))))),
    Point(
        "iter_content of chunks",
        plays(chunked(b"one", b"two", b"three")),
        streamed(lambda r: b"".join(r.iter_content(2))),
    ),
    Point("iter_content as it comes", plays(answer(body=LARGE)), streamed(lambda r: b"".join(r.iter_content(None)))),
    Point(
        "iter_content as text",
        plays(answer("200 OK", TEXT, body="aä€".encode())),
        streamed(lambda r: list(r.iter_content(2, decode_unicode=True))),
    ),
    Point("iter_content of what was read", plays(answer(body=LINES)), read(lambda r: list(r.iter_content(4)))),
    Point("iter_lines", plays(answer(body=LINES * 100)), streamed(lambda r: list(r.iter_lines()))),
    Point(
        "iter_lines of gzip",
        plays(answer("200 OK", GZIP, body=ZIPPED)),
        streamed(lambda r: list(r.iter_lines(chunk_size=64))),
    ),
    Point(
        "iter_lines by a delimiter",
        plays(answer(body=b"a;b;;c")),
        streamed(lambda r: list(r.iter_lines(delimiter=b";"))),
    ),
    Point(
        "a chunk before the next one comes",
        plays(_then_silent(answer("200 OK", "Transfer-Encoding: chunked", length=False) + b"3\r\none\r\n")),
        streamed(lambda r: next(r.iter_content(512))),
    ),
    Point("a response as an iterator", plays(answer(body=LINES * 20)), streamed(list)),
    Point(
        "read twice",
        plays(answer(body=LINES)),
        streamed(lambda r: (list(r.iter_content(4)), raised(lambda: list(r.iter_content(4))))),
    ),
    Point("raw.read", plays(answer("200 OK", "X-A: b", body=LINES)), streamed(_raw)),
    Point("raw.read of gzip", plays(answer("200 OK", GZIP, body=ZIPPED)), streamed(lambda r: r.raw.read())),
    Point("raw.read, decoded", plays(answer("200 OK", GZIP, body=ZIPPED)), streamed(_raw_decoded)),
    Point(
        "raw.stream",
        plays(answer("200 OK", GZIP, body=ZIPPED)),
        streamed(lambda r: b"".join(r.raw.stream(64, decode_content=False))),
    ),
    Point("raw.read_chunked", plays(chunked(b"one", b"two")), streamed(lambda r: b"".join(r.raw.read_chunked()))),
    Point(
        "raw.read_chunked of no chunks",
        plays(answer(body=LINES)),
        lambda s: raised(lambda: streamed(lambda r: list(r.raw.read_chunked()))(s)),
    ),
    Point("raw.data", plays(answer("200 OK", body=LINES)), streamed(lambda r: (r.raw.data, r.raw.data))),
    Point(
        "raw.readinto",
        plays(answer(body=LINES)),
        streamed(lambda r: (r.raw.readinto(buffer := bytearray(5)), bytes(buffer))),
    ),
    Point("raw as a file", plays(answer("200 OK", GZIP, body=ZIPPED)), streamed(_as_file)),
    Point(
        "raw.release_conn and drain_conn",
        plays(answer(body=LINES)),
        streamed(lambda r: (r.raw.drain_conn(), r.raw.release_conn(), r.raw.read())),
    ),
    Point("closed before its end", plays(answer(body=LARGE)), _closed_early, asks=False),
    # ---- requests ----
    Point("a GET", plays(answer()), get()),
    Point("headers in their order", plays(answer()), get(headers={"X-B": "1", "X-A": "2", "Accept": "a/b"})),
    Point("a header of bytes", plays(answer()), get(headers={"X-A": b"bytes"})),
    Point("no header of requests' own", plays(answer()), _no_defaults),
    Point("a header that is no text", plays(answer()), failing(headers={"X-A": 1})),
    Point("a header with a line break", plays(answer()), failing(headers={"X-A": "a\r\nb: c"})),
    Point("parameters", plays(answer()), get(params={"$filter": "name eq 'ä b'", "$top": 3, "x": ["1", "2"]})),
    Point("a fragment", plays(answer()), lambda s: seen(s.get(X + "#part"))),
    Point("basic authentication", plays(answer()), get(auth=("user", "pass"))),
    Point("digest authentication", plays(_digest_script), _digest, asks=False),
    Point("a prepared request", plays(answer("200 OK", SERVICE)), _prepared),
    Point("a method of one's own", plays(answer("200 OK", SERVICE)), sending("MERGE", data=b"x")),
    Point("bytes", plays(_echo), post(data=b"abc")),
    Point("text", plays(_echo), post(data="ä€")),
    Point("a form", plays(_echo), post(data={"a": "1", "b": ["2", "ä"]})),
    Point("JSON sent", plays(_echo), post(json={"name": "ä"})),
    Point("no body to a POST", plays(_echo), post()),
    Point("an empty body to a PUT", plays(_echo), sending("PUT", data=b"")),
    Point(
        "files in parts",
        plays(lambda asked, _: answer("200 OK", SERVICE, body=str(len(asked.body)).encode())),
        lambda s: s.post(X, files={"file": ("a.txt", b"abc")}).content,
        asks=False,
    ),
    Point("a large body sent", plays(_echo), lambda s: s.post(X, data=LARGE).content == LARGE),
    Point("a generator", plays(_echo), lambda s: seen(s.post(X, data=_generated()))),
    Point("a generator of text", plays(_echo), lambda s: seen(s.post(X, data=iter(["ä", "b"])))),
    Point("a file", plays(_echo), _uploaded(lambda _: 0)),
    Point("a file from its middle", plays(_echo), _uploaded(lambda _: 1000)),
    Point("a file in memory", plays(_echo), lambda s: seen(s.post(X, data=io.BytesIO(b"abc")))),
    Point("text in memory as a file", plays(_echo), lambda s: seen(s.post(X, data=io.StringIO("abc")))),
    Point("a file of text", plays(_echo), _text_uploaded),
    Point(
        "a file of text that is sent again by a redirect",
        plays(answer("307 T", "Location: /y"), _echo),
        lambda s: seen(s.post(X, data=io.StringIO("abc"))),
    ),
    Point("an iterable of text", plays(_echo), lambda s: seen(s.post(X, data=_Texts()))),
    Point("an array of bytes", plays(_echo), lambda s: seen(s.post(X, data=bytearray(b"abc")))),
    Point(
        "no body to a DELETE",
        plays(answer("204 No Content", SERVICE, length=False)),
        sending("DELETE"),
        "`Content-Length: 0` is not sent with an `OPTIONS` or a `DELETE` that has no body.",
    ),
    Point(
        "text in a header beyond ASCII",
        plays(answer()),
        get(headers={"X-A": "café"}),
        "A header's text is sent in UTF-8; stock sends Latin-1, and raises for what is not.",
    ),
    Point("bytes that are UTF-8", plays(answer()), get(headers={"X-A": "caf\xe9".encode()})),
    Point(
        "bytes that are not",
        plays(answer()),
        failing(headers={"X-A": b"caf\xe9"}),
        "Bytes that are not UTF-8 raise `InvalidHeader`.",
        asks=False,
    ),
    Point(
        "headers of the connection",
        plays(answer()),
        get(headers={"TE": "trailers", "Keep-Alive": "timeout=5"}),
        "`Connection`, `Keep-Alive`, `Proxy-Connection` and `TE` are not sent: connections are the library's.",
    ),
    Point("the URL's Host in capitals, with its port", plays(answer()), get(headers={"Host": f"{HOST.upper()}:80"})),
    Point(
        "a quote in a query",
        plays(answer()),
        lambda s: seen(s.get(f"{X}?$filter=name eq 'a'")),
        "A `'` in a query is sent as `%27`.",
    ),
    Point(
        "a Host of one's own",
        plays(answer()),
        failing(headers={"Host": "other.example"}),
        "A `Host` header of another name raises `InvalidHeader`.",
    ),
    Point(
        "a header to the library",
        plays(answer()),
        get(headers={"D365-Failover-Operation": "read"}),
        "Headers whose names begin with `D365-Failover-` are not sent.",
    ),
    Point(
        "an answer that is no service's",
        plays(answer("500 Error", body=b"why")),
        lambda s: raised(s.post(X).raise_for_status),
        "`raise_for_status()` raises `WriteInDoubtError`, with the `HTTPError` as its `__cause__`, where it is not "
        "known whether the write was executed.",
    ),
    Point(
        "a write that is cut",
        plays(CUT),
        lambda s: raised(lambda: s.post(X, data=b"abc")),
        "A write that may have been executed raises `d365_failover.WriteInDoubtError`, which is no `RequestException`.",
    ),
    Point(
        "a write without an answer in time",
        plays(_silent),
        lambda s: raised(lambda: s.post(X, data=b"abc", timeout=1)),
        "A write that may have been executed raises `d365_failover.WriteInDoubtError`, which is no `RequestException`.",
    ),
    Point(
        "a write whose answer cannot be decoded",
        plays(answer("200 OK", SERVICE, GZIP, body=b"no gzip")),
        lambda s: raised(lambda: s.post(X, data=b"abc")),
        "An executed write whose answer broke off, or cannot be decoded, raises `FailoverError`, which is none either.",
    ),
    Point(
        "a write whose answer cannot be decoded when it is read",
        plays(answer("200 OK", SERVICE, GZIP, body=b"no gzip")),
        lambda s: raised(lambda: list(s.post(X, data=b"abc", stream=True).iter_lines())),
        "An executed write whose answer broke off, or cannot be decoded, raises `FailoverError`, which is none either.",
    ),
    Point("a read whose answer cannot be decoded", plays(answer("200 OK", GZIP, body=b"no gzip")), failing()),
    Point(
        "a page in a service's place",
        plays(answer("200 OK", "Content-Type: text/html", body=b"<html>" + b"b" * len(LARGE))),
        lambda s: raised(lambda: s.get(f"{URL}/api/data/v9.2/accounts").content),
        "Of an answer that is no service's (a front end's page, a 2xx to a write without `OData-Version`), the body is "
        "there as far as it was read: of an error 1 MiB (`error_prefix`), of a 2xx what came with the head. To a "
        "read `ChunkedEncodingError` says that there was more.",
        asks=False,
    ),
    # ---- redirects ----
    Point("a redirect", plays(answer("302 Found", "Location: /y"), answer(body=b"there")), get()),
    Point("a redirect beyond ASCII", plays(_UTF8_LOCATION, answer(body=b"there")), get()),
    Point("a redirect that is not followed", plays(answer("302 Found", "Location: /y")), get(allow_redirects=False)),
    Point(
        "the next of a redirect",
        plays(answer("302 Found", "Location: /y")),
        lambda s: getattr(s.get(X, allow_redirects=False).next, "url", None),
    ),
    Point(
        "a POST that becomes a GET",
        plays(answer("303 See Other", "Location: /y"), answer("200 OK", SERVICE)),
        post(data=b"abc"),
    ),
    Point(
        "a POST that stays one",
        plays(answer("307 Temporary", "Location: /y"), answer("200 OK", SERVICE)),
        post(data=b"abc"),
    ),
    Point(
        "a file that is sent again by a redirect",
        plays(answer("307 T", "Location: /y"), _echo),
        lambda s: seen(s.post(X, data=io.BytesIO(b"abc"))),
    ),
    Point("redirects without end", plays(answer("302 Found", "Location: /x")), failing(), asks=False),
    # ---- cookies, hooks, sessions ----
    Point("cookies", plays(answer("200 OK", "Set-Cookie: a=1; Path=/", "Set-Cookie: b=2")), _cookies),
    Point(
        "cookies of a redirect",
        plays(answer("302 F", "Location: /y", "Set-Cookie: a=1; Path=/"), answer()),
        lambda s: (seen(s.get(X)), dict(s.cookies)),
    ),
    Point("hooks", plays(answer(body=b"abc")), _hooked),
    Point("a pickled response", plays(answer("200 OK", "Set-Cookie: c=d", body=JSON)), _pickled),
    Point("a pickled session", plays(answer()), _pickled_session),
    Point("a session that goes on after its close", plays(answer()), _again_after_close),
    Point("threads", plays(_echo), _threads, asks=False),
    # ---- errors ----
    Point("cut before an answer", plays(CUT), failing()),
    Point(
        "cut within the head",
        plays(_then_cut(b"HTTP/1.1 200 OK\r\nX-A")),
        failing(),
        "A head that breaks off raises `ConnectionError`; stock takes it for a response.",
    ),
    Point("what is no HTTP", plays(_then_cut(b"220 mail.example ESMTP\r\n\r\n")), failing()),
    Point("cut within a body", plays(_then_cut(answer(body=LARGE)[:-7])), failing()),
    Point(
        "cut within a streamed body",
        plays(_then_cut(answer(body=LARGE)[:-7])),
        failing_read(lambda r: list(r.iter_content(1000))),
    ),
    Point(
        "cut within a redirect's body",
        plays(_then_cut(answer("302 Found", "Location: /y", body=JSON)[:-7]), answer(body=b"there")),
        get(),
    ),
    Point(
        "cut within an error's body",
        plays(_then_cut(answer("403 Forbidden", SERVICE, body=JSON)[:-7])),
        failing(),
        "Of an error whose body breaks off there is no response, but `ConnectionError`.",
    ),
    Point(
        "no User-Agent",
        plays(answer()),
        get(headers={"User-Agent": None}),
        "A request without a `User-Agent` has the library's (`user_agent`).",
    ),
    Point("cut within chunks", plays(_then_cut(chunked(b"one", b"two")[:-9])), failing()),
    Point("raw.read of a cut body", plays(_then_cut(answer(body=LARGE)[:-7])), failing_read(lambda r: r.raw.read())),
    Point(
        "HTTP/1.0",
        plays(answer(body=b"abc").replace(b"/1.1", b"/1.0")),
        lambda s: s.get(X).raw.version,
        "`raw.version` of an answer in HTTP/1.0 is 11.",
    ),
    Point("no answer in time", plays(_silent), failing(timeout=1)),
    Point("no answer in the read time", plays(_silent), failing(timeout=(5, 0.2))),
    Point("a Timeout of urllib3's", plays(_silent), failing(timeout=Timeout(connect=5, read=0.2))),
    Point("a body that stops", plays(_then_silent(answer(body=LARGE)[:-7])), failing(timeout=1)),
    Point(
        "a streamed body that stops",
        plays(_then_silent(answer(body=LARGE)[:-7])),
        lambda s: raised(lambda: list(s.get(X, stream=True, timeout=1).iter_content(1000))),
    ),
    Point("a Timeout's total", plays(_silent), failing(timeout=Timeout(total=0.3))),
    Point("a Timeout's read alone", plays(_silent), failing(timeout=Timeout(read=0.2))),
    Point("a time of more than a day", plays(answer()), get(timeout=(1e6, 1e7))),
    Point("a time that is none", plays(answer()), failing(timeout=0)),
    Point("three times", plays(answer()), failing(timeout=(1, 2, 3))),
    Point("a time of text", plays(answer()), failing(timeout="soon")),
    Point("interrupted", plays(_silent), _interrupted),
    Point("a body that fails", plays(_echo), lambda s: raised(lambda: s.post(X, data=_failing()))),
]
