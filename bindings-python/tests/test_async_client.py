from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import d365_failover
import pytest
from d365_failover import AsyncClient, Client, EndpointSwitchEvent, EndpointSwitchRequiredEvent
from twin import ACCOUNTS, BULK, WHO_AM_I, Organization

pytestmark = pytest.mark.usefixtures("loops")


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 60))


def test_it_has_the_names_of_the_blocking_client() -> None:
    def names(of: type) -> set[str]:
        return {name for name in dir(of) if not name.startswith("_")}

    # `open`, because a loop is not to wait for what a thread may.
    assert names(AsyncClient) - {"aclose", "open"} == names(Client)


def test_a_row_is_created_and_read_back(org: Organization) -> None:
    async def main() -> None:
        async with org.async_client() as client:
            created = await client.post(ACCOUNTS, json={"name": "a"})
            assert (created.status_code, created.effect) == (204, "executed")
            url = created.headers["odata-entityid"]
            assert (await client.get(url)).json()["name"] == "a"
            assert (await client.patch(url, json={"name": "b"})).status_code == 204
            assert (await client.put(f"{url}/name", json={"value": "c"})).status_code
            assert (await client.delete(url)).status_code == 204

    run(main())


def test_many_calls_at_once(org: Organization) -> None:
    async def main() -> None:
        async with org.async_client() as client:
            posts = [client.post(ACCOUNTS, json={"name": str(n)}) for n in range(200)]
            assert {response.status_code for response in await asyncio.gather(*posts)} == {204}

    run(main())
    assert sorted(row["name"] for row in org.rows()) == sorted(map(str, range(200)))


def test_calls_in_flight_switch_together(org: Organization) -> None:
    org.fault("primary", "refuse")
    seen: list[str] = []

    async def main() -> None:
        async with org.async_client() as client:

            @client.on_endpoint_switch_required
            def required(event: EndpointSwitchRequiredEvent) -> None:
                seen.append(event.name)

            @client.on_endpoint_switched
            async def switched(event: EndpointSwitchEvent) -> None:
                await asyncio.sleep(0)
                seen.append(event.name)

            responses = await asyncio.gather(*(client.get(WHO_AM_I) for _ in range(20)))
            assert {response.status_code for response in responses} == {200}
            assert (client.epoch, client.active_url) == (1, org.alternate_url)

    run(main())
    assert seen == ["EndpointSwitchRequired", "EndpointSwitched"]


def test_a_coroutine_may_veto(org: Organization) -> None:
    org.fault("primary", "refuse")

    async def main() -> None:
        async with org.async_client() as client:

            @client.on_endpoint_switch_required
            async def required(event: EndpointSwitchRequiredEvent) -> None:
                await asyncio.sleep(0.01)
                event.veto()

            with pytest.raises(d365_failover.EndpointNotFoundError):
                await client.get(WHO_AM_I)
            assert client.is_primary

    run(main())


@pytest.mark.parametrize("raised", [ValueError("no"), asyncio.CancelledError()])
def test_a_handler_that_raises_is_logged(
    org: Organization, caplog: pytest.LogCaptureFixture, raised: BaseException
) -> None:
    org.fault("primary", "refuse")

    async def main() -> None:
        async with org.async_client() as client:

            @client.on_endpoint_switch_required
            async def broken(event: EndpointSwitchRequiredEvent) -> None:
                raise raised

            assert (await client.get(WHO_AM_I)).switched

    run(main())
    assert [record.levelname for record in caplog.records if record.exc_info] == ["ERROR"]


def test_a_call_from_switched_works_and_from_required_is_refused(org: Organization) -> None:
    org.fault("primary", "refuse")
    seen: list[Any] = []
    left: list[asyncio.Task[d365_failover.Response]] = []

    async def main() -> None:
        async with org.async_client(handler_timeout=30) as client:

            @client.on_endpoint_switch_required
            async def required(event: EndpointSwitchRequiredEvent) -> None:
                refused: list[Callable[[], Coroutine[Any, Any, object]]] = [
                    lambda: client.post(ACCOUNTS, json={}),
                    lambda: client.post(ACCOUNTS, content=iter([b"{}"])),
                    lambda: client.get(WHO_AM_I),
                    client.close,
                    client.switch_endpoint,
                    client.discover,
                ]
                for call in refused:
                    with pytest.raises(d365_failover.WouldDeadlockError) as caught:
                        await call()
                    seen.append((caught.value.kind, caught.value.effect))
                over = asyncio.Event()
                asyncio.get_running_loop().call_later(0.05, over.set)

                async def later() -> d365_failover.Response:
                    await over.wait()
                    return await client.get(WHO_AM_I)

                left.append(asyncio.create_task(later()))

            @client.on_endpoint_switched
            async def switched(event: EndpointSwitchEvent) -> None:
                seen.append((await client.get(WHO_AM_I)).status_code)

            assert (await client.get(WHO_AM_I)).switched
            assert (await left[0]).status_code == 200

    run(main())
    effects = [*["not_executed"] * 2, *["none"] * 4]
    assert seen == [*[("would_deadlock", effect) for effect in effects], 200]


