"""Failover beneath `requests`: for code, and for libraries, that take a `requests.Session`.

    import d365_failover.requests

    session = d365_failover.requests.Session("https://contoso.crm.dynamics.com")

or for one that is there already: `d365_failover.requests.mount(session, "https://contoso.crm.dynamics.com")`. All else
stays as it is: responses, exceptions, hooks, cookies, redirects, `stream`, `timeout`, `verify`, `cert`, `proxies`.

Needs requests: `pip install d365-failover[requests]`.
"""

from __future__ import annotations

import io
import os
import sys
import urllib.request
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.cookies import extract_cookies_to_jar
from requests.exceptions import ContentDecodingError
from requests.sessions import merge_setting
from requests.structures import CaseInsensitiveDict
from requests.utils import DEFAULT_CA_BUNDLE_PATH, extract_zipped_paths, get_encoding_from_headers, select_proxy
from urllib3 import Timeout

from . import _dropin
from ._base import refuse_wrong, told_natively
from ._body import Source, seekable, source_of
from ._client import Client
from ._dropin import LONGEST, OURS, answered, bases, clamped, doubt_of, is_host, undecoded, utf8
from ._exceptions import FailoverError
from ._models import Response as Known
from ._request import length_of
from ._requests_errors import of_error
from ._settings import Settings
from ._stream import StreamedResponse
from ._types import STREAMING
from ._urllib3 import Raw

if sys.version_info >= (3, 11):
    from typing import Unpack
elif TYPE_CHECKING:
    from typing_extensions import Unpack

if TYPE_CHECKING:
    from ._types import RawRequest

__all__ = ["FailoverAdapter", "Response", "Session", "mount"]

_OURS = OURS | {"content-length"}

_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PROXIES = tuple(name for scheme in ("http", "https", "all") for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper()))
"""What requests reads of the environment for a request whose URL is known."""

_READS_VARIABLES = urllib.request.getproxies is urllib.request.getproxies_environment
"""Elsewhere the system's settings have proxies as well."""

_PIECE = 1 << 16

_Key = tuple[Any, Any, "str | None"]
"""`verify`, `cert` and the proxy's URL."""


class Response(requests.Response):
    """A response of requests', with what is known of its call."""

    __attrs__: list[str] = [*requests.Response.__attrs__, "failover"]  # noqa: RUF012

    failover: Known
    """The call: `effect`, `switched`, `attempts`, `ledger_id`, `tag`, `parts`, and as `url` the endpoint that answered.
    Its body is this response's."""

    @property
    def content(self) -> bytes:
        """The body, decoded."""
        if self._content is False and not self._content_consumed and "Content-Encoding" not in self.headers:
            whole = self.raw.whole()
            if whole is not None:
                self._content, self._content_consumed = whole, True
        return super().content

    def iter_content(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, chunk_size: int | None = 1, decode_unicode: Any = False
    ) -> Iterator[Any]:
        """As requests' own; but of a write that is or may be done, a body that cannot be decoded raises
        `FailoverError`, which is no `RequestException`."""
        return self._undoubled(super().iter_content(chunk_size, decode_unicode))

    def _undoubled(self, pieces: Iterator[Any]) -> Iterator[Any]:
        try:
            yield from pieces
        except ContentDecodingError as error:
            kept = undecoded(self.failover, error)
            if kept is None:
                raise
            raise kept from error

    @property
    def ok(self) -> bool:
        """Whether the status is below 400."""
        return self.status_code < 400

    def raise_for_status(self) -> None:
        """As requests' own; but where the write is in doubt (a 500 to a POST), it raises `WriteInDoubtError`.

        `requests.HTTPError` is what loops catch that send again. It is the `__cause__`.
        """
        try:
            super().raise_for_status()
        except requests.HTTPError as error:
            doubt = doubt_of(self.failover, error)
            if doubt is None:
                raise
            raise doubt from error

    def raise_for_doubt(self) -> None:
        """Raises `WriteInDoubtError` where the status leaves a write in doubt, and nothing for other statuses."""
        if self.failover.effect == "unknown":
            self.raise_for_status()


