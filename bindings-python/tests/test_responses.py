"""Responses are converted when they are asked: also after their client, in another thread, in another process."""

from __future__ import annotations

import asyncio
import codecs
import copy
import datetime
import encodings.aliases
import gc
import json
import os
import pickle
import pkgutil
import threading
import uuid
import weakref
from typing import Any

import d365_failover
import pytest
from d365_failover import AsyncStreamedResponse, BatchPart, Headers, Response, StreamedResponse, _exceptions, _native
from d365_failover._charset import charset_of, decoded, decoder
from scripted import Scripted
from subject import Subjects
from twin import ACCOUNTS, BULK, WHO_AM_I, Organization


def all_of(response: Response) -> tuple[Any, ...]:
    return (
        response.status_code,
        response.url,
        response.headers.multi_items(),
        response.content,
        response.effect,
        response.switched,
        response.attempts,
        response.ledger_id,
        response.tag,
        response.reason_phrase,
        response.elapsed,
        (response.request.method, response.request.url, dict(response.request.headers)),
    )


def responses(org: Organization) -> list[Response]:
    """A small one, a large one, a write, an error."""
    with org.client() as client:
        gone = client.delete(f"{ACCOUNTS}(00000000-0000-0000-0000-000000000001)")
        assert gone.is_error
        return [client.get(WHO_AM_I), client.get(f"{BULK}/100000"), client.post(ACCOUNTS, json={"name": "a"}), gone]


