"""gevent and eventlet, with everything patched: a call holds up no other greenlet, and all else works as in threads."""

from __future__ import annotations

import pytest
from test_process import OPEN, child, ended
from twin import Organization

# dnspython imports httpx2's core where there is one, that trio, and that a socket that eventlet's is not.
WITHOUT_GREENDNS = "import os\nos.environ['EVENTLET_NO_GREENDNS'] = 'yes'\n"

LIBRARIES = {
    "gevent": """
import gevent.monkey
gevent.monkey.patch_all()
import gevent
import gevent.threadpool
Timeout, spawn = gevent.Timeout, gevent.spawn
def in_real_thread(work):
    return gevent.get_hub().threadpool.apply(work)
""",
    "eventlet": WITHOUT_GREENDNS
    + """
import warnings
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it says of itself that it is deprecated
    import eventlet
    eventlet.monkey_patch()
    import eventlet.tpool
Timeout, spawn = eventlet.Timeout, eventlet.spawn
in_real_thread = eventlet.tpool.execute
""",
}

PROGRAM = """
import asyncio, atexit, contextlib, io, queue, socket

ticks = 0
def tick():
    global ticks
    while True:
        ticks += 1
        time.sleep(0.001)
spawn(tick)

def others_go_on(work):
    before = ticks
    result = work()
    return result, ticks > before + 20

def wait_for_a_call(client):
    while client.statistics()["calls"]["in_flight"] == 0:
        time.sleep(0.001)

# More than a handshake sends: so much of it has left only with the request.
LARGE = b"x" * 100_000
def sent(client):
    return sum(endpoint["bytes_sent"] for endpoint in client.statistics()["endpoints"].values())

def outcome(work):
    try:
        return work()
    except BaseException as error:
        return type(error).__name__, getattr(error.__cause__, "effect", getattr(error, "effect", None))

def provider(url):
    # By the application's own patched sockets, and another greenlet.
    here, there = socket.socketpair()
    with here, there:
        spawn(lambda: there.send(b"t"))
        return here.recv(1).decode(), 60.0

def body():
    for piece in (b"x", b"y"):
        # Until the others have gone on, if they can.
        before, end = ticks, time.monotonic() + 20
        while ticks < before + 20 and time.monotonic() < end:
            time.sleep(0.005)
        yield piece

def say(what, *told):
    print(what, *told, flush=True)

with new() as client:
    say("call", others_go_on(lambda: outcome(lambda: client.post("/stalled", json={}, timeout=2))))
    say("written", client.post(ACCOUNTS, json={"name": "x"}).effect)
    say("discover", client.discover())
    say("upload", others_go_on(lambda: client.put("/bulk", content=body()).json()["bytes"]))
    with client.stream("GET", "/bulk/1000003") as response:
        say("stream", sum(map(len, response.iter_bytes())))
    def interrupted():
        with Timeout(0.2):
            client.post("/stalled", json={})
    say("interrupted", outcome(interrupted))
    killed = queue.Queue()
    def write():
        killed.put(outcome(lambda: client.post("/stalled", content=LARGE)))
    before = sent(client)
    greenlet = spawn(write)
    while sent(client) < before + len(LARGE) // 2:
        time.sleep(0.001)
    greenlet.kill()
    say("killed", killed.get(timeout=20))
    say("real thread", in_real_thread(lambda: client.get(WHO_AM_I).status_code))
    done = []
    many = [threading.Thread(target=lambda: done.append(client.get(WHO_AM_I).status_code)) for _ in range(50)]
    for thread in many:
        thread.start()
    for thread in many:
        thread.join()
    say("many", done == [200] * 50)

with new(token_provider=provider, prepare=lambda outgoing: time.sleep(0.001)) as client:
    heard = queue.Queue()
    @client.on_endpoint_switch_required
    def required(event):
        heard.put(outcome(lambda: client.get(WHO_AM_I))[0])
        heard.put(outcome(client.switch_endpoint)[0])
    @client.on_endpoint_switched
    def switched(event):
        heard.put(client.get(WHO_AM_I).status_code)
    client.switch_endpoint()
    say("by hand", heard.get(timeout=20))
    print("refuse", flush=True)
    sys.stdin.readline()
    say("switch", client.get(WHO_AM_I).status_code, client.epoch)
    say("handlers", [heard.get(timeout=20) for _ in range(3)])

client = new()
waiting = queue.Queue()
def wait():
    waiting.put(outcome(lambda: client.get("/stalled")))
threading.Thread(target=wait).start()
wait_for_a_call(client)
say("close", others_go_on(lambda: client.close(timeout=2)), waiting.get(timeout=20)[0])

async def on_a_loop():
    async with d365_failover.AsyncClient(os.environ["D365_URL"], **settings, token_provider=provider) as client:
        return (await client.get(WHO_AM_I)).status_code
say("asyncio", asyncio.run(on_a_loop()))

client = new(token_provider=provider)
client.on_endpoint_switched(print)
atexit.register(lambda: say("exit", client.get(WHO_AM_I).status_code))
threading.Thread(target=lambda: outcome(lambda: client.get("/stalled")), daemon=True).start()
"""

SAID = """\
call (('WriteInDoubtError', 'unknown'), True)
written executed
discover None
upload (2, True)
stream 1000003
interrupted ('Timeout', 'unknown')
killed ('GreenletExit', 'unknown')
real thread 200
many True
by hand 200
refuse
switch 200 2
handlers ['WouldDeadlockError', 'WouldDeadlockError', 200]
close (None, True) CallCancelledError
asyncio 200
exit 200
"""


@pytest.mark.parametrize("library", LIBRARIES)
def test_greenlets(org: Organization, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for side in ("primary", "alternate"):
        org.fault(side, "accept_never_answer", path="/stalled")
    monkeypatch.setattr("test_process.OPEN", LIBRARIES[library] + OPEN)
    with child(org, PROGRAM) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said = []
        while (line := process.stdout.readline()) not in ("refuse\n", ""):
            said.append(line)
        org.fault("alternate", "refuse")
        process.stdin.write("\n")
        process.stdin.flush()
        code, out, err = ended(process)
    assert "".join([*said, line, out]) == SAID, err
    assert (code, err) == (0, "")


@pytest.mark.parametrize("library", LIBRARIES)
def test_where_greenlets_could_not_wait_no_client_opens(
    org: Organization, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = """
class NoDescriptor:
    def descriptor(self):
        return None
check = d365_failover._base.check_waiting
d365_failover._base.check_waiting = lambda queue: check(NoDescriptor())
try:
    new()
except d365_failover.FailoverError as error:
    print(error.kind)
"""
    monkeypatch.setattr("test_process.OPEN", LIBRARIES[library] + OPEN)
    with child(org, program) as process:
        assert ended(process) == (0, "not_available\n", "")
