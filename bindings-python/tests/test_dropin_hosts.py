"""The drop-ins in what runs applications: event loops, greenlets, servers and workers that fork, xdist, an exit."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from test_green import WITHOUT_GREENDNS
from test_process import ABOUT, OPEN, WITHOUT_READERS, child, ended
from twin import Organization

QUIET = "import warnings\nwarnings.simplefilter('ignore')\n"  # what others' packages warn of

PROGRAM = """
import asyncio
import httpx, aiohttp, requests
import d365_failover.aiohttp, d365_failover.httpx, d365_failover.requests
from d365_failover.httpx import AsyncFailoverTransport, FailoverTransport
URL = os.environ["D365_URL"]
for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
    os.environ.pop(name, None)
def blocking():
    with httpx.Client(transport=FailoverTransport(URL, **settings)) as client:
        print("httpx", client.post(URL + ACCOUNTS, json={"name": "x"}).extensions["failover"].effect)
        with client.stream("GET", URL + "/bulk/100000") as response:
            print("stream", len(response.read()))
        try:
            client.get(URL + "/stalled", timeout=0.2)
        except httpx.ReadTimeout:
            print("late")
    with d365_failover.requests.Session(URL, **settings) as client:
        print("requests", client.post(URL + ACCOUNTS, json={"name": "x"}).failover.effect)
async def asynchronous():
    async with httpx.AsyncClient(transport=AsyncFailoverTransport(URL, **settings)) as client:
        print("httpx", (await client.post(URL + ACCOUNTS, json={"name": "x"})).extensions["failover"].effect)
        async with client.stream("GET", URL + "/bulk/100000") as response:
            print("stream", len(await response.aread()))
        try:
            await client.get(URL + "/stalled", timeout=0.2)
        except httpx.ReadTimeout:
            print("late")
    async with d365_failover.aiohttp.FailoverSession(URL, **settings) as client:
        async with client.post(URL + ACCOUNTS, json={"name": "x"}) as response:
            print("aiohttp", response.failover.effect)
"""

ASYNCHRONOUS = "httpx executed\nstream 100000\nlate\naiohttp executed\n"
BLOCKING = "httpx executed\nstream 100000\nlate\nrequests executed\n"

TICKS = """
ticks = 0
def tick():
    global ticks
    while True:
        ticks += 1
        time.sleep(0.001)
"""

LOOPS = {
    "asyncio": ("", "asyncio.run(asynchronous())", ASYNCHRONOUS),
    "a loop without readers": ("", f"{WITHOUT_READERS}asyncio.run(asynchronous())", ASYNCHRONOUS),
    "uvloop": (
        "",
        "import uvloop\nloop = uvloop.new_event_loop()\nloop.run_until_complete(asynchronous())\nloop.close()",
        ASYNCHRONOUS,
    ),
    "a notebook's loop in a loop": (
        "",
        """
import nest_asyncio
nest_asyncio.apply()
async def cell():
    asyncio.get_running_loop().run_until_complete(asynchronous())
    blocking()
asyncio.run(cell())
""",
        ASYNCHRONOUS + BLOCKING,
    ),
    "trio": (
        "",
        """
import trio
async def refused():
    async with httpx.AsyncClient(transport=AsyncFailoverTransport(URL, **settings)) as client:
        await client.get(URL + WHO_AM_I)
try:
    trio.run(refused)
except RuntimeError as error:
    print(str(error).partition(":")[0])
async def in_thread():
    await trio.to_thread.run_sync(blocking)
trio.run(in_thread)
""",
        "AsyncClient needs asyncio, and this is trio\n" + BLOCKING,
    ),
    "gevent": (
        "import gevent.monkey\ngevent.monkey.patch_all()\nimport gevent\n",
        f"{TICKS}\ngevent.spawn(tick)\nblocking()\nprint(ticks > 50)\n",
        BLOCKING + "True\n",
    ),
    "eventlet": (
        f"{WITHOUT_GREENDNS}import eventlet\neventlet.monkey_patch()\n",
        f"{TICKS}\neventlet.spawn(tick)\nblocking()\nprint(ticks > 50)\n",
        BLOCKING + "True\n",
    ),
}


@pytest.mark.parametrize(("before", "program", "said"), LOOPS.values(), ids=LOOPS.keys())
def test_a_loop(org: Organization, before: str, program: str, said: str) -> None:
    for side in ("primary", "alternate"):
        org.fault(side, "accept_never_answer", path="/stalled")
    process = subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "error", "-c", QUIET + before + OPEN + PROGRAM + program],
        env=org.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        out, err = process.communicate(timeout=ABOUT)
    assert (out, process.returncode) == (said, 0), err


NOTEBOOK = """
from jupyter_client.manager import start_new_kernel
manager, kernel = start_new_kernel(kernel_name="python3", startup_timeout=50)
def shown(message):
    if message["msg_type"] in ("stream", "error"):
        print(message["content"].get("text") or message["content"]["evalue"], end="")
for cell in (CODE, "await asynchronous()", "blocking()"):
    kernel.execute_interactive(cell, timeout=50, output_hook=shown)
kernel.stop_channels()
manager.shutdown_kernel()
"""


def test_a_notebook(org: Organization) -> None:
    """In a kernel of Jupyter's, whose loop runs already, cells await and block."""
    for side in ("primary", "alternate"):
        org.fault(side, "accept_never_answer", path="/stalled")
    program = f"CODE = {QUIET + OPEN + PROGRAM!r}\n{NOTEBOOK}"
    ran = subprocess.run(
        [sys.executable, "-c", program], env=org.environment, capture_output=True, text=True, timeout=ABOUT
    )
    assert (ran.stdout, ran.returncode) == (ASYNCHRONOUS + BLOCKING, 0), ran.stderr


