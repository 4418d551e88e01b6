"""client.py SIDE METHOD ORIGIN PATH CA_FILE WARM_UP CALLS: what the program in C does, with one thread."""

import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
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

    origin = urlsplit(target.origin)
    port = 443 if origin.scheme == "https" else 80
    client = d365_failover.Client(
        f"{origin.scheme}://{HOST}",
        connect_to={f"{HOST}:{port}": origin.netloc, f"contoso--s.crm.bench.test:{port}": "127.0.0.1:1"},
        ca_bundle=target.ca_file,
        auto_switch="on",
    )

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


def requests(target: Target) -> Side:
    import requests

    session = requests.Session()
    session.verify = target.ca_file

    def call() -> tuple[int, bytes]:
        if target.post:
            response = session.post(target.url, data=BODY, headers=JSON)
            return response.status_code, response.content
        response = session.get(target.url)
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


SIDES: dict[str, Callable[[Target], Side]] = {"d365": d365, "pycurl": curl, "requests": requests, "httpx": httpx}


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
