"""The settings as keywords. Their names and values are the C ABI's; only durations are seconds here."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from ._exceptions import InvalidSettingError, UnknownSettingError
from ._request import milliseconds

if TYPE_CHECKING:
    from ._outgoing import AsyncPrepare, Prepare
    from ._tokens import TokenProvider

__all__ = ["AsyncSettings", "Settings"]


class _Settings(TypedDict, total=False):
    """What `Client` and `AsyncClient` take by keyword. A setting that is None is not set."""

    alternate_url: str | None
    """The other endpoint, where the `--s` rule does not tell it."""
    url_form: str | None
    """`"host"` or `"path"`: where the organization's name is. None: the host, where that is not ambiguous."""
    preset: str | None
    """`"safe"` (default): no switch without proof, and no write sent twice that could be executed twice. `"dotnet"`:
    switch and retry as the .NET SDK did."""
    auto_switch: str | bool | None
    """`"auto"` (default), on or off."""
    connect_timeout: float | None
    """Seconds for one address. 10."""
    attempt_timeout: float | None
    """Seconds for one attempt, whole. 120."""
    deadline: float | None
    """Seconds for a call with all attempts and pauses. 300."""
    handler_timeout: float | None
    """Seconds that a call waits for handlers. 5."""
    probe_after: float | None
    """Seconds of silence, while a call waits, after which its endpoint is probed. 0 to 86400; 0: never. 1."""
    probe_timeout: float | None
    """Seconds for one probe, whole. 0.001 to 86400. 1."""
    probe_path: str | None
    """What a probe reads with GET: a path from the base URL on. `"/api/data/v9.2/WhoAmI"`."""
    write_grace: float | None
    """Seconds that the answer to a write is still waited for when its endpoint was left. 0 to 86400. 10."""
    hold_down: float | None
    """Seconds after a switch or a veto in which another one needs more proof. 0 to 86400; 0: none. 30."""
    max_attempts: int | None
    """Of one call. 1 to 100. 4."""
    retry_budget: float | None
    """Repeats at one endpoint as a share of recent calls, at least 10 a second. 0 to 1. 0.2."""
    replication_window: float | None
    """Seconds before and after a switch for which rows may be missing at the new endpoint: for so long acknowledged
    writes are suspects. 0 to 86400; 0: none. 900."""
    ledger_entries: int | None
    """How many acknowledged writes are on record, and as many of those to verify. 1 to 10000000. 100000."""
    update_guard: bool | None
    """Whether for that time after a switch a plain PATCH gets `If-Match: *`, so that it cannot create a fragment of a
    row that has not arrived yet. True. See `upsert` of `request`."""
    service_mark: str | None
    """`"required"` (default): a 2xx to a write that bears no mark of its service (`OData-Version` or its like, an OData
    body, a SOAP envelope without a fault) is nobody's answer, and the effect is unknown; `"any"`: for gateways that
    take the marks off."""
    ca_bundle: str | os.PathLike[str] | None
    """A PEM file with the authorities to trust instead of the system's."""
    tls_verify: bool | None
    """True."""
    client_certificate: str | os.PathLike[str] | None
    """A PEM file with the certificate's chain and its private key, to show to the organization's two
    endpoints if they ask for one; never to `allowed_hosts`."""
    http2: bool | None
    """Whether HTTP/2 is spoken where the server offers it over TLS. True."""
    decompress: bool | None
    """Whether a request that has no Accept-Encoding of its own asks for gzip and brotli, and the body is decoded.
    True."""
    proxy: str | None
    """`"http://[user:password@]host:port"`, or `"system"`: as HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY say."""
    max_redirects: int | None
    """How many redirects a call follows, 0 to 20. 0: a redirect is the response. Each one is an attempt.

    Only to the organization's endpoints and `allowed_hosts`, never from https to http. GET and HEAD follow 301, 302,
    303, 307 and 308; others follow 307 and 308, with method and body.
    """
    allowed_hosts: Sequence[str] | str | None
    """Other hosts, `"host"` or `"host:port"`, that requests and redirects may go to: with HTTP's and OData's own
    headers, without the application's (`allowed_host_headers`), and without failover. A string has commas between
    them."""
    allowed_host_headers: Sequence[str] | str | None
    """Names of the application's headers that go to `allowed_hosts`. Never Authorization, Cookie and
    Proxy-Authorization."""
    connect_to: Mapping[str, str] | str | None
    """`{"host:port": "address:port"}`: where to connect instead. Or curl's form, `"host:port:address:port,…"`."""
    max_connections: int | None
    """An endpoint. 256."""
    idle_timeout: float | None
    """Seconds after which an unused connection is closed. 20."""
    max_connection_age: float | None
    """Seconds. 600, ± 20 %."""
    max_response_headers: int | None
    """Octets. 65536."""
    max_response_body: int | None
    """Octets. 268435456."""
    error_prefix: int | None
    """Octets of an error's body that are read to classify it. 65536."""
    user_agent: str | None
    token_provider: TokenProvider | None
    """Gives the bearer token for an endpoint: any callable, or azure-core's `get_token`."""
    token_precedence: str | None
    """`"application"` (default): a request's own Authorization goes before the provider's token. `"provider"`: it is
    replaced, as is good where an SDK knows only one of the two endpoints."""


class Settings(_Settings, total=False):
    """The keywords of `Client`."""

    prepare: Prepare | None
    """Called with an `Outgoing` for each attempt before it is sent, when its endpoint and token are known: for
    signatures, and whatever else depends on the endpoint. On the thread that sends; it may block and may call the
    client. What it raises ends the call, without failover, and is what the call raises."""


class AsyncSettings(_Settings, total=False):
    """The keywords of `AsyncClient`."""

    prepare: AsyncPrepare | None
    """As the blocking client's; a plain function or a coroutine function, which run in the task that sends."""


_DURATIONS = frozenset(
    (
        "connect_timeout",
        "attempt_timeout",
        "deadline",
        "probe_after",
        "probe_timeout",
        "write_grace",
        "hold_down",
        "replication_window",
        "handler_timeout",
        "idle_timeout",
        "max_connection_age",
    )
)
_FRACTIONS = frozenset(("retry_budget",))
_LISTS = frozenset(("allowed_hosts", "allowed_host_headers"))


def to_native(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The pairs of key and text that the C ABI takes. An unknown key goes through: the library knows them all."""
    pairs = []
    for name, value in settings.items():
        if value is None:
            continue
        if name.endswith("_ms"):
            raise UnknownSettingError(
                f"{name}: durations are seconds here, and the setting is {name[:-3]}", kind="unknown_setting"
            )
        if name in _DURATIONS:
            pairs.append((f"{name}_ms", str(milliseconds(value, name, least=0))))
        else:
            pairs.append((name, _text(name, value)))
    return pairs


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and name in _FRACTIONS:
        return format(value, "f")
    if isinstance(value, os.PathLike):
        path = os.fspath(value)
        if isinstance(path, str):
            return path
    if name in _LISTS and isinstance(value, Sequence) and all(isinstance(item, str) for item in value):
        return ",".join(value)
    if name == "connect_to" and isinstance(value, Mapping):
        return ",".join(f"{_end(name, origin)}:{_end(name, target)}" for origin, target in value.items())
    raise TypeError(f"{name}: {type(value).__name__} is not a type that a setting has")


def _end(name: str, end: Any) -> str:
    if not isinstance(end, str):
        raise TypeError(f'{name} maps "host:port" to "address:port"')
    if not end.rpartition(":")[2].isdigit():
        raise InvalidSettingError(f'{name}: {end!r} is not "host:port"', kind="invalid_setting")
    return end
