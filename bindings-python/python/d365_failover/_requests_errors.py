"""What requests raises where there is no response."""

from __future__ import annotations

import requests.exceptions as theirs
from requests import PreparedRequest
from urllib3.exceptions import ProtocolError

from ._dropin import category, not_theirs
from ._exceptions import FailoverError, InvalidSettingError

__all__: list[str] = []

_BY_CATEGORY: dict[str, type[theirs.RequestException]] = {
    "connect": theirs.ConnectionError,
    "connect_timeout": theirs.ConnectTimeout,
    "timeout": theirs.ReadTimeout,
    "reset": theirs.ConnectionError,
    "closed": theirs.ConnectionError,
    "proxy": theirs.ProxyError,
    "tls": theirs.SSLError,
    "protocol": theirs.ConnectionError,
    "local": theirs.ConnectionError,
    "busy": theirs.ConnectionError,
    "url": theirs.InvalidURL,
    "token": theirs.RequestException,
}


def of_error(error: FailoverError, request: PreparedRequest) -> Exception:
    """The exception of requests' for one of ours; one of ours where requests has none, or where loops that catch
    requests' would do a write twice."""
    kept = not_theirs(error)
    if kept is not None:
        return kept
    found = category(error)
    kind = theirs.ConnectionError if error.kind == "closed" else _BY_CATEGORY.get(found)
    if isinstance(error, InvalidSettingError):
        kind = theirs.InvalidProxyURL if str(error).startswith("proxy") else theirs.SSLError
    elif found == "argument" and "header" in str(error):
        kind = theirs.InvalidHeader
    if kind is None:
        return error
    # Others look in there for what urllib3 has raised.
    inner = ProtocolError("Connection aborted.", error) if found in ("reset", "closed") else error
    return kind(inner, request=request)
