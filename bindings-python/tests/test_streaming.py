"""Responses that are read by and by, by the blocking client."""

from __future__ import annotations

import hashlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

import d365_failover
import pytest
from d365_failover._native import NativeFailure
from d365_failover._stream import _Chunks, _Lines
from hypothesis import given
from hypothesis import strategies as st
from twin import ACCOUNTS, BULK, WHO_AM_I, Organization

SIZE = 1_000_003


def test_a_body_comes_in_pieces(org: Organization) -> None:
    with org.client() as client:
        digest = client.get(f"{BULK}/{SIZE}/digest").json()["sha256"]
        with client.stream("GET", f"{BULK}/{SIZE}") as response:
            assert (response.status_code, response.headers["content-length"]) == (200, str(SIZE))
            assert (response.effect, response.attempts[0].http_version) == ("none", "HTTP/1.1")
            pieces = list(response.iter_bytes())
            assert response.is_closed
    assert len(pieces) > 1
    assert sum(map(len, pieces)) == SIZE
    assert hashlib.sha256(b"".join(pieces)).hexdigest() == digest


@pytest.mark.parametrize("chunked", ["", "?chunked=1"])
def test_chunks_have_the_size_that_is_asked_for(org: Organization, chunked: str) -> None:
    with org.client() as client, client.stream("GET", f"{BULK}/100000{chunked}") as response:
        assert [len(chunk) for chunk in response.iter_bytes(30_000)] == [30_000, 30_000, 30_000, 10_000]


def test_over_http2(organization: Callable[..., Organization]) -> None:
    with organization(http2=True).client() as client, client.stream("GET", f"{BULK}/{SIZE}") as response:
        assert response.attempts[0].http_version == "HTTP/2"
        assert len(response.read()) == SIZE


def test_read_makes_it_an_ordinary_response(org: Organization) -> None:
    with org.client() as client:
        with client.stream("GET", WHO_AM_I) as response:
            assert response.read() == response.content == response.read()
            assert b"".join(response.iter_bytes(7)) == response.content
            assert list(response.iter_bytes()) == [response.content]
        # Outside of the block as well.
        assert response.json()["UserId"]
        assert response.text
        assert response.raise_for_status() is response


def test_ctrl_c_in_a_read_tells_of_the_batch(org: Organization) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def interrupt_read(reader: int) -> None:
        while sys._current_frames()[reader].f_code.co_name != "_next":
            time.sleep(0)
        signal.pthread_kill(reader, signal.SIGUSR1)

    part = f"POST {ACCOUNTS} HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{{}}"
    batch = f"--b\r\nContent-Type: application/http\r\n\r\n{part}\r\n--b--\r\n"
    headers = {"Content-Type": "multipart/mixed; boundary=b"}
    org.fault("primary", "stall_body")
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with org.client() as client:
            url = "/api/data/v9.2/$batch"
            with client.stream("POST", url, headers=headers, content=batch.encode(), tag="batch 7") as response:
                pieces = response.iter_bytes()
                assert next(pieces)
                threading.Thread(target=interrupt_read, args=(threading.get_ident(),)).start()
                with pytest.raises(KeyboardInterrupt) as caught:
                    next(pieces)
    finally:
        signal.signal(signal.SIGUSR1, before)
    error = d365_failover.error_of(caught.value)
    assert isinstance(error, d365_failover.WriteInDoubtError)
    assert (error.tag, error.ledger_id) == ("batch 7", response.ledger_id)


def test_content_before_read(org: Organization) -> None:
    with org.client() as client, client.stream("GET", WHO_AM_I) as response:
        for use in (lambda: response.content, lambda: response.text, response.json):
            with pytest.raises(d365_failover.ResponseNotReadError, match="read"):
                use()
        for _ in response.iter_bytes():
            pass
        with pytest.raises(d365_failover.ResponseNotReadError):
            _ = response.content


def test_reading_twice(org: Organization) -> None:
    with org.client() as client, client.stream("GET", f"{BULK}/100000") as response:
        assert next(response.iter_bytes(10))
        with pytest.raises(d365_failover.StreamConsumedError):
            next(response.iter_bytes())
        with pytest.raises(d365_failover.StreamConsumedError):
            response.read()


def test_reading_after_close(org: Organization) -> None:
    with org.client() as client:
        with client.stream("GET", f"{BULK}/100000") as response:
            pass
        assert response.is_closed
        with pytest.raises(d365_failover.StreamClosedError):
            response.read()
        with client.stream("GET", f"{BULK}/{SIZE}") as response:
            pieces = response.iter_bytes()
            next(pieces)
            response.close()
            response.close()
            with pytest.raises(d365_failover.StreamClosedError):
                list(pieces)


def test_leaving_the_block_early_closes_the_connection(org: Organization) -> None:
    org.fault("primary", "stall_body")
    with org.client() as client:
        with client.stream("GET", f"{BULK}/{SIZE}") as response:
            next(response.iter_bytes())
            assert org.counts("primary")["open_connections"] == 1
        org.wait("primary", open_connections_at_most=0)
        with pytest.raises(KeyError), client.stream("GET", f"{BULK}/{SIZE}") as response:
            raise KeyError
        org.wait("primary", open_connections_at_most=0)


