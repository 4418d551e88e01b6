"""Request bodies that are read while they are sent, by the blocking client."""

from __future__ import annotations

import gc
import hashlib
import io
import mmap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import d365_failover
import pytest
from d365_failover import _body
from d365_failover._body import source_of
from twin import BULK, WHO_AM_I, Organization

DATA = bytes(range(256)) * 4096
"""A megabyte: several pieces."""

SHA256 = hashlib.sha256(DATA).hexdigest()


def pieces(of: bytes = DATA, size: int = 50_000) -> Iterator[bytes]:
    for begin in range(0, len(of), size):
        yield of[begin : begin + size]


class OneShot(io.RawIOBase):
    """A file that cannot seek."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        return self._data.read(size)


def mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


CONTENTS: dict[str, Callable[[], Any]] = {
    "a file": lambda: io.BytesIO(DATA),
    "a file from its middle": lambda: at(io.BytesIO(b"skipped" + DATA), 7),
    "a file that cannot seek": lambda: OneShot(DATA),
    "a generator": pieces,
    "a list": lambda: list(pieces()),
    "other bytes-like pieces": lambda: [bytearray(DATA[:1]), memoryview(DATA[1:10]), b"", DATA[10:]],
    "a function": lambda: pieces,
    "a function that opens a file": lambda: lambda: io.BytesIO(DATA),
    "a function that gives bytes": lambda: lambda: DATA,
}


def at(file: io.BytesIO, position: int) -> io.BytesIO:
    file.seek(position)
    return file


@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS.keys())
def test_everything_that_gives_bytes_is_sent(
    organization: Callable[..., Organization], content: Any, http2: bool
) -> None:
    with organization(http2=http2).client() as client:
        response = client.put(BULK, content=content())
    assert response.json() == {"bytes": len(DATA), "sha256": SHA256}
    assert [attempt.http_version for attempt in response.attempts] == ["HTTP/2" if http2 else "HTTP/1.1"]


def test_a_file_on_disk_and_a_map_of_it(org: Organization, tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(DATA)
    with org.client() as client, path.open("rb") as file, mapped(path) as map:
        assert client.put(BULK, content=file).json()["sha256"] == SHA256
        assert not file.closed
        assert client.put(BULK, content=map).json()["sha256"] == SHA256
        assert client.put(BULK, content=lambda: path.open("rb")).json()["sha256"] == SHA256


@pytest.mark.parametrize("empty", [b"", [], io.BytesIO(), list])
def test_an_empty_body(org: Organization, empty: Any) -> None:
    with org.client() as client:
        assert client.put(BULK, content=empty).json()["bytes"] == 0


@pytest.mark.parametrize("what", ["a file", "a function", "a function that opens a file"])
def test_what_can_be_read_again_is_sent_again_after_a_switch(org: Organization, what: str) -> None:
    org.fault("primary", "datacenter_not_available")
    with org.client() as client:
        response = client.put(BULK, content=CONTENTS[what](), operation="idempotent")
    assert response.switched
    assert [attempt.role for attempt in response.attempts] == ["primary", "alternate"]
    assert response.json() == {"bytes": len(DATA), "sha256": SHA256}


@pytest.mark.parametrize("what", ["a generator", "a file that cannot seek"])
def test_what_can_be_read_once_is_not_sent_again(org: Organization, what: str) -> None:
    org.fault("primary", "datacenter_not_available")
    with org.client() as client, pytest.raises(d365_failover.DatacenterNotAvailableError, match="only once") as caught:
        client.put(BULK, content=CONTENTS[what](), operation="idempotent")
    assert [attempt.role for attempt in caught.value.attempts] == ["primary"]
    assert org.counts("alternate")["received"] == 0


def test_a_function_that_gives_the_same_again_ends_the_call(org: Organization) -> None:
    org.fault("primary", "datacenter_not_available")
    given = iter([DATA[:100], DATA[100:]])
    with org.client() as client, pytest.raises(RuntimeError, match="the same iterator again"):
        client.put(BULK, content=lambda: given, operation="idempotent")
    assert "PUT bulk" not in org.counts("alternate")["received_by"]


def test_what_can_be_read_once_is_sent_again_if_it_was_not_begun(org: Organization) -> None:
    org.fault("primary", "refuse")
    with org.client() as client:
        response = client.put(BULK, content=pieces())
    assert response.switched
    assert response.json()["sha256"] == SHA256


def test_a_generator_that_fails_ends_the_call_with_what_it_raised(org: Organization) -> None:
    class OwnError(Exception):
        pass

    origin = ValueError("the origin")

    def failing(own_cause: bool) -> Iterator[bytes]:
        yield DATA
        if own_cause:
            raise OwnError from origin
        raise OwnError

    with org.client() as client:
        with pytest.raises(OwnError) as caught:
            client.post(BULK, content=failing(own_cause=False))
        with pytest.raises(OwnError) as caught_with_cause:
            client.post(BULK, content=failing(own_cause=True))
        assert client.get(WHO_AM_I).status_code == 200
    cause = caught.value.__cause__
    assert isinstance(cause, d365_failover.WriteInDoubtError)
    assert isinstance(cause.__cause__, d365_failover.LocalError)
    assert (cause.kind, cause.switched, len(cause.attempts)) == ("local", False, 1)
    assert cause.effect in ("unknown", "not_executed")
    assert caught_with_cause.value.__cause__ is origin


def test_what_cannot_be_rewound_ends_the_call(org: Organization) -> None:
    class Stuck(io.BytesIO):
        def seek(self, *args: Any) -> int:
            if self.tell() == len(DATA) and args[0] == 0 and len(args) == 1 and self.begun:
                raise OSError("it cannot go back")
            return super().seek(*args)

        begun = False

        def read(self, size: int | None = -1, /) -> bytes:
            self.begun = True
            return super().read(size)

    org.fault("primary", "datacenter_not_available")
    with org.client() as client, pytest.raises(OSError, match="cannot go back") as caught:
        client.put(BULK, content=Stuck(DATA), operation="idempotent")
    assert isinstance(caught.value.__cause__, d365_failover.LocalError)


@pytest.mark.parametrize("length", [len(DATA) - 1, len(DATA) + 1])
def test_a_length_that_is_not_the_length(org: Organization, length: int) -> None:
    with org.client() as client, pytest.raises(d365_failover.WriteInDoubtError) as caught:
        client.put(BULK, content=pieces(), headers={"Content-Length": str(length)})
    assert isinstance(caught.value.__cause__, d365_failover.LocalError)
    assert not caught.value.switched


def test_a_length_that_is_told_is_sent(org: Organization) -> None:
    with org.client() as client:
        response = client.put(BULK, content=pieces(), headers={"content-length": str(len(DATA))})
        assert response.json()["bytes"] == len(DATA)
        with pytest.raises(d365_failover.InvalidArgumentError, match="Content-Length"):
            client.put(BULK, content=pieces(), headers={"content-length": "-1"})


@pytest.mark.parametrize("content", [DATA, lambda: io.BytesIO(DATA)], ids=["bytes", "a file"])
def test_a_length_agrees_with_what_is_known(org: Organization, content: Any) -> None:
    content = content() if callable(content) else content
    with org.client() as client:
        response = client.put(BULK, content=content, headers={"Content-Length": str(len(DATA))})
        assert response.json()["bytes"] == len(DATA)
        with pytest.raises(d365_failover.InvalidArgumentError, match="Content-Length says 3"):
            client.put(BULK, content=b"four", headers={"Content-Length": "3"})


TEXTS: dict[str, Callable[[], Any]] = {
    "a text file": lambda: io.StringIO("text"),
    "pieces of text": lambda: ["text"],
    "a function that gives pieces of text": lambda: lambda: iter(["text"]),
    "numbers": lambda: [1, 2],
}


@pytest.mark.parametrize("content", TEXTS.values(), ids=TEXTS.keys())
def test_text_where_bytes_are_due(org: Organization, content: Callable[[], Any]) -> None:
    with org.client() as client:
        with pytest.raises(TypeError, match="bytes are due"):
            client.put(BULK, content=content())
        assert client.get(WHO_AM_I).status_code == 200


async def coroutine_function() -> bytes:
    return b""


async def asynchronous() -> Any:
    yield b""


@pytest.mark.parametrize(
    "content", [3, object(), {"name": "x"}, coroutine_function, asynchronous, asynchronous(), lambda: 3, lambda: None]
)
def test_what_is_no_content(org: Organization, content: Any) -> None:
    with org.client() as client, pytest.raises(TypeError):
        client.put(BULK, content=content)


def test_a_generator_is_closed_when_the_call_has_ended(org: Organization) -> None:
    seen: list[str] = []

    def careful() -> Iterator[bytes]:
        try:
            while True:
                yield DATA
        except GeneratorExit:
            seen.append("closed")
            raise

    with org.client() as client, pytest.raises(d365_failover.WriteInDoubtError):
        client.post(BULK, content=careful(), headers={"Content-Length": "10"})
    assert seen == ["closed"]


def test_what_a_function_gave_is_closed(org: Organization) -> None:
    given: list[io.BytesIO] = []

    def anew() -> io.BytesIO:
        given.append(io.BytesIO(DATA))
        return given[-1]

    org.fault("primary", "datacenter_not_available")
    with org.client() as client:
        assert client.put(BULK, content=anew, operation="idempotent").switched
    assert [file.closed for file in given] == [True, True]


def test_a_generator_may_call_the_client(org: Organization) -> None:
    with org.client() as client:

        def curious() -> Iterator[bytes]:
            yield client.get(WHO_AM_I).content
            yield client.put(BULK, content=iter([b"inner"])).content

        assert client.put(BULK, content=curious()).json()["bytes"] > 0


def test_a_body_runs_on_the_thread_that_calls(org: Organization) -> None:
    threads: list[threading.Thread] = []

    def where() -> Iterator[bytes]:
        threads.append(threading.current_thread())
        yield b"x"

    with org.client() as client:
        client.put(BULK, content=where())
        other = threading.Thread(target=lambda: client.put(BULK, content=where()))
        other.start()
        other.join()
    assert threads == [threading.current_thread(), other]


def test_many_threads_send_bodies_at_once(org: Organization) -> None:
    answers: list[Any] = []
    with org.client() as client:

        def work(number: int) -> None:
            for _ in range(5):
                answers.append((number, client.put(BULK, content=pieces(DATA[number:], 10_007)).json()))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(answers) == 40
    for number, answer in answers:
        assert answer["sha256"] == hashlib.sha256(DATA[number:]).hexdigest()


def test_a_blocking_body_leaves_the_interpreter_to_others(org: Organization) -> None:
    go_on, asked = threading.Event(), threading.Event()

    def slow() -> Iterator[bytes]:
        yield b"a"
        asked.set()
        assert go_on.wait(30)
        yield b"b"

    with org.client() as client:
        answers: list[Any] = []
        caller = threading.Thread(target=lambda: answers.append(client.put(BULK, content=slow()).json()))
        caller.start()
        assert asked.wait(30)
        assert client.get(WHO_AM_I).status_code == 200
        go_on.set()
        caller.join()
    assert answers[0]["bytes"] == 2


def test_closing_the_client_ends_a_call_whose_body_waits(org: Organization) -> None:
    go_on, asked = threading.Event(), threading.Event()
    errors: list[BaseException] = []

    def slow() -> Iterator[bytes]:
        asked.set()
        assert go_on.wait(30)
        yield b"b"

    client = org.client()

    def call() -> None:
        try:
            client.put(BULK, content=slow())
        except d365_failover.FailoverError as error:
            errors.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    assert asked.wait(30)
    client.close(timeout=0)
    go_on.set()
    caller.join()
    (error,) = errors
    assert isinstance(error, d365_failover.WriteInDoubtError)
    assert isinstance(error.__cause__, d365_failover.CallCancelledError)


def test_a_call_with_a_body_leaves_nothing_behind(org: Organization) -> None:
    with org.client() as client:
        client.put(BULK, content=pieces())
        gc.collect()
        before = threading.active_count(), sum(isinstance(thing, _body._Pieces) for thing in gc.get_objects())
        for _ in range(20):
            client.put(BULK, content=pieces())
        assert (threading.active_count(), sum(isinstance(t, _body._Pieces) for t in gc.get_objects())) == before
        end = time.monotonic() + 30
        while b"d365-call" in native_threads() and time.monotonic() < end:
            pass
        assert b"d365-call" not in native_threads()


def native_threads() -> list[bytes]:
    names = []
    for comm in Path("/proc/self/task").glob("*/comm"):
        try:
            names.append(comm.read_bytes().strip())
        except OSError:  # ended meanwhile
            continue
    return names


def test_pieces_are_cut_to_what_is_wanted() -> None:
    source = source_of([b"abcdef", b"", b"g"])
    assert source is not None
    assert [bytes(source.read(most)) for most in (4, 4, 4, 4, 4)] == [b"abcd", b"ef", b"g", b"", b""]