EXITS = {
    "a thread of httpx": """
client = httpx.Client(transport=FailoverTransport(URL, **settings))
threading.Thread(target=client.post, args=(URL + "/stalled",), kwargs={"json": {}}, daemon=True).start()
""",
    "a thread of requests": """
client = d365_failover.requests.Session(URL, **settings)
threading.Thread(target=client.post, args=(URL + "/stalled",), kwargs={"json": {}}, daemon=True).start()
""",
    "a loop that is left": """
async def left():
    global client, task
    client = httpx.AsyncClient(transport=AsyncFailoverTransport(URL, **settings))
    task = asyncio.ensure_future(client.post(URL + "/stalled", json={}))
    await asyncio.sleep(0.01)
loop = asyncio.new_event_loop()
loop.run_until_complete(left())
""",
    "a task that asyncio.run cancels": """
async def left():
    global client
    client = httpx.AsyncClient(transport=AsyncFailoverTransport(URL, **settings))
    asyncio.ensure_future(client.post(URL + "/stalled", json={}))
    await asyncio.sleep(0.01)
    await asyncio.to_thread(sys.stdin.readline)
asyncio.run(left())
""",
    "aiohttp in a loop that is left": """
async def left():
    global client, task
    client = d365_failover.aiohttp.FailoverSession(URL, **settings)
    task = asyncio.ensure_future(client._request("POST", URL + "/stalled", json={}))
    await asyncio.sleep(0.01)
loop = asyncio.new_event_loop()
loop.run_until_complete(left())
""",
}


@pytest.mark.parametrize("program", EXITS.values(), ids=EXITS.keys())
def test_an_exit_with_a_call_in_flight(org: Organization, program: str) -> None:
    org.fault("primary", "accept_never_answer", path="/stalled")
    wait = "" if "stdin" in program else "sys.stdin.readline()\n"
    with child(org, QUIET + PROGRAM + program + wait + "print('over', flush=True)\n") as process:
        org.wait("primary", in_flight_at_least=1)
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        code, out, err = ended(process)
    assert (out, code) == ("over\n", 0), err
    assert "Fatal" not in err


HOSTED = """
import os
import httpx
from d365_failover.httpx import FailoverTransport

URL = os.environ["D365_URL"]
SETTINGS = dict(
    ca_bundle=os.environ["D365_CA_BUNDLE"], connect_to=os.environ["D365_CONNECT_TO"], preset="dotnet", auto_switch=True
)
# Opened, and used, before the fork.
client = httpx.Client(transport=FailoverTransport(URL, **SETTINGS))
print("before", client.get(URL + "/api/data/v9.2/WhoAmI").status_code, flush=True)

def called():
    return client.get(URL + "/api/data/v9.2/WhoAmI").status_code
"""


def test_gunicorn_that_preloads(org: Organization, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        HOSTED
        + """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {called()}".encode()]
"""
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        descriptor = os.dup(listener.fileno())
        port = listener.getsockname()[1]
    os.set_inheritable(descriptor, True)
    command = [sys.executable, "-m", "gunicorn", "--preload", "--workers", "2", "--bind", f"fd://{descriptor}", "app"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=org.environment,
        pass_fds=[descriptor],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    os.close(descriptor)
    with process:
        answers = set()
        for _ in range(100):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ABOUT)
            connection.request("GET", "/")
            pid, _, status = connection.getresponse().read().decode().partition(" ")
            connection.close()
            answers.add((int(pid) != process.pid, status, pid))
            if len(answers) == 2:
                break
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=ABOUT)
    assert {answer[:2] for answer in answers} == {(True, "200")}, err.decode()
    assert (out, process.returncode) == (b"before 200\n", 0), err.decode()


def test_celery_that_forks(org: Organization, tmp_path: Path) -> None:
    for folder in ("queue", "control", "results"):
        (tmp_path / folder).mkdir()
    (tmp_path / "app.py").write_text(
        HOSTED
        + """
import celery
app = celery.Celery("app", broker="filesystem://", backend="file://" + os.path.abspath("results"))
app.conf.broker_transport_options = {
    "data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control", "processed_folder": "queue",
}
@app.task
def work():
    return [os.getpid(), called()]
"""
    )
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "app", "worker", "-P", "prefork", "-c", "2", "--without-mingle", "-E"],
        cwd=tmp_path,
        env={**org.environment, "C_FORCE_ROOT": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    asks = "import app\nsent = [app.work.delay() for _ in range(6)]\nprint([one.get(timeout=50)[1] for one in sent])\n"
    with worker:
        asked = subprocess.run(
            [sys.executable, "-c", asks + "app.client.close()"],
            cwd=tmp_path,
            env=org.environment,
            capture_output=True,
            text=True,
            timeout=ABOUT,
        )
        worker.send_signal(signal.SIGTERM)
        out, _ = worker.communicate(timeout=ABOUT)
    assert (asked.stdout, asked.returncode) == (f"before 200\n{[200] * 6}\n", 0), asked.stderr + out.decode()
    assert worker.returncode == 0, out.decode()


def test_xdist(org: Organization, tmp_path: Path) -> None:
    (tmp_path / "test_all.py").write_text(
        HOSTED
        + """
import pytest

@pytest.fixture(scope="session", autouse=True)
def closed():
    yield
    client.close()

@pytest.mark.parametrize("number", range(8))
def test_call(number):
    assert called() == 200
"""
    )
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "2", "-W", "error", "-p", "no:cacheprovider", "test_all.py"],
        cwd=tmp_path,
        env=org.environment,
        capture_output=True,
        text=True,
        timeout=ABOUT,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "8 passed" in ran.stdout