def test_a_generator_that_streams_and_is_dropped_closes_the_connection(org: Organization) -> None:
    org.fault("primary", "stall_body")
    with org.client() as client:

        def download() -> Iterator[bytes]:
            with client.stream("GET", f"{BULK}/{SIZE}") as response:
                yield from response.iter_bytes()

        pieces = download()
        next(pieces)
        del pieces
        org.wait("primary", open_connections_at_most=0)


def test_a_body_read_to_its_end_leaves_the_connection_to_others(org: Organization) -> None:
    with org.client() as client:
        for _ in range(3):
            with client.stream("GET", f"{BULK}/{SIZE}") as response:
                response.read()
    assert org.counts("primary")["connections"] == 1


@pytest.mark.parametrize("reset", [False, True])
def test_a_body_that_breaks_off(org: Organization, reset: bool) -> None:
    org.fault("primary", "cut_body", reset=reset)
    with org.client() as client, client.stream("GET", f"{BULK}/{SIZE}") as response:
        pieces: list[bytes] = []
        with pytest.raises(d365_failover.ConnectionLostError) as caught:
            pieces.extend(response.iter_bytes())
    error = caught.value
    assert 0 < sum(map(len, pieces)) < SIZE
    assert (error.kind, error.effect, error.switched, error.response) == ("connection_lost", "none", False, None)
    (attempt,) = error.attempts
    assert (attempt.phase, attempt.http_status, attempt.fault) == ("responded", 200, "connection_lost")


def test_the_answer_to_a_write_that_breaks_off_says_that_it_was_executed(org: Organization) -> None:
    marked = {"OData-Version": "4.0"}
    org.fault("primary", "cut_body", answer={"kind": "status", "status": 201, "headers": marked, "body": "x" * 1000})
    with org.client() as client, client.stream("POST", ACCOUNTS, json={"name": "x"}) as response:
        assert response.effect == "executed"
        with pytest.raises(d365_failover.ConnectionLostError) as caught:
            response.read()
    assert caught.value.effect == "executed"
    assert org.counts("alternate")["received"] == 0


def test_a_body_that_stalls_is_a_timeout(org: Organization) -> None:
    org.fault("primary", "stall_body")
    with org.client(attempt_timeout=2) as client, client.stream("GET", f"{BULK}/{SIZE}") as response:
        with pytest.raises(TimeoutError) as caught:
            response.read()
        assert isinstance(caught.value, d365_failover.CallTimeoutError)
        assert caught.value.attempts[0].phase == "responded"


def test_a_read_waits_for_the_request_s_read_timeout(org: Organization) -> None:
    org.fault("primary", "stall_body")
    with (
        org.client() as client,
        client.stream("GET", f"{BULK}/{SIZE}", read_timeout=2) as response,
        pytest.raises(d365_failover.CallTimeoutError),
    ):
        response.read()


def test_the_deadline_ends_with_the_head(org: Organization) -> None:
    fault = org.fault("primary", "stall_body")
    with org.client() as client, client.stream("GET", f"{BULK}/{SIZE}", timeout=3) as response:
        threading.Timer(4, org.clear_fault, (fault,)).start()
        assert len(response.read()) == SIZE


def test_a_switch_before_the_head(org: Organization) -> None:
    org.fault("primary", "refuse")
    with org.client() as client, client.stream("GET", f"{BULK}/{SIZE}") as response:
        assert response.switched
        assert [attempt.role for attempt in response.attempts] == ["primary", "alternate"]
        assert len(response.read()) == SIZE


def test_an_error_status_tells_its_code_unread(org: Organization) -> None:
    with org.client() as client:
        missing = f"{ACCOUNTS}(00000000-0000-0000-0000-000000000001)"
        with client.stream("GET", missing) as response:
            with pytest.raises(d365_failover.HTTPStatusError) as caught:
                response.raise_for_status()
            assert (caught.value.status, caught.value.code, caught.value.kind) == (404, -2147220969, "service")
            said = str(caught.value)
            assert response.read() == client.get(missing).content
            with pytest.raises(d365_failover.HTTPStatusError) as caught:
                response.raise_for_status()
            assert (str(caught.value), caught.value.code) == (said, -2147220969)
        org.fault("primary", "throttled", retry_after=7)
        with client.stream("GET", WHO_AM_I) as response, pytest.raises(d365_failover.HTTPStatusError) as caught:
            response.raise_for_status()
        assert (caught.value.kind, caught.value.retry_after) == ("throttled", 7.0)


def test_a_refused_call_raises_at_the_block(org: Organization) -> None:
    org.fault("primary", "refuse")
    org.fault("alternate", "refuse")
    with org.client() as client:
        with pytest.raises(d365_failover.EndpointNotFoundError), client.stream("GET", WHO_AM_I):
            pytest.fail("there is no response")
        client.close()
        with pytest.raises(d365_failover.ClosedError), client.stream("GET", WHO_AM_I):
            pytest.fail("there is no response")


