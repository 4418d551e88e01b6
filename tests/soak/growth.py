"""Makes many calls, opens many clients, and fails where memory, threads or descriptors of the process grow by that.

`with_twin.sh python growth.py CALLS CLIENTS`: each kind of work is done in ten parts. What the process has after the
last is held against what it had after the fourth, when caches are full and allocators have what they need.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import d365_failover
import d365_failover.requests
import httpx
from d365_failover.aiohttp import FailoverSession
from d365_failover.httpx import AsyncFailoverTransport, FailoverTransport

WHO_AM_I = "/api/data/v9.2/WhoAmI"
PARTS, SETTLED = 10, 4
MEMORY = 3 << 20
AT_ONCE = 32

URL = os.environ["D365_URL"]
SETTINGS: dict[str, Any] = {
    "ca_bundle": os.environ["D365_CA_BUNDLE"],
    "connect_to": os.environ["D365_CONNECT_TO"],
    "auto_switch": "on",
}


@dataclass(frozen=True)
class Sample:
    memory: int
    threads: int
    descriptors: int

    @staticmethod
    def now() -> Sample:
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        tasks, files = (
            len(os.listdir(f"/proc/self/{what}")) for what in ("task", "fd")
        )
        return Sample(pages * os.sysconf("SC_PAGE_SIZE"), tasks, files)

    def __str__(self) -> str:
        return f"{self.memory / 1e6:.1f} MB, {self.threads} threads, {self.descriptors} descriptors"


def is_right(status: int) -> None:
    if status != 200:
        raise AssertionError(f"status {status}")


def calls(count: int) -> None:
    for _ in range(count):
        is_right(client.get(WHO_AM_I).status_code)


def over_requests(count: int) -> None:
    for _ in range(count):
        is_right(session.get(URL + WHO_AM_I).status_code)


def over_httpx(count: int) -> None:
    for _ in range(count):
        is_right(blocking.get(URL + WHO_AM_I).status_code)


def clients(count: int) -> None:
    for number in range(count):
        with d365_failover.Client(URL, **SETTINGS) as one:
            # Most are opened for nothing, as in a program that ends early.
            if number % 10 == 0:
                is_right(one.get(WHO_AM_I).status_code)


async def asynchronous_clients(count: int) -> None:
    for number in range(count):
        async with d365_failover.AsyncClient(URL, **SETTINGS) as one:
            if number % 10 == 0:
                is_right((await one.get(WHO_AM_I)).status_code)


async def together(count: int, call: Callable[[], Any]) -> None:
    async def work() -> None:
        for _ in range(count // AT_ONCE):
            await call()

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


async def asynchronous_calls(count: int) -> None:
    async with d365_failover.AsyncClient(URL, **SETTINGS) as one:

        async def call() -> None:
            is_right((await one.get(WHO_AM_I)).status_code)

        await together(count, call)


async def over_aiohttp(count: int) -> None:
    async with FailoverSession(URL, **SETTINGS) as one:

        async def call() -> None:
            response: aiohttp.ClientResponse
            async with one.get(URL + WHO_AM_I) as response:
                await response.read()
                is_right(response.status)

        await together(count, call)


async def over_httpx_in_asyncio(count: int) -> None:
    async with httpx.AsyncClient(
        transport=AsyncFailoverTransport(URL, **SETTINGS), trust_env=False
    ) as one:

        async def call() -> None:
            is_right((await one.get(URL + WHO_AM_I)).status_code)

        await together(count, call)


def run(name: str, part: Callable[[int], Any], count: int) -> list[str]:
    """What has grown."""
    begin = time.monotonic()
    samples = []
    for _ in range(PARTS):
        work = part(max(count // PARTS, AT_ONCE))
        if work is not None:
            loop.run_until_complete(work)
        samples.append(Sample.now())
    first, last = samples[SETTLED - 1], samples[-1]
    print(
        f"{name}: {count} in {time.monotonic() - begin:.0f} s; {first}; {last}",
        flush=True,
    )
    grown = []
    if last.memory > first.memory + MEMORY:
        grown.append("memory")
    if last.threads > first.threads:
        grown.append("threads")
    if last.descriptors > first.descriptors:
        grown.append("descriptors")
    return [f"{name}: {what} grew: {', '.join(map(str, samples))}" for what in grown]


# The bundle is the twin's: requests would take the environment's.
for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
    os.environ.pop(name, None)
loop = asyncio.new_event_loop()
client = d365_failover.Client(URL, **SETTINGS)
session = d365_failover.requests.Session(URL, **SETTINGS)
blocking = httpx.Client(transport=FailoverTransport(URL, **SETTINGS), trust_env=False)


def main() -> int:
    count, opened = int(sys.argv[1]), int(sys.argv[2])
    rows: list[tuple[str, Callable[[int], Any], int]] = [
        ("calls", calls, count),
        ("calls in asyncio", asynchronous_calls, count),
        ("calls over requests", over_requests, count // 10),
        ("calls over httpx", over_httpx, count // 10),
        ("calls over httpx in asyncio", over_httpx_in_asyncio, count // 10),
        ("calls over aiohttp", over_aiohttp, count // 10),
        ("clients", clients, opened),
        ("clients in asyncio", asynchronous_clients, opened),
    ]
    grown = [fault for row in rows for fault in run(*row)]
    blocking.close()
    session.close()
    client.close()
    loop.close()
    print("\n".join(grown))
    print(f"{len(rows) - len(grown)} passed, {len(grown)} failed")
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())
