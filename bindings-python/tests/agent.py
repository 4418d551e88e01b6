"""Scenario agent: a JSON object a line on standard input, one a line as its answer.

python agent.py            clients are `Client`; submitted calls run on threads and cannot be cancelled
python agent.py --async    clients are `AsyncClient`, on an event loop of their own thread
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import json
import sys
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import d365_failover
from agent_wire import Body, BodyFailed, Hook, HookFailed, Reading, of_body_reader
from d365_failover import (
    AsyncClient,
    AsyncStreamedResponse,
    Client,
    EndpointSwitchEvent,
    Event,
    FailoverError,
    LedgerEntry,
    OutageEndedEvent,
    Response,
    Settled,
    SettledEvent,
    SettleStep,
    StreamedResponse,
    SuspectedSince,
    ThrottledEvent,
    WriteInDoubtError,
)

T = TypeVar("T")
Json = dict[str, Any]

_MOST_CALLS = 1024
"""Calls that are sent at once, a thread each."""

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
        "http_version": None if attempt.http_version is None else attempt.http_version.removeprefix("HTTP/"),
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
        "body": "" if isinstance(response, (StreamedResponse, AsyncStreamedResponse)) else response.text,
        "effect": response.effect,
        "switched": response.switched,
        "ledger_id": response.ledger_id,
        "attempts": list(map(attempt, response.attempts)),
        "parts": [{"index": part.index, "status": part.status, "code": part.code} for part in response.parts],
    }


def of_error(error: BaseException) -> Json:
    if isinstance(error, (BodyFailed, HookFailed)) and isinstance(error.__cause__, FailoverError):
        # The call raises what the application's code has raised; what is known of the call is its cause.
        error = error.__cause__
    if not isinstance(error, FailoverError):
        return {"kind": "internal", "type": type(error).__name__, "message": str(error)}
    # What is in doubt is of a class of its own, which no loop catches that repeats what was lost or late.
    assert (error.effect == "unknown") == (type(error) is WriteInDoubtError), repr(error)
    assert not isinstance(error, WriteInDoubtError) or not isinstance(error, (OSError, TimeoutError))
    return {
        "kind": error.kind,
        "type": type(error).__name__,
        "message": str(error),
        "effect": error.effect,
        "switched": error.switched,
        "http_status": error.status,
        "code": error.code,
        "ledger_id": error.ledger_id,
        "tag": error.tag,
        "attempts": list(map(attempt, error.attempts)),
    }


def of_event(event: Event, inner: Json | None) -> Json:
    """Its fields by their names; a duration in milliseconds."""
    told = ("epoch", "reason", "planned", "previous_url", "new_url", "probed", "ledger_id", "in_doubt", "acknowledged")
    seen = {name: getattr(event, name) for name in (*told, "tag", "method", "url") if hasattr(event, name)}
    if isinstance(event, ThrottledEvent):
        seen["retry_after_ms"] = round(event.retry_after * 1000)
    if isinstance(event, SettledEvent):
        seen |= {name: getattr(event, name) for name in ("total", "confirmed", "replayed", "left")}
    if isinstance(event, OutageEndedEvent):
        seen["new_url"] = event.new_url or ""
        seen["lasted_ms"] = round(event.lasted * 1000)
    if inner is not None:
        seen["inner"] = inner
    return {"event": event.name, "automatic": getattr(event, "automatic", True), **seen}


def of_entry(entry: LedgerEntry) -> Json:
    told = dataclasses.asdict(entry)
    started, ended = told.pop("started"), told.pop("ended")
    assert ended is None or started <= ended
    assert (told.pop("verified_at") is None) == (entry.verified is None)
    return {**told, "row": told.pop("row_url"), "is_ended": ended is not None}


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

    def record(self, event: Event, inner: Json | None = None) -> None:
        with self._seen:
            self._events.append(of_event(event, inner))
            self._seen.notify_all()

    def listen(self, kinds: Sequence[str]) -> None:
        """Records events of these kinds besides."""
        registers: dict[str, Callable[[Callable[[Event], None]], object]] = {
            "WriteInDoubt": self.client.on_write_in_doubt,
            "DataLossSuspected": self.client.on_data_loss_suspected,
            "CallRetried": self.client.on_call_retried,
            "Throttled": self.client.on_throttled,
            "OutageStarted": self.client.on_outage_started,
            "OutageEnded": self.client.on_outage_ended,
            "Settled": self.client.on_settled,
        }
        for kind in kinds:
            registers[kind](self.record)

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

    def __init__(
        self,
        calls: ThreadPoolExecutor,
        url: str,
        settings: Json,
        required: Any,
        switched: Any,
        kinds: Sequence[str],
    ) -> None:
        super().__init__()
        self.blocks: dict[int, contextlib.AbstractContextManager[StreamedResponse]] = {}
        self._calls = calls
        self.client = Client(url, **settings)
        for action, register in (
            (required, self.client.on_endpoint_switch_required),
            (switched, self.client.on_endpoint_switched),
        ):
            if action is not None:
                register(self._handler(action))
        self.listen(kinds)

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

    def start(self, call: Json, streams: bool) -> Future[Response]:
        send: Callable[..., Response] = self._stream if streams else self.client.request
        return self._calls.submit(send, **call)

    def _stream(self, **call: Any) -> Response:
        block = self.client.stream(**call)
        response = block.__enter__()
        self.blocks[id(response)] = block
        return response

    def read(self, response: Response, reading: Reading) -> Json:
        assert isinstance(response, StreamedResponse)
        error: Json | None = None
        try:
            pieces = response.iter_bytes(reading.chunk_size)
            while not reading.is_enough() and (piece := next(pieces, None)) is not None:
                reading.add(piece)
        except FailoverError as failed:
            error = of_error(failed)
        self.blocks.pop(id(response)).__exit__(None, None, None)
        return reading.answer(error)

    def cancel(self, call: Future[Response]) -> None:
        raise FailoverError("submitted calls are AsyncClient's: start the agent with --async", kind="not_available")

    def switch_endpoint(self) -> None:
        self.client.switch_endpoint()

    def verify(self, write: LedgerEntry | int, url: str | None) -> str:
        return self.client.verify(write) if url is None else self.client.verify_with(write, url)

    def set_override(self, value: str | None, until: float | None) -> None:
        self.client.set_override(value, until)

    def replay(self, write: int, wanted: bool) -> Response:
        return self.client.replay(write, wanted=wanted)

    def settle(self, **acts: Any) -> Settled:
        return self.client.settle(**acts)

    def settling(self, **acts: Any) -> Settled:
        """Step by step."""
        steps = list(self.client.settling(**acts))
        assert [step.settled.done for step in steps] == list(range(1, len(steps) + 1))
        return steps[-1].settled

    def ledger(self, *, suspects: bool) -> list[LedgerEntry]:
        return self.client.ledger(suspects=suspects)

    def resolve(self, id: int, resolution: str) -> None:
        self.client.resolve(id, resolution)

    def suspect_since(self, time: datetime.datetime) -> SuspectedSince:
        return self.client.suspect_since(time)

    def discover(self) -> None:
        self.client.discover()

    def close(self) -> None:
        self.client.close()


class Submitting(Subject):
    client: AsyncClient

    def __init__(
        self, loop: Loop, url: str, settings: Json, required: Any, switched: Any, kinds: Sequence[str]
    ) -> None:
        super().__init__()
        self.blocks: dict[int, contextlib.AbstractAsyncContextManager[AsyncStreamedResponse]] = {}
        self._loop = loop
        self.client = AsyncClient(url, **settings)

        async def register() -> None:
            if required is not None:
                self.client.on_endpoint_switch_required(self._handler(required))
            if switched is not None:
                self.client.on_endpoint_switched(self._handler(switched))
            self.listen(kinds)

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

    async def _stream(self, **call: Any) -> Response:
        block = self.client.stream(**call)
        response = await block.__aenter__()
        self.blocks[id(response)] = block
        return response

    def read(self, response: Response, reading: Reading) -> Json:
        return self._loop.run(self._read(response, reading))

    async def _read(self, response: Response, reading: Reading) -> Json:
        assert isinstance(response, AsyncStreamedResponse)
        error: Json | None = None
        try:
            pieces = response.aiter_bytes(reading.chunk_size)
            while not reading.is_enough() and (piece := await anext(pieces, None)) is not None:
                reading.add(piece)
        except FailoverError as failed:
            error = of_error(failed)
        await self.blocks.pop(id(response)).__aexit__(None, None, None)
        return reading.answer(error)

    def start(self, call: Json, streams: bool) -> Future[Response]:
        async def cancellable() -> Response:
            try:
                return await (self._stream(**call) if streams else self.client.request(**call))
            except asyncio.CancelledError as cancelled:
                # The cancelled call's own account, which a cancelled future could not carry.
                raise cancelled.__cause__ or cancelled from None

        task: Future[Response] = Future()

        async def spawn() -> asyncio.Task[Response]:
            return asyncio.ensure_future(cancellable())

        running = self._loop.run(spawn())
        task.set_running_or_notify_cancel()

        def done(ended: asyncio.Task[Response]) -> None:
            error = asyncio.CancelledError() if ended.cancelled() else ended.exception()
            if error is not None:
                task.set_exception(error)
            else:
                task.set_result(ended.result())

        self._loop.loop.call_soon_threadsafe(running.add_done_callback, done)
        task.submitted = running  # type: ignore[attr-defined]
        return task

    def cancel(self, call: Future[Response]) -> None:
        self._loop.loop.call_soon_threadsafe(call.submitted.cancel)  # type: ignore[attr-defined]

    def switch_endpoint(self) -> None:
        self._loop.run(self.client.switch_endpoint())

    def verify(self, write: LedgerEntry | int, url: str | None) -> str:
        return self._loop.run(self.client.verify(write) if url is None else self.client.verify_with(write, url))

    def set_override(self, value: str | None, until: float | None) -> None:
        self._loop.run(self.client.set_override(value, until))

    def replay(self, write: int, wanted: bool) -> Response:
        return self._loop.run(self.client.replay(write, wanted=wanted))

    def settle(self, **acts: Any) -> Settled:
        return self._loop.run(self.client.settle(**acts))

    def settling(self, **acts: Any) -> Settled:
        async def all_steps() -> list[SettleStep]:
            return [step async for step in self.client.settling(**acts)]

        steps = self._loop.run(all_steps())
        assert [step.settled.done for step in steps] == list(range(1, len(steps) + 1))
        return steps[-1].settled

    def ledger(self, *, suspects: bool) -> list[LedgerEntry]:
        return self._loop.run(self.client.ledger(suspects=suspects))

    def resolve(self, id: int, resolution: str) -> None:
        self._loop.run(self.client.resolve(id, resolution))

    def suspect_since(self, time: datetime.datetime) -> SuspectedSince:
        return self._loop.run(self.client.suspect_since(time))

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


class Started(NamedTuple):
    """A call, and what is to be done when it has ended."""

    subject: Blocking | Submitting
    future: Future[Response]
    body: Body | None
    reading: Reading | None

    def answer(self) -> Json:
        answer: Json
        try:
            response = self.future.result()
            read = {} if self.reading is None else self.subject.read(response, self.reading)
            # What a batch's parts say is known by now.
            answer = {"ok": True, "response": of_response(response) | read}
        except Exception as error:
            answer = {"ok": False, "error": of_error(error)}
        if self.body is not None:
            answer["response" if answer["ok"] else "error"]["body_reads"] = self.body.reads()
        return answer


class Agent:
    def __init__(self, use_loop: bool) -> None:
        self._loop = Loop() if use_loop else None
        self._threads = ThreadPoolExecutor(_MOST_CALLS)
        self._subjects: dict[str, Blocking | Submitting] = {}
        self._hooks: dict[str, Hook] = {}
        self._calls: dict[str, Started] = {}

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
        prepare: Json | None = None,
        events: Sequence[str] = (),
    ) -> None:
        keywords = {**translated(settings or {}), "token_provider": token_provider(token)}
        if prepare is not None:
            keywords["prepare"] = self._hooks[client] = Hook(**prepare)
        if self._loop is None:
            self._subjects[client] = Blocking(self._threads, url, keywords, on_required, on_switched, events)
        else:
            self._subjects[client] = Submitting(self._loop, url, keywords, on_required, on_switched, events)

    def _start(self, client: str, call: Json) -> Started:
        def seconds(name: str) -> float | None:
            ms = call.get(name)
            return None if ms is None else ms / 1000

        subject = self._subjects[client]
        body, content, headers = None, call.get("body"), call.get("headers") or {}
        if "body_reader" in call:
            body, content, more = of_body_reader(**call["body_reader"], asynchronous=self._loop is not None)
            headers = {**headers, **more}
        reading = Reading(**call["stream"]) if call.get("stream") is not None else None
        request = {
            "method": call["method"],
            "url": call["url"],
            "headers": headers,
            "content": content,
            "timeout": seconds("timeout_ms"),
            "connect_timeout": seconds("connect_timeout_ms"),
            "attempt_timeout": seconds("attempt_timeout_ms"),
            "operation": call.get("operation"),
            "guarded_create": call.get("guarded_create", False),
            "upsert": call.get("upsert", False),
            "tag": call.get("tag"),
        }
        return Started(subject, subject.start(request, reading is not None), body, reading)

    def do_call(self, client: str, **call: Any) -> Json:
        return self._start(client, call).answer()

    def do_start(self, client: str, call: str, submit: bool = False, **request: Any) -> None:
        # Submitted or on a thread of its own: which of both is the mode's.
        self._calls[call] = self._start(client, request)

    def do_await(self, call: str) -> Json:
        return self._calls.pop(call).answer()

    def do_prepared(self, client: str) -> Json:
        hook = self._hooks.get(client)
        return {"prepared": [] if hook is None else hook.seen()}

    def do_cancel(self, call: str) -> None:
        started = self._calls[call]
        started.subject.cancel(started.future)

    def do_state(self, client: str) -> Json:
        subject = self._subjects[client].client
        names = ("primary_url", "alternate_url", "active_url", "is_primary", "epoch", "endpoint_auto_switch_enabled")
        found = subject.current_override
        said = found and {"value": found.value, "source": found.source, "has_end": found.until is not None}
        return {"state": {"current_override": said, **{name: getattr(subject, name) for name in names}}}

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

    def do_ledger(self, client: str, selection: str) -> Json:
        listed = self._subjects[client].ledger(suspects={"all": False, "suspects": True}[selection])
        return {"ledger": list(map(of_entry, listed))}

    def do_verify(self, client: str, id: int, submit: bool, url: str | None = None) -> Json:
        # A number, or the entry: one is as good as the other.
        entries = self._subjects[client].ledger(suspects=False)
        entry = next((entry for entry in entries if entry.id == id), id)
        return {"verified": self._subjects[client].verify(entry, url)}

    def do_replay(self, client: str, id: int, wanted: bool, submit: bool) -> Json:
        response = self._subjects[client].replay(id, wanted)
        return {"replayed": {"status": response.status_code, "effect": response.effect}}

    def do_settle(self, client: str, verify: bool, confirm: bool, replay: bool, submit: bool) -> Json:
        subject = self._subjects[client]
        acts = {"verify": verify, "confirm": confirm, "replay": replay}
        settled = subject.settling(**acts) if submit else subject.settle(**acts)
        told = dataclasses.asdict(settled)
        assert told.pop("done") == settled.total
        return {"settled": told}

    def do_suspect_since(self, client: str, since_ms: int) -> Json:
        since = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(milliseconds=since_ms)
        found = self._subjects[client].suspect_since(since)
        return {
            "suspected": {"acknowledged": found.acknowledged, "is_whole": found.on_record_since <= since},
        }

    def do_maintenance(self, client: str, start_ms: int, end_ms: int) -> None:
        self._subjects[client].client.maintenance(start_ms / 1000, end_ms / 1000)

    def do_override(self, client: str, value: str | None, until_ms: int | None) -> None:
        self._subjects[client].set_override(value, None if until_ms is None else until_ms / 1000)

    def do_resolve(self, client: str, id: int, resolution: str) -> None:
        self._subjects[client].resolve(id, resolution)

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
