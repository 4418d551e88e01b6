"""What needs a process of its own: signals, exit, fork."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import d365_failover
import pytest
from twin import ACCOUNTS, Organization

OPEN = """
import logging, os, signal, sys, threading, time
# Nobody's stderr is compared with how long a step has taken.
logging.getLogger("asyncio").addFilter(lambda record: not record.getMessage().endswith(" seconds"))
# As at a terminal: a shell starts what it puts in the background with the signal ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
import d365_failover
settings = dict(
    ca_bundle=os.environ["D365_CA_BUNDLE"],
    connect_to=os.environ["D365_CONNECT_TO"],
    preset=os.environ["D365_PRESET"],
    auto_switch=True,
)
def new(**more):
    return d365_failover.Client(os.environ["D365_URL"], **{**settings, **more})
WHO_AM_I = "/api/data/v9.2/WhoAmI"
ACCOUNTS = "/api/data/v9.2/accounts"
"""

WITHOUT_READERS = """
import asyncio
def refuse(*args):
    raise NotImplementedError
asyncio.SelectorEventLoop.add_reader = asyncio.SelectorEventLoop.remove_reader = refuse
"""
"""Loops that cannot wait for a descriptor, as Windows' own."""

ABOUT = 240
"""Seconds after which a child is taken for hanging."""


@contextmanager
def child(org: Organization, program: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "error", "-c", OPEN + program],
        env=org.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=ABOUT)
    return process.returncode, out, err


@pytest.mark.parametrize(
    ("settings", "waits", "said"),
    [
        ("", 'client.post(ACCOUNTS, json={"name": "x"})', "WriteInDoubtError unknown"),
        ('auto_switch="auto"', "client.discover()", "CallCancelledError none"),
    ],
)
def test_ctrl_c_ends_a_waiting_call(org: Organization, settings: str, waits: str, said: str) -> None:
    org.fault("primary", "accept_never_answer")
    program = f"""
try:
    with new({settings}) as client:
        {waits}
except KeyboardInterrupt as interrupt:
    print(type(interrupt.__cause__).__name__, interrupt.__cause__.effect)
"""
    with child(org, program) as process:
        org.wait("primary", in_flight_at_least=1)
        process.send_signal(signal.SIGINT)
        assert ended(process) == (0, f"{said}\n", "")


def test_ctrl_c_that_nobody_catches_ends_the_script(org: Organization) -> None:
    org.fault("primary", "accept_never_answer")
    with child(org, "client = new()\nclient.get(WHO_AM_I)") as process:
        org.wait("primary", in_flight_at_least=1)
        process.send_signal(signal.SIGINT)
        code, out, err = ended(process)
        assert (code, out) == (-signal.SIGINT, "")
        assert err.rstrip().endswith("KeyboardInterrupt")


def test_ctrl_c_during_asyncio(org: Organization) -> None:
    org.fault("primary", "accept_never_answer")
    program = """
import asyncio
async def main():
    asyncio.get_running_loop().slow_callback_duration = 60  # a busy machine
    async with d365_failover.AsyncClient(os.environ["D365_URL"], **settings) as client:
        await client.get(WHO_AM_I)
try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
"""
    with child(org, program) as process:
        org.wait("primary", in_flight_at_least=1)
        process.send_signal(signal.SIGINT)
        assert ended(process) == (0, "interrupted\n", "")


def test_a_signal_handler_that_returns_lets_the_call_go_on(org: Organization) -> None:
    stall = org.fault("primary", "stall")
    program = """
import signal
signal.signal(signal.SIGUSR1, lambda *_: print("signal", flush=True))
with new() as client:
    print(client.get(WHO_AM_I).status_code)
"""
    with child(org, program) as process:
        org.wait("primary", in_flight_at_least=1)
        process.send_signal(signal.SIGUSR1)
        assert process.stdout is not None
        assert process.stdout.readline() == "signal\n"
        org._twin.ask("DELETE", f"/faults/{stall}")
        assert ended(process) == (0, "200\n", "")


