"""Microsoft's `PowerPlatform-Dataverse-Client` over ours.

    from azure.identity import DefaultAzureCredential

    import d365_failover.dataverse

    with d365_failover.dataverse.client("https://contoso.crm.dynamics.com", DefaultAzureCredential()) as client:
        client.records.create("account", {"name": "Contoso"})

`client` gives their `DataverseClient`, `async_client` their `AsyncDataverseClient`. Needs
`pip install d365-failover[dataverse]`, and for the latter also `d365-failover[aiohttp]`.
"""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING, Any

import requests
from azure.core.credentials import TokenCredential
from PowerPlatform.Dataverse.client import DataverseClient
from PowerPlatform.Dataverse.core.config import DataverseConfig

from ._client import Client
from ._settings import Settings
from .requests import Response, Session

if sys.version_info >= (3, 11):
    from typing import Unpack
elif TYPE_CHECKING:
    from typing_extensions import Unpack

if TYPE_CHECKING:
    from ._dataverse_async import async_client as async_client

__all__ = ["async_client", "client", "client_of"]


def client(
    url: str, credential: TokenCredential, config: DataverseConfig | None = None, **settings: Unpack[Settings]
) -> DataverseClient:
    """Microsoft's `DataverseClient` for the organization at `url`, whose requests fail over.

    Settings are those of `d365_failover.Client`. The token is the credential's for whichever endpoint a request goes
    to. The client's own retries are off: it sends a create again that may have been executed, which makes five rows of
    one. A write in doubt raises `d365_failover.WriteInDoubtError`; where it sends several writes in a loop of its own,
    those before it are done. Close it, or use it as a context manager.

    Raises `InvalidUrlError` for a URL from which no pair of endpoints can be made.
    """
    config = dataclasses.replace(DataverseConfig.from_env() if config is None else config, http_retries=1)
    made = DataverseClient(url, credential, config)
    given: Any = {"token_provider": credential, "token_precedence": "provider", **settings}
    session = Session(url, **given)
    # Of its PATCHes without a condition each may create its row.
    session.headers["D365-Failover-Upsert"] = "on"
    session.hooks["response"].append(_told)
    made._session = session
    return made


def _told(response: requests.Response, **_: Any) -> None:
    """Has a status that leaves a write in doubt raise so: some of Microsoft's errors say that they are transient."""
    # The content tells of the parts of a batch.
    if response.status_code >= 400 and isinstance(response, Response) and response.content is not None:
        response.raise_for_doubt()


def client_of(made: DataverseClient) -> Client:
    """Ours beneath Microsoft's: for events, the ledger, `verify`, `switch_endpoint`.

    Raises `TypeError` for a client that `client` has not given, or that is closed.
    """
    session = made._session
    if not isinstance(session, Session):
        raise TypeError("this DataverseClient is closed, or not d365_failover.dataverse.client's")
    return session.client


def __getattr__(name: str) -> Any:
    # Without aiohttp the other one is there all the same.
    if name == "async_client":
        from ._dataverse_async import async_client

        return async_client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
