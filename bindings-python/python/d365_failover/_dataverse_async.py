"""Microsoft's asynchronous Dataverse client over ours."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING, Any

from .aiohttp import FailoverSession

if sys.version_info >= (3, 11):
    from typing import Unpack
elif TYPE_CHECKING:
    from typing_extensions import Unpack

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from PowerPlatform.Dataverse.aio import AsyncDataverseClient
    from PowerPlatform.Dataverse.core.config import DataverseConfig

    from ._settings import AsyncSettings

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
    from PowerPlatform.Dataverse.aio import AsyncDataverseClient
    from PowerPlatform.Dataverse.core.config import DataverseConfig

    config = dataclasses.replace(DataverseConfig.from_env() if config is None else config, http_retries=1)
    client = AsyncDataverseClient(url, credential, config)
    given: Any = {"token_provider": credential, "token_precedence": "provider", **settings}
    client._session = FailoverSession(url, **given)
    return client
