"""Responses are converted when they are asked: also after their client, in another thread, in another process."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import threading
import uuid
from typing import Any

import d365_failover
import pytest
from d365_failover import BatchPart, Response, _exceptions, _native
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
        200, "https://a.example/", [("a", "b")], b"x", "executed", True, [attempt], 3, [(0, 204, None)], "a tag"
    )
    response = Response(answer)
    assert (response.effect, response.switched, response.ledger_id, response.tag) == ("executed", True, 3, "a tag")
    assert pickle.loads(pickle.dumps(response)).tag == "a tag"
    assert _exceptions.completed(answer).tag == "a tag"
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


def test_a_streamed_one_is_not_pickled_before_it_is_read(org: Organization) -> None:
    with org.client() as client, client.stream("GET", WHO_AM_I) as response:
        with pytest.raises(TypeError, match="pickle"):
            pickle.dumps(response)
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
