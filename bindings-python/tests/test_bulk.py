"""Gigabytes, both ways, in memory that does not grow with them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from typing import Any

import pytest
from twin import BULK, Organization

SIZE = int(os.environ.get("D365_BULK_BYTES") or 1 << 30)
MOST = 16 << 20
"""Bytes by which a process may grow over a transfer: some pieces, the connections, and the interpreter's own."""

OPEN = """
import asyncio, hashlib, os, sys
import d365_failover
SIZE = int(sys.argv[1])
settings = dict(
    ca_bundle=os.environ["D365_CA_BUNDLE"], connect_to=os.environ["D365_CONNECT_TO"], auto_switch=True
)
url = os.environ["D365_URL"]
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM:"))
BLOCK = bytes(range(256)) * 256
def pieces(size):
    for begin in range(0, size, len(BLOCK)):
        yield BLOCK[:size - begin]
async def apieces(size):
    for piece in pieces(size):
        yield piece
class File:
    def __init__(self, size):
        self.size, self.position = size, 0
    def seekable(self):
        return True
    def tell(self):
        return self.position
    def seek(self, position, whence=0):
        self.position = position + (self.size if whence == 2 else 0)
    def read(self, most):
        begin = self.position % len(BLOCK)
        piece = BLOCK[begin:begin + min(most, self.size - self.position)]
        self.position += len(piece)
        return piece
def upload(client, size, content):
    return client.put("/bulk", content=content).json()
def download(client, size):
    digest = hashlib.sha256()
    with client.stream("GET", f"/bulk/{size}") as response:
        for piece in response.iter_bytes():
            digest.update(piece)
    return digest.hexdigest()
async def adownload(client, size):
    digest = hashlib.sha256()
    async with client.stream("GET", f"/bulk/{size}") as response:
        async for piece in response.aiter_bytes():
            digest.update(piece)
    return digest.hexdigest()
def blocking(what):
    with d365_failover.Client(url, **settings) as client:
        what(client, 1 << 24)  # what is made once is made
        before = peak()
        result = what(client, SIZE)
        print(peak() - before, result)
def awaiting(what):
    async def main():
        async with d365_failover.AsyncClient(url, **settings) as client:
            await what(client, 1 << 24)
            before = peak()
            result = await what(client, SIZE)
            print(peak() - before, result)
    asyncio.run(main())
async def aupload(client, content):
    return (await client.put("/bulk", content=content)).json()["sha256"]
"""

UPLOADS = {
    "a generator": "blocking(lambda client, size: upload(client, size, pieces(size))['sha256'])",
    "a file": "blocking(lambda client, size: upload(client, size, File(size))['sha256'])",
    "an asynchronous generator": "awaiting(lambda client, size: aupload(client, apieces(size)))",
    "a file, asyncio": "awaiting(lambda client, size: aupload(client, File(size)))",
}
DOWNLOADS = {
    "blocking": "blocking(download)",
    "blocking, not on the main thread": """
import threading
thread = threading.Thread(target=blocking, args=(download,))
thread.start()
thread.join()
""",
    "asyncio": "awaiting(adownload)",
}


def transferred(org: Organization, program: str) -> tuple[int, str]:
    """By how many bytes the process has grown, and the SHA-256 of what it has transferred."""
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", OPEN + program, str(SIZE)],
        env=org.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        out, err = process.communicate(timeout=600)
    assert (process.returncode, err) == (0, "")
    grown, digest = out.split()
    return int(grown), digest


def expected() -> str:
    block = bytes(range(256)) * 256
    digest = hashlib.sha256()
    for begin in range(0, SIZE, len(block)):
        digest.update(block[: SIZE - begin])
    return digest.hexdigest()


@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize("program", UPLOADS.values(), ids=UPLOADS.keys())
def test_an_upload(organization: Any, program: str, http2: bool) -> None:
    grown, digest = transferred(organization(http2=http2), program)
    print(f"grown by {grown >> 10} kB")
    assert digest == expected()
    assert grown < MOST


@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize("program", DOWNLOADS.values(), ids=DOWNLOADS.keys())
def test_a_download(organization: Any, program: str, http2: bool) -> None:
    org = organization(http2=http2)
    with org.client() as client:
        wanted = client.get(f"{BULK}/{SIZE}/digest", timeout=120).json()["sha256"]
    grown, digest = transferred(org, program)
    print(f"grown by {grown >> 10} kB")
    assert digest == wanted
    assert grown < MOST
