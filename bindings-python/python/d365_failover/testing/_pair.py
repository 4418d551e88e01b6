"""A pair of endpoints in the process: a primary and an alternate, over one set of rows each."""

from __future__ import annotations

import os
import re
import shutil
import ssl
import tempfile
import uuid
from collections import defaultdict
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeAlias

from .. import AsyncClient, Client
from . import _certificate
from ._channel import Secured
from ._fault import check_seconds
from ._http import Answer, Request
from ._side import Side
from ._store import SIDES, Row, Store
from ._web_api import DATACENTER_NOT_AVAILABLE, ServiceError, WebApi, resource_of
from ._wsdl import is_wsdl, wsdl

Role: TypeAlias = Literal["primary", "alternate"]
_WHO_SERVES = {"primary": ("primary",), "alternate": ("alternate",), "both": SIDES, "neither": ()}

_ORGANIZATION = re.compile(r"(?!.*--s$)[A-Za-z0-9](?:[A-Za-z0-9-]{0,58}[A-Za-z0-9])?")


class FailoverPair:
    """An organization with two endpoints, on 127.0.0.1, in threads of this process.

        with FailoverPair() as pair, pair.client() as client:
            pair.primary.refuse()
            assert client.get("/api/data/v9.2/WhoAmI").switched

    Speaks HTTP/1.1 over TLS: the Web API (WhoAmI; rows of any table: create, read, query, update, upsert, delete with
    `If-Match` and `If-None-Match`; `$batch` of multipart/mixed) and the WSDL's failover policy. No SOAP.

    `lag`: seconds until a commit is at the other side; 0 at once, `None` when `replicate()` says so. `tokens`: each
    side wants `pair.token(url)` as its bearer token. `policy`: what the WSDL says of an alternate.
    """

    def __init__(
        self,
        organization: str = "contoso",
        *,
        lag: float | None = 0.0,
        tokens: bool = False,
        policy: bool = True,
    ) -> None:
        if not isinstance(organization, str) or not _ORGANIZATION.fullmatch(organization):
            raise ValueError(f"organization: letters and digits, as in contoso, not {organization!r}")
        if lag is not None:
            check_seconds(lag)
        names = (f"{organization}.crm.failover.test", f"{organization}--s.crm.failover.test")
        made = _certificate.make(*names)
        self._directory = Path(tempfile.mkdtemp(prefix="d365-failover-"))
        self._ca = self._directory / "ca.pem"
        self._ca.write_text(made.ca)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sslsocket_class = Secured
        context.set_alpn_protocols(["http/1.1"])
        secret = self._directory / "server.pem"
        secret.touch(0o600)
        secret.write_text(made.certificate + made.key)
        context.load_cert_chain(secret)
        secret.unlink()
        self.tokens = tokens
        self.policy = policy
        self._serving: tuple[str, ...] = SIDES
        self._store = Store(lag)
        identity = (str(uuid.uuid4()), str(uuid.uuid4()), str(uuid.uuid4()))
        self._identity = identity
        self.primary: Side = Side("primary", names[0], context, self._serve)
        """Where calls go in ordinary times."""
        self.alternate: Side = Side("alternate", names[1], context, self._serve)
        """Where they go when the primary fails."""

    def __enter__(self) -> FailoverPair:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends both servers."""
        self.primary.close()
        self.alternate.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    # ---- for the application -----------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The primary's base URL: what the application is given as its organization."""
        return self.primary.url

    @property
    def alternate_url(self) -> str:
        """The alternate's base URL."""
        return self.alternate.url

    @property
    def ca_file(self) -> str:
        """The authority of both certificates, in PEM, as long as the pair is there."""
        return os.fspath(self._ca)

    @property
    def connect_to(self) -> dict[str, str]:
        """Where the hosts really are."""
        return {f"{side.host}:443": f"127.0.0.1:{side.port}" for side in (self.primary, self.alternate)}

    @property
    def settings(self) -> dict[str, Any]:
        """What a client needs beside `url`, by keyword: `ca_bundle`, `connect_to`, `auto_switch`; with `tokens` also
        `token_provider`."""
        settings: dict[str, Any] = {"ca_bundle": self.ca_file, "connect_to": self.connect_to, "auto_switch": True}
        if self.tokens:
            settings["token_provider"] = self.token
        return settings

    @property
    def environment(self) -> dict[str, str]:
        """The same for a program in a process of its own, as the examples and the command line read it."""
        places = ",".join(f"{host}:{place}" for host, place in self.connect_to.items())
        return {"D365_URL": self.url, "D365_CA_BUNDLE": self.ca_file, "D365_CONNECT_TO": places}

    def token(self, url: str) -> str:
        """The token that the endpoint with this base URL takes."""
        return f"token-for-{url.partition('://')[2].partition('/')[0]}"

    def client(self, **settings: Any) -> Client:
        """A client of this organization, with more settings."""
        return Client(self.url, **{**self.settings, **settings})

    def async_client(self, **settings: Any) -> AsyncClient:
        """The same for asyncio."""
        return AsyncClient(self.url, **{**self.settings, **settings})

    # ---- the organization --------------------------------------------------------------------------------------------

    def serve_at(self, where: Literal["primary", "alternate", "both", "neither"]) -> None:
        """Which sides serve the organization, both at first. The others say that they do not: 0x8004B065."""
        if where not in _WHO_SERVES:
            raise ValueError(f"{where!r} is none of {', '.join(_WHO_SERVES)}")
        with self._store.lock:
            self._serving = _WHO_SERVES[where]

    def replication(self, lag: float | None, *, partitioned: bool = False) -> None:
        """Seconds until a commit is at the other side; `None`: when `replicate()` says so. Partitioned: not at all."""
        if lag is not None:
            check_seconds(lag)
        with self._store.lock:
            self._store.lag, self._store.partitioned = lag, partitioned

    def replicate(self) -> int:
        """Lets all commits cross that wait, now; tells how many did."""
        with self._store.lock:
            return self._store.replicate()

    def recover(self) -> None:
        """Ends all that goes wrong, at both sides. What has not crossed stays where it is."""
        self.primary.recover()
        self.alternate.recover()

    def rows(self, entity: str | None = None) -> list[Row]:
        """The rows of both sides, of one table (`"account"`) or all, in the order in which they were written."""
        with self._store.lock:
            self._store.settle()
            return [row for row in self._store.rows() if entity in (None, row.entity)]

    def duplicates(self) -> list[list[Row]]:
        """Rows of one table that share their `name`: what a create leaves that was sent twice."""
        found = defaultdict(list)
        for row in self.rows():
            if row.name is not None:
                found[row.entity, row.name].append(row)
        return [rows for rows in found.values() if len(rows) > 1]

    # ---- the services ------------------------------------------------------------------------------------------------

    def _serve(self, role: str, request: Request) -> Answer:
        side = self.primary if role == "primary" else self.alternate
        hosts = (side.host, f"{side.host}:443", f"{side.host}:{side.port}")
        host = (request.header("Host") or "").lower()
        if host not in hosts:
            return _page(400, "Bad Request - Invalid Hostname")
        if request.method == "HEAD":
            request = Request("GET", request.target, request.headers, request.body)
        base = f"https://{host}"
        if is_wsdl(request):
            return wsdl(base, available=self.policy)
        authorization = request.header("Authorization") or ""
        if self.tokens and authorization != f"Bearer {self.token(side.url)}":
            challenge = (
                f"Bearer authorization_uri=https://login.failover.test/{self._identity[2]}/oauth2/authorize, "
                f"resource_id={side.url}/"
            )
            return Answer(401, [("WWW-Authenticate", challenge)])
        is_api = resource_of(request.path) is not None
        with self._store.lock:
            if role not in self._serving:
                message = "The datacenter that serves the organization is not available."
                return ServiceError(500, DATACENTER_NOT_AVAILABLE, message).answer()
            if not is_api:
                return _page(404, "404 - File or directory not found.")
            self._store.settle()
            api = WebApi(self._store, role, base, lambda named: named.lower() in hosts, self._identity)
            answer = api.answer(request)
            self._store.settle()
            return answer


def _page(status: int, text: str) -> Answer:
    page = f"<!DOCTYPE html><html><head><title>{text}</title></head><body><h2>{text}</h2></body></html>"
    return Answer(status, [("Content-Type", "text/html; charset=utf-8")], page.encode())
