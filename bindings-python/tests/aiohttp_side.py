"""aiohttp over its own connector, or ours, on an event loop of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import aiohttp
from d365_failover.aiohttp import FailoverSession
from parity import Peer

PATIENCE = 60


class AiohttpSide:
    def __init__(self, peer: Peer, *, ours: bool, **settings: Any) -> None:
        self.peer = peer
        self.ours = ours
        self.base = peer.url if ours else peer.stock_url
        self._settings = settings
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.session = self.open()

    def open(self, base: str | None = None, more: dict[str, Any] | None = None, **keywords: Any) -> Any:
        async def opened() -> aiohttp.ClientSession:
            jar = aiohttp.CookieJar(unsafe=True)  # it takes none of an address otherwise
            given: dict[str, Any] = {"cookie_jar": jar, **keywords}
            if not self.ours:
                return aiohttp.ClientSession(**given)
            settings = {**self.peer.settings, **self._settings, **(more or {})}
            return FailoverSession(base or self.base, session=given, **settings)

        return self.run(opened())

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def do(
        self,
        method: str,
        path: str,
        read: Callable[[aiohttp.ClientResponse], Awaitable[Any]],
        *,
        session: Any = None,
        base: str | None = None,
        **keywords: Any,
    ) -> Any:
        """What `read` makes of the response."""

        async def work() -> Any:
            async with (session or self.session).request(method, (base or self.base) + path, **keywords) as response:
                return await read(response)

        return self.run(work())

    def close(self, session: Any = None) -> None:
        self.run((session or self.session).close())

    def end(self) -> None:
        self.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()
