"""Scenario agent: a JSON object a line on standard input, one a line as its answer.

python agent.py            clients are `Client`; submitted calls run on threads and cannot be cancelled
python agent.py --async    clients are `AsyncClient`, on an event loop of their own thread
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import d365_failover
from d365_failover import AsyncClient, Client, EndpointSwitchEvent, FailoverError

T = TypeVar("T")
Json = dict[str, Any]

WHO_AM_I = "/api/data/v9.2/WhoAmI"
URL = "https://contoso.crm.dynamics.com"


class Loop:
    """An event loop on a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.start(work).result()


def attempt(attempt: d365_failover.Attempt) -> Json:
    return {
        "role": attempt.role,
        "epoch": attempt.epoch,
        "phase": attempt.phase,
        "http_status": attempt.http_status,
        "fault": attempt.fault,
        "code": attempt.code,
        "url": attempt.url,
    }


def of_response(response: d365_failover.Response) -> Json:
    return {
        "status": response.status_code,
        "url": response.url,
        "headers": dict(response.headers),
        "body": response.text,
        "effect": response.effect,
        "switched": response.switched,
        "attempts": list(map(attempt, response.attempts)),
    }


def of_error(error: BaseException) -> Json:
    if not isinstance(error, FailoverError):
        return {"kind": "internal", "type": type(error).__name__, "message": str(error)}
    return {
        "kind": error.kind,
        "type": type(error).__name__,
        "message": str(error),
        "effect": error.effect,
        "switched": error.switched,
        "http_status": error.status,
        "code": error.code,
        "attempts": list(map(attempt, error.attempts)),
    }


def translated(settings: Json) -> Json:
    return {key.removesuffix("_ms"): value / 1000 if key.endswith("_ms") else value for key, value in settings.items()}


def token_provider(how: str | None) -> Callable[[str], str] | None:
    def by_host(url: str) -> str:
        return f"twin-token-for-{url.partition('://')[2]}"

    def fail(url: str) -> str:
        raise RuntimeError("the scenario wants no token")

    return {None: None, "by_host": by_host, "fail": fail}[how]


class Subject:
    """A client with the events that its handlers saw. What a handler does is its scenario's word."""

    client: Client | AsyncClient

    def __init__(self) -> None:
        self._events: list[Json] = []
        self._seen = threading.Condition()

    def events(self, at_least: int, timeout_ms: int) -> list[Json]:
        with self._seen:
            self._seen.wait_for(lambda: len(self._events) >= at_least, timeout_ms / 1000)
            return list(self._events)

    def record(self, event: EndpointSwitchEvent, inner: Json | None = None) -> None:
        seen = {
            "event": event.name,
            "previous_url": event.previous_url,
            "new_url": event.new_url,
            "epoch": event.epoch,
            "reason": event.reason,
            "automatic": event.automatic,
        }
        with self._seen:
            self._events.append(seen if inner is None else {**seen, "inner": inner})
            self._seen.notify_all()

    def act(self, action: str, event: EndpointSwitchEvent, handler: Callable[..., object]) -> None:
        """All that a handler does but calling."""
        self.record(event)
        if action == "veto":
            assert isinstance(event, d365_failover.EndpointSwitchRequiredEvent)
            event.veto()
        elif action in ("disable_auto_switch", "enable_auto_switch"):
            self.client.endpoint_auto_switch_enabled = action == "enable_auto_switch"
        elif action == "throw":
            raise RuntimeError("the scenario wants this handler to fail")
        elif action == "unsubscribe":
            self.client.off(handler)


