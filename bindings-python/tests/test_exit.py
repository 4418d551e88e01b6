"""The end of the interpreter, and what of the application's own still runs then."""

from __future__ import annotations

import pytest
from test_process import WITHOUT_READERS, child, ended
from twin import Organization

COMMON = """
import asyncio, atexit, io, traceback
def new_async(**more):
    return d365_failover.AsyncClient(os.environ["D365_URL"], **{**settings, **more})
def provider(url):
    return "t", 60.0
def after_main(work):
    # On a thread that the exit waits for, once the main thread has ended.
    def wait():
        threading.main_thread().join()
        work()
    threading.Thread(target=wait).start()
"""

ASYNC = """
async def pieces():
    yield b"x"
async def aposted(client):
    return (await client.post(ACCOUNTS, json={"name": "x"})).effect
async def aput(client, content):
    return (await client.put("/bulk", content=content)).effect
async def switched(client):
    seen = asyncio.Event()
    client.on_endpoint_switched(lambda event: seen.set())
    await client.switch_endpoint()
    await asyncio.wait_for(seen.wait(), 20)
    return "seen"
async def streamed(client):
    async with client.stream("GET", "/bulk/100000") as response:
        return len(await response.aread())
async def nothing(client):
    return "done"
WORK = {
    "close": ({}, nothing),
    "a call": ({}, aposted),
    "a token": (dict(token_provider=provider), aposted),
    "a hook": (dict(prepare=lambda outgoing: None), aposted),
    "discover": ({}, lambda client: client.discover()),
    "a switch and its handler": ({}, switched),
    "a file": ({}, lambda client: aput(client, io.BytesIO(b"x"))),
    "an iterable": ({}, lambda client: aput(client, iter([b"x"]))),
    "an asynchronous iterable": ({}, lambda client: aput(client, pieces())),
    "a stream": ({}, streamed),
}
made = {what: new_async(**settings) for what, (settings, _) in WORK.items()}
async def work():
    for what, (settings, do) in WORK.items():
        try:
            client = made[what] if OPENED == "before" else new_async(**settings)
            try:
                print(what, await do(client))
            finally:
                await client.close()
        except Exception as error:
            print(what, repr(error))
            traceback.print_exc()
"""

BLOCKING = """
def posted(client):
    return client.post(ACCOUNTS, json={"name": "x"}).effect
def switched(client):
    seen = threading.Event()
    client.on_endpoint_switched(lambda event: seen.set())
    client.switch_endpoint()
    return "seen" if seen.wait(20) else "missed"
def streamed(client):
    with client.stream("GET", "/bulk/100000") as response:
        return len(response.read())
WORK = {
    "close": ({}, lambda client: "done"),
    "a call": ({}, posted),
    "a token": (dict(token_provider=provider), posted),
    "a hook": (dict(prepare=lambda outgoing: None), posted),
    "discover": ({}, lambda client: client.discover()),
    "a switch and its handler": ({}, switched),
    "a file": ({}, lambda client: client.put("/bulk", content=io.BytesIO(b"x")).effect),
    "an iterable": ({}, lambda client: client.put("/bulk", content=iter([b"x"])).effect),
    "a stream": ({}, streamed),
}
made = {what: new(**settings) for what, (settings, _) in WORK.items()}
def work():
    for what, (settings, do) in WORK.items():
        try:
            client = made[what] if OPENED == "before" else new(**settings)
            with client:
                print(what, do(client))
        except Exception as error:
            print(what, repr(error))
            traceback.print_exc()
"""

DONE = {
    "close": "done",
    "a call": "executed",
    "a token": "executed",
    "a hook": "executed",
    "discover": "None",
    "a switch and its handler": "seen",
    "a file": "executed",
    "an iterable": "executed",
    "an asynchronous iterable": "executed",
    "a stream": "100000",
}

RUN = "lambda: asyncio.run(work())"
WHEN = {
    "async at exit": (ASYNC, f"atexit.register({RUN})"),
    "async after main": (ASYNC, f"after_main({RUN})"),
    "async at exit, on a loop that was used": (
        ASYNC,
        """
loop = asyncio.new_event_loop()
atexit.register(loop.close)
atexit.register(lambda: loop.run_until_complete(work()))
async def before():
    for client in made.values():
        await client.get(WHO_AM_I)
loop.run_until_complete(before())
""",
    ),
    "async at exit, on a loop without readers": (WITHOUT_READERS + ASYNC, f"atexit.register({RUN})"),
    "async after main, on a loop without readers": (WITHOUT_READERS + ASYNC, f"after_main({RUN})"),
    "blocking at exit": (BLOCKING, "atexit.register(work)"),
    "blocking after main": (BLOCKING, "after_main(work)"),
}


@pytest.mark.parametrize("opened", ["before", "late"])
@pytest.mark.parametrize(("program", "when"), WHEN.values(), ids=WHEN.keys())
def test_a_client_works_until_the_end(org: Organization, program: str, when: str, opened: str) -> None:
    """Of CPython 3.12 and newer nobody can make a thread in Python any more then, and no version has executors."""
    is_blocking = program is BLOCKING
    with child(org, f"{COMMON}\nOPENED = {opened!r}\n{program}{when}") as process:
        code, out, err = ended(process)
    if opened == "late":
        for kind in ("Client", "AsyncClient"):
            err = err.replace(f"unclosed {kind}", "")
    expected = [f"{what} {done}" for what, done in DONE.items() if not (is_blocking and "asynchronous" in what)]
    assert (out.splitlines(), code) == (expected, 0), err


