"""Transports for httpx2, a fork of httpx: as `d365_failover.httpx`.

>>> client = httpx2.Client(transport=FailoverTransport("https://contoso.crm.dynamics.com"))

Needs httpx2, which `pip install d365-failover[httpx2]` brings.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import httpx2

from . import _httpx
from ._async_client import AsyncClient
from ._client import Client
from ._settings import AsyncSettings, Settings

if sys.version_info >= (3, 11):
    from typing import Unpack
elif TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["AsyncFailoverTransport", "FailoverResponse", "FailoverTransport", "async_mounts", "mounts"]


class FailoverResponse(_httpx.Raising, httpx2.Response):
    """A response, whose `raise_for_status` raises `WriteInDoubtError` where a write is in doubt (a 500 to a POST), with
    the `httpx2.HTTPStatusError` as its `__cause__`."""


_KINDS = _httpx.Kinds(httpx2, FailoverResponse)


class FailoverTransport(_httpx.Transport, httpx2.BaseTransport):
    """As `d365_failover.httpx.FailoverTransport`."""

    _kinds = _KINDS

    def __init__(self, client: Client | str, **settings: Unpack[Settings]) -> None:
        super().__init__(client, dict(settings))


class AsyncFailoverTransport(_httpx.AsyncTransport, httpx2.AsyncBaseTransport):
    """As `d365_failover.httpx.AsyncFailoverTransport`."""

    _kinds = _KINDS

    def __init__(self, client: AsyncClient | str, **settings: Unpack[AsyncSettings]) -> None:
        super().__init__(client, dict(settings))


def mounts(client: Client | str, **settings: Unpack[Settings]) -> dict[str, httpx2.BaseTransport | None]:
    """As `d365_failover.httpx.mounts`."""
    transport = FailoverTransport(client, **settings)
    return dict.fromkeys(_httpx.origins(client, dict(settings)), transport)


def async_mounts(
    client: AsyncClient | str, **settings: Unpack[AsyncSettings]
) -> dict[str, httpx2.AsyncBaseTransport | None]:
    """As `d365_failover.httpx.async_mounts`."""
    transport = AsyncFailoverTransport(client, **settings)
    return dict.fromkeys(_httpx.origins(client, dict(settings)), transport)