class Blocking(Subject):
    client: Client

    def __init__(self, calls: ThreadPoolExecutor, url: str, settings: Json, required: Any, switched: Any) -> None:
        super().__init__()
        self._calls = calls
        self.client = Client(url, **settings)
        for action, register in (
            (required, self.client.on_endpoint_switch_required),
            (switched, self.client.on_endpoint_switched),
        ):
            if action is not None:
                register(self._handler(action))

    def _handler(self, action: str) -> Callable[[EndpointSwitchEvent], None]:
        def handler(event: EndpointSwitchEvent) -> None:
            if action != "call":
                return self.act(action, event, handler)
            try:
                inner = {"status": self.client.get(WHO_AM_I).status_code}
            except FailoverError as error:
                self.record(event, {"error": error.kind})
            else:
                self.record(event, inner)

        return handler

    def start(self, call: Json) -> Future[d365_failover.Response]:
        return self._calls.submit(self.client.request, call.pop("method"), call.pop("url"), **call)

    def cancel(self, call: Future[d365_failover.Response]) -> None:
        raise FailoverError("submitted calls are AsyncClient's: start the agent with --async", kind="not_available")

    def switch_endpoint(self) -> None:
        self.client.switch_endpoint()

    def discover(self) -> None:
        self.client.discover()

    def close(self) -> None:
        self.client.close()


class Submitting(Subject):
    client: AsyncClient

    def __init__(self, loop: Loop, url: str, settings: Json, required: Any, switched: Any) -> None:
        super().__init__()
        self._loop = loop
        self.client = AsyncClient(url, **settings)

        async def register() -> None:
            if required is not None:
                self.client.on_endpoint_switch_required(self._handler(required))
            if switched is not None:
                self.client.on_endpoint_switched(self._handler(switched))

        loop.run(register())

    def _handler(self, action: str) -> Callable[[EndpointSwitchEvent], Coroutine[Any, Any, None]]:
        async def handler(event: EndpointSwitchEvent) -> None:
            if action != "call":
                return self.act(action, event, handler)
            try:
                inner = {"status": (await self.client.get(WHO_AM_I)).status_code}
            except FailoverError as error:
                self.record(event, {"error": error.kind})
            else:
                self.record(event, inner)

        return handler

    def start(self, call: Json) -> Future[d365_failover.Response]:
        async def cancellable() -> d365_failover.Response:
            try:
                return await self.client.request(call.pop("method"), call.pop("url"), **call)
            except asyncio.CancelledError as cancelled:
                # The cancelled call's own account, which a cancelled future could not carry.
                raise cancelled.__cause__ or cancelled from None

        task: Future[d365_failover.Response] = Future()

        async def spawn() -> asyncio.Task[d365_failover.Response]:
            return asyncio.ensure_future(cancellable())

        running = self._loop.run(spawn())
        task.set_running_or_notify_cancel()

        def done(ended: asyncio.Task[d365_failover.Response]) -> None:
            error = asyncio.CancelledError() if ended.cancelled() else ended.exception()
            if error is not None:
                task.set_exception(error)
            else:
                task.set_result(ended.result())

        self._loop.loop.call_soon_threadsafe(running.add_done_callback, done)
        task.submitted = running  # type: ignore[attr-defined]
        return task

    def cancel(self, call: Future[d365_failover.Response]) -> None:
        self._loop.loop.call_soon_threadsafe(call.submitted.cancel)  # type: ignore[attr-defined]

    def switch_endpoint(self) -> None:
        self._loop.run(self.client.switch_endpoint())

    def discover(self) -> None:
        self._loop.run(self.client.discover())

    def close(self) -> None:
        self._loop.run(self.client.close())


def closed_client() -> None:
    client = Client(URL, tls_verify=False)
    client.close()
    client.get(WHO_AM_I)


def use(work: Callable[[Client], object]) -> None:
    with Client(URL, tls_verify=False) as client:
        work(client)


def fault_of_settings(**settings: Any) -> None:
    Client(URL, **settings).close()


MISUSES: dict[str, Callable[[], object]] = {
    "none_argument": lambda: use(lambda client: client.get(None)),  # type: ignore[arg-type]
    "wrong_type": lambda: use(lambda client: client.get(3)),  # type: ignore[arg-type]
    "bad_url": lambda: Client("contoso"),
    "unknown_setting": lambda: fault_of_settings(no_such_setting="1"),
    "bad_setting": lambda: fault_of_settings(max_connections=0),
    "closed_client": closed_client,
    "lone_surrogate": lambda: Client("https://contoso\ud800.crm.dynamics.com"),
    "bad_header": lambda: use(lambda client: client.get("/", headers={"a": "b\r\nc: d"})),
    "foreign_url": lambda: use(lambda client: client.get("https://elsewhere.example/")),
}


