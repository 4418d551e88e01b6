"""The settings as keywords. Their names and values are the C ABI's; only durations are seconds here."""

from __future__ import annotations

import inspect
import math
import operator
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat, SupportsIndex, TypedDict, TypeVar

from ._exceptions import FailoverError, InvalidSettingError, UnknownSettingError
from ._numbers import number
from ._outgoing import AsyncPrepare, Prepare
from ._request import brief
from ._tokens import AsyncTokenProvider, TokenProvider

__all__ = ["AsyncSettings", "Settings"]


class _Settings(TypedDict, total=False):
    """What `Client` and `AsyncClient` take by keyword. A setting that is None is not set: it has its default.

    A value of a wrong type raises `TypeError`, one out of range `InvalidSettingError`, a keyword that is none of these
    `UnknownSettingError`.
    """

    alternate_url: str | None
    """The other endpoint's base URL, where the `--s` rule does not tell it. Default: none, by the rule."""
    url_form: str | None
    """`"host"` or `"path"`: where the organization's name is. Default: none; the host, where that is not ambiguous."""
    preset: str | None
    """`"safe"` (default): no switch without proof, and no write sent twice that could be executed twice. `"dotnet"`:
    switch and retry as the .NET SDK did."""
    auto_switch: str | bool | None
    """Whether a fault switches the endpoint: `"auto"` (default), where there is an alternate, on (`True`) or off
    (`False`): a switch is only called for."""
    connect_timeout: float | None
    """Seconds for one address, 0.001 to 86400. Default: 10. The next address is tried after 0.25 s beside it."""
    attempt_timeout: float | None
    """Seconds for one attempt, whole, 0.001 to 86400. Default: 120."""
    deadline: float | None
    """Seconds for a call with all attempts and pauses, 0.001 to 86400. Default: 300. `timeout` of a request is this."""
    handler_timeout: float | None
    """Seconds that a call waits for handlers, 0.001 to 86400. Default: 5."""
    probe_after: float | None
    """Seconds of silence, while a call waits, after which its endpoint is probed, once in ten seconds after two fifths
    of it, 0 to 86400; 0: never. Default: 1."""
    probe_timeout: float | None
    """Seconds for one probe, whole, 0.001 to 86400. Default: 1."""
    probe_path: str | None
    """What a probe reads with GET: a path from the base URL on, with `/` before it. Default:
    `"/api/data/v9.2/WhoAmI"`."""
    write_grace: float | None
    """Seconds that the answer to a write is still waited for when its endpoint was left, 0 to 86400. Default: 10."""
    hold_down: float | None
    """Seconds after a switch or a veto in which another one needs more proof, 0 to 86400; 0: none. Default: 30."""
    outage_wait: float | None
    """Seconds that a call waits, within its deadline, for the first endpoint that answers, where none does, 0 to 86400;
    0: not at all. Default: 30; with `preset="dotnet"` 0."""
    max_waiting: int | None
    """How many calls wait so, 1 to 1000000; others raise `BusyError`, and nothing of them is sent. Default: 10000."""
    failback: str | None
    """What leads calls back from the alternate to the primary: `"on_fault"`, `"probe"`: good looks at the primary as
    well, where a fault had moved calls; `"manual"`. Default: `"on_fault"`."""
    failback_interval: float | None
    """Seconds from one look at the primary to the next with `failback="probe"`, 0.001 to 86400. Default: 60."""
    failback_after: float | None
    """Seconds for which each look must be good, 0 to 86400; doubled by each switch within an hour after such a
    failback. Default: 300."""
    max_attempts: int | None
    """How many attempts a call may take, the first one too, 1 to 100. Default: 4."""
    retry_budget: float | None
    """Repeats at one endpoint as a share of recent calls, 0 to 1, at least 10 a second; 0: none. Default: 0.2."""
    replication_window: float | None
    """Seconds before and after a switch for which rows may be missing at the new endpoint: for so long acknowledged
    writes are suspects. 0 to 86400; 0: none. Default: 900."""
    ledger_entries: int | None
    """How many acknowledged writes are on record, and as many of those to verify, 1 to 10000000. Default: 100000."""
    ledger_retention: float | None
    """Seconds, 0 to 315360000: with `store`, how long an acknowledged or resolved write stays on record, not shorter
    than `replication_window`; what is to be verified stays. Default: 604800."""
    store: str | os.PathLike[str] | None
    """A file, made if there is none: the ledger, on disk, for all processes of this machine that name it. Default:
    none, in memory."""
    store_durability: str | None
    """`"process"`: a record survives the end of the process, by `kill -9` too; `"power"`: a loss of power as well, and
    each write waits twice for the disk. Default: `"process"`."""
    store_failure: str | None
    """A write that cannot be put on record: `"refuse"`: ends as `local`, and nothing of it is sent; `"go_on"`: is sent,
    and `StoreFailedEvent` tells of it. Default: `"refuse"`."""
    ledger_bodies: str | None
    """What a write on record keeps of its body: `"off"`: its length; `"digest"`: its SHA-256 as well; `"full"`: all of
    it, and the headers that say what is written, never a credential, so that its values can be compared and it can be
    sent again. Default: `"digest"`."""
    ledger_body_size: int | None
    """Bytes, 0 to 1073741824: with `ledger_bodies="full"` a longer body is kept as its digest. Default: 1048576."""
    verify_keys: str | None
    """By which columns a created row is looked for whose id nobody knows, with `ledger_bodies="full"`: entity sets with
    the columns that name their rows, `"accounts=accountnumber,contacts=lastname+emailaddress1"`. Default: none."""
    update_guard: bool | None
    """Whether for `replication_window` after a switch a plain PATCH gets `If-Match: *`, so that it cannot create a
    fragment of a row that has not arrived yet. Default: True. See `upsert` of `request`."""
    service_mark: str | None
    """`"required"` (default): a 2xx to a write that bears no mark of its service (`OData-Version` or its like, an OData
    body, a SOAP envelope without a fault) is nobody's answer, and the effect is unknown; `"any"`: for gateways that
    take the marks off."""
    state_max_age: float | None
    """With a `store`: seconds for which a client that opens goes by what other processes have on record of where calls
    go; what is older is a reason to look. 0 to 86400. Default: 3600."""
    ca_bundle: str | os.PathLike[str] | None
    """A PEM file with the authorities to trust, read when the client is opened. Broken certificates in it are left out,
    with a warning in the log; a file with none that can be used raises `InvalidSettingError`. Default: the system's."""
    tls_verify: bool | None
    """Whether the server's certificate and name are checked. Default: True."""
    client_certificate: str | os.PathLike[str] | None
    """A PEM file with the certificate, its chain and its private key, not encrypted, to show to the organization's two
    endpoints if they ask for one; never to `allowed_hosts`. Default: none."""
    client_key: str | os.PathLike[str] | None
    """A PEM file with the private key of `client_certificate`, where it is not in that file. Default: there."""
    http2: bool | None
    """Whether HTTP/2 is spoken where the server offers it over TLS. Default: True."""
    decompress: bool | None
    """Whether a request that has no Accept-Encoding of its own asks for gzip and brotli, and the body is decoded.
    Default: True."""
    proxy: str | None
    """`"http://[user:password@]host:port"`, or `"system"`: as HTTPS_PROXY, http_proxy, ALL_PROXY and NO_PROXY say.
    Default: none, whatever the environment says."""
    max_redirects: int | None
    """How many redirects a call follows, 0 to 20. Default: 0, a redirect is the response. Each one is an attempt.

    Only to the organization's endpoints and `allowed_hosts`, never from https to http. GET and HEAD follow 301, 302,
    303, 307 and 308; others follow 307 and 308, with method and body.
    """
    allowed_hosts: Sequence[str] | str | None
    """Other hosts, `"host"` or `"host:port"`, that requests and redirects may go to: with HTTP's and OData's own
    headers, without the application's (`allowed_host_headers`), and without failover. A string has commas between
    them. Default: none."""
    allowed_host_headers: Sequence[str] | str | None
    """Names of the application's headers that go to `allowed_hosts`. Never Authorization, Cookie and
    Proxy-Authorization. Default: none."""
    connect_to: Mapping[str, str] | str | None
    """`{"host:port": "address:port"}`: where to connect instead. Or curl's form, `"host:port:address:port,…"`.
    Default: none."""
    max_connections: int | None
    """How many connections there are to an endpoint, over HTTP/2 streams, 1 to 65536. Default: 256."""
    idle_timeout: float | None
    """Seconds after which an unused connection is closed, 0.001 to 86400. Default: 20."""
    max_connection_age: float | None
    """Seconds after which a connection is used no more, ± 20 %, 0.001 to 86400. Default: 600."""
    max_response_headers: int | None
    """How large the head of a response may be, in bytes, 8192 to 1048576. Default: 65536."""
    max_response_body: int | None
    """How large a body that is read whole may be, in bytes, 1 to 2**40. Default: 268435456. Streams have no limit."""
    error_prefix: int | None
    """How much of an error's body is read to classify it, in bytes, 1024 to 16777216. Default: 65536."""
    user_agent: str | None
    """What stands in the User-Agent header: printable ASCII. Default: `"d365-failover/VERSION"`."""
    oauth_tenant: str | None
    """The directory (tenant) of Microsoft Entra ID, its id or one of its domains: with `oauth_client_id`, and
    `oauth_client_secret` or `oauth_certificate`, the library gets the tokens itself, as an application, by client
    credentials. Not beside a `token_provider`. Default: none."""
    oauth_client_id: str | None
    """The application's id. Default: none."""
    oauth_client_secret: str | None
    """Its secret. It stands in no text of the library's. Default: none."""
    oauth_certificate: str | os.PathLike[str] | None
    """Instead of it a PEM file with the application's certificate and its RSA key, not encrypted. Default: none."""
    oauth_authority: str | None
    """Who gives the tokens: an https URL, or http on this machine. Default: `"https://login.microsoftonline.com"`."""
    token_precedence: str | None
    """`"application"` (default): a request's own Authorization goes before the provider's token. `"provider"`: it is
    replaced, as is good where an SDK knows only one of the two endpoints."""


