from __future__ import annotations

import json
import logging
import os
import signal
import threading
from pathlib import Path
from typing import Any

import d365_failover
import pytest
from twin import ACCOUNTS, WHO_AM_I, Organization, Twin


def test_a_row_is_created_and_read_back(org: Organization) -> None:
    with org.client() as client:
        created = client.post(ACCOUNTS, json={"name": "Ünï"})
        assert (created.status_code, created.effect, created.switched) == (204, "executed", False)
        assert created.content == b""
        assert created.raise_for_status() is created
        row = client.get(created.headers["odata-entityid"], params={"$select": "name"})
        assert row.json()["name"] == "Ünï"
        assert json.loads(row.text) == row.json()
        assert row.effect == "none"
        assert row.url.startswith(org.primary_url)
        assert client.patch(row.url.partition("?")[0], json={"name": "b"}).status_code == 204
        assert client.delete(row.url.partition("?")[0]).status_code == 204
    assert org.rows() == []


def test_headers_are_a_mapping_in_any_case(org: Organization) -> None:
    org.fault("primary", "status", status=200, headers={"X-One": "a", "Content-Type": "text/plain; charset=latin-1"})
    with org.client() as client:
        headers = client.get("/x").headers
    assert headers["x-one"] == headers["X-ONE"] == "a"
    assert "X-oNe" in headers
    assert headers.get("none") is None
    assert ("x-one", "a") in [(name.lower(), value) for name, value in headers.multi_items()]
    assert set(dict(headers)) == {name for name, _ in headers.multi_items()}


def test_text_is_decoded_as_the_response_says(org: Organization) -> None:
    org.fault("primary", "status", status=200, headers={"Content-Type": 'text/plain; charset="latin-1"'}, body="\u00fc")
    with org.client() as client:
        response = client.get("/x")
    assert response.content == "\u00fc".encode()
    assert response.text == "\u00fc".encode().decode("latin-1")


def test_an_error_status_is_a_response_until_asked(org: Organization) -> None:
    with org.client() as client:
        response = client.get(f"{ACCOUNTS}(00000000-0000-0000-0000-000000000001)")
    assert response.status_code == 404
    with pytest.raises(d365_failover.HTTPStatusError) as caught:
        response.raise_for_status()
    error = caught.value
    assert (error.status, error.code, error.kind) == (404, -2147220969, "service")
    assert error.response is response


def test_state(org: Organization) -> None:
    with org.client() as client:
        assert (client.primary_url, client.alternate_url) == (org.primary_url, org.alternate_url)
        assert (client.active_url, client.is_primary, client.epoch) == (org.primary_url, True, 0)
        assert org.primary_url in repr(client)
        client.switch_endpoint()
        assert (client.active_url, client.is_primary, client.epoch) == (org.alternate_url, False, 1)
        assert client.get(WHO_AM_I).url.startswith(org.alternate_url)
    assert "closed" in repr(client)


def test_auto_switch_is_a_property(org: Organization) -> None:
    with org.client() as client:
        assert client.endpoint_auto_switch_enabled is True
        client.endpoint_auto_switch_enabled = False
        assert client.endpoint_auto_switch_enabled is False


def test_discover_reads_the_policy(org: Organization) -> None:
    with org.client(auto_switch="auto") as client:
        client.discover()
        assert client.alternate_url == org.alternate_url
        assert client.endpoint_auto_switch_enabled
    assert org.counts("primary")["received_by"] == {"GET wsdl": 1}


def test_no_alternate(twin_without_policy: Organization) -> None:
    with twin_without_policy.client(auto_switch="auto") as client:
        client.discover()
        assert client.alternate_url is None
        with pytest.raises(d365_failover.NoAlternateError):
            client.switch_endpoint()


@pytest.fixture
def twin_without_policy(request: pytest.FixtureRequest) -> Organization:
    organization = request.getfixturevalue("twin").organization(wsdl={"failover_available": False})
    assert isinstance(organization, Organization)
    return organization


def test_a_call_goes_on_at_the_alternate(org: Organization) -> None:
    org.fault("primary", "refuse")
    with org.client() as client:
        response = client.get(WHO_AM_I)
        assert response.status_code == 200
        assert response.switched
        assert response.url.startswith(org.alternate_url)
        first, second = response.attempts
        assert (first.role, first.epoch, first.phase, first.fault) == ("primary", 0, "not_sent", "endpoint_not_found")
        assert (second.role, second.epoch, second.phase, second.http_status) == ("alternate", 1, "responded", 200)
        assert second.fault is None
        assert second.started >= first.started
        assert first.started.tzinfo is not None