def in_child(org: Organization, work: Any) -> bytes:
    """What `work()` gives in the child of a fork."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(work(), pipe)
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return told


def test_they_outlive_their_client(org: Organization) -> None:
    small, large, written, gone = responses(org)
    gc.collect()
    assert small.json()["UserId"]
    assert (len(large.content), large.headers["content-length"]) == (100_000, "100000")
    assert (written.effect, written.attempts[0].role) == ("executed", "primary")
    assert written.headers["OData-EntityId"].startswith(org.primary_url)
    assert gone.attempts[0].http_status == gone.status_code


def test_what_was_asked_stays_the_same(org: Organization) -> None:
    for response in responses(org):
        assert all_of(response) == all_of(response)
        assert response.headers is response.headers
        assert response.attempts is response.attempts


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_they_are_read_in_the_child_of_a_fork(org: Organization) -> None:
    made = responses(org)
    asked = responses(org)
    for response in asked:
        assert response.url
        assert response.attempts
    told = pickle.loads(in_child(org, lambda: [all_of(response) for response in [*made, *asked]]))
    assert told == [all_of(response) for response in [*made, *asked]]


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_the_parents_are_dropped_in_the_child(org: Organization) -> None:
    made = responses(org)

    def drop() -> int:
        made.clear()
        gc.collect()
        return len(made)

    assert pickle.loads(in_child(org, drop)) == 0
    assert [response.status_code for response in made][:3] == [200, 200, 204]
    assert all(response.attempts for response in made)


@pytest.mark.parametrize("is_asked", [False, True])
def test_they_are_copied_and_pickled(org: Organization, is_asked: bool) -> None:
    for response in responses(org):
        told = all_of(response) if is_asked else None
        copies = [pickle.loads(pickle.dumps(response)), copy.copy(response), copy.deepcopy(response)]
        for made in copies:
            assert type(made) is Response
            assert all_of(made) == (told or all_of(response))
            assert weakref.ref(made)() is made
            assert weakref.ref(made.headers)() is made.headers


def test_many_threads_ask_at_once(org: Organization) -> None:
    made = [response for _ in range(10) for response in responses(org)]
    told: list[list[Any]] = []
    barrier = threading.Barrier(8)

    def ask() -> None:
        barrier.wait(60)
        told.append([all_of(response) for response in made])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 8
    assert all(seen == told[0] for seen in told)


def test_one_is_made_of_its_parts() -> None:
    attempt = ("primary", 0, "responded", None, 200, None, 1_700_000_000_000, 5, "https://a.example/", "", None, None)
    answer = _native.Answer(
        200,
        "https://a.example/",
        [("a", "b")],
        b"x",
        "executed",
        True,
        [attempt],
        3,
        [(0, 204, None)],
        "a tag",
        "Fine",
        1_500_000,
    )
    response = Response(answer)
    assert (response.effect, response.switched, response.ledger_id, response.tag) == ("executed", True, 3, "a tag")
    assert pickle.loads(pickle.dumps(response)).tag == "a tag"
    assert _exceptions.completed(answer).tag == "a tag"
    assert (response.reason_phrase, response.elapsed.total_seconds()) == ("Fine", 1.5)
    with pytest.raises(RuntimeError, match="no request"):
        _ = response.request
    assert response.attempts[0].took == 5e-6
    assert response.parts == (BatchPart(0, 204, None),)
    assert answer.take_stream() is None


def test_the_parts_of_a_batch(org: Organization) -> None:
    request = "POST /api/data/v9.2/accounts HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{}"
    batch = f"--b\r\nContent-Type: application/http\r\n\r\n{request}\r\n--b--\r\n"
    headers = {"Content-Type": "multipart/mixed; boundary=b"}
    expected = (BatchPart(0, 204, None),)
    with org.client() as client:
        response = client.post("/api/data/v9.2/$batch", headers=headers, content=batch.encode())
        assert (response.effect, response.parts) == ("executed", expected)
        assert pickle.loads(pickle.dumps(response)).parts == expected
        call = client.stream("POST", "/api/data/v9.2/$batch", headers=headers, content=batch.encode())
        with call as streamed:
            assert (streamed.effect, streamed.parts) == ("unknown", ())
            streamed.read()
        assert (streamed.effect, streamed.parts) == ("executed", expected)
        assert client.get(WHO_AM_I).parts == ()


def test_a_streamed_one_is_not_copied_before_it_is_read(org: Organization) -> None:
    with org.client() as client, client.stream("GET", WHO_AM_I) as response:
        for work in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="once it was read"):
                work(response)
        assert response.read()


def test_no_query_and_no_token_stands_in_a_text(org: Organization) -> None:
    with org.client() as client:
        headers = {"Authorization": "Bearer opaque-7f3a"}
        response = client.get(f"{ACCOUNTS}({uuid.uuid4()})?$select=secret&" + "x" * 70, headers=headers)
        with pytest.raises(d365_failover.HTTPStatusError) as caught:
            response.raise_for_status()
        entry_of = client.patch(f"{ACCOUNTS}({uuid.uuid4()})?$select=secret", json={"name": "a"}).ledger_id
        entries = [entry for entry in client.ledger() if entry.id == entry_of]
        assert entries
        assert "secret" in response.url
        assert "secret" in response.attempts[0].url
        for shown in (response, response.attempts, caught.value, entries, str(caught.value)):
            assert "secret" not in repr(shown)
        assert "?…" in repr(response.attempts)


def test_no_credential_stands_in_the_text_of_headers() -> None:
    headers = d365_failover.Headers([("Set-Cookie", "secret"), ("X-Echo", "got Bearer secret"), ("Date", "today")])
    assert "secret" not in repr(headers)
    assert "today" in repr(headers)
    assert headers["x-echo"] == "got Bearer secret"


def made(content: bytes, content_type: str | None) -> Response:
    headers = [] if content_type is None else [("Content-Type", content_type)]
    return Response(
        _native.Answer(200, "https://a.example/", headers, content, "none", False, [], None, [], None, "", 0)
    )


UMLAUT = "\u00fc".encode()


@pytest.mark.parametrize(
    ("named", "charset", "text"),
    [
        ("latin-1", "latin-1", UMLAUT.decode("latin-1")),
        ('"latin-1"', "latin-1", UMLAUT.decode("latin-1")),
        ("'LATIN-1' ; x=y", "LATIN-1", UMLAUT.decode("latin-1")),
        ('"l\\atin-1"', "latin-1", UMLAUT.decode("latin-1")),
        ('"latin-1', "latin-1", UMLAUT.decode("latin-1")),
        ("latin-1; charset=utf-16", "latin-1", UMLAUT.decode("latin-1")),
        ("; charset=latin-1", "latin-1", UMLAUT.decode("latin-1")),
        *(
            (name, "utf-8", "\u00fc")
            for name in (
                *("utf8mb4", "none", "x-sjis", "idna", "utf-8,utf-8", "undefined", "base64", "rot13", "punycode"),
                *("unicode_escape", "unicode-escape", "raw_unicode_escape", "hex", "zlib", "bz2", "uu", "quopri"),
                *('""', "''", '"', "", " ", ";", "utf-8\0", "\0", "\u00fc", "a" * 100_000, "../utf_8", "mbcs", "oem"),
            )
        ),
    ],
)
def test_text_never_fails(named: str, charset: str, text: str) -> None:
    response = made(UMLAUT, f"text/plain; charset={named}")
    assert (response.charset, response.text) == (charset, text)


@pytest.mark.parametrize(
    "before",
    [
        'title="a; charset=utf-16"',
        "title='a; charset=utf-16'",
        'title="a\\"; charset=utf-16"',
        'title = "; charset=utf-16" x',
        'title="; charset=utf-16"; a="; charset=utf-16"',
        "title='tis; a='b",
        "title*=utf-8''a%3B",
        "xcharset=utf-16",
        "charset*=utf-16",
        "charset",
        "=",
        "",
    ],
)
def test_a_charset_is_a_parameter_of_its_own(before: str) -> None:
    assert charset_of(f"text/plain; {before}; charset=latin-1") == "latin-1"
    assert charset_of(f"text/plain;{before} ;Charset = latin-1") == "latin-1"


@pytest.mark.parametrize(
    "content_type",
    [None, "", "charset=latin-1", "text/plain", "text/plain; charset", "; ; =", 'a/b; x="; charset=latin-1'],
)
def test_text_without_a_charset_is_utf_8(content_type: str | None) -> None:
    response = made(UMLAUT + b"\xff", content_type)
    assert (response.charset, response.text) == ("utf-8", "\u00fc\ufffd")


def test_no_encoding_of_pythons_fails_on_any_bytes() -> None:
    names = {*encodings.aliases.aliases, *encodings.aliases.aliases.values()}
    names |= {module.name for module in pkgutil.iter_modules(encodings.__path__)}
    assert len(names) > 300
    contents = [
        "a\u00fc\U0001f600".encode(name) for name in ("utf-16", "utf-16-be", "utf-32", "utf-32-le", "utf-16-le")
    ]
    contents += [codecs.BOM_UTF16_BE + "a\u00fc".encode("utf-16-be"), codecs.BOM_UTF32_BE, b"\xfe", b"\xff\xfe\0"]
    contents += [b"", b"\xff", b"\0", bytes(range(256)), b"+AAA-\x1b$B\x0e~{\xd8\x00", b"xn--\xfc." * 20, b"a" * 100]
    for name in sorted(names):
        charset = charset_of(f"text/plain; charset={name}")
        for content in contents:
            assert isinstance(decoded(content, charset), str)
            reading = decoder(charset)
            pieces = [reading.decode(content[at : at + 1]) for at in range(len(content))]
            text = "".join([*pieces, reading.decode(b"", final=True)])
            assert isinstance(text, str)
            if charset.replace("-", "_") in ("utf_8", "utf_16", "utf_32", "utf_16_be", "utf_32_le"):
                assert text == decoded(content, charset)
        reading = decoder(charset)
        pieces = [reading.decode(piece) for piece in (b"$\x1b$", b"\0\xff", b"$\xe2~~\xd8(")]
        assert isinstance("".join([*pieces, reading.decode(b"", final=True)]), str)


@pytest.mark.parametrize("charset", ["iso-2022-jp", "iso-2022-jp-2", "iso-2022-jp-3", "iso-2022-kr", "iso-2022-jp-ext"])
def test_lines_around_what_cannot_be_decoded_are_kept(charset: str) -> None:
    pieces = [b"before\n\x1b$\x1b$\xe2", b"~{\nafter\n", b"\nlast"]
    reading = decoder(charset)
    text = "".join([*map(reading.decode, pieces), reading.decode(b"", final=True)])
    assert text == decoded(b"".join(pieces), charset) == "before\n\ufffd$\ufffd$\ufffd~{\nafter\n\nlast"


def test_a_codec_that_fails_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fails(bytes):
        def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
            if encoding != "utf-8":
                raise RuntimeError(encoding)
            return super().decode(encoding, errors)

    assert decoded(Fails(UMLAUT), "latin-1") == "\u00fc"
    assert decoder("no_such_codec").decode(UMLAUT) == "\u00fc"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_json_in_any_encoding(encoding: str) -> None:
    response = made('{"name": "\u00fc"}'.encode(encoding), "application/json; charset=latin-1")
    assert response.json() == {"name": "\u00fc"}


@pytest.mark.parametrize("content", [b"", b"\xff", b"{", b"\0", UMLAUT[:1], b"[" * 1_000_000])
def test_what_is_no_json_is_a_value_error(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        made(content, "application/json").json()


HEAD = (
    b"HTTP/1.1 404 No Such Thing\r\nOData-Version: 4.0\r\nset-cookie: a=1\r\nX-One: 1\r\nSet-Cookie: b=2\r\n"
    b"CONTENT-length: 4\r\n\r\n{\n\n}"
)
PAIRS = [
    ("OData-Version", "4.0"),
    ("set-cookie", "a=1"),
    ("X-One", "1"),
    ("Set-Cookie", "b=2"),
    ("CONTENT-length", "4"),
]


def check_told(response: Response) -> None:
    assert (response.status_code, response.reason_phrase, response.ok) == (404, "No Such Thing", False)
    assert repr(response) == "<Response [404 No Such Thing]>"
    assert response.headers.multi_items() == PAIRS
    assert list(response.headers) == ["OData-Version", "set-cookie", "X-One", "CONTENT-length"]
    assert response.headers["Set-COOKIE"] == "a=1, b=2"
    assert response.headers.get_list("set-Cookie") == ["a=1", "b=2"]
    assert isinstance(response.elapsed, datetime.timedelta)
    assert response.elapsed.total_seconds() >= response.attempts[0].took
    asked = response.request
    assert (asked.method, asked.url) == ("GET", "/x?a=secret")
    assert asked.headers["authorization"] == "Bearer opaque-7f3a"
    assert asked is response.request
    for shown in (repr(asked), repr(asked.headers), repr(response), str(asked)):
        assert "opaque" not in shown
        assert "secret" not in shown
    with pytest.raises(d365_failover.HTTPStatusError, match=r"^HTTP status 404 No Such Thing from ") as caught:
        response.raise_for_status()
    assert caught.value.response is response


def test_what_a_response_tells(open_subject: Subjects) -> None:
    headers = {"Authorization": "Bearer opaque-7f3a"}
    with Scripted(HEAD) as server, open_subject(server) as subject:
        response = subject.call("get", "/x", params={"a": "secret"}, headers=headers)
    check_told(response)
    for copied in (pickle.loads(pickle.dumps(response)), copy.deepcopy(response)):
        assert (copied.reason_phrase, copied.elapsed) == (response.reason_phrase, response.elapsed)
        assert copied.headers.multi_items() == PAIRS
        # Who stores a response stores no credential.
        assert (copied.request.url, dict(copied.request.headers)) == ("/x?a=secret", {})
    assert b"opaque" not in pickle.dumps(response)


def test_what_a_streamed_response_tells_over_asyncio_too() -> None:
    headers = {"Authorization": "Bearer opaque-7f3a"}

    async def streamed(server: Scripted) -> AsyncStreamedResponse:
        async with server.async_client() as client:
            async with client.stream("get", "/x?a=secret", headers=headers) as response:
                await response.aread()
            return response

    with Scripted(HEAD) as server:
        with server.client() as client, client.stream("get", "/x?a=secret", headers=headers) as response:
            response.read()
        check_told(response)
        check_told(asyncio.run(streamed(server)))
        assert type(pickle.loads(pickle.dumps(response))) is StreamedResponse
    assert b"opaque" not in pickle.dumps(response)


def test_names_and_reason_over_http2(organization: Any) -> None:
    with organization(http2=True).client() as client:
        response = client.get(WHO_AM_I)
    assert (response.reason_phrase, response.ok, repr(response)) == ("OK", True, "<Response [200 OK]>")
    assert all(name == name.lower() for name in response.headers)


def test_an_errors_response_tells_what_it_was_asked_with(open_subject: Subjects) -> None:
    with Scripted(b"HTTP/1.1 503 Busy\r\nContent-Length: 1\r\n\r\nx") as server, open_subject(server) as subject:
        with pytest.raises(d365_failover.ServerUnavailableError) as caught:
            subject.call("request", "get", "/x", headers={"A": "b"})
        with pytest.raises(d365_failover.WriteInDoubtError) as doubt:
            subject.call("post", "/x", content=iter([b"x"]))
    failed, unclear = caught.value.response, doubt.value.response
    assert failed is not None
    assert unclear is not None
    assert (failed.reason_phrase, failed.request.method, failed.request.url) == ("Busy", "GET", "/x")
    assert failed.request.headers == {"a": "b"}
    assert unclear.request.method == "POST"


ERROR = b"HTTP/1.1 503 Busy\r\nContent-Length: 1\r\n\r\nx"


def refused(subject: Any, *call: Any) -> d365_failover.Response:
    """The response that the failed call tells of."""
    with pytest.raises(d365_failover.FailoverError) as caught:
        subject.call(*call)
    response = caught.value.response
    assert response is not None
    return response


def test_a_failure_changes_nothing_of_an_earlier_one(open_subject: Subjects) -> None:
    with Scripted(ERROR) as server, open_subject(server) as subject:
        try:
            subject.call("get", "/first")
        except d365_failover.FailoverError as error:
            first = error
            second = refused(subject, "get", "/second")

        def raised(outgoing: object) -> None:
            raise kind("of the hook's") from first

        for kind in (ValueError, d365_failover.FailoverError):
            with open_subject(server, prepare=raised) as hooked, pytest.raises(kind):
                hooked.call("get", "/third")
    assert first.response is not None
    assert (first.response.request.url, second.request.url) == ("/first", "/second")


def test_the_answer_to_a_question_of_the_librarys_has_no_request(open_subject: Subjects) -> None:
    with Scripted(ERROR) as server, open_subject(server) as subject:
        with pytest.raises(d365_failover.WriteInDoubtError) as doubt:
            subject.call("delete", "/api/data/v9.2/accounts(00000000-0000-0000-0000-000000000001)")
        response = refused(subject, "verify", doubt.value.ledger_id)

        def raised(outgoing: object) -> None:
            raise ValueError from d365_failover.FailoverError(response=response)

        with open_subject(server, prepare=raised) as hooked, pytest.raises(ValueError, match=r"^$"):
            hooked.call("get", "/x")
    for told in (response, pickle.loads(pickle.dumps(response))):
        with pytest.raises(RuntimeError, match=r"it has no request$"):
            _ = told.request


def test_headers_compare_and_look_up_in_any_case() -> None:
    headers = Headers([("A", "1"), ("a", "2"), ("B", "3")])
    assert headers == Headers([("a", "1"), ("A", "2"), ("b", "3")])
    assert headers == {"a": "1, 2", "b": "3"}
    assert headers != {"a": "1, 2"}
    assert headers != Headers([("A", "2"), ("a", "1"), ("B", "3")])
    assert headers != 3
    assert dict(headers) == {"A": "1, 2", "B": "3"}
    number: Any = 3
    assert ("b" in headers, number in headers, headers.get("none"), headers.get_list("none")) == (True, False, None, [])
    for name in ("none", 3, None):
        with pytest.raises(KeyError):
            headers[name]  # type: ignore[index]


SMALL = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
    + json.dumps({"a": [1]}).encode()[:9]
)


def test_a_small_streamed_response_is_not_waited_for() -> None:
    reads = []

    async def streamed(server: Scripted) -> None:
        async with server.async_client() as client:
            read = client._read
            client._read = lambda *given: reads.append(given) or read(*given)  # type: ignore[method-assign,func-returns-value]
            for _ in range(3):
                async with client.stream("GET", "/x") as response:
                    assert [piece async for piece in response.aiter_bytes()] == [b'{"a": [1]']
                    assert response.is_closed

    with Scripted(SMALL) as server:
        with server.client() as client:
            for _ in range(3):
                with client.stream("GET", "/x") as response:
                    with pytest.raises(d365_failover.ResponseNotReadError):
                        _ = response.content
                    assert not response.is_closed
                    stream = response._stream
                    assert stream is not None
                    assert stream.ready(3) == b'{"a'
                    # Its connection serves others before it is read.
                    assert client.get("/x").ok
                    assert list(response.iter_bytes()) == [b'": [1]']
                    with pytest.raises(d365_failover.StreamConsumedError):
                        list(response.iter_bytes())
        assert server.connections == 1
        asyncio.run(streamed(server))
    assert reads == []
