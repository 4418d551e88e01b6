"""The prepare hook."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import d365_failover
import pytest
from d365_failover import Outgoing
from twin import ACCOUNTS, BULK, WHO_AM_I, Organization


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 60))


def sign(outgoing: Outgoing) -> None:
    """A token that counts for one endpoint only."""
    assert outgoing.endpoint_url is not None
    outgoing.headers["Authorization"] = f"Bearer twin-token-for-{outgoing.endpoint_url.partition('://')[2]}"


def test_it_sees_the_attempt(org: Organization) -> None:
    seen: list[Any] = []

    def look(outgoing: Outgoing) -> None:
        assert outgoing.url in repr(outgoing)
        seen.append((outgoing.url, outgoing.endpoint_url, outgoing.role, outgoing.epoch, outgoing.number))
        seen.append((outgoing.method, outgoing.content, outgoing.headers["x-one"], outgoing.headers.get("X-Two")))
        assert "user-agent" in outgoing.headers
        assert outgoing.headers["Host"] in outgoing.url
        with pytest.raises(KeyError):
            outgoing.headers["x-two"]
        with pytest.raises(KeyError):
            del outgoing.headers["x-two"]
        with pytest.raises(TypeError):
            iter(outgoing.headers)  # type: ignore[call-overload]

    org.fault("primary", "refuse")
    with org.client(prepare=look) as client:
        assert client.post(ACCOUNTS, json={"name": "x"}, headers={"X-One": "1"}).status_code == 204
    assert seen == [
        (org.primary_url + ACCOUNTS, org.primary_url, "primary", 0, 1),
        ("POST", b'{"name":"x"}', "1", None),
        (org.alternate_url + ACCOUNTS, org.alternate_url, "alternate", 1, 2),
        ("POST", b'{"name":"x"}', "1", None),
    ]


def test_a_header_for_each_endpoint(organization: Callable[..., Organization]) -> None:
    org = organization(tokens="check")
    org.fault("primary", "datacenter_not_available")
    with org.client(prepare=sign) as client:
        assert client.get(WHO_AM_I).switched
        org.clear()
        assert client.get(WHO_AM_I).status_code == 200
    tokens = [(entry["side"], entry["token_for"]) for entry in org.journal()]
    hosts = {"primary": org.primary_url.partition("://")[2], "alternate": org.alternate_url.partition("://")[2]}
    assert tokens == [("primary", hosts["primary"]), *[("alternate", hosts["alternate"])] * 2]


def test_a_header_is_removed_and_a_body_replaced(org: Organization) -> None:
    def change(outgoing: Outgoing) -> None:
        outgoing.headers.pop("Authorization")
        assert outgoing.headers.pop("Authorization", "none") == "none"
        del outgoing.headers["X-One"]
        assert "X-One" not in outgoing.headers
        outgoing.content = '{"name": "other"}'
        assert outgoing.content == b'{"name": "other"}'

    with org.client(prepare=change) as client:
        client.post(ACCOUNTS, json={"name": "x"}, headers={"Authorization": "Bearer x", "X-One": "1"})
    (row,) = org.rows()
    assert row["name"] == "other"
    (entry,) = org.journal()
    assert not entry["authorization"]


def test_what_is_changed_holds_for_one_attempt(org: Organization) -> None:
    seen: list[Any] = []

    def change(outgoing: Outgoing) -> None:
        seen.append((outgoing.headers.get("X-One"), outgoing.content))
        outgoing.headers["X-One"] = "2"
        outgoing.content = b"{}"

    org.fault("primary", "refuse")
    with org.client(prepare=change) as client:
        client.post(ACCOUNTS, content=b'{"name": "x"}', headers={"X-One": "1"})
    assert seen == [("1", b'{"name": "x"}')] * 2


def test_a_body_that_is_read_is_none_and_can_be_replaced(org: Organization) -> None:
    seen: list[Any] = []
    pulled: list[bytes] = []

    def body() -> Iterator[bytes]:
        pulled.append(b"read")
        yield b"read"

    def replace(outgoing: Outgoing) -> None:
        seen.append(outgoing.content)
        outgoing.content = b"replaced"

    with org.client(prepare=replace) as client:
        assert client.put(BULK, content=body()).json()["bytes"] == len(b"replaced")
    assert seen == [None]
    assert pulled == []


def test_what_it_raises_ends_the_call(org: Organization) -> None:
    class OwnError(Exception):
        pass

    def refuse(outgoing: Outgoing) -> None:
        raise OwnError("no")

    with org.client(prepare=refuse) as client:
        with pytest.raises(OwnError) as caught:
            client.post(ACCOUNTS, json={"name": "x"})
        with pytest.raises(OwnError), client.stream("GET", WHO_AM_I):
            pytest.fail("there is no response")
    cause = caught.value.__cause__
    assert isinstance(cause, d365_failover.LocalError)
    assert "OwnError: no" in str(cause)
    assert (cause.effect, cause.switched) == ("not_executed", False)
    assert org.counts("primary")["received"] == org.counts("alternate")["received"] == 0


def test_an_exception_that_cannot_be_told(org: Organization) -> None:
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    def refuse(outgoing: Outgoing) -> None:
        raise Unspeakable

    with org.client(prepare=refuse) as client, pytest.raises(Unspeakable):
        client.get(WHO_AM_I)


def test_after_the_callback(org: Organization) -> None:
    kept: list[Outgoing] = []
    with org.client(prepare=kept.append) as client:
        client.get(WHO_AM_I)
    (outgoing,) = kept
    uses: list[Callable[[], object]] = [
        lambda: outgoing.url,
        lambda: outgoing.endpoint_url,
        lambda: outgoing.role,
        lambda: outgoing.epoch,
        lambda: outgoing.number,
        lambda: outgoing.method,
        lambda: outgoing.content,
        lambda: outgoing.headers["x"],
        lambda: outgoing.headers.__setitem__("x", "y"),
        lambda: outgoing.headers.pop("x"),
        lambda: setattr(outgoing, "content", b""),
        lambda: repr(outgoing),
    ]
    for use in uses:
        with pytest.raises(d365_failover.LateError, match="while its prepare hook runs"):
            use()


@pytest.mark.parametrize(
    ("name", "value", "raised"),
    [
        ("a b", "c", d365_failover.InvalidArgumentError),
        ("a", "b\r\nc: d", d365_failover.InvalidArgumentError),
        ("Content-Length", "3", d365_failover.InvalidArgumentError),
        ("a", 3, TypeError),
        (None, "b", TypeError),
        ("a", "\udfff", UnicodeError),
    ],
)
def test_headers_that_cannot_be(org: Organization, name: Any, value: Any, raised: type[Exception]) -> None:
    def wrong(outgoing: Outgoing) -> None:
        outgoing.headers[name] = value

    with org.client(prepare=wrong) as client, pytest.raises(raised):
        client.get(WHO_AM_I)


@pytest.mark.parametrize("content", [3, None, [b"x"]])
def test_contents_that_cannot_be(org: Organization, content: Any) -> None:
    def wrong(outgoing: Outgoing) -> None:
        outgoing.content = content

    with org.client(prepare=wrong) as client, pytest.raises(TypeError):
        client.get(WHO_AM_I)


def test_a_hook_of_a_wrong_kind(org: Organization) -> None:
    async def coroutine(outgoing: Outgoing) -> None:
        pass

    hook: Any = 3
    with pytest.raises(TypeError, match="callable"):
        org.client(prepare=hook)
    with pytest.raises(TypeError, match="AsyncClient"):
        org.client(prepare=coroutine)
    with (
        org.client(prepare=lambda outgoing: coroutine(outgoing)) as client,
        pytest.raises(TypeError, match="AsyncClient"),
    ):
        client.get(WHO_AM_I)


def test_it_may_call_the_client(org: Organization) -> None:
    seen: list[int] = []

    def curious(outgoing: Outgoing) -> None:
        if outgoing.url.endswith(ACCOUNTS):
            seen.append(client.get(WHO_AM_I).status_code)

    with org.client(prepare=curious) as client:
        client.get(ACCOUNTS)
    assert seen == [200]


def test_it_runs_on_the_thread_that_calls(org: Organization) -> None:
    threads: list[threading.Thread] = []
    with org.client(prepare=lambda outgoing: threads.append(threading.current_thread())) as client:
        client.get(WHO_AM_I)
        other = threading.Thread(target=client.get, args=(WHO_AM_I,))
        other.start()
        other.join()
    assert threads == [threading.current_thread(), other]


def test_a_call_from_required_is_refused_and_from_switched_works(org: Organization) -> None:
    org.fault("primary", "refuse")
    seen: list[Any] = []
    with org.client(prepare=lambda outgoing: None, handler_timeout=30) as client:

        @client.on_endpoint_switch_required
        def required(event: d365_failover.EndpointSwitchRequiredEvent) -> None:
            with pytest.raises(d365_failover.WouldDeadlockError):
                client.get(WHO_AM_I)
            seen.append("refused")

        @client.on_endpoint_switched
        def switched(event: d365_failover.EndpointSwitchEvent) -> None:
            seen.append(client.get(WHO_AM_I).status_code)

        assert client.get(WHO_AM_I).switched
    assert seen == ["refused", 200]


def test_many_threads(org: Organization) -> None:
    numbers: list[int] = []

    def name(outgoing: Outgoing) -> None:
        outgoing.content = (outgoing.content or b"").replace(b"?", outgoing.headers["X-Number"].encode())

    with org.client(prepare=name) as client:

        def work(number: int) -> None:
            for n in range(10):
                own = number * 10 + n
                headers = {"X-Number": str(own), "Content-Type": "application/json"}
                client.post(ACCOUNTS, content=b'{"name": "?"}', headers=headers)
                numbers.append(own)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(int(row["name"]) for row in org.rows()) == sorted(numbers) == list(range(80))


def test_for_asyncio(organization: Callable[..., Organization]) -> None:
    org = organization(tokens="check")
    org.fault("primary", "datacenter_not_available")
    seen: list[Any] = []

    async def asign(outgoing: Outgoing) -> None:
        await asyncio.sleep(0.001)
        seen.append(asyncio.current_task())
        sign(outgoing)

    async def main() -> None:
        async with org.async_client(prepare=asign) as client:
            responses = await asyncio.gather(*(client.get(WHO_AM_I) for _ in range(20)))
            assert {response.status_code for response in responses} == {200}
            async with client.stream("GET", WHO_AM_I) as response:
                assert (await response.aread())[:1] == b"{"
                assert seen[-1] is asyncio.current_task()
        async with org.async_client(prepare=sign) as client:
            assert (await client.get(WHO_AM_I)).status_code == 200

    run(main())


def test_for_asyncio_what_it_raises_ends_the_call(org: Organization) -> None:
    async def refuse(outgoing: Outgoing) -> None:
        await asyncio.sleep(0)
        raise KeyError("no")

    async def main() -> None:
        async with org.async_client(prepare=refuse) as client:
            with pytest.raises(KeyError) as caught:
                await client.post(ACCOUNTS, json={"name": "x"})
            assert isinstance(caught.value.__cause__, d365_failover.LocalError)

    run(main())
    assert org.counts("primary")["received"] == 0


def test_for_asyncio_cancelled_in_the_hook(org: Organization) -> None:
    async def main() -> None:
        entered = asyncio.Event()

        async def slow(outgoing: Outgoing) -> None:
            entered.set()
            await asyncio.Event().wait()

        async with org.async_client(prepare=slow) as client:
            task = asyncio.create_task(client.post(ACCOUNTS, json={"name": "x"}))
            await entered.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            cause = caught.value.__cause__
            assert isinstance(cause, d365_failover.FailoverError)
            assert cause.effect == "not_executed"

    run(main())