NO_THREADS = """
def refuse(*args, **keys):
    raise RuntimeError("can't create new thread at interpreter shutdown")
threading._start_new_thread = threading._start_joinable_thread = refuse
"""
"""As from the end of the main thread of CPython 3.12.0 and 3.12.1, but from now on, and of any version."""

ENDLESS = {
    "a handler that computes": NO_THREADS
    + """
client = new()
running = threading.Event()
@client.on_endpoint_switched
def handler(event):
    running.set()
    while True:
        pass
client.switch_endpoint()
running.wait()
""",
    "a handler inside the library": NO_THREADS
    + """
client = new()
running = threading.Event()
@client.on_endpoint_switched
def handler(event):
    running.set()
    while True:
        try:
            client.get("/stalled")
        except d365_failover.ClosedError:
            pass
client.switch_endpoint()
running.wait()
""",
    "a body": """
def body():
    running.set()
    while True:
        time.sleep(0.001)
        yield b""
running = threading.Event()
async def main():
    global client
    client = new_async()
    upload = asyncio.create_task(client.put("/bulk", content=body()))
    while not running.is_set():
        await asyncio.sleep(0.001)
asyncio.run(main())
""",
    "a body, and no more threads": NO_THREADS
    + """
def body():
    running.set()
    while True:
        time.sleep(0.001)
        yield b""
running = threading.Event()
async def main():
    global client
    client = new_async()
    upload = asyncio.create_task(client.put("/bulk", content=body()))
    while not running.is_set():
        await asyncio.sleep(0.001)
asyncio.run(main())
""",
}


@pytest.mark.parametrize("program", ENDLESS.values(), ids=ENDLESS.keys())
def test_what_never_ends_ends_with_the_interpreter(org: Organization, program: str) -> None:
    for side in ("primary", "alternate"):
        org.fault(side, "accept_never_answer", path="/stalled")
    with child(org, COMMON + program) as process:
        assert ended(process) == (0, "", "")


def test_what_exit_runs_after_the_clients_were_closed_hears_so(org: Organization) -> None:
    """Its handler was registered before the library's."""
    program = """
import atexit
def attempt(what):
    try:
        what()
    except d365_failover.ClosedError as error:
        print(error)
def late():
    attempt(lambda: client.get(WHO_AM_I))
    attempt(lambda: new(token_provider=lambda url: "t"))
    client.close()
atexit.unregister(d365_failover._lifecycle._at_exit)
atexit.register(late)
atexit.register(d365_failover._lifecycle._at_exit)
client = new()
"""
    with child(org, program) as process:
        assert ended(process) == (
            0,
            "the client is closed; open another one\nthe interpreter is about to end, and no client opens any more\n",
            "",
        )


def test_a_call_that_was_answered_is_told_whatever_its_body_raises_then(org: Organization) -> None:
    program = f"""{COMMON}
class Body:
    def __init__(self):
        self.left = [b"x"]
    def read(self, size):
        return self.left.pop() if self.left else b""
    def close(self):
        raise OSError("close")
def tell(error):
    print(error, type(error.__cause__).__name__, error.__cause__.effect)
with new() as client:
    try:
        client.put("/bulk", content=lambda: Body())
    except OSError as error:
        tell(error)
async def main():
    async with new_async() as client:
        try:
            await client.put("/bulk", content=lambda: Body())
        except OSError as error:
            tell(error)
asyncio.run(main())
"""
    with child(org, program) as process:
        assert ended(process) == (0, "close CallCancelledError executed\n" * 2, "")


def test_an_async_client_outlives_loops_that_were_closed_with_calls_in_flight(org: Organization) -> None:
    org.fault("primary", "accept_never_answer", path="/stalled")
    program = f"""{COMMON}
async def begin():
    for sent in (dict(json={{}}, tag="whole"), dict(content=iter([b"x"])), dict(content=io.BytesIO(b"x"))):
        task = asyncio.create_task(client.put("/stalled", **sent))
        task._log_destroy_pending = False
        tasks.append(task)
    await asyncio.to_thread(sys.stdin.readline)
async def use():
    print((await client.post(ACCOUNTS, json={{"name": "x"}})).effect)
    print((await client.put("/bulk", content=io.BytesIO(b"x"))).effect)
client = new_async()
for _ in range(2):
    tasks = []
    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    loop.close()
    del tasks
    asyncio.run(use())
async def finish():
    await client.close(timeout=0)
    print([entry.tag for entry in await client.ledger(suspects=True)].count("whole"))
asyncio.run(finish())
"""
    with child(org, program) as process:
        assert process.stdin is not None
        for sent in (3, 6):
            org.wait("primary", in_flight_at_least=sent)
            process.stdin.write("\n")
            process.stdin.flush()
        assert ended(process) == (0, "executed\n" * 4 + "2\n", "")