class Agent:
    def __init__(self, use_loop: bool) -> None:
        self._loop = Loop() if use_loop else None
        self._threads = ThreadPoolExecutor(64)
        self._subjects: dict[str, Blocking | Submitting] = {}
        self._calls: dict[str, tuple[Blocking | Submitting, Future[d365_failover.Response]]] = {}

    def answer(self, request: Json) -> Json:
        try:
            action = getattr(self, f"do_{request.pop('do')}")
            return {"ok": True, **(action(**request) or {})}
        except Exception as error:
            return {"ok": False, "error": of_error(error)}

    def end(self) -> None:
        for subject in self._subjects.values():
            subject.close()

    def do_hello(self) -> Json:
        return {"language": "python", "version": d365_failover.__version__}

    def do_open(
        self,
        client: str,
        url: str,
        settings: Json | None = None,
        on_required: str | None = None,
        on_switched: str | None = None,
        token: str | None = None,
    ) -> None:
        keywords = {**translated(settings or {}), "token_provider": token_provider(token)}
        if self._loop is None:
            self._subjects[client] = Blocking(self._threads, url, keywords, on_required, on_switched)
        else:
            self._subjects[client] = Submitting(self._loop, url, keywords, on_required, on_switched)

    def _start(self, client: str, call: Json) -> Future[d365_failover.Response]:
        timeout_ms = call.get("timeout_ms")
        return self._subjects[client].start(
            {
                "method": call["method"],
                "url": call["url"],
                "headers": call.get("headers"),
                "content": call.get("body"),
                "timeout": None if timeout_ms is None else timeout_ms / 1000,
                "operation": call.get("operation"),
            }
        )

    def do_call(self, client: str, **call: Any) -> Json:
        return {"response": of_response(self._start(client, call).result())}

    def do_start(self, client: str, call: str, submit: bool = False, **request: Any) -> None:
        # Submitted or on a thread of its own: which of both is the mode's.
        self._calls[call] = (self._subjects[client], self._start(client, request))

    def do_await(self, call: str) -> Json:
        return {"response": of_response(self._calls.pop(call)[1].result())}

    def do_cancel(self, call: str) -> None:
        subject, future = self._calls[call]
        subject.cancel(future)

    def do_state(self, client: str) -> Json:
        subject = self._subjects[client].client
        names = ("primary_url", "alternate_url", "active_url", "is_primary", "epoch", "endpoint_auto_switch_enabled")
        return {"state": {name: getattr(subject, name) for name in names}}

    def do_set_auto_switch(self, client: str, enabled: bool) -> None:
        self._subjects[client].client.endpoint_auto_switch_enabled = enabled

    def do_switch_endpoint(self, client: str) -> None:
        self._subjects[client].switch_endpoint()

    def do_discover(self, client: str) -> None:
        self._subjects[client].discover()

    def do_close(self, client: str) -> None:
        self._subjects[client].close()

    def do_events(self, client: str, at_least: int = 0, timeout_ms: int = 10_000) -> Json:
        return {"events": self._subjects[client].events(at_least, timeout_ms)}

    def do_misuse(self, what: str) -> Json:
        if what not in MISUSES:
            raise FailoverError(f"Python has no such misuse: {what}", kind="not_available")
        try:
            MISUSES[what]()
        except FailoverError as error:
            return {"got": error.kind}
        except Exception as error:
            return {"got": type(error).__name__}
        return {"got": "nothing"}


def main() -> None:
    agent = Agent("--async" in sys.argv[1:])
    try:
        for line in sys.stdin:
            print(json.dumps(agent.answer(json.loads(line))), flush=True)
    finally:
        agent.end()


if __name__ == "__main__":
    main()