def test_a_status_that_leaves_a_write_in_doubt_is_no_status_error(org: Organization) -> None:
    org.fault("primary", "service_fault", code=0x80040203 - 2**32, message="no", status=500, commit=True)
    with org.client() as client:
        write = client.post(ACCOUNTS, json={"name": "x"})
        with pytest.raises(d365_failover.WriteInDoubtError) as caught:
            write.raise_for_status()
        error, cause = caught.value, caught.value.__cause__
        assert not isinstance(error, d365_failover.HTTPStatusError)
        assert type(cause) is d365_failover.HTTPStatusError
        assert (error.status, error.cause, error.ledger_id) == (500, "service_fault", write.ledger_id)
        assert error.__dict__ == cause.__dict__
        with pytest.raises(d365_failover.HTTPStatusError):
            client.get(ACCOUNTS).raise_for_status()


def test_refused_and_no_such_name_are_told_apart(org: Organization) -> None:
    url = "http://nowhere.invalid"
    settings: dict[str, Any] = {"alternate_url": "http://nowhere-else.invalid", "auto_switch": False, "deadline": 5.0}
    with d365_failover.Client(url, **settings) as client, pytest.raises(d365_failover.EndpointNotFoundError) as caught:
        client.get("/")
    assert (caught.value.cause, caught.value.attempts[0].cause) == ("no_such_name", "no_such_name")
    settings["connect_to"] = {"nowhere.invalid:80": "127.0.0.1:1"}
    with d365_failover.Client(url, **settings) as client, pytest.raises(d365_failover.EndpointNotFoundError) as caught:
        client.post("/", content=b"x")
    assert (caught.value.cause, caught.value.effect) == ("refused", "not_executed")
    assert d365_failover.classify(502, {}, b"").cause == "bad_gateway"  # type: ignore[union-attr]


def test_a_timeout_is_one(org: Organization) -> None:
    org.fault("primary", "accept_never_answer")
    org.fault("alternate", "accept_never_answer")
    with org.client() as client:
        with pytest.raises(TimeoutError):
            client.get(ACCOUNTS, timeout=0.3)
        with pytest.raises(d365_failover.WriteInDoubtError) as caught:
            client.post(ACCOUNTS, json={"name": "x"}, timeout=2)
    error = caught.value
    assert isinstance(error.__cause__, d365_failover.CallTimeoutError)
    assert (error.kind, error.effect) == ("timeout", "unknown")
    assert error.attempts
    assert error.attempts[-1].phase == "sent"


def test_refused_on_both_sides_is_a_connection_error(org: Organization) -> None:
    org.fault("primary", "refuse")
    org.fault("alternate", "refuse")
    with org.client() as client, pytest.raises(ConnectionError) as caught:
        client.post(ACCOUNTS, json={"name": "x"})
    error = caught.value
    assert isinstance(error, d365_failover.EndpointNotFoundError)
    assert (error.effect, error.switched, len(error.attempts)) == ("not_executed", True, 2)


def test_the_service_says_when_to_come_back(org: Organization) -> None:
    org.fault("primary", "status", status=429, headers={"Retry-After": "3"})
    with org.client() as client:
        response = client.get(WHO_AM_I)
    with pytest.raises(d365_failover.HTTPStatusError) as caught:
        response.raise_for_status()
    assert (caught.value.kind, caught.value.retry_after) == ("throttled", 3.0)


def test_a_server_that_is_not_trusted(org: Organization, tmp_path: Path) -> None:
    other = Twin(tmp_path)
    try:
        with org.client(ca_bundle=other.ca_file) as client, pytest.raises(d365_failover.TlsError) as caught:
            client.get(WHO_AM_I)
    finally:
        other.stop()
    assert not caught.value.switched


