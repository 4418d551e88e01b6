"""Streamed bodies, both ways, in processes of their own: signals, exit, fork."""

from __future__ import annotations

import signal

import pytest
from test_process import child, ended
from twin import BULK, Organization

SIZE = 1_000_003


@pytest.mark.parametrize("how", ["response.read()", "list(response.iter_bytes())"])
def test_ctrl_c_ends_a_read(org: Organization, how: str) -> None:
    org.fault("primary", "stall_body", path=BULK)
    program = f"""
client = new()
try:
    with client.stream("GET", "{BULK}/{SIZE}") as response:
        print("head", flush=True)
        {how}
except KeyboardInterrupt:
    print("interrupted", response.is_closed)
print(client.get(WHO_AM_I).status_code)
client.close()
"""
    with child(org, program) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "head\n"
        process.send_signal(signal.SIGINT)
        assert ended(process) == (0, "interrupted True\n200\n", "")


def test_a_signal_handler_that_raises_loses_no_byte(org: Organization) -> None:
    stall = org.fault("primary", "stall_body", path=BULK)
    program = f"""
class Interruption(Exception):
    pass
def interrupt(*_):
    raise Interruption
signal.signal(signal.SIGUSR1, interrupt)
with new() as client:
    with client.stream("GET", "{BULK}/{SIZE}") as response:
        got, told = 0, False
        while got < {SIZE}:
            try:
                if got >= {SIZE // 2 - 1} and not told:
                    told = True
                    print("half", flush=True)  # the next read waits
                piece = response._stream.read(65536)
            except Interruption:
                print("interrupted", flush=True)
                continue
            got += len(piece)
        print(got, response._stream.read(1))
"""
    with child(org, program) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        process.send_signal(signal.SIGUSR1)
        assert process.stdout.readline() == "interrupted\n"
        org.clear_fault(stall)
        assert ended(process) == (0, f"{SIZE} b''\n", "")


def test_ctrl_c_in_a_body(org: Organization) -> None:
    program = f"""
def body():
    try:
        yield b"x"
        print("begun", flush=True)
        while True:
            time.sleep(0.01)
    finally:
        print("closed")
with new() as client:
    try:
        client.put("{BULK}", content=body())
    except KeyboardInterrupt as interrupt:
        cause = interrupt.__cause__
        print(type(cause).__name__, cause.effect, len(cause.attempts))
"""
    with child(org, program) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        assert ended(process) == (0, "closed\nWriteInDoubtError unknown 1\n", "")


def test_ctrl_c_while_the_answer_to_an_upload_is_waited_for(org: Organization) -> None:
    org.fault("primary", "accept_never_answer")
    program = f"""
with new() as client:
    try:
        client.put("{BULK}", content=iter([b"x"]))
    except KeyboardInterrupt as interrupt:
        print(type(interrupt.__cause__).__name__, interrupt.__cause__.effect)
"""
    with child(org, program) as process:
        org.wait("primary", in_flight_at_least=1)
        process.send_signal(signal.SIGINT)
        assert ended(process) == (0, "WriteInDoubtError unknown\n", "")


def test_ctrl_c_in_a_prepare_hook(org: Organization) -> None:
    program = """
def prepare(outgoing):
    print("begun", flush=True)
    while True:
        time.sleep(0.01)
with new(prepare=prepare) as client:
    try:
        client.get(WHO_AM_I)
    except KeyboardInterrupt as interrupt:
        print(type(interrupt.__cause__).__name__)
"""
    with child(org, program) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        assert ended(process) == (0, "CallCancelledError\n", "")


EXITS = {
    "a body that runs for ever": """
running = threading.Event()
def body():
    running.set()
    while True:
        time.sleep(0.001)
        yield b""
client = new()
threading.Thread(target=client.put, args=("/bulk",), kwargs={"content": body()}, daemon=True).start()
running.wait()
""",
    "a body that sleeps": """
running = threading.Event()
def body():
    running.set()
    time.sleep(1000)
    yield b""
client = new()
threading.Thread(target=client.put, args=("/bulk",), kwargs={"content": body()}, daemon=True).start()
running.wait()
""",
    "a prepare hook that runs for ever": """
running = threading.Event()
def prepare(outgoing):
    running.set()
    while True:
        time.sleep(0.001)
client = new(prepare=prepare)
threading.Thread(target=client.get, args=(WHO_AM_I,), daemon=True).start()
running.wait()
""",
    "busy prepare hooks": """
client = new(prepare=lambda outgoing: outgoing.headers.__setitem__("x", "y"))
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
    "an open response": """
client = new()
block = client.stream("GET", "/bulk/1000003")
response = block.__enter__()
next(response.iter_bytes())
""",
    "reads on daemon threads": """
client = new()
begun = threading.Semaphore(0)
def read():
    with client.stream("GET", "/bulk/1000003") as response:
        for piece in response.iter_bytes():
            begun.release()
for _ in range(4):
    threading.Thread(target=read, daemon=True).start()
for _ in range(4):
    begun.acquire()
threading.excepthook = lambda args: None
""",
    "asyncio in the middle of both": """
import asyncio
client = d365_failover.AsyncClient(os.environ["D365_URL"], **settings)
async def body():
    yield b"x"
    await asyncio.Event().wait()
async def main():
    upload = asyncio.create_task(client.put("/bulk", content=body()))
    async with client.stream("GET", "/bulk/1000003") as response:
        async for piece in response.aiter_bytes():
            break
asyncio.run(main())
""",
}


@pytest.mark.parametrize("program", EXITS.values(), ids=EXITS.keys())
def test_a_script_that_does_not_close_exits(org: Organization, program: str) -> None:
    org.fault("primary", "stall_body", path=f"{BULK}/")
    for _ in range(3):
        with child(org, program) as process:
            assert ended(process) == (0, "", "")


def test_the_child_of_a_fork(org: Organization) -> None:
    program = f"""
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
def attempt(what):
    try:
        return what()
    except d365_failover.FailoverError as error:
        return error.kind
client = new(prepare=lambda outgoing: None)
with client.stream("GET", "{BULK}/{SIZE}") as response:
    pieces = response.iter_bytes()
    begin = len(next(pieces))
    child = os.fork()
    if child == 0:
        print(attempt(lambda: next(pieces)), attempt(lambda: client.put("{BULK}", content=iter([b"x"]))))
        response.close()
        with new(prepare=lambda outgoing: None) as own:
            print(own.put("{BULK}", content=iter([b"x"])).json()["bytes"])
        sys.exit(0)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), begin + sum(map(len, pieces)))
client.close()
"""
    with child(org, program) as process:
        assert ended(process) == (0, f"forked forked\n1\n0 {SIZE}\n", "")


def test_a_fork_inside_of_a_body_and_of_a_hook(org: Organization) -> None:
    program = f"""
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
codes = []
def fork(outgoing=None):
    child = os.fork()
    if child == 0:
        return True
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    return False
def body():
    yield b"x"
    if not fork():
        yield b"y"
client = new(prepare=fork)
try:
    print(client.put("{BULK}", content=body()).json()["bytes"], codes)
except d365_failover.ForkedError:
    sys.exit(7)
client.close()
"""
    with child(org, program) as process:
        assert ended(process) == (0, "2 [7, 7]\n", "")
