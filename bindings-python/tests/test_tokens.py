from __future__ import annotations

import asyncio
import http.server
import json
import logging.handlers
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import d365_failover
import pytest
from twin import WHO_AM_I, Organization, Twin


class AccessToken(NamedTuple):
    """azure-core's."""

    token: str
    expires_on: int


class Credential:
    def __init__(self) -> None:
        self.scopes: list[str] = []

    def get_token(self, *scopes: str) -> AccessToken:
        self.scopes.extend(scopes)
        host = scopes[0].removeprefix("https://").removesuffix("/.default")
        return AccessToken(f"twin-token-for-{host}", int(time.time()) + 3600)


def by_host(url: str) -> str:
    return f"twin-token-for-{url.removeprefix('https://')}"


@pytest.fixture
def org(twin: Twin) -> Organization:
    """One that checks tokens."""
    return twin.organization(tokens="check")


PROVIDERS: list[Callable[[str], Any]] = [
    by_host,
    lambda url: (by_host(url), 3600.0),
    lambda url: AccessToken(by_host(url), int(time.time()) + 3600),
    # One that does not end.
    lambda url: (by_host(url), math.inf),
    lambda url: AccessToken(by_host(url), sys.maxsize),
]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_a_provider_may_return(org: Organization, provider: Callable[[str], Any]) -> None:
    with org.client(token_provider=provider) as client:
        assert client.get(WHO_AM_I).status_code == 200


def test_the_endpoint_has_its_own_token(org: Organization) -> None:
    org.fault("primary", "datacenter_not_available")
    asked: list[str] = []

    def provider(url: str) -> tuple[str, float]:
        asked.append(url)
        assert threading.current_thread() is not threading.main_thread()
        return by_host(url), 3600.0

    with org.client(token_provider=provider) as client:
        assert [client.get(WHO_AM_I).status_code for _ in range(3)] == [200] * 3
    assert asked == [org.primary_url, org.alternate_url]
    assert org.counts("alternate")["wrong_audience"] == 0


@pytest.mark.parametrize(
    ("token", "is_kept"),
    [
        (by_host, True),
        (lambda url: (by_host(url), 0), False),
        (lambda url: (by_host(url), -5.0), False),
        (lambda url: AccessToken(by_host(url), int(time.time()) - 60), False),
    ],
)
def test_a_token_without_an_end_is_kept_for_a_few_seconds(
    org: Organization, token: Callable[[str], Any], is_kept: bool
) -> None:
    asked: list[threading.Thread] = []

    def provider(url: str) -> Any:
        asked.append(threading.current_thread())
        return token(url)

    with org.client(token_provider=provider) as client:
        assert [client.get(WHO_AM_I).status_code for _ in range(20)] == [200] * 20
    assert len(asked) < 10 if is_kept else len(asked) == 20
    # Threads are kept for the next question, and not made for each.
    assert len(set(asked)) <= 3


def test_get_token_of_azure_core(org: Organization) -> None:
    credential = Credential()
    with org.client(token_provider=credential) as client:
        assert [client.get(WHO_AM_I).status_code for _ in range(2)] == [200] * 2
    assert credential.scopes == [f"{org.primary_url}/.default"]


