"""What requests raises where there is no response."""

from __future__ import annotations

import requests.exceptions as theirs
from requests import PreparedRequest

from ._exceptions import (
    FailoverError,
    InvalidArgumentError,
    InvalidSettingError,
    InvalidUrlError,
    WriteInDoubtError,
)

__all__: list[str] = []

_BY_CAUSE: dict[str | None, type[theirs.RequestException]] = {
    "connect_timeout": theirs.ConnectTimeout,
    "proxy": theirs.ProxyError,
}
_BY_KIND: dict[str, type[theirs.RequestException]] = {
    "timeout": theirs.ReadTimeout,
    "tls": theirs.SSLError,
    "endpoint_not_found": theirs.ConnectionError,
    "datacenter_not_available": theirs.ConnectionError,
    "server_unavailable": theirs.ConnectionError,
    "connection_lost": theirs.ConnectionError,
    "local": theirs.ConnectionError,
    "protocol": theirs.ConnectionError,
    "cancelled": theirs.ConnectionError,
    "closed": theirs.ConnectionError,
    "authentication": theirs.RequestException,
}


def of_error(error: FailoverError, request: PreparedRequest) -> Exception:
    """The exception of requests' for one of ours; itself where requests has none, and for a write in doubt."""
    if isinstance(error, WriteInDoubtError):
        return error
    kind: type[theirs.RequestException] | None
    if isinstance(error, InvalidUrlError):
        kind = theirs.InvalidURL
    elif isinstance(error, InvalidSettingError):
        kind = theirs.InvalidProxyURL if str(error).startswith("proxy") else theirs.SSLError
    elif isinstance(error, InvalidArgumentError):
        kind = theirs.InvalidHeader if "header" in str(error) else None
    else:
        kind = _BY_CAUSE.get(error.cause) or _BY_KIND.get(error.kind)
    return error if kind is None else kind(error, request=request)
