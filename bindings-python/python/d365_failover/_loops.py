"""Which event loop this is."""

from __future__ import annotations

import asyncio
import sys

__all__: list[str] = []

_OTHERS = (
    ("trio", "trio.lowlevel", "in_trio_run", "trio.to_thread.run_sync"),
    ("curio", "curio.meta", "curio_running", "curio.run_in_thread"),
)
"""Libraries with loops of their own: where each says that it is running, and how it calls what blocks."""


def running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def needed_loop() -> asyncio.AbstractEventLoop:
    """The running loop. Raises a RuntimeError that says what to do where there is none of asyncio's."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        pass
    for name, module, asked, threaded in _OTHERS:
        is_running = getattr(sys.modules.get(module), asked, None)
        if is_running is not None and is_running():
            raise RuntimeError(
                f"AsyncClient needs asyncio, and this is {name}: use Client, on a thread ({threaded}(client.get, ...))"
            )
    raise RuntimeError("AsyncClient needs a running event loop of asyncio's: await it in asyncio.run(), or use Client")