class Settings(_Settings, total=False):
    """The keywords of `Client`."""

    token_provider: TokenProvider | None
    """Gives the bearer token for an endpoint: any callable, or azure-core's `get_token`. Default: none, requests bring
    their Authorization themselves."""

    prepare: Prepare | None
    """Called with an `Outgoing` for each attempt before it is sent, when its endpoint and token are known: for
    signatures, and whatever else depends on the endpoint. On the thread that sends; it may block and may call the
    client. What it raises ends the call, without failover, and is what the call raises. Default: none."""


class AsyncSettings(_Settings, total=False):
    """The keywords of `AsyncClient`."""

    token_provider: AsyncTokenProvider | None
    """As the blocking client's; what it gives may be awaitable, as of the credentials of `azure.identity.aio`."""

    prepare: AsyncPrepare | None
    """As the blocking client's; a plain function or a coroutine function, which run in the task that sends. Default:
    none."""


_DURATIONS = frozenset(
    (
        "connect_timeout",
        "attempt_timeout",
        "deadline",
        "probe_after",
        "probe_timeout",
        "write_grace",
        "hold_down",
        "outage_wait",
        "failback_interval",
        "failback_after",
        "replication_window",
        "state_max_age",
        "ledger_retention",
        "handler_timeout",
        "idle_timeout",
        "max_connection_age",
    )
)
_TAKES = {
    **dict.fromkeys(_DURATIONS, "a number of seconds"),
    **dict.fromkeys(
        (
            "max_attempts",
            "max_waiting",
            "ledger_body_size",
            "ledger_entries",
            "max_redirects",
            "max_connections",
            "max_response_headers",
            "max_response_body",
            "error_prefix",
        ),
        "a whole number",
    ),
    **dict.fromkeys(("update_guard", "tls_verify", "http2", "decompress"), "True or False"),
    **dict.fromkeys(("ca_bundle", "client_certificate", "client_key", "oauth_certificate", "store"), "a path"),
    **dict.fromkeys(("allowed_hosts", "allowed_host_headers"), "a sequence of texts"),
    "auto_switch": '"auto", True or False',
    "retry_budget": "a number from 0 to 1",
    "connect_to": 'a mapping of "host:port" to "address:port"',
}
_LISTS = frozenset(("allowed_hosts", "allowed_host_headers"))
_LARGEST = 10**18
_UNIT = re.compile(rf"\b({'|'.join(sorted(_DURATIONS))})_ms\b")
_REFUSED = re.compile(r'(\w+) = ".*" cannot be used; it takes (.*)', re.DOTALL)
_RANGE = re.compile(r"a whole number of milliseconds from (\d+) to (\d+)")