def test_other_tasks_call_while_a_decision_is_open(org: Organization) -> None:
    org.fault("primary", "refuse")

    async def main() -> None:
        asked, decide = asyncio.Event(), asyncio.Event()
        async with org.async_client(handler_timeout=30) as client:

            @client.on_endpoint_switch_required
            async def required(event: EndpointSwitchRequiredEvent) -> None:
                asked.set()
                await decide.wait()

            first = asyncio.create_task(client.get(WHO_AM_I))
            await asked.wait()
            second = asyncio.create_task(client.get(WHO_AM_I))
            await asyncio.sleep(0.05)
            decide.set()
            assert [(await call).status_code for call in (first, second)] == [200, 200]
            assert client.epoch == 1

    run(main())


def test_cancelling_the_task_cancels_the_call(org: Organization) -> None:
    org.fault("primary", "accept_never_answer")

    async def main() -> None:
        async with org.async_client() as client:
            causes: list[BaseException | None] = []

            async def call() -> None:
                try:
                    await client.post(ACCOUNTS, json={"name": "x"}, tag="order 17")
                except asyncio.CancelledError as cancelled:
                    causes.append(cancelled.__cause__)
                    raise

            task = asyncio.create_task(call())
            await asyncio.to_thread(org.wait, "primary", in_flight_at_least=1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            (cause,) = causes
            assert isinstance(cause, d365_failover.WriteInDoubtError)
            assert isinstance(cause.__cause__, d365_failover.CallCancelledError)
            assert cause.effect == "unknown"
            await asyncio.to_thread(org.wait, "primary", in_flight_at_most=0)

    run(main())


def test_cancelling_the_task_ends_a_discovery(org: Organization) -> None:
    """No thread of the loop's is left behind, for which the loop would wait when it is closed."""
    org.fault("primary", "accept_never_answer")

    async def main() -> None:
        async with org.async_client(auto_switch="auto") as client:
            task = asyncio.create_task(client.discover())
            await asyncio.to_thread(org.wait, "primary", in_flight_at_least=1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run(main())


def test_a_cancellation_in_the_turn_of_the_completion(org: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with org.async_client() as client:
            complete = client._complete

            def cancel_first(*completion: Any) -> None:
                task.cancel()
                complete(*completion)

            monkeypatch.setattr(client, "_complete", cancel_first)
            causes: list[BaseException | None] = []

            async def call() -> None:
                try:
                    await client.post(ACCOUNTS, json={"name": "x"}, tag="order 17")
                except asyncio.CancelledError as cancelled:
                    causes.append(cancelled.__cause__)
                    raise

            task = asyncio.create_task(call())
            await asyncio.wait({task}, timeout=20)
            assert task.cancelled()
            (cause,) = causes
            assert isinstance(cause, d365_failover.CallCancelledError)
            assert (cause.effect, cause.status, cause.tag) == ("executed", 204, "order 17")

    run(main())
    assert len(org.rows()) == 1


def test_a_call_that_was_not_waited_for_keeps_its_ledger_id(org: Organization) -> None:
    org.fault("primary", "accept_never_answer")

    async def main() -> None:
        async with org.async_client() as client:
            with pytest.raises(asyncio.TimeoutError) as caught:
                await asyncio.wait_for(client.post(ACCOUNTS, json={"name": "x"}), 0.5)
            error = d365_failover.error_of(caught.value)
            assert isinstance(error, d365_failover.WriteInDoubtError)
            (suspect,) = await client.ledger(suspects=True)
            assert (error.ledger_id, error.cause) == (suspect.id, "cancelled")

    run(main())


def test_a_second_cancellation_leaves_at_once(org: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    org.fault("primary", "accept_never_answer")

    async def main() -> None:
        async with org.async_client() as client:
            causes: list[BaseException | None] = []

            async def call() -> None:
                try:
                    await client.post(ACCOUNTS, json={"name": "x"}, tag="order 17")
                except asyncio.CancelledError as cancelled:
                    causes.append(cancelled.__cause__)
                    raise

            task = asyncio.create_task(call())
            await asyncio.to_thread(org.wait, "primary", in_flight_at_least=1)
            with monkeypatch.context() as patch:
                patch.setattr(client, "_complete", lambda *_: None)
                task.cancel()
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait({task}, timeout=20)
            assert task.cancelled()
            (cause,) = causes
            assert isinstance(cause, d365_failover.WriteInDoubtError)
            assert isinstance(cause.__cause__, d365_failover.CallCancelledError)
            assert cause.effect == "unknown"
            assert (cause.ledger_id, cause.tag) == ((await client.ledger())[0].id, "order 17")

    run(main())


def test_a_log_filter_that_fails_takes_no_completion(
    org: Organization, broken_logging: None, capfd: pytest.CaptureFixture[str]
) -> None:
    org.fault("primary", "refuse")

    async def main() -> None:
        async with org.async_client() as client:

            @client.on_endpoint_switched
            def broken(event: EndpointSwitchEvent) -> None:
                raise ValueError("no")

            calls = [asyncio.create_task(client.get(WHO_AM_I, timeout=20)) for _ in range(20)]
            await asyncio.sleep(0)
            # The loop stands still meanwhile, so that records and completions come together.
            org.wait("alternate", received_at_least=20)
            done, _ = await asyncio.wait(calls, timeout=30)
            assert [call.result().status_code for call in done] == [200] * 20

    run(main())
    assert "the filter fails" in capfd.readouterr().err


def test_a_timeout_of_asyncio_is_a_cancellation(org: Organization) -> None:
    org.fault("primary", "accept_never_answer")

    async def main() -> None:
        async with org.async_client() as client:
            with pytest.raises((TimeoutError, asyncio.TimeoutError)):
                await asyncio.wait_for(client.get(WHO_AM_I), 0.2)
            await asyncio.to_thread(org.wait, "primary", in_flight_at_most=0)

    run(main())


def test_what_is_closed_by_aclose_closes_its_own_way(org: Organization) -> None:
    closed: list[float] = []

    class Own(d365_failover.AsyncClient):
        async def close(self, *, timeout: float = 5.0) -> None:
            closed.append(timeout)
            await super().close(timeout=timeout)

    async def main() -> None:
        async with contextlib.aclosing(Own(org.primary_url, **org.settings)):
            pass

    run(main())
    assert closed == [5.0]


def test_close_waits_for_calls_in_flight(org: Organization) -> None:
    org.fault("primary", "stall", ms=200)

    async def main() -> None:
        client = org.async_client()
        call = asyncio.create_task(client.get(WHO_AM_I))
        await asyncio.to_thread(org.wait, "primary", received_at_least=1)
        await client.aclose(timeout=30)
        assert (await call).status_code == 200
        await client.close()
        with pytest.raises(d365_failover.ClosedError):
            await client.get(WHO_AM_I)

    run(main())


def test_close_cancels_what_is_left(org: Organization) -> None:
    org.fault("primary", "accept_never_answer")

    async def main() -> None:
        client = org.async_client()
        calls = [asyncio.create_task(client.post(ACCOUNTS, json={"name": str(n)})) for n in range(50)]
        await asyncio.to_thread(org.wait, "primary", in_flight_at_least=50)
        await client.close(timeout=0)
        for error in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(error, d365_failover.WriteInDoubtError)
            assert isinstance(error.__cause__, d365_failover.CallCancelledError)
            assert error.effect == "unknown"
            assert error.attempts

    run(main())


def test_close_says_that_a_handler_is_still_running(org: Organization) -> None:
    async def main() -> None:
        running, let_go = asyncio.Event(), asyncio.Event()
        client = org.async_client()

        @client.on_endpoint_switched
        async def slow(event: EndpointSwitchEvent) -> None:
            running.set()
            await let_go.wait()

        await client.switch_endpoint()
        await running.wait()
        with pytest.raises(d365_failover.BusyError):
            await client.close(timeout=0.1)
        let_go.set()

    run(main())


def test_a_second_loop_after_the_first_is_over(org: Organization) -> None:
    client = org.async_client()

    async def call() -> None:
        assert (await client.get(WHO_AM_I)).status_code == 200

    run(call())
    run(call())
    run(client.close())


def test_two_loops_at_once_are_refused(org: Organization) -> None:
    async def main() -> None:
        async with org.async_client() as client:
            assert (await client.get(WHO_AM_I)).status_code == 200
            errors: list[BaseException] = []

            def elsewhere() -> None:
                with pytest.raises(d365_failover.InvalidArgumentError, match="another event loop") as caught:
                    asyncio.run(client.get(WHO_AM_I))
                errors.append(caught.value)

            await asyncio.to_thread(elsewhere)
            assert len(errors) == 1

    run(main())


def test_a_handler_of_another_loop_runs_there(org: Organization) -> None:
    ready = threading.Event()
    other = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: (other.call_soon(ready.set), other.run_forever()))
    thread.start()
    ready.wait(30)
    seen: list[bool] = []

    async def main() -> None:
        async with org.async_client() as client:

            async def register() -> None:
                @client.on_endpoint_switched
                async def switched(event: EndpointSwitchEvent) -> None:
                    seen.append(asyncio.get_running_loop() is other)

                @client.on_endpoint_switched
                def plain(event: EndpointSwitchEvent) -> None:
                    seen.append(threading.current_thread() is thread)

            # The client's loop is the one that calls first.
            assert (await client.get(WHO_AM_I)).status_code == 200
            with pytest.raises(d365_failover.InvalidArgumentError):
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(client.discover(), other))
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(register(), other))
            await client.switch_endpoint()

    try:
        run(main())
    finally:
        other.call_soon_threadsafe(other.stop)
        thread.join()
        other.close()
    assert seen == [True, True]


@pytest.mark.parametrize("coroutine", [False, True])
def test_a_handler_of_a_loop_that_stopped_keeps_no_other_waiting(
    org: Organization, caplog: pytest.LogCaptureFixture, coroutine: bool
) -> None:
    stopped = asyncio.new_event_loop()
    started: list[str] = []

    def plain(event: EndpointSwitchEvent) -> None:
        started.append(event.name)

    async def waiting(event: EndpointSwitchEvent) -> None:
        started.append(event.name)

    async def main() -> None:
        seen: asyncio.Queue[str] = asyncio.Queue()
        async with org.async_client(handler_timeout=1) as client:
            assert (await client.get(WHO_AM_I)).status_code == 200

            async def register() -> None:
                client.on_endpoint_switched(waiting if coroutine else plain)

            await asyncio.to_thread(stopped.run_until_complete, register())

            @client.on_endpoint_switched
            async def healthy(event: EndpointSwitchEvent) -> None:
                seen.put_nowait(event.new_role)

            await client.switch_endpoint()
            await client.switch_endpoint()
            assert [await asyncio.wait_for(seen.get(), 20) for _ in range(2)] == ["alternate", "primary"]

    try:
        run(main())
        # What was given up does not start when the loop runs again.
        stopped.run_until_complete(asyncio.sleep(0))
    finally:
        stopped.close()
    assert started == []
    assert ["handler_timeout" in str(record.exc_info) for record in caplog.records if record.exc_info] == [True, True]


def test_a_handler_of_another_loop_is_cancelled_after_its_time(
    org: Organization, caplog: pytest.LogCaptureFixture
) -> None:
    other = asyncio.new_event_loop()
    thread = threading.Thread(target=other.run_forever)
    thread.start()
    cancelled = threading.Event()

    async def main() -> None:
        async with org.async_client(handler_timeout=1) as client:
            assert (await client.get(WHO_AM_I)).status_code == 200

            async def register() -> None:
                @client.on_endpoint_switched
                async def slow(event: EndpointSwitchEvent) -> None:
                    try:
                        await asyncio.Event().wait()
                    except asyncio.CancelledError:
                        cancelled.set()
                        raise

                @client.on_endpoint_switched
                def broken(event: EndpointSwitchEvent) -> None:
                    raise ValueError("no")

            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(register(), other))
            await client.switch_endpoint()
            assert await asyncio.to_thread(cancelled.wait, 20)

    try:
        run(main())
    finally:
        other.call_soon_threadsafe(other.stop)
        thread.join()
        other.close()
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [TimeoutError, ValueError]


def test_a_forgotten_client_warns_and_leaves_the_loop(org: Organization) -> None:
    threads = set(threading.enumerate())

    async def main() -> None:
        loop = asyncio.get_running_loop()
        client = org.async_client()
        await client.get(WHO_AM_I)
        await client.put(BULK, content=iter([b"x"]))
        watching = set(threading.enumerate()) - threads
        sources = client._queue, client._turns.bell
        with pytest.warns(ResourceWarning, match="unclosed AsyncClient") as told:  # noqa: PT031
            del client
            # The thread that has read the body may hold it for a moment yet.
            while not told.list:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        # A warning holds what it is of.
        del told
        gc.collect()
        await asyncio.sleep(0)
        for thread in watching:
            thread.join(60)
            assert not thread.is_alive()
        with contextlib.suppress(NotImplementedError):
            for source in sources:
                assert not loop.remove_reader(source.descriptor() or 0)

    run(main())
