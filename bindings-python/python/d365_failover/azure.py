"""Transports for azure-core: the requests of any SDK's pipeline go to the organization's active endpoint.

>>> pipeline = Pipeline(transport=FailoverTransport("https://contoso.crm.dynamics.com"), policies=[…])

Needs azure-core, which `pip install d365-failover[azure]` brings, with requests and aiohttp.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import aiohttp as aiohttp_library
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    IncompleteReadError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.core.pipeline.transport import AioHttpTransport, RequestsTransport

from . import aiohttp, requests
from ._async_client import AsyncClient
from ._client import Client
from ._dropin import Opened, category, doubt_of
from ._exceptions import error_of
from ._models import Response
from ._settings import AsyncSettings, Settings

if sys.version_info >= (3, 11):
    from typing import Unpack
elif TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["AsyncFailoverTransport", "FailoverTransport"]


# azure-core gives both by a function, of which nobody can tell what it gives.
class FailoverTransport(RequestsTransport):  # type: ignore[misc]
    """A transport for `azure.core.pipeline.Pipeline`, or for `transport=` of an SDK's client.

    For the organization at `url`, with `settings` as those of `Client`, over `d365_failover.requests.Session`; what
    that returns and raises, azure-core makes its own of. Requests to other hosts, for a token say, go as ever.

    A write in doubt raises `WriteInDoubtError`, which is no `AzureError`: the retry policy does not send it again. It
    would also send a POST again that was answered with 500, 503 or 504: where that leaves the write in doubt,
    `WriteInDoubtError` is raised as well, with azure-core's `HttpResponseError` as its `__cause__`.
    """

    def __init__(self, url: str, **settings: Unpack[Settings]) -> None:
        # azure-core lets go of its own when it is closed.
        self._session = requests.Session(url, **settings)
        super().__init__(session=self._session)

    @property
    def client(self) -> Client:
        """The client that sends: for its events, endpoints and ledger."""
        return self._session.client

    def send(self, request: Any, **keywords: Any) -> Any:
        try:
            response = super().send(request, **keywords)
        except (ServiceRequestError, HttpResponseError) as error:
            # azure-core looks for urllib3's errors in requests' own.
            inner = error.inner_exception
            kind = _KINDS.get((type(error), _category(inner)))
            if kind is None:
                raise
            raise kind(inner, error=inner) from inner
        _raise_doubt(response)
        return response


_KINDS: dict[tuple[type[AzureError], str], type[AzureError]] = {
    (ServiceRequestError, "closed"): ServiceResponseError,
    (ServiceRequestError, "reset"): ServiceResponseError,
    (ServiceRequestError, "protocol"): ServiceResponseError,
    (HttpResponseError, "closed"): IncompleteReadError,
}


def _category(error: BaseException | None) -> str:
    failed = None if error is None else error_of(error)
    return "other" if failed is None else category(failed)


class AsyncFailoverTransport(AioHttpTransport):  # type: ignore[misc]
    """As `FailoverTransport` for `AsyncPipeline`, over `d365_failover.aiohttp.FailoverSession`: for one event loop, and
    for no other hosts (`allowed_hosts`). The environment's proxies count, unless it is given a client or `proxy`."""

    session: Any

    def __init__(self, client: AsyncClient | str, **settings: Unpack[AsyncSettings]) -> None:
        super().__init__()
        told: dict[str, Any] = dict(settings)
        if isinstance(client, str):
            # As azure-core's own, and requests beneath the blocking one.
            told.setdefault("proxy", "system")
        self._opened = Opened(client, AsyncClient, told)

    @property
    def client(self) -> AsyncClient:
        """The client that sends."""
        return self._opened.get()

    async def open(self) -> None:
        if self.session is None and not self._has_been_opened:
            # As azure-core opens its own.
            made = {"cookie_jar": aiohttp_library.DummyCookieJar(), "auto_decompress": False}
            session = aiohttp.FailoverSession(self._opened.get(), session=made)
            session._opened = self._opened
            self.session = session
        await super().open()

    async def close(self) -> None:
        await super().close()
        client = self._opened.leave()
        if client is not None:  # it was not used
            await client.close()

    async def send(self, request: Any, **keywords: Any) -> Any:
        response = await super().send(request, **keywords)
        _raise_doubt(response)
        return response


def _raise_doubt(response: Any) -> None:
    """For a response that azure-core's retry policy takes for a reason to send a write again."""
    known: Response | None = getattr(response.internal_response, "failover", None)
    if known is None or known.status_code < 400:
        return
    doubt = doubt_of(known, HttpResponseError(response=response))
    if doubt is not None:
        raise doubt
