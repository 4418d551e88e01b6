"""Transports for httpx: requests go to the organization's active endpoint, and again after a switch.

>>> client = httpx.Client(transport=FailoverTransport("https://contoso.crm.dynamics.com"))

Or, for a client that talks to other hosts as well: `httpx.Client(mounts=mounts("https://contoso.crm.dynamics.com"))`.

Needs httpx, which `pip install d365-failover[httpx]` brings.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import httpx

from . import _httpx
from ._async_client import AsyncClient
from ._client import Client
from ._settings import AsyncSettings, Settings

if sys.version_info >= (3, 11):
    from typing import Unpack
elif TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["AsyncFailoverTransport", "FailoverResponse", "FailoverTransport", "async_mounts", "mounts"]


class FailoverResponse(_httpx.Raising, httpx.Response):
    """A response, whose `raise_for_status` raises `WriteInDoubtError` where a write is in doubt (a 500 to a POST), with
    the `httpx.HTTPStatusError` as its `__cause__`."""


_KINDS = _httpx.Kinds(httpx, FailoverResponse)


class FailoverTransport(_httpx.Transport, httpx.BaseTransport):
    """A transport for `httpx.Client(transport=…)`.

    `client` is a `Client` of the application's, which the transport does not close; or the URL of an organization, for
    which it opens one with these `settings`, and in the child of a fork another one. `.client` is that one: for events,
    endpoints and the ledger.

    A request goes to the active endpoint, whichever of the two it names; other hosts need `allowed_hosts`. What a
    repeat does, and the like, is told by `extensions={"failover": {"operation": "read", "tag": "…", "guarded_create":
    True, "upsert": True, "timeout": 60.0}}`, as `Client.request` has them. Of httpx' timeouts `connect` is
    `connect_timeout`, and `read` is `read_timeout`; the call with all of its attempts has `deadline`. `write` and
    `pool` have no meaning.

    A response has `extensions["failover"]`: the library's own, with `effect`, `attempts`, `ledger_id`. Without one,
    httpx' exceptions are raised, with the `FailoverError` as `__cause__`; but a write in doubt raises
    `WriteInDoubtError`, which is no `httpx.HTTPError`: a loop that repeats what has failed does not catch it.
    """

    _kinds = _KINDS

    def __init__(self, client: Client | str, **settings: Unpack[Settings]) -> None:
        super().__init__(client, dict(settings))


class AsyncFailoverTransport(_httpx.AsyncTransport, httpx.AsyncBaseTransport):
    """A transport for `httpx.AsyncClient(transport=…)`, as `FailoverTransport` with an `AsyncClient`: it needs asyncio.

    A task that is cancelled has a `FailoverError` as `__cause__` of its `CancelledError`, which tells what is known of
    the write.
    """

    _kinds = _KINDS

    def __init__(self, client: AsyncClient | str, **settings: Unpack[AsyncSettings]) -> None:
        super().__init__(client, dict(settings))


def mounts(client: Client | str, **settings: Unpack[Settings]) -> dict[str, httpx.BaseTransport | None]:
    """For `httpx.Client(mounts=…)`: one `FailoverTransport` for both endpoints. Other hosts stay httpx' own."""
    transport = FailoverTransport(client, **settings)
    return dict.fromkeys(_httpx.origins(client, dict(settings)), transport)


def async_mounts(
    client: AsyncClient | str, **settings: Unpack[AsyncSettings]
) -> dict[str, httpx.AsyncBaseTransport | None]:
    """As `mounts`, for `httpx.AsyncClient(mounts=…)`."""
    transport = AsyncFailoverTransport(client, **settings)
    return dict.fromkeys(_httpx.origins(client, dict(settings)), transport)