def test_an_upload_and_a_download_in_one(org: Organization) -> None:
    with org.client() as client, client.stream("PUT", BULK, content=iter([b"x"] * 10)) as response:
        assert b"10" in response.read()


def test_on_another_thread_than_the_main_one(org: Organization) -> None:
    sizes: list[int] = []
    with org.client() as client:

        def work() -> None:
            for _ in range(4):
                with client.stream("GET", f"{BULK}/{SIZE}") as response:
                    sizes.append(sum(map(len, response.iter_bytes())))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sizes == [SIZE] * 32


def test_a_read_leaves_the_interpreter_to_others(org: Organization) -> None:
    fault = org.fault("primary", "stall_body", path=BULK)
    with org.client() as client, client.stream("GET", f"{BULK}/{SIZE}") as response:
        got: list[bytes] = []
        reader = threading.Thread(target=lambda: got.append(response.read()))
        reader.start()
        assert client.get(f"{ACCOUNTS}?$top=0", timeout=30).status_code == 200
        org.clear_fault(fault)
        reader.join()
        assert len(got[0]) == SIZE


def test_two_threads_cannot_read_at_once(org: Organization) -> None:
    fault = org.fault("primary", "stall_body")
    failed = threading.Event()
    with org.client() as client, client.stream("GET", f"{BULK}/{SIZE}") as response:
        pieces = response.iter_bytes()
        next(pieces)

        def drain() -> None:
            try:
                while response._stream is not None and response._stream.read(65536):
                    pass
            except NativeFailure as failure:
                if failure.args[0] == "busy":
                    failed.set()

        threads = [threading.Thread(target=drain) for _ in range(2)]
        for thread in threads:
            thread.start()
        assert failed.wait(30)
        org.clear_fault(fault)
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("on_main_thread", [True, False])
def test_closing_the_response_ends_a_read(org: Organization, on_main_thread: bool) -> None:
    org.fault("primary", "stall_body")
    raised: list[BaseException] = []
    half = threading.Event()
    with org.client() as client, client.stream("GET", f"{BULK}/{SIZE}") as response:

        def read() -> None:
            try:
                for _ in response.iter_bytes():
                    half.set()
            except d365_failover.FailoverError as error:
                raised.append(error)

        def close() -> None:
            assert half.wait(30)
            org.wait("primary", in_flight_at_least=1)
            response.close()

        first, second = (close, read) if on_main_thread else (read, close)
        other = threading.Thread(target=first)
        other.start()
        second()
        other.join()
        org.wait("primary", open_connections_at_most=0)
    assert isinstance(raised[0], d365_failover.StreamClosedError)


def test_closing_the_client_ends_a_read(org: Organization) -> None:
    org.fault("primary", "stall_body")
    client = org.client()
    errors: list[BaseException] = []
    half = threading.Event()

    def read() -> None:
        with client.stream("GET", f"{BULK}/{SIZE}") as response:
            try:
                for _ in response.iter_bytes():
                    half.set()
            except d365_failover.FailoverError as error:
                errors.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    assert half.wait(30)
    client.close(timeout=0)
    reader.join()
    (error,) = errors
    assert isinstance(error, d365_failover.CallCancelledError)
    assert error.attempts


def test_lines(org: Organization) -> None:
    body = "one\r\ntwö\n\nlast"
    org.fault("primary", "status", status=200, body=body, headers={"Content-Type": "text/plain; charset=utf-8"})
    with org.client() as client, client.stream("GET", "/x") as response:
        assert list(response.iter_lines()) == ["one", "twö", "", "last"]


@given(st.text(alphabet="ab\r\n\u00fc\u2028"), st.integers(1, 5))
def test_lines_do_not_depend_on_how_the_bytes_are_cut(text: str, size: int) -> None:
    lines = _Lines("utf-8")
    data = text.encode()
    found = [line for at in range(0, len(data), size) for line in lines.feed(data[at : at + size])]
    found += lines.end()
    whole = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert found == (whole if whole[-1] else whole[:-1])


@given(st.lists(st.binary(max_size=20)), st.integers(1, 9))
def test_chunks_do_not_depend_on_how_the_bytes_come(pieces: list[bytes], size: int) -> None:
    chunks = _Chunks(size)
    found = [chunk for piece in pieces for chunk in chunks.feed(piece)]
    found += chunks.end()
    whole = b"".join(pieces)
    assert found == [whole[at : at + size] for at in range(0, len(whole), size)]


@pytest.mark.parametrize("size", [0, -1])
def test_a_chunk_size_below_one(org: Organization, size: int) -> None:
    with org.client() as client, client.stream("GET", WHO_AM_I) as response:
        with pytest.raises(ValueError, match="chunk_size"):
            next(response.iter_bytes(size))
        assert response.read()
