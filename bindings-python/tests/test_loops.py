"""Event loops that are not asyncio's own, and loops in loops."""

from __future__ import annotations

import sys

import pytest
from test_process import WITHOUT_READERS, child, ended
from twin import Organization

PROGRAM = """
import asyncio, io
def new_async(**more):
    return d365_failover.AsyncClient(os.environ["D365_URL"], **{**settings, **more})
async def pieces():
    yield b"x"
async def work():
    async with new_async(token_provider=lambda url: ("t", 60.0)) as client:
        seen = asyncio.Event()
        client.on_endpoint_switched(lambda event: seen.set())
        print((await client.post(ACCOUNTS, json={"name": "x"})).effect)
        for content in (io.BytesIO(b"x"), iter([b"x"]), pieces()):
            print((await client.put("/bulk", content=content)).effect)
        async with client.stream("GET", "/bulk/100000") as response:
            print(len(await response.aread()))
        await client.discover()
        await client.switch_endpoint()
        await asyncio.wait_for(seen.wait(), 20)
        try:
            await asyncio.wait_for(client.get("/stalled"), 0.1)
        except asyncio.TimeoutError:
            print("late")
client = new_async()
async def refused():
    for work in (
        client.get(WHO_AM_I), client.put("/bulk", content=io.BytesIO(b"x")), client.verify(1),
        client.stream("GET", WHO_AM_I).__aenter__(), client.switch_endpoint(), client.discover(), client.close(),
        client.__aenter__(),
    ):
        try:
            await work
        except RuntimeError as error:
            print(error)
def in_thread():
    with new() as client:
        return client.get(WHO_AM_I).status_code
"""

WORKED = "executed\n" * 4 + "100000\nlate\n"


def foreign(name: str, how: str) -> str:
    refusal = f"AsyncClient needs asyncio, and this is {name}: use Client, on a thread ({how}(client.get, ...))\n"
    return refusal * 8


LOOPS = {
    "trio": (
        "import trio\ntrio.run(refused)\nprint(trio.run(trio.to_thread.run_sync, in_thread))",
        foreign("trio", "trio.to_thread.run_sync") + "200\n",
    ),
    "anyio on trio": (
        "import anyio\nanyio.run(refused, backend='trio')",
        foreign("trio", "trio.to_thread.run_sync"),
    ),
    "anyio on asyncio": ("import anyio\nanyio.run(work)", WORKED),
    # Of curio there is no wheel: this is the one function of its that is asked.
    "curio": (
        """
import types
meta = types.ModuleType("curio.meta")
meta.curio_running = lambda: True
sys.modules["curio.meta"] = meta
try:
    refused().send(None)
except StopIteration:
    pass
""",
        foreign("curio", "curio.run_in_thread"),
    ),
    "none": (
        "try:\n    refused().send(None)\nexcept StopIteration:\n    pass",
        "AsyncClient needs a running event loop of asyncio's: await it in asyncio.run(), or use Client\n" * 8,
    ),
    "uvloop": ("import uvloop\nloop = uvloop.new_event_loop()\nloop.run_until_complete(work())\nloop.close()", WORKED),
    "a loop without readers": (f"{WITHOUT_READERS}asyncio.run(work())", WORKED),
    "a loop in a loop": (
        """
import nest_asyncio
nest_asyncio.apply()
async def outer():
    asyncio.get_running_loop().run_until_complete(work())
    async with new_async() as client:
        seen = asyncio.Event()
        @client.on_endpoint_switched
        def handler(event):
            response = asyncio.get_running_loop().run_until_complete(client.get(WHO_AM_I))
            print(response.status_code)
            seen.set()
        await client.switch_endpoint()
        await asyncio.wait_for(seen.wait(), 20)
asyncio.run(outer())
""",
        WORKED + "200\n",
    ),
}
if sys.version_info >= (3, 14):
    # There nest_asyncio's loops have no current task, and asyncio.timeout() fails in them.
    del LOOPS["a loop in a loop"]


@pytest.mark.parametrize(("program", "said"), LOOPS.values(), ids=LOOPS.keys())
def test_a_loop(org: Organization, program: str, said: str) -> None:
    for side in ("primary", "alternate"):
        org.fault(side, "accept_never_answer", path="/stalled")
    quiet = "import warnings\nwarnings.simplefilter('ignore')\n"  # what others' packages warn of
    with child(org, quiet + PROGRAM + program) as process:
        code, out, err = ended(process)
    assert (out, code) == (said, 0), err