def test_a_signal_that_is_waited_for_comes_to_who_waits(org: Organization) -> None:
    """The threads of the library are there before the application blocks the signal."""
    program = """
from pathlib import Path
asked, given, read = threading.Event(), threading.Event(), threading.Event()
def provide(url):
    asked.set()
    given.wait()
    return "x"
def body():
    read.set()
    given.wait()
    yield b"{}"
def blocks(task):
    try:
        lines = Path(f"/proc/self/task/{task}/status").read_text().splitlines()
    except OSError:  # it has ended
        return True
    mask = next(int(line.split()[1], 16) for line in lines if line.startswith("SigBlk:"))
    return mask >> (signal.SIGTERM - 1) & 1
def call(client):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    client.post(ACCOUNTS, content=body())
with new(token_provider=provide) as first, new() as second:
    first.on_endpoint_switched(print)
    calls = [threading.Thread(target=call, args=(client,)) for client in (first, second)]
    for thread in calls:
        thread.start()
    asked.wait()
    read.wait()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    tasks = os.listdir("/proc/self/task")
    print({Path(f"/proc/self/task/{task}/comm").read_text() for task in tasks if not blocks(task)})
    os.kill(os.getpid(), signal.SIGTERM)
    print(signal.sigwait({signal.SIGTERM}).name)
    given.set()
    for thread in calls:
        thread.join()
"""
    with child(org, program) as process:
        assert ended(process) == (0, "set()\nSIGTERM\n", "")