def test_many_threads_share_a_client(org: Organization) -> None:
    statuses: list[int] = []
    with org.client() as client:

        def call(number: int) -> None:
            statuses.append(client.post(ACCOUNTS, json={"name": f"row {number}"}).status_code)

        threads = [threading.Thread(target=call, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses == [204] * 16
    assert sorted(row["name"] for row in org.rows()) == sorted(f"row {number}" for number in range(16))


def test_a_waiting_call_leaves_the_interpreter_to_others(org: Organization) -> None:
    stall = org.fault("primary", "stall")
    answered = threading.Event()
    with org.client() as client:

        def call() -> None:
            client.get(WHO_AM_I)
            answered.set()

        caller = threading.Thread(target=call)
        caller.start()
        # This thread runs Python and talks to the twin while the other is inside the library.
        org.wait("primary", in_flight_at_least=1)
        assert not answered.is_set()
        org._twin.ask("DELETE", f"/faults/{stall}")
        caller.join()
    assert answered.is_set()


def test_close_waits_for_calls_in_flight(org: Organization) -> None:
    org.fault("primary", "stall", ms=200)
    client = org.client()
    statuses: list[int] = []
    caller = threading.Thread(target=lambda: statuses.append(client.get(WHO_AM_I).status_code))
    caller.start()
    org.wait("primary", received_at_least=1)
    client.close(timeout=30)
    caller.join()
    assert statuses == [200]


def test_close_cancels_what_is_left(org: Organization) -> None:
    org.fault("primary", "accept_never_answer")
    client = org.client()
    errors: list[BaseException] = []

    def call() -> None:
        try:
            client.post(ACCOUNTS, json={"name": "x"})
        except d365_failover.FailoverError as error:
            errors.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    org.wait("primary", in_flight_at_least=1)
    client.close(timeout=0)
    caller.join()
    (error,) = errors
    assert isinstance(error, d365_failover.WriteInDoubtError)
    assert isinstance(error.__cause__, d365_failover.CallCancelledError)
    assert error.effect == "unknown"


def test_log_records_go_to_logging(org: Organization, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "d365_failover")
    org.fault("primary", "refuse")
    with org.client() as client:
        client.get(WHO_AM_I)
    assert [record for record in caplog.records if record.name == "d365_failover"]


def test_a_log_filter_that_fails_takes_no_response(
    org: Organization, broken_logging: None, capfd: pytest.CaptureFixture[str]
) -> None:
    org.fault("primary", "refuse")
    with org.client() as client:
        assert client.post(ACCOUNTS, json={"name": "x"}).effect == "executed"
    assert "the filter fails" in capfd.readouterr().err


class Interrupting(logging.Handler):
    """Ctrl-C, as it comes in the middle of a handler."""

    def emit(self, record: logging.LogRecord) -> None:
        raise KeyboardInterrupt


def test_ctrl_c_while_records_are_handed_out_tells_of_the_write(
    org: Organization, log_handlers: list[logging.Handler]
) -> None:
    org.fault("primary", "refuse")
    with org.client() as client:
        log_handlers.append(Interrupting())
        with pytest.raises(KeyboardInterrupt) as caught:
            client.post(ACCOUNTS, json={"name": "x"}, tag="order 17")
        log_handlers.clear()
    cause = caught.value.__cause__
    assert isinstance(cause, d365_failover.CallCancelledError)
    assert (cause.effect, cause.switched, cause.status, cause.tag) == ("executed", True, 204, "order 17")
    assert cause.response is not None
    assert (cause.response.request.method, cause.response.request.url) == ("POST", ACCOUNTS)
    assert len(org.rows()) == 1


def test_ctrl_c_while_records_are_handed_out_tells_of_the_failure(
    org: Organization, log_handlers: list[logging.Handler]
) -> None:
    org.fault("primary", "refuse")
    org.fault("alternate", "refuse")
    with org.client() as client:
        log_handlers.append(Interrupting())
        with pytest.raises(KeyboardInterrupt) as caught:
            client.post(ACCOUNTS, json={"name": "x"})
        log_handlers.clear()
    assert isinstance(caught.value.__cause__, d365_failover.EndpointNotFoundError)


def test_records_that_an_interruption_left_are_handed_out_later(
    org: Organization, log_handlers: list[logging.Handler]
) -> None:
    messages: list[str] = []

    class Once(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())
            if len(messages) == 1:
                raise KeyboardInterrupt

    client = org.client()
    log_handlers.append(Once())
    client.switch_endpoint()
    client.switch_endpoint()
    with pytest.raises(KeyboardInterrupt):
        client.get(WHO_AM_I)
    client.close()
    first, second = messages
    assert "to the alternate" in first
    assert "to the primary" in second


def test_ctrl_c_in_the_last_moment_tells_of_the_write(org: Organization) -> None:
    # The library looks for signals about every 20 ms: most calls are done before it does.
    def provider(url: str) -> str:
        os.kill(os.getpid(), signal.SIGUSR1)  # to the process: threads of the library take none
        return "token"

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        done = 0
        for _ in range(50):
            with org.client(token_provider=provider) as client:
                with pytest.raises(KeyboardInterrupt) as caught:
                    client.post(ACCOUNTS, json={"name": "x"})
                cause = caught.value.__cause__
            if isinstance(cause, d365_failover.WriteInDoubtError):
                # A busy machine was slower than the library: then it was in flight.
                assert cause.ledger_id is not None
                continue
            assert isinstance(cause, d365_failover.CallCancelledError)
            done += 1
            if done == 5:
                break
        assert done == 5
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_log_handler_may_register_a_handler_and_call(org: Organization, log_handlers: list[logging.Handler]) -> None:
    org.fault("primary", "refuse")
    seen: list[str] = []
    statuses: list[int] = []
    client = org.client()

    class Curious(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            log_handlers.clear()
            client.on_endpoint_switched(lambda event: seen.append(event.new_role))
            statuses.append(client.get(WHO_AM_I).status_code)

    log_handlers.append(Curious())
    caller = threading.Thread(target=lambda: statuses.append(client.get(WHO_AM_I).status_code), daemon=True)
    caller.start()
    caller.join(30)
    assert not caller.is_alive()
    client.switch_endpoint()
    client.close()
    assert statuses == [200, 200]
    assert seen[-1:] == ["primary"]
