"""client.py SIDE METHOD ORIGIN PATH CA_FILE WARM_UP CALLS: what the program in C does, with one thread."""

import asyncio
import functools
import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

BODY = b'{"name":"' + b"x" * 989 + b'"}'
ANSWER_LENGTH = 200
HOST = "contoso.crm.bench.test"
JSON = {"Content-Type": "application/json"}

Call = Callable[[], tuple[int, bytes]]
"""Makes one call; the status and the body of its answer."""
Side = tuple[str, Call]
"""A version and a call."""


@dataclass(frozen=True)
class Target:
    post: bool
    origin: str
    path: str
    ca_file: str

    @property
    def url(self) -> str:
        return self.origin + self.path


def d365(target: Target) -> Side:
    import d365_failover

    url, _, settings = ours_beneath(target)
    client = d365_failover.Client(url, **settings)

    def call() -> tuple[int, bytes]:
        if target.post:
            response = client.post(target.path, content=BODY, headers=JSON)
            return response.status_code, response.content
        response = client.get(target.path)
        return response.status_code, response.content

    return d365_failover.__version__, call


def curl(target: Target) -> Side:
    import pycurl

    easy = pycurl.Curl()
    easy.setopt(pycurl.URL, target.url)
    easy.setopt(pycurl.CAINFO, target.ca_file)
    if target.post:
        easy.setopt(pycurl.HTTPHEADER, [f"{name}: {value}" for name, value in JSON.items()])
        easy.setopt(pycurl.POSTFIELDS, BODY)

    def call() -> tuple[int, bytes]:
        answer = BytesIO()
        easy.setopt(pycurl.WRITEDATA, answer)
        easy.perform()
        return easy.getinfo(pycurl.RESPONSE_CODE), answer.getvalue()

    return pycurl.version, call


def requests(target: Target, *, ours: bool = False) -> Side:
    import d365_failover.requests
    import requests

    url, called, settings = ours_beneath(target)
    session = d365_failover.requests.Session(url, **settings) if ours else requests.Session()
    session.verify = target.ca_file
    called = called if ours else target.url

    def call() -> tuple[int, bytes]:
        if target.post:
            response = session.post(called, data=BODY, headers=JSON)
            return response.status_code, response.content
        response = session.get(called)
        return response.status_code, response.content

    return requests.__version__, call


def httpx(target: Target) -> Side:
    import ssl

    import httpx

    client = httpx.Client(verify=ssl.create_default_context(cafile=target.ca_file))

    def call() -> tuple[int, bytes]:
        if target.post:
            response = client.post(target.url, content=BODY, headers=JSON)
            return response.status_code, response.content
        response = client.get(target.url)
        return response.status_code, response.content

    return httpx.__version__, call


def ours_beneath(target: Target) -> tuple[str, str, dict[str, Any]]:
    """The URL of an organization, one to call, and the settings with which both are the server's."""
    origin = urlsplit(target.origin)
    port = 443 if origin.scheme == "https" else 80
    url = f"{origin.scheme}://{HOST}"
    to = {f"{HOST}:{port}": origin.netloc, f"contoso--s.crm.bench.test:{port}": "127.0.0.1:1"}
    return url, url + target.path, {"connect_to": to, "ca_bundle": target.ca_file, "auto_switch": "on"}


def httpx_over_d365(target: Target) -> Side:
    import httpx
    from d365_failover.httpx import FailoverTransport

    url, called, settings = ours_beneath(target)
    client = httpx.Client(transport=FailoverTransport(url, **settings))

    def call() -> tuple[int, bytes]:
        if target.post:
            response = client.post(called, content=BODY, headers=JSON)
            return response.status_code, response.content
        response = client.get(called)
        return response.status_code, response.content

    return httpx.__version__, call


def httpx_async(target: Target, *, ours: bool = False) -> Side:
    import ssl

    import httpx
    from d365_failover.httpx import AsyncFailoverTransport

    loop = asyncio.new_event_loop()
    if ours:
        url, called, settings = ours_beneath(target)
        client = httpx.AsyncClient(transport=AsyncFailoverTransport(url, **settings))
    else:
        called = target.url
        client = httpx.AsyncClient(verify=ssl.create_default_context(cafile=target.ca_file))

    async def work() -> tuple[int, bytes]:
        if target.post:
            response = await client.post(called, content=BODY, headers=JSON)
        else:
            response = await client.get(called)
        return response.status_code, response.content

    return httpx.__version__, lambda: loop.run_until_complete(work())


def aiohttp(target: Target, *, ours: bool = False) -> Side:
    import aiohttp
    from d365_failover.aiohttp import FailoverSession

    loop = asyncio.new_event_loop()
    url, called, settings = ours_beneath(target)

    async def opened() -> aiohttp.ClientSession:
        return FailoverSession(url, **settings) if ours else aiohttp.ClientSession()

    session = loop.run_until_complete(opened())
    called = called if ours else target.url
    method = "POST" if target.post else "GET"
    more: dict[str, Any] = {"data": BODY, "headers": JSON} if target.post else {}

    async def work() -> tuple[int, bytes]:
        async with session.request(method, called, **more) as response:
            return response.status, await response.read()

    return aiohttp.__version__, lambda: loop.run_until_complete(work())


SIDES: dict[str, Callable[[Target], Side]] = {
    "d365": d365,
    "pycurl": curl,
    "requests": requests,
    "requests-d365": functools.partial(requests, ours=True),
    "httpx": httpx,
    "httpx-d365": httpx_over_d365,
    "httpx-async": httpx_async,
    "httpx-async-d365": functools.partial(httpx_async, ours=True),
    "aiohttp": aiohttp,
    "aiohttp-d365": functools.partial(aiohttp, ours=True),
}


def cpu_us() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return 1e6 * (usage.ru_utime + usage.ru_stime)


def main() -> None:
    side, method, origin, path, ca_file, warm_up, calls = sys.argv[1:]
    target = Target(method == "POST", origin, path, ca_file)
    right = (201 if target.post else 200, ANSWER_LENGTH)
    version, call = SIDES[side](target)

    def run(times: int) -> None:
        for _ in range(times):
            status, answer = call()
            if (status, len(answer)) != right:
                sys.exit(f"wrong answer: status {status}, {len(answer)} bytes")

    run(int(warm_up))
    cpu, wall = cpu_us(), time.perf_counter()
    run(int(calls))
    cpu, wall = cpu_us() - cpu, time.perf_counter() - wall
    print(json.dumps({"version": version, "calls": int(calls), "cpu_us": cpu, "wall_us": 1e6 * wall}))


if __name__ == "__main__":
    main()