class FailoverAdapter(BaseAdapter):
    """An adapter to mount on a `requests.Session` for both of an organization's endpoints: `mount` does so.

    `url` and settings are those of `d365_failover.Client`. Each combination of `verify`, `cert` and proxy that requests
    come with has a client of its own, with its own switch and ledger; mostly there is one. What requests, or their
    session, say of them goes before the settings `ca_bundle`, `tls_verify`, `client_certificate`, `client_key` and
    `proxy`, and those before the environment. Without any the authorities are requests' own (certifi).
    HTTP/2 is spoken with `http2=True` only.
    """

    def __init__(self, url: str, **settings: Unpack[Settings]) -> None:
        super().__init__()
        # Clients are opened by requests, which is late for who has misspelled one.
        refuse_wrong(url, told_natively(settings, awaits=False), settings)
        self._begin(url, dict(settings))

    def _begin(self, url: str, settings: dict[str, Any]) -> None:
        self._url = url
        self._settings = settings
        self._clients: dict[_Key, Client] = {}
        self._closed: dict[_Key, Client] = {}
        # What a session that nobody closed leaves behind.
        weakref.finalize(self, _abandon, self._clients).atexit = False

    def __getstate__(self) -> dict[str, Any]:
        return {"url": self._url, "settings": self._settings}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._begin(state["url"], state["settings"])

    @property
    def clients(self) -> tuple[Client, ...]:
        """Those that are open, the first one first."""
        return tuple(self._clients.values())

    def client_of(self, session: requests.Session) -> Client:
        """The client that the session's requests go by, which is opened here if it was not yet.

        For events, the ledger, `verify`, `switch_endpoint`. Of requests that bring `verify`, `cert` or `proxies`
        themselves it is another one: see `clients`. After `close` it is the one that is closed, which still tells what
        is in question, until a request opens another.
        """
        told = session.merge_environment_settings(self._url, {}, None, None, None)
        key = _key(self._url, told["verify"], told["cert"], told["proxies"])
        closed = self._closed.get(key)
        return self._client(key) if closed is None or closed._native.forked else closed

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str | None = True,
        cert: str | tuple[str, str] | None = None,
        proxies: dict[str, str] | None = None,
    ) -> requests.Response:
        """Sends a request to the active endpoint, again after a switch, and returns the response, whatever its status.

        The connect time of `timeout` is for all of an attempt's connecting, the read time for an attempt that stands
        still, and for each wait within the body. Raises requests' own exceptions; a write in doubt raises
        `d365_failover.WriteInDoubtError`, which is none of them.
        """
        known: Known
        try:
            raw_request, source = _native(request, timeout)
            client = self._client(_key(cast(str, request.url), verify, cert, proxies))
            known = StreamedResponse(client._send(raw_request, source), raw_request)
        except FailoverError as error:
            # Also what no service has answered is an answer here.
            answer = answered(error)
            if answer is None:
                raised = of_error(error, request)
                if isinstance(raised, FailoverError):
                    raise raised from raised.__cause__
                raise raised from error
            known = answer
        return self._built(known, request)

    def _built(self, known: Known, request: requests.PreparedRequest) -> Response:
        response = Response()
        response.failover = known
        response.status_code = known.status_code
        response.reason = known.reason_phrase
        headers: CaseInsensitiveDict[str] = CaseInsensitiveDict()
        response.headers = headers
        spelled: dict[str, str] = {}
        for name, value in known._raw.headers:
            lower = name.lower()
            if lower in spelled:
                name, value = spelled[lower], f"{headers[name]}, {value}"
            if lower == "location" and not value.isascii():
                value = value.encode().decode("latin-1")  # as requests wants it, to follow it
            headers[name] = value
            spelled[lower] = name
        has_cookies = "set-cookie" in spelled
        response.encoding = get_encoding_from_headers(headers)
        response.url = cast(str, request.url)
        response.raw = Raw(known, request.method or "", has_cookies)
        if has_cookies:
            extract_cookies_to_jar(response.cookies, request, response.raw)
        response.request = request
        response.connection = self  # type: ignore[assignment]
        return response

    def _client(self, key: _Key) -> Client:
        client = self._clients.get(key)
        # One that was opened before a fork is the parent's.
        if client is None or client._native.forked:
            with _dropin._lock:
                client = self._clients.get(key)
                if client is None or client._native.forked:
                    client = self._clients[key] = Client(self._url, **_settings(self._settings, key))
                    self._closed.pop(key, None)
        return client

    def close(self) -> None:
        """Closes the clients, and cancels what they are about to do. A later request opens new ones."""
        with _dropin._lock:
            clients = list(self._clients.values())
            self._closed.update(self._clients)
            self._clients.clear()
        for client in clients:
            client.close()


