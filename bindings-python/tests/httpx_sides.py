"""httpx, or a fork of it, blocking or not, over its own transport or ours: all with the same names for a test."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

from parity import Peer

PATIENCE = 60


class Side:
    """A blocking client."""

    is_async = False

    def __init__(self, library: str, peer: Peer, *, ours: bool, base: str | None = None, **settings: Any) -> None:
        self.lib: ModuleType = import_module(library)
        self.drop_in: ModuleType = import_module(f"d365_failover.{library}")
        self.peer = peer
        self.ours = ours
        self.base = base if base is not None else peer.url if ours else peer.stock_url
        self._settings = {**peer.settings, **settings}
        self.client = self.open()

    def transport(self) -> Any:
        return self.drop_in.FailoverTransport(self.base, **self._settings)

    def open(self, **keywords: Any) -> Any:
        """Another client, with these keywords of httpx' own."""
        more = {"transport": self.transport()} if self.ours else {}
        return self.lib.Client(trust_env=False, **{"timeout": 30, **more, **keywords})

    def request(self, method: str, path: str, *, client: Any = None, **keywords: Any) -> Any:
        return (client or self.client).request(method, self.base + path, **keywords)

    def get(self, path: str, **keywords: Any) -> Any:
        return self.request("GET", path, **keywords)

    def post(self, path: str, **keywords: Any) -> Any:
        return self.request("POST", path, **keywords)

    def stream(self, path: str, read: str, *args: Any, most: int = 10**9, **keywords: Any) -> Any:
        """What `read` of a streamed response gives; the first `most` pieces of it."""
        with self.client.stream("GET", self.base + path, **keywords) as response:
            given = getattr(response, read)(*args)
            if isinstance(given, bytes):
                return given, response
            pieces = []
            for piece in given:
                pieces.append(piece)
                if len(pieces) == most:
                    break
            return pieces, response

    def body(self, pieces: list[bytes]) -> Any:
        """A body that is read piece by piece."""
        return iter(pieces)

    def close(self, client: Any = None) -> None:
        (client or self.client).close()


class AsyncSide(Side):
    """The same on an event loop of its own."""

    is_async = True

    def __init__(self, library: str, peer: Peer, **keywords: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        super().__init__(library, peer, **keywords)

    def transport(self) -> Any:
        return self.drop_in.AsyncFailoverTransport(self.base, **self._settings)

    def open(self, **keywords: Any) -> Any:
        async def opened() -> Any:
            more = {"transport": self.transport()} if self.ours else {}
            return self.lib.AsyncClient(trust_env=False, **{"timeout": 30, **more, **keywords})

        return self.run(opened())

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def request(self, method: str, path: str, *, client: Any = None, **keywords: Any) -> Any:
        return self.run((client or self.client).request(method, self.base + path, **keywords))

    def stream(self, path: str, read: str, *args: Any, most: int = 10**9, **keywords: Any) -> Any:
        async def streamed() -> Any:
            async with self.client.stream("GET", self.base + path, **keywords) as response:
                given = getattr(response, f"a{read}")(*args)
                if asyncio.iscoroutine(given):
                    return await given, response
                pieces = []
                async for piece in given:
                    pieces.append(piece)
                    if len(pieces) == most:
                        break
                await given.aclose()
                return pieces, response

        return self.run(streamed())

    def body(self, pieces: list[bytes]) -> Any:
        async def given() -> Any:
            for piece in pieces:
                yield piece

        return given()

    def close(self, client: Any = None) -> None:
        self.run((client or self.client).aclose())

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()


@contextmanager
def sides(library: str, kind: str, peer: Peer, **settings: Any) -> Iterator[tuple[Side, Side]]:
    """The stock one, and ours."""
    make: Callable[..., Side] = AsyncSide if kind == "asyncio" else Side
    both = make(library, peer, ours=False), make(library, peer, ours=True, **settings)
    try:
        yield both
    finally:
        for side in both:
            side.close()
            if isinstance(side, AsyncSide):
                side.end()
