"""Microsoft's asynchronous Dataverse client over ours."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.helpers import reify
from azure.core.credentials_async import AsyncTokenCredential
from multidict import CIMultiDict, CIMultiDictProxy
from PowerPlatform.Dataverse.aio import AsyncDataverseClient
from PowerPlatform.Dataverse.core.config import DataverseConfig

from ._dropin import doubt_of
from ._settings import AsyncSettings
from .aiohttp import FailoverClientResponse, FailoverSession

if sys.version_info >= (3, 11):
    from typing import Unpack
elif TYPE_CHECKING:
    from typing_extensions import Unpack

__all__: list[str] = []


def async_client(
    url: str,
    credential: AsyncTokenCredential,
    config: DataverseConfig | None = None,
    **settings: Unpack[AsyncSettings],
) -> AsyncDataverseClient:
    """Microsoft's `AsyncDataverseClient` for the organization at `url`, whose requests fail over.

    The token is the credential's for whichever endpoint a request goes to. The client's own retries are off: it would
    send a create again that may have been executed, which has five rows for one. Needs a running event loop.
    """
    config = dataclasses.replace(DataverseConfig.from_env() if config is None else config, http_retries=1)
    client = AsyncDataverseClient(url, credential, config)
    given: Any = {"token_provider": credential, "token_precedence": "provider", **settings}
    session = {
        "raise_for_status": _raise_doubt,
        "response_class": _SpelledResponse,
        # Of its PATCHes without a condition each may create its row.
        "headers": {"D365-Failover-Upsert": "on"},
    }
    client._session = FailoverSession(url, session=session, **given)
    return client


class _SpelledResponse(FailoverClientResponse):
    """With names of headers as the client looks for them, in a plain dict: they may come in lower case."""

    @reify
    def headers(self) -> CIMultiDictProxy[str]:
        return CIMultiDictProxy(CIMultiDict((_spelled(name), value) for name, value in self._headers.items()))


def _spelled(name: str) -> str:
    words = (word.capitalize() for word in name.split("-"))
    return {"odata-entityid": "OData-EntityId", "odata-version": "OData-Version"}.get(name.lower()) or "-".join(words)


async def _raise_doubt(response: aiohttp.ClientResponse) -> None:
    """The client raises an error of its own for a status, which says nothing of whether the write was executed."""
    if not response.ok:
        assert isinstance(response, FailoverClientResponse)
        said = response.reason or ""
        told = aiohttp.ClientResponseError(response.request_info, (), status=response.status, message=said)
        doubt = doubt_of(response.failover, told)
        if doubt is not None:
            raise doubt