class _Elsewhere(HTTPAdapter):
    """For other hosts, to which nothing is sent that is said to this library alone."""

    def send(self, request: requests.PreparedRequest, *args: Any, **keywords: Any) -> requests.Response:
        for name in [name for name in request.headers if name.lower().startswith("d365-failover-")]:
            del request.headers[name]
        return super().send(request, *args, **keywords)


class Session(requests.Session):
    """A `requests.Session` whose requests to either endpoint of an organization fail over.

    `url` and settings are those of `d365_failover.Client`. Requests elsewhere go as ever.
    """

    __attrs__: list[str] = [*requests.Session.__attrs__, "_adapter"]  # noqa: RUF012

    def __init__(self, url: str, **settings: Unpack[Settings]) -> None:
        super().__init__()
        for scheme in ("https://", "http://"):
            self.mount(scheme, _Elsewhere())
        self._adapter = mount(self, url, **settings)

    @property
    def client(self) -> Client:
        """The client that this one's requests go by. See `FailoverAdapter.client_of`."""
        return self._adapter.client_of(self)

    def get_adapter(self, url: str | bytes) -> BaseAdapter:
        """A URL with a user in it is the organization's as well, and is refused there: it would go without failover."""
        scheme, colon, rest = (url if isinstance(url, str) else url.decode()).partition("://")
        authority, slash, path = rest.partition("/")
        return super().get_adapter(f"{scheme}{colon}{authority.rpartition('@')[2]}{slash}{path}")

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> dict[str, Any]:
        """As requests' own, which looks at each variable of the environment for each request."""
        if self.trust_env:
            if not _READS_VARIABLES or any(map(os.environ.get, _PROXIES)):
                return super().merge_environment_settings(url, proxies, stream, verify, cert)
            if verify is True or verify is None:
                verify = os.environ.get(_BUNDLES[0]) or os.environ.get(_BUNDLES[1]) or verify
        return {
            "proxies": merge_setting(proxies, self.proxies) if proxies or self.proxies else {},
            "stream": self.stream if stream is None else stream,
            "verify": self.verify if verify is None else verify,
            "cert": self.cert if cert is None else cert,
        }


def mount(session: requests.Session, url: str, **settings: Unpack[Settings]) -> FailoverAdapter:
    """Has a session's requests to either endpoint of the organization fail over.

    `url` and settings are those of `d365_failover.Client`. The session's `close` closes what this opens.
    """
    adapter = FailoverAdapter(url, **settings)
    for prefix in _prefixes(url, settings):
        session.mount(prefix, adapter)
    return adapter


def _prefixes(url: str, settings: Settings) -> list[str]:
    """How URLs of the organization begin: of both endpoints, with and without the port of their scheme."""
    prefixes = []
    for base in bases(url, settings):
        scheme, _, rest = base.partition("://")
        authority, slash, path = rest.partition("/")
        port = {"https": ":443", "http": ":80"}[scheme]
        host = authority.removesuffix(port)
        prefixes.append(f"{scheme}://{host}{slash}{path}/")
        if ":" not in host.rpartition("]")[2]:
            prefixes.append(f"{scheme}://{host}{port}{slash}{path}/")
    return prefixes


def _key(url: str, verify: Any, cert: Any, proxies: dict[str, str] | None) -> _Key:
    return (verify, cert, select_proxy(url, proxies) if proxies else None)


def _settings(settings: dict[str, Any], key: _Key) -> Settings:
    """A client's settings: what requests say goes before the adapter's own, and those before the environment."""
    verify, cert, proxy = key
    # Of the environment, and not of the application.
    if settings.get("ca_bundle") is not None and verify in _told(_BUNDLES):
        verify = True
    if settings.get("proxy") is not None and proxy in _told(_PROXIES):
        proxy = None
    # What else looks at the names of headers has them from HTTP/1.1.
    made = {"http2": False, "error_prefix": 1 << 20, **settings, "decompress": False}
    if verify is False:
        made["tls_verify"] = False
    elif isinstance(verify, (str, os.PathLike)):
        made.update(tls_verify=True, ca_bundle=_there(verify, "a suitable TLS CA certificate bundle, invalid path"))
    elif made.get("ca_bundle") is None and made.get("tls_verify") is not False:
        made["ca_bundle"] = extract_zipped_paths(DEFAULT_CA_BUNDLE_PATH)
    if cert is not None:
        certificate, private_key = cert if isinstance(cert, tuple) else (cert, None)
        made["client_certificate"] = _there(certificate, "the TLS certificate file, invalid path")
        made["client_key"] = None
        if private_key is not None:
            made["client_key"] = _there(private_key, "the TLS key file, invalid path")
    if proxy:
        made["proxy"] = proxy if "://" in proxy else f"http://{proxy}"
    return cast("Settings", made)