def to_native(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The pairs of key and text that the C ABI takes. An unknown key goes through: the library says what was meant."""
    pairs = []
    for name, value in settings.items():
        if name.endswith("_ms") and name[:-3] in _DURATIONS:
            raise UnknownSettingError(
                f"{name}: durations are seconds here, and the setting is {name[:-3]}", kind="unknown_setting"
            )
        if name not in Settings.__annotations__:
            pairs.append((name, value if isinstance(value, str) else ""))
        elif value is None:
            continue
        elif name in _DURATIONS:
            pairs.append((f"{name}_ms", _milliseconds(name, value)))
        else:
            pairs.append((name, _text(name, value)))
    return pairs


def in_python(error: FailoverError, settings: Mapping[str, Any]) -> FailoverError:
    """What the library says of settings, with their names and units here."""
    text = str(error)
    if isinstance(error, UnknownSettingError):
        said, _, _ = text.partition("; there are: ")
        error.args = (f"{_UNIT.sub(_bare, said)}; there are: {', '.join(sorted(Settings.__annotations__))}",)
    elif isinstance(error, InvalidSettingError) and (refused := _REFUSED.fullmatch(text)) is not None:
        name, takes = _UNIT.sub(_bare, refused[1]), _RANGE.sub(_seconds, refused[2])
        takes = takes.replace("auto or on or off", '"auto", True or False').replace("on or off", "True or False")
        error.args = (f"{name} = {brief(settings.get(name))} cannot be used; it takes {takes}",)
    return error


def _bare(found: re.Match[str]) -> str:
    return found[1]


def _seconds(found: re.Match[str]) -> str:
    least, most = (int(bound) / 1000 for bound in found.groups())
    return f"seconds from {least:g} to {most:.15g}"


def _milliseconds(name: str, seconds: Any) -> str:
    """As whole milliseconds, rounded up; what is no time in the library's range is its to refuse."""
    seconds = number(seconds, f"{name} is a number of seconds")
    if isinstance(seconds, float) and not math.isfinite(seconds * 1000):
        return str(seconds)
    return _whole(math.ceil(seconds * 1000))


def _whole(number: int) -> str:
    return str(max(-_LARGEST, min(number, _LARGEST)))


def _text(name: str, value: Any) -> str:
    if _TAKES.get(name) == "a path" and not isinstance(value, (str, os.PathLike)):
        raise _wrong(name, value)  # else `store=True` would be a file named "on"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str):
        return value
    if isinstance(value, SupportsIndex):
        return _whole(operator.index(value))
    if isinstance(value, SupportsFloat) and name == "retry_budget":
        return format(float(value), "f")
    if isinstance(value, os.PathLike):
        path = os.fspath(value)
        if isinstance(path, str):
            return path
    if name in _LISTS and isinstance(value, Sequence) and all(isinstance(item, str) for item in value):
        return ",".join(value)
    if name == "connect_to" and isinstance(value, Mapping):
        return ",".join(f"{_end(name, origin)}:{_end(name, target)}" for origin, target in value.items())
    raise _wrong(name, value)


def _wrong(name: str, value: Any) -> TypeError:
    return TypeError(f"{name} is {_TAKES.get(name, 'text')}, not {type(value).__name__}")


def _end(name: str, end: Any) -> str:
    if not isinstance(end, str):
        raise TypeError(f'{name} maps "host:port" to "address:port"')
    if not end.rpartition(":")[2].isdigit():
        raise InvalidSettingError(f'{name}: {end!r} is not "host:port"', kind="invalid_setting")
    return end


HELP = """
Settings, by keyword. One that is None has its default. Durations are seconds, int or float.

    alternate_url         the other endpoint's URL. Default: none, by the `--s` rule
    url_form              "host" or "path". Default: none, the host
    preset                "safe" or "dotnet". Default: "safe"
    auto_switch           "auto", True or False. Default: "auto"
    connect_timeout       seconds, 0.001 to 86400: one address. Default: 10
    attempt_timeout       seconds, 0.001 to 86400: one attempt. Default: 120
    deadline              seconds, 0.001 to 86400: the call with all attempts. Default: 300
    handler_timeout       seconds, 0.001 to 86400: how long handlers are waited for. Default: 5
    probe_after           seconds, 0 to 86400: silence before a probe; 0: never. Default: 1
    probe_timeout         seconds, 0.001 to 86400: one probe. Default: 1
    probe_path            a path from the base URL on. Default: "/api/data/v9.2/WhoAmI"
    write_grace           seconds, 0 to 86400: for a write whose endpoint was left, unless sent again. Default: 10
    hold_down             seconds, 0 to 86400: more proof for another switch; 0: none. Default: 30
    outage_wait           seconds, 0 to 86400: for an endpoint that answers, where none does. Default: 30
    max_waiting           1 to 1000000 calls that wait so. Default: 10000
    failback              "on_fault", "probe" or "manual". Default: "on_fault"
    failback_interval     seconds, 0.001 to 86400: between looks at the primary. Default: 60
    failback_after        seconds, 0 to 86400: of good looks. Default: 300
    max_attempts          1 to 100, of one call. Default: 4
    retry_budget          0 to 1, repeats as a share of recent calls. Default: 0.2
    replication_window    seconds, 0 to 86400: how long rows may be missing; 0: none. Default: 900
    ledger_entries        1 to 10000000 writes. Default: 100000
    ledger_retention      seconds, 0 to 315360000: how long a store keeps them. Default: 604800
    store                 a file: the ledger on disk. Default: none
    store_durability      "process" or "power": what a record survives. Default: "process"
    store_failure         "refuse" or "go_on": what is not on record. Default: "refuse"
    ledger_bodies         "off", "digest" or "full": what is kept of bodies. Default: "digest"
    ledger_body_size      bytes, 0 to 1073741824: longer ones are not kept. Default: 1048576
    verify_keys           "accounts=accountnumber": columns that name a row, by entity set. Default: none
    update_guard          True or False: `If-Match: *` for that time. Default: True
    service_mark          "required" or "any". Default: "required"
    state_max_age         seconds, 0 to 86400: how old the others' word may be. Default: 3600
    ca_bundle             a PEM file. Default: the system's authorities
    tls_verify            True or False. Default: True
    client_certificate    a PEM file with chain and key. Default: none
    client_key            a PEM file with that key, where it has a file of its own. Default: none
    http2                 True or False. Default: True
    decompress            True or False: gzip and brotli. Default: True
    proxy                 "http://[user:password@]host:port" or "system". Default: none
    max_redirects         0 to 20. Default: 0
    allowed_hosts         other hosts that may be asked. Default: none
    allowed_host_headers  headers of the application's that go there. Default: none
    connect_to            {"host:port": "address:port"}. Default: none
    max_connections       1 to 65536, an endpoint. Default: 256
    idle_timeout          seconds, 0.001 to 86400. Default: 20
    max_connection_age    seconds, 0.001 to 86400, ± 20 %. Default: 600
    max_response_headers  bytes, 8192 to 1048576. Default: 65536
    max_response_body     bytes, 1 to 2**40. Default: 268435456
    error_prefix          bytes, 1024 to 16777216. Default: 65536
    user_agent            text. Default: "d365-failover/VERSION"
    oauth_tenant          with the next two: tokens by client credentials. Default: none
    oauth_client_id       the application's id. Default: none
    oauth_client_secret   its secret. Default: none
    oauth_certificate     or a PEM file with certificate and RSA key. Default: none
    oauth_authority       an https URL. Default: "https://login.microsoftonline.com"
    token_provider        a callable, or azure-core's `get_token`. Default: none
    token_precedence      "application" or "provider". Default: "application"
    prepare               a callable, asked for each attempt. Default: none

`d365_failover.Settings` says what they do.

Raises `TypeError` for a value of a wrong type, `InvalidSettingError` for one out of range, `UnknownSettingError` for a
keyword that is none of these, `InvalidUrlError` for a URL from which no pair of endpoints can be made, `CaStoreError`
where there are no authorities to check servers by.
"""
"""What `help()` shows of the settings, of both clients."""

Described = TypeVar("Described", bound=type)


def described(client: Described) -> Described:
    """Adds the settings to what `help()` shows of a client."""
    if client.__doc__ is not None:  # as with python -OO
        client.__doc__ = f"{inspect.cleandoc(client.__doc__)}\n{HELP}"
    return client