def test_no_thread_for_events_is_a_want_of_this_machine(org: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    with org.client() as client:
        with monkeypatch.context() as no_threads:
            no_threads.setattr(threading.Thread, "start", refuse)
            no_threads.setattr("d365_failover._native.start_thread", refuse)
            with pytest.raises(d365_failover.LocalError, match="can't start new thread") as caught:
                client.on_endpoint_switched(print)
            assert caught.value.kind == "no_resources"
        client.on_endpoint_switched(print)


EXITS = {
    "an open client": "client = new()\nclient.get(WHO_AM_I)",
    "an event thread": "client = new()\nclient.on_endpoint_switched(print)\nclient.get(WHO_AM_I)",
    "a handler that runs": """
client = new()
running = threading.Event()
@client.on_endpoint_switched
def handler(event):
    running.set()
    while True:
        time.sleep(0.001)
client.switch_endpoint()
running.wait()
""",
    "a handler inside the library": """
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
    "calls on daemon threads": """
client = new()
for _ in range(4):
    threading.Thread(target=client.get, args=("/stalled",), daemon=True).start()
client.get(WHO_AM_I)
threading.excepthook = lambda args: None
""",
    "busy daemon threads": """
client = new()
def work():
    while True:
        try:
            client.get(WHO_AM_I)
        except d365_failover.FailoverError:
            pass
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
client.get(WHO_AM_I)
""",
    "a token provider that runs": """
asked = threading.Event()
def provider(url):
    asked.set()
    while True:
        time.sleep(0.001)
client = new(token_provider=provider)
threading.Thread(target=client.get, args=(WHO_AM_I,), daemon=True).start()
asked.wait()
threading.excepthook = lambda args: None
""",
    "a token thread": "client = new(token_provider=lambda url: ('t', 60.0))\nclient.get(WHO_AM_I)",
    "an async client": """
import asyncio
client = d365_failover.AsyncClient(os.environ["D365_URL"], **settings)
client.on_endpoint_switched(print)
async def main():
    await client.get(WHO_AM_I)
asyncio.run(main())
""",
    "an async client on a loop without readers": f"""{WITHOUT_READERS}
client = d365_failover.AsyncClient(os.environ["D365_URL"], **settings)
client.on_endpoint_switched(print)
async def main():
    await client.get(WHO_AM_I)
    await client.put("/bulk", content=iter([b"x"]))
asyncio.run(main())
""",
    "a client in a cycle": """
client = new()
client.on_endpoint_switched(lambda event: client)
class Holder:
    pass
holder = Holder()
holder.client, holder.self = client, holder
""",
}


@pytest.mark.parametrize("program", EXITS.values(), ids=EXITS.keys())
def test_a_script_that_does_not_close_exits(org: Organization, program: str) -> None:
    org.fault("primary", "accept_never_answer", path="/stalled")
    org.fault("alternate", "accept_never_answer", path="/stalled")
    for _ in range(3):
        with child(org, program) as process:
            assert ended(process) == (0, "", "")


FORK = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of 3.12: this process has threads
def attempt(what):
    try:
        return what().status_code
    except d365_failover.FailoverError as error:
        return type(error).__name__, error.kind, error.effect, error.tag
client = new()
events = []
client.on_endpoint_switched(events.append)
assert client.get(WHO_AM_I).status_code == 200
child = os.fork()
if child == 0:
    print(attempt(lambda: client.get(WHO_AM_I)))
    print(attempt(lambda: client.post(ACCOUNTS, json={}, tag="one")))
    print(attempt(lambda: client.post(ACCOUNTS, content=iter([b"{}"]), tag="two")))
    print(attempt(lambda: client.stream("POST", ACCOUNTS, json={}, tag="three").__enter__()))
    print(attempt(client.switch_endpoint), attempt(lambda: client.on_endpoint_switched(print)))
    client.close()
    del client
    with new() as own:
        own.on_endpoint_switched(print)
        print(attempt(lambda: own.get(WHO_AM_I)))
    sys.exit(0)
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status), attempt(lambda: client.get(WHO_AM_I)))
client.close()
"""


def test_the_child_of_a_fork_opens_a_client_of_its_own(org: Organization) -> None:
    with child(org, FORK) as process:
        code, out, err = ended(process)
    assert err == ""
    assert code == 0
    assert out.splitlines() == [
        "('ForkedError', 'forked', 'none', None)",
        *(f"('ForkedError', 'forked', 'not_executed', '{tag}')" for tag in ("one", "two", "three")),
        "('ForkedError', 'forked', 'none', None) ('ForkedError', 'forked', 'none', None)",
        "200",
        "0 200",
    ]


def test_what_the_child_of_a_fork_puts_on_record_stays_when_the_parent_closes_its_store(
    org: Organization, tmp_path: Path
) -> None:
    """The parent's last connection takes the log away, unless somebody else is seen to have the store open."""
    program = f"""
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
store = {str(tmp_path / "store")!r}
client = new(store=store)
def write(client):
    assert client.post(ACCOUNTS, json={{"name": "fork"}}).effect == "executed"
write(client)
(ready, is_ready), (closed, is_closed) = os.pipe(), os.pipe()
child = os.fork()
if child == 0:
    signal.alarm(20)
    own = new(store=store)
    write(own)
    os.write(is_ready, b"x")
    os.read(closed, 1)
    write(own)
    print(len(own.ledger()), flush=True)
    os._exit(0)
os.read(ready, 1)
client.close()
del client
os.write(is_closed, b"x")
_, status = os.waitpid(child, 0)
with new(store=store) as client:
    print(os.waitstatus_to_exitcode(status), len(client.ledger()))
"""
    with child(org, program) as process:
        assert ended(process) == (0, "3\n0 3\n", "")


def test_the_child_of_a_fork_waits_for_no_lock_of_the_parent(org: Organization) -> None:
    program = """
import signal, warnings
warnings.simplefilter("ignore", DeprecationWarning)
client = new()
client.on_endpoint_switched(print)
client._handlers.lock.acquire()  # as another thread does that registers a handler just now
child = os.fork()
if child == 0:
    signal.alarm(20)
    try:
        client.off(print)
    except d365_failover.ForkedError as error:
        print(error.kind)
    print(client)
    sys.exit(0)
_, status = os.waitpid(child, 0)
client._handlers.lock.release()
print(os.waitstatus_to_exitcode(status), client.off(print))
client.close()
"""
    with child(org, program) as process:
        assert ended(process) == (0, "forked\n<Client forked>\n0 True\n", "")


UNTOLD = {
    "fork of C": "libc.fork",
    # fork itself is not on every machine; the arguments are SIGCHLD, and for the rest what a fork has.
    "the system call": "lambda: libc.syscall(220 if platform.machine() == 'aarch64' else 56, 17, 0, 0, 0, 0)",
}


@pytest.mark.parametrize("fork", UNTOLD.values(), ids=UNTOLD.keys())
def test_the_child_of_a_fork_that_python_does_not_know_of(org: Organization, fork: str) -> None:
    """No handler of `os.register_at_fork` runs in it, and of the second not even one of the C library's."""
    org.fault("primary", "accept_never_answer", path="/stalled")
    program = f"""
import ctypes, io, platform
libc = ctypes.PyDLL(None)  # with the interpreter held
def attempt(what):
    try:
        return what()
    except Exception as error:
        return type(error).__name__
client = new(token_provider=lambda url: ("t", 60.0))
client.on_endpoint_switched(print)
answer, read = (client.post(ACCOUNTS, json={{"name": "x"}}) for _ in range(2))
read.effect
threading.Thread(target=lambda: attempt(lambda: client.get("/stalled")), daemon=True).start()
with client.stream("GET", "/bulk/1000003") as response:
    pieces = response.iter_bytes()
    begin = len(next(pieces))
    child = ({fork})()
    if child == 0:
        signal.alarm(30)
        for what in (
            lambda: client.get(WHO_AM_I), lambda: client.put("/bulk", content=io.BytesIO(b"x")),
            client.switch_endpoint, client.discover, client.ledger, lambda: client.active_url,
            lambda: client.on_call_retried(print), lambda: client.off(print), lambda: next(pieces),
            lambda: answer.effect, lambda: answer.headers, lambda: answer.url, lambda: answer.attempts,
        ):
            print(attempt(what))
        print(answer.status_code, read.effect, client)
        client.close()
        with new() as own:
            print(own.get(WHO_AM_I).status_code)
        sys.exit(7)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), begin + sum(map(len, pieces)))
print(client.get(WHO_AM_I).status_code)
client.close(timeout=0)
"""
    with child(org, program) as process:
        code, out, err = ended(process)
    expected = ["ForkedError"] * 13 + ["204 executed <Client forked>", "200", "7 1000003", "200"]
    assert (out.splitlines(), code) == (expected, 0), err


START = """
import multiprocessing
multiprocessing.set_start_method({method!r})
client = new()
assert client.get(WHO_AM_I).status_code == 200
def work():
    try:
        client.get(WHO_AM_I)
    except d365_failover.ForkedError as error:
        print(error, flush=True)
    with new() as own:
        print(own.get(WHO_AM_I).status_code, flush=True)
process = multiprocessing.Process(target=work)
process.start()
process.join()
print(process.exitcode, client.get(WHO_AM_I).status_code, flush=True)
client.close()
"""


def test_a_process_of_multiprocessing(org: Organization) -> None:
    """Made by fork; the other methods start an interpreter, which opens its own clients."""
    quiet = "import warnings\nwarnings.simplefilter('ignore', DeprecationWarning)"
    with child(org, quiet + START.format(method="fork")) as process:
        said = "this client was opened before a fork: open one of its own in the child\n200\n0 200\n"
        assert ended(process) == (0, said, "")


def test_a_client_goes_to_no_other_process(org: Organization) -> None:
    with org.client() as client, pytest.raises(TypeError, match="open one in each process"):
        pickle.dumps(client)


def fails(error: d365_failover.FailoverError) -> None:
    raise error


def by_executor(error: d365_failover.FailoverError) -> None:
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        executor.submit(fails, error).result(ABOUT)


def by_pool(error: d365_failover.FailoverError) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.apply_async(fails, (error,)).get(ABOUT)


@pytest.mark.parametrize("run", [by_executor, by_pool])
def test_what_is_known_of_a_write_goes_to_another_process(
    org: Organization, run: Callable[[d365_failover.FailoverError], None]
) -> None:
    org.fault("primary", "commit_then_close", method="POST", times=1)
    with org.client() as client, pytest.raises(d365_failover.WriteInDoubtError) as told:
        client.post(ACCOUNTS, json={"name": "in doubt"}, tag="a tag")
    error = told.value
    with pytest.raises(d365_failover.WriteInDoubtError) as caught:
        run(error)
    assert (str(caught.value), caught.value.__dict__) == (str(error), error.__dict__)
    assert (error.effect, error.ledger_id, error.tag) == ("unknown", 1, "a tag")
    # Python has put the other process's trace there.
    assert type(caught.value.__cause__).__name__.endswith("RemoteTraceback")
    assert d365_failover.error_of(caught.value) is caught.value


def test_children_of_a_fork_under_load(org: Organization) -> None:
    program = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
client = new()
stop = threading.Event()
def work():
    while not stop.is_set():
        client.get(WHO_AM_I)
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads:
    thread.start()
children = []
for _ in range(5):
    child = os.fork()
    if child == 0:
        try:
            client.get(WHO_AM_I)
        except d365_failover.ForkedError:
            with new() as own:
                os._exit(0 if own.get(WHO_AM_I).status_code == 200 else 3)
        os._exit(4)
    children.append(child)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
stop.set()
for thread in threads:
    thread.join()
client.close()
print(codes)
"""
    with child(org, program) as process:
        assert ended(process) == (0, "[0, 0, 0, 0, 0]\n", "")


@pytest.mark.parametrize("loop", ["", WITHOUT_READERS], ids=["readers", "no readers"])
def test_the_child_of_a_fork_leaves_its_parents_loop_alone(org: Organization, loop: str) -> None:
    program = f"""{loop}
import asyncio, warnings
warnings.simplefilter("ignore")
async def main():
    global client
    client = d365_failover.AsyncClient(os.environ["D365_URL"], **settings)
    def work():
        return asyncio.gather(client.get(WHO_AM_I), client.put("/bulk", content=iter([b"x"])))
    await work()
    child = os.fork()
    if child == 0:
        del client
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    print([response.status_code for response in await work()])
    await client.close()
asyncio.run(main())
"""
    with child(org, program) as process:
        assert ended(process) == (0, "0\n[200, 200]\n", "")


def test_a_fork_inside_an_open_with_block_unwinds(org: Organization) -> None:
    program = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
with new() as client:
    client.get(WHO_AM_I)
    child = os.fork()
if child == 0:
    sys.exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    with child(org, program) as process:
        assert ended(process) == (0, "7\n", "")


def test_another_interpreter_of_the_process_is_refused(org: Organization) -> None:
    program = """
try:
    import _interpreters as interpreters
except ModuleNotFoundError:
    import _xxsubinterpreters as interpreters
other = interpreters.create()
interpreters.run_string(other, '''
try:
    import d365_failover
except ImportError as error:
    print(error, flush=True)
''')
interpreters.destroy(other)
def work():
    with new() as client:
        print(client.get(WHO_AM_I).status_code)
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""
    with child(org, program) as process:
        status, out, err = ended(process)
    assert (status, err) == (0, "")
    # Of one with a lock of its own CPython says it by itself.
    assert re.fullmatch(r"(d365_failover works in the main interpreter .*|.* does not support loading .*)\n200\n", out)


def test_importing_starts_no_thread() -> None:
    program = "import os, threading, d365_failover; print(threading.active_count(), len(os.listdir('/proc/self/task')))"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=ABOUT, env=dict(os.environ)
    )
    assert ran.stdout.split() == ["1", "1"]