def _told(variables: tuple[str, ...]) -> set[str]:
    return {value for value in map(os.environ.get, variables) if value}


def _there(path: str | os.PathLike[str], what: str) -> str | os.PathLike[str]:
    if not os.path.exists(path):
        raise OSError(f"Could not find {what}: {path}")
    return path


def _native(request: requests.PreparedRequest, timeout: Any) -> tuple[RawRequest, Source | None]:
    pairs: list[tuple[str, str]] = []
    has_coding = False
    for name, value in request.headers.lower_items():
        if name in _OURS and (name != "host" or _is_own(value, cast(str, request.url))):
            continue
        has_coding = has_coding or name == "accept-encoding"
        pairs.append((name, value if type(value) is str else _text(name, value)))
    if not has_coding:
        pairs.insert(0, ("accept-encoding", "identity"))  # as http.client
    body: Any = request.body
    source = None
    if body is not None and type(body) is not bytes:
        body, source = _read(body, request, pairs)
    url = cast(str, request.url)
    if "#" in url:
        url = url.partition("#")[0]
    connect, attempt, read = (None, None, None) if timeout is None else _times(timeout)
    method = cast(str, request.method)
    return (method, url, pairs, body, None, 0, STREAMING, None, None, connect, attempt, read), source


def _read(body: Any, request: requests.PreparedRequest, pairs: list[tuple[str, str]]) -> tuple[Any, Source | None]:
    """A body that is no bytes, and what it is read from."""
    if isinstance(body, str):
        return body.encode(), None
    source = source_of(_text_of(body) if _gives_text(body) else body)
    if source is None:
        return bytes(body), None
    if not hasattr(body, "read"):
        source = source_of(map(_octets, body))
        assert source is not None
    told = request.headers.get("Content-Length")
    if told is not None:
        pairs.append(("content-length", _text("content-length", told)))
    return (length_of(source, pairs), source.rewindable), source


def _gives_text(body: Any) -> bool:
    return isinstance(body, io.TextIOBase) or (hasattr(body, "read") and getattr(body, "encoding", None) is not None)


def _text_of(file: Any) -> Any:
    """A file that gives text, as one that gives bytes."""

    def pieces() -> Iterator[Any]:
        while piece := file.read(_PIECE):
            yield _octets(piece)

    if not seekable(file):
        return pieces()
    begin = file.tell()

    def anew() -> Iterator[Any]:
        file.seek(begin)
        return pieces()

    return anew


def _octets(piece: Any) -> Any:
    return piece.encode() if isinstance(piece, str) else piece


def _is_own(host: Any, url: str) -> bool:
    return is_host(_text("host", host), urlsplit(url).netloc.rpartition("@")[2])


def _text(name: str, value: Any) -> str:
    return utf8(name, value) if isinstance(value, bytes) else str(value)


def _times(timeout: Any) -> tuple[int | None, int | None, int | None]:
    """Milliseconds for connecting, for an attempt, and for one that stands still, of what `timeout` can be."""
    if isinstance(timeout, tuple):
        try:
            connect, read = timeout
        except ValueError:
            raise ValueError(f"timeout is a number of seconds, or two for (connect, read), not {timeout!r}") from None
    elif isinstance(timeout, Timeout):
        # It tells no read time before its clock runs.
        running = timeout.clone()
        running.start_connect()
        connect, read = map(Timeout.resolve_default_timeout, (running.connect_timeout, running.read_timeout))
    else:
        connect = read = timeout
    return _milliseconds(connect), LONGEST, _milliseconds(read)


def _milliseconds(seconds: Any) -> int | None:
    try:
        return None if seconds is None else clamped(seconds, "timeout")
    except TypeError as error:
        raise ValueError(str(error)) from None  # as urllib3


def _abandon(clients: dict[_Key, Client]) -> None:
    for client in clients.values():
        client._abandon()