class Untold(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def failing(error: Exception) -> Callable[[str], str]:
    def provider(url: str) -> str:
        raise error

    return provider


@contextmanager
def kept_records() -> Iterator[None]:
    """Keeps the records, and with them whatever their exceptions hold. Not as pytest does, whose reports go from
    process to process, where half a character cannot."""
    logger = logging.getLogger("d365_failover")
    handler = logging.handlers.MemoryHandler(1000, flushLevel=1000)
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.propagate = True
        logger.removeHandler(handler)


@pytest.mark.parametrize(
    ("provider", "said"),
    [
        (failing(LookupError("no credentials here")), "LookupError: no credentials here"),
        (failing(ValueError("half \ud800")), r"ValueError: half \\ud800"),
        (failing(Untold()), "Untold"),
        (lambda url: "", "empty"),
        (lambda url: "\ud800", "UnicodeEncodeError"),
        (lambda url: None, "NoneType"),
        (lambda url: ("a", "b", "c"), "tuple"),
        (lambda url: ("a", "3599"), "the time of a token is a number of seconds, not str"),
        (lambda url: ("a", float("nan")), "the time of a token is a number of seconds, not nan"),
        (lambda url: SimpleNamespace(token="a", expires_on="1506484173"), "expires_on of a token is a number"),
        (lambda url: "two\r\nlines", None),
    ],
    ids=lambda given: None if callable(given) else str(given),
)
def test_a_provider_that_gives_no_token(org: Organization, provider: Callable[[str], Any], said: str | None) -> None:
    with kept_records(), org.client(token_provider=provider) as client:
        for _ in range(2):
            with pytest.raises(d365_failover.AuthenticationError, match=said) as caught:
                client.get(WHO_AM_I, timeout=20)
            assert caught.value.kind == "authentication"
            assert caught.value.effect == "none"
            assert isinstance(caught.value.__cause__, Exception)
            assert type(caught.value.__cause__).__name__ in str(caught.value)
    assert org.counts("primary")["received"] == 0


@pytest.mark.parametrize(
    "token",
    ["Bearer secret", "bearer secret", "secret\n", " secret", "sec ret", pytest.param("secret" * 50_000, id="endless")],
)
def test_what_cannot_be_a_token_is_refused(org: Organization, token: str) -> None:
    with org.client(token_provider=lambda url: token) as client:
        with pytest.raises(d365_failover.AuthenticationError, match=r"Bearer|white space|longer") as caught:
            client.get(WHO_AM_I)
        assert isinstance(caught.value.__cause__, d365_failover.InvalidArgumentError)
        assert "secret" not in str(caught.value)
    assert org.counts("primary")["received"] == 0


def test_a_failure_of_the_provider_is_the_cause_of_all_that_waited(org: Organization) -> None:
    async def main() -> None:
        begun = asyncio.Event()
        error = LookupError("no credentials here")

        async def provider(url: str) -> str:
            await begun.wait()
            raise error

        async with org.async_client(token_provider=provider) as client:
            calls = [asyncio.ensure_future(client.get(WHO_AM_I)) for _ in range(20)]
            streamed = client.stream("GET", WHO_AM_I)
            stream = asyncio.ensure_future(streamed.__aenter__())
            uploaded = asyncio.ensure_future(client.post("/api/data/v9.2/accounts", content=iter([b"{}"])))
            await asyncio.sleep(0)
            begun.set()
            for call in [*calls, stream, uploaded]:
                with pytest.raises(d365_failover.AuthenticationError) as caught:
                    await call
                assert caught.value.__cause__ is error

    asyncio.run(main())


def test_a_failure_of_the_provider_is_the_cause_on_every_thread(org: Organization) -> None:
    let_go = threading.Event()
    error = LookupError("no credentials here")
    causes: list[BaseException | None] = []

    def provider(url: str) -> str:
        let_go.wait(60)
        raise error

    def call(client: d365_failover.Client) -> None:
        try:
            client.get(WHO_AM_I)
        except d365_failover.AuthenticationError as caught:
            causes.append(caught.__cause__)

    with org.client(token_provider=provider) as client:
        threads = [threading.Thread(target=call, args=(client,)) for _ in range(10)]
        for thread in threads:
            thread.start()
        let_go.set()
        for thread in threads:
            thread.join()
        with pytest.raises(d365_failover.AuthenticationError) as caught:
            client.post("/api/data/v9.2/accounts", content=iter([b"{}"]))
        assert caught.value.__cause__ is error
    assert causes == [error] * 10


def test_a_provider_that_calls_its_own_client_is_refused_at_once(org: Organization) -> None:
    clients: list[d365_failover.Client] = []
    refused: list[str] = []

    def provider(url: str) -> str:
        (client,) = clients
        calls: list[Callable[[], object]] = [
            lambda: client.get(WHO_AM_I),
            lambda: client.post("/api/data/v9.2/accounts", content=iter([b"{}"])),
            lambda: client.stream("GET", WHO_AM_I).__enter__(),
            client.discover,
        ]
        for call in calls:
            with pytest.raises(d365_failover.WouldDeadlockError) as caught:
                call()
            refused.append(caught.value.kind)
        # What waits for nothing works, and so does another client.
        assert client.is_primary
        with org.client(token_provider=by_host) as other:
            assert other.get(WHO_AM_I).status_code == 200
        return by_host(url)

    with org.client(token_provider=provider) as client:
        clients.append(client)
        assert client.get(WHO_AM_I, timeout=20).status_code == 200
        assert refused == ["would_deadlock"] * 4
        # Afterwards the same thread may call.
        assert client.get(WHO_AM_I, timeout=20).status_code == 200


@pytest.mark.parametrize("how", ["coroutine", "task", "thread"])
def test_a_provider_of_an_async_client_that_calls_it_is_refused_at_once(org: Organization, how: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        clients: list[d365_failover.AsyncClient] = []
        refused: list[str] = []

        async def use() -> None:
            for call in (clients[0].get(WHO_AM_I), clients[0].discover()):
                with pytest.raises(d365_failover.WouldDeadlockError) as caught:
                    await call
                refused.append(caught.value.kind)

        async def as_coroutine(url: str) -> str:
            await use()
            return by_host(url)

        async def as_task(url: str) -> str:
            await asyncio.create_task(use())
            return by_host(url)

        def as_thread(url: str) -> str:
            asyncio.run_coroutine_threadsafe(use(), loop).result(20)
            return by_host(url)

        provider: Any = {"coroutine": as_coroutine, "task": as_task, "thread": as_thread}[how]
        async with org.async_client(token_provider=provider) as client:
            clients.append(client)
            assert (await client.get(WHO_AM_I, timeout=20)).status_code == 200
            assert refused == ["would_deadlock"] * 2
            assert (await client.get(WHO_AM_I, timeout=20)).status_code == 200

    asyncio.run(main())


def test_a_provider_that_hung_once_is_asked_anew(org: Organization) -> None:
    let_go = threading.Event()
    asked: list[str] = []

    def provider(url: str) -> str:
        asked.append(url)
        if len(asked) == 1:
            let_go.wait(60)
        return by_host(url)

    with org.client(token_provider=provider) as client:
        with pytest.raises(d365_failover.AuthenticationError):
            client.get(WHO_AM_I, timeout=2)
        assert client.get(WHO_AM_I, timeout=20).status_code == 200
        assert asked == [org.primary_url] * 2
        let_go.set()


@pytest.mark.parametrize(("precedence", "status"), [(None, 401), ("application", 401), ("provider", 200)])
def test_whose_token_wins_is_a_setting(org: Organization, precedence: str | None, status: int) -> None:
    with org.client(token_provider=by_host, token_precedence=precedence) as client:
        client.switch_endpoint()
        headers = {"Authorization": f"Bearer {by_host(org.primary_url)}"}
        assert client.get(WHO_AM_I, headers=headers).status_code == status


def test_a_provider_that_does_not_return_ends_with_the_call(org: Organization) -> None:
    let_go = threading.Event()

    def provider(url: str) -> str:
        let_go.wait(60)
        return "too late"

    with org.client(token_provider=provider) as client:
        with pytest.raises(d365_failover.FailoverError):
            client.get(WHO_AM_I, timeout=0.2)
        let_go.set()


def test_a_provider_that_hangs_for_one_endpoint_serves_the_other(org: Organization) -> None:
    let_go = threading.Event()

    def provider(url: str) -> str:
        if url == org.primary_url:
            let_go.wait(60)
        return by_host(url)

    with org.client(token_provider=provider, deadline=20) as client:
        with pytest.raises(d365_failover.FailoverError):
            client.get(WHO_AM_I, timeout=0.2)
        client.switch_endpoint()
        assert client.get(WHO_AM_I).status_code == 200
        assert not let_go.is_set()
        let_go.set()


def test_a_log_filter_that_fails_does_not_keep_the_providers_failure(
    org: Organization, broken_logging: None, capfd: pytest.CaptureFixture[str]
) -> None:
    provider = failing(LookupError("no credentials here"))
    with (
        org.client(token_provider=provider) as client,
        pytest.raises(d365_failover.AuthenticationError, match="Lookup"),
    ):
        client.get(WHO_AM_I, timeout=20)
    assert "the filter fails" in capfd.readouterr().err


def test_close_waits_for_the_provider(org: Organization) -> None:
    asked, let_go = threading.Event(), threading.Event()
    asking: list[threading.Thread] = []

    def provider(url: str) -> str:
        asking.append(threading.current_thread())
        asked.set()
        let_go.wait(60)
        return by_host(url)

    client = org.client(token_provider=provider)
    with pytest.raises(d365_failover.FailoverError):
        client.get(WHO_AM_I, timeout=2)
    assert asked.is_set()
    closer = threading.Thread(target=lambda: client.close(timeout=30))
    closer.start()
    let_go.set()
    closer.join()
    assert not asking[0].is_alive()


def test_a_coroutine_provides_for_an_async_client(org: Organization) -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def provider(url: str) -> tuple[str, float]:
        loops.append(asyncio.get_running_loop())
        await asyncio.sleep(0)
        return by_host(url), 60.0

    async def main() -> None:
        async with org.async_client(token_provider=provider) as client:
            assert (await client.get(WHO_AM_I)).status_code == 200
        assert loops == [asyncio.get_running_loop()]

    asyncio.run(main())


def test_a_coroutine_cannot_provide_for_a_blocking_client(org: Organization) -> None:
    async def provide(url: str) -> str:
        return by_host(url)

    # One that says what it gives is refused when the client is opened.
    hidden: Any = lambda url: provide(url)  # noqa: E731
    with org.client(token_provider=hidden) as client, pytest.raises(d365_failover.AuthenticationError):
        client.get(WHO_AM_I)


def test_the_token_thread_ends_with_the_client(org: Organization) -> None:
    before = set(threading.enumerate())
    with org.client(token_provider=by_host):
        (thread,) = set(threading.enumerate()) - before
    assert not thread.is_alive()


SECRET = "the-secret's-value"


@pytest.fixture
def token_server() -> Iterator[http.server.ThreadingHTTPServer]:
    """Gives the twin's tokens to who knows the secret."""

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            host = form["scope"][0].removeprefix("https://").removesuffix("/.default")
            is_known = form["client_secret"] == [SECRET]
            said = (
                {"access_token": f"twin-token-for-{host}", "expires_in": 3600}
                if is_known
                else {"error": "invalid_client"}
            )
            body = json.dumps(said).encode()
            self.send_response(200 if is_known else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize("secret", [SECRET, "another-one"])
def test_the_library_gets_tokens_itself(
    org: Organization, token_server: http.server.ThreadingHTTPServer, secret: str
) -> None:
    settings = {
        "oauth_authority": f"http://127.0.0.1:{token_server.server_port}",
        "oauth_tenant": "tenant.example",
        "oauth_client_id": "the-application",
        "oauth_client_secret": secret,
    }
    with org.client(**settings) as client:
        if secret == "another-one":
            with pytest.raises(d365_failover.FailoverError, match="invalid_client") as caught:
                client.get(WHO_AM_I)
            assert caught.value.kind == "authentication"
            assert secret not in str(caught.value)
        else:
            assert client.get(WHO_AM_I).status_code == 200
            client.switch_endpoint()
            assert client.get(WHO_AM_I).status_code == 200


def test_one_alone_gives_the_tokens(org: Organization) -> None:
    with pytest.raises(d365_failover.InvalidSettingError, match="only one can give the tokens"):
        org.client(token_provider=by_host, oauth_tenant="t", oauth_client_id="c", oauth_client_secret="s")
